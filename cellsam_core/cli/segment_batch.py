"""``segment-batch``: one share of the tiles of a preprocessed sample."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.cli.segment_options import (
    add_dark_cells_argument,
    add_model_arguments,
    given_diameter_px,
    load_segmenter,
)
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("frames", type=Path, help="frames.zarr written by `preprocess`")
    parser.add_argument("--batch", required=True, help="K-of-N: which share of the tiles")
    add_model_arguments(parser)
    add_dark_cells_argument(
        parser, "auto drops them in tissues and keeps them in movies, which may be bright-field"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="Parquet file to write")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.segmentation.batch_files import BatchWriter
    from cellsam_core.segmentation.batch_parts import open_parts
    from cellsam_core.segmentation.image import (
        estimate_diameter_of_frames,
        open_frames,
        read_tile,
        segment_tile,
        tiles_of,
    )
    from cellsam_core.segmentation.instances import place
    from cellsam_core.segmentation.tiles import take_batch

    batch, n_batches = _parse_batch(args.batch)
    frames = open_frames(args.frames)
    diameter = given_diameter_px(args.cell_diameter_px)
    segmenter, settings = load_segmenter(args)
    if diameter is None:
        diameter = estimate_diameter_of_frames(segmenter, frames)
    is_dropped = args.dark_cells == "drop" or (args.dark_cells == "auto" and "t" not in frames.axes)
    settings |= {"cell_diameter_px": diameter, "dark_cells": "drop" if is_dropped else "keep"}
    tiles = take_batch(tiles_of(frames, diameter, args.tile_px), batch, n_batches)
    log.info("%d tiles on %s, cells of %.3g px", len(tiles), settings["device"], diameter)
    with open_parts(args.output, settings, frames.version, (batch, n_batches)) as parts:
        for numbers, path in parts.missing(len(tiles)):
            with atomic_path(path) as temporary, BatchWriter(temporary, settings) as writer:
                for tile in tiles[numbers.start : numbers.stop]:
                    pixels = read_tile(frames, tile)
                    found = segment_tile(segmenter, pixels, diameter, drops_dark=is_dropped)
                    writer.add(tile.frame, [place(i, tile, frames.shape_yx) for i in found])
            log.info("%d of %d tiles", numbers.stop, len(tiles))
        log.info("%d cells in %d tiles", parts.join(len(tiles)), len(tiles))


def _parse_batch(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)-of-(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(
            "option `batch`",
            found=repr(text),
            expected="K-of-N with K from 1 to N",
            remedy="correct it",
        )
    return int(match[1]), int(match[2])
