"""``join-fields``: the decoded fields of raw rounds become one folder of stains and transcripts."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.cli.decode import add_raw_arguments
from cellsam_core.decoding.options import OF_FIELDS, DecodeOptions
from cellsam_core.options import add_options, from_arguments

if TYPE_CHECKING:
    import argparse

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_raw_arguments(parser)
    parser.add_argument("batches", type=Path, nargs="+", help="all folders of `decode-batch`")
    add_options(parser, DecodeOptions, without=OF_FIELDS)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.decoding.open_raw import open_raw
    from cellsam_core.decoding.stage import join_fields

    options = from_arguments(DecodeOptions, args)
    raw = open_raw(args.path, args.format, args.pixel_size_um)
    joined = join_fields(args.path, raw, args.batches, args.output, options)
    log.info(json.dumps(joined.summary))
