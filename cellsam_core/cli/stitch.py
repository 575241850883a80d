"""``stitch``: the batches of a sample become one label image and one cell table."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.options import add_options, from_arguments
from cellsam_core.segmentation.options import SegmentOptions

if TYPE_CHECKING:
    import argparse

OF_OTHERS = {item.name for item in fields(SegmentOptions)} - {"min_area_px"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("frames", type=Path, help="frames.zarr written by `preprocess`")
    parser.add_argument("batches", type=Path, nargs="+", help="all files of `segment-batch`")
    parser.add_argument("--masks", type=Path, required=True, help="masks.zarr to write")
    parser.add_argument("--cells", type=Path, required=True, help="cells.parquet to write")
    add_options(parser, SegmentOptions, without=OF_OTHERS)


def run(args: argparse.Namespace) -> None:
    from cellsam_core.segmentation.batches import stitch

    options = from_arguments(SegmentOptions, args)
    stitch(args.frames, args.batches, args.masks, args.cells, options.min_area_px)
