"""``cellsam-core compare-vendor``: our cells beside those of the vendor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.given_masks.options import GivenMasksOptions
from cellsam_core.options import add_options, from_arguments

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", type=Path, help="folder of a sample, such as results/cortex")
    parser.add_argument(
        "--theirs",
        type=Path,
        metavar="FILE",
        help="label image or outlines of the vendor's cells; without it, those that inspect found",
    )
    parser.add_argument(
        "--allow-none",
        action="store_true",
        help="write a page that says so if the sample has no cells of a vendor, instead of failing",
    )
    add_options(parser, GivenMasksOptions)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder, e.g. 6_vendor")


def run(args: argparse.Namespace) -> None:
    options = from_arguments(GivenMasksOptions, args)
    from cellsam_core.reporting.results import Results
    from cellsam_core.reporting.vendor_page import write_empty_page, write_vendor_page
    from cellsam_core.vendor.stage import compare_vendor, vendor_cells

    manifest = Results.load(args.results).manifest
    if args.allow_none and args.theirs is None and vendor_cells(manifest) is None:
        write_empty_page(manifest.sample, args.output / "vendor.html")
        return
    found = compare_vendor(args.results, args.theirs, args.output, options)
    write_vendor_page(found, Results.load(args.results), args.output / "vendor.html")
    print("\n".join(found.record["sentences"]))
