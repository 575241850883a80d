"""``cellsam-core decode``: raw rounds of imaging -> a folder of stains and transcripts."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.decoding.options import DecodeOptions
from cellsam_core.options import add_options, from_arguments

if TYPE_CHECKING:
    import argparse

log = logging.getLogger(__name__)


def add_raw_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what the raw rounds are."""
    parser.add_argument("path", type=Path, help="folder with raw rounds, see docs/decoding.md")
    parser.add_argument(
        "--format",
        choices=("auto", "merlin", "rounds"),
        default="auto",
        help="layout of the folder; auto finds out",
    )
    parser.add_argument(
        "--pixel-size-um", type=float, help="side of a pixel in um, wins over what the files say"
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_raw_arguments(parser)
    add_options(parser, DecodeOptions)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")


def run(args: argparse.Namespace) -> None:
    options = from_arguments(DecodeOptions, args)
    from cellsam_core.decoding.stage import decode

    decoded = decode(
        args.path, args.output, options, format=args.format, pixel_size_um=args.pixel_size_um
    )
    log.info(json.dumps(decoded.summary))
