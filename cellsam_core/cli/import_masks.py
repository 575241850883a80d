"""``import-masks``: masks of the user instead of a segmentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.given_masks.options import GivenMasksOptions
from cellsam_core.options import add_options, from_arguments

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "given", type=Path, help="label images, ROIs of ImageJ, GeoJSON or outlines of a vendor"
    )
    parser.add_argument("--manifest", type=Path, required=True, help="0_manifest.json")
    parser.add_argument(
        "--frames", type=Path, required=True, help="frames.zarr written by `preprocess`"
    )
    parser.add_argument("--masks", type=Path, required=True, help="masks.zarr to write")
    parser.add_argument("--cells", type=Path, required=True, help="cells.parquet to write")
    add_options(parser, GivenMasksOptions)


def run(args: argparse.Namespace) -> None:
    from cellsam_core.given_masks.stage import write_masks
    from cellsam_core.samples.manifest import Manifest

    options = from_arguments(GivenMasksOptions, args)
    manifest = Manifest.load(args.manifest)
    write_masks(args.given, manifest, args.frames, args.masks, args.cells, options)
