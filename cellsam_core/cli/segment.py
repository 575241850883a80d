"""``segment``: image files -> label images and cell tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.options import add_options, from_arguments
from cellsam_core.preprocessing.options import PreprocessOptions
from cellsam_core.segmentation.options import ModelOptions, SegmentOptions

if TYPE_CHECKING:
    import argparse

CONTRAST = {"clip_percentile", "clahe_kernel_px", "clahe_clip_limit"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="TIFF, PNG or JPEG")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    parser.add_argument("--channels", help="names of the channels, comma separated, in file order")
    parser.add_argument(
        "--boxes",
        type=Path,
        help="CSV with image, x0, y0, x1, y1 in px: draw the cells in these boxes",
    )
    add_options(parser, PreprocessOptions, without=CONTRAST)
    add_options(parser, ModelOptions)
    add_options(parser, SegmentOptions)


def run(args: argparse.Namespace) -> None:
    from cellsam_core.segmentation.image_files import segment_files

    segment_files(
        args.images,
        args.output,
        from_arguments(ModelOptions, args),
        from_arguments(SegmentOptions, args),
        from_arguments(PreprocessOptions, args),
        channels=args.channels,
        boxes=args.boxes,
    )
