"""``decode-batch``: one share of the fields of raw rounds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.cli.decode import add_raw_arguments
from cellsam_core.decoding.options import OF_JOINING, DecodeOptions
from cellsam_core.options import add_options, from_arguments

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_raw_arguments(parser)
    parser.add_argument("--batch", required=True, help="K-of-N: which share of the fields")
    parser.add_argument(
        "--colours",
        type=Path,
        help="file of `align-colours`; without it, each batch measures the same once more",
    )
    add_options(parser, DecodeOptions, without=OF_JOINING)
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder to write, named K-of-N"
    )


def run(args: argparse.Namespace) -> None:
    from cellsam_core.decoding.align import read_colours
    from cellsam_core.decoding.open_raw import open_raw
    from cellsam_core.decoding.stage import decode_batch
    from cellsam_core.files.batch_names import parse_batch

    batch = parse_batch(args.batch)
    options = from_arguments(DecodeOptions, args)
    raw = open_raw(args.path, args.format, args.pixel_size_um)
    colours = None if args.colours is None else read_colours(args.colours)
    decode_batch(raw, args.output, options, batch, colours)
