"""``segment-batch``: one share of the tiles of a preprocessed sample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.options import add_options, from_arguments
from cellsam_core.segmentation.options import ModelOptions, SegmentOptions

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("frames", type=Path, help="frames.zarr written by `preprocess`")
    parser.add_argument("--batch", required=True, help="K-of-N: which share of the tiles")
    add_options(parser, ModelOptions)
    add_options(parser, SegmentOptions, without={"min_area_px"})
    parser.add_argument("-o", "--output", type=Path, required=True, help="Parquet file to write")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.files.batch_names import parse_batch
    from cellsam_core.segmentation.batches import segment_batch
    from cellsam_core.segmentation.image import open_frames
    from cellsam_core.segmentation.stage import load_model

    batch = parse_batch(args.batch)
    frames = open_frames(args.frames)
    options = from_arguments(SegmentOptions, args)
    model = load_model(args.weights, preset=args.preset, device=args.device, target=args.target)
    segment_batch(frames, args.output, model, options, batch)
