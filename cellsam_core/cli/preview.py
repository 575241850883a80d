"""``cellsam-core preview``: a few crops of a sample, segmented, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sample", help="name of a sample of the sheet, or a folder or file")
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="config files that change keys of config/config.yaml, as with Snakemake",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(),
        metavar="PROJECT",
        help="folder in which Snakemake will run",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="HTML", help="page to write (preview_<sample>.html)"
    )


def run(args: argparse.Namespace) -> None:
    from cellsam_core.first_steps.preview import preview

    page = preview(args.sample, args.output, args.configfile, folder=args.directory)
    print(page.text())
    print(f"Page: {page.path}")
