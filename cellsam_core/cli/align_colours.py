"""``align-colours``: where the colours of raw rounds lie against each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.cli.decode import add_raw_arguments
from cellsam_core.decoding.options import DecodeOptions
from cellsam_core.options import add_options, from_arguments

if TYPE_CHECKING:
    import argparse

OTHERS = {name for name in DecodeOptions.__dataclass_fields__ if name != "spot_sigma_px"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_raw_arguments(parser)
    add_options(parser, DecodeOptions, without=OTHERS)
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file to write")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.decoding.align import align_colours, write_colours
    from cellsam_core.decoding.open_raw import open_raw

    options = from_arguments(DecodeOptions, args)
    raw = open_raw(args.path, args.format, args.pixel_size_um)
    write_colours(args.output, align_colours(raw, options.spot_sigma_px))
