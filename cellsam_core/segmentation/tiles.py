"""Overlapping tiles that cover an image, in a fixed order."""

from __future__ import annotations

import math
from typing import NamedTuple

from cellsam_core.files.batch_names import share_of

REFERENCE_PX = 30.0
"""Cell diameter in pixels that images are resampled to, because the model is trained on it."""

OVERLAP_DIAMETERS = 4
"""Overlap of neighbouring tiles in cell diameters, so that a cell is whole in one of them."""


class Tile(NamedTuple):
    """Window of one frame in pixels of the image; the last row and column are not included."""

    frame: int
    number: int
    y0: int
    x0: int
    y1: int
    x1: int


def plan(n_frames: int, shape_yx: tuple[int, int], diameter_px: float, tile_px: int) -> list[Tile]:
    """Plan tiles of `tile_px` model pixels for cells of a given size."""
    image_px = diameter_px / REFERENCE_PX
    return plan_tiles(
        n_frames,
        shape_yx,
        tile_px=max(1, round(tile_px * image_px)),
        overlap_px=min(round(tile_px * image_px / 2), round(OVERLAP_DIAMETERS * diameter_px)),
    )


def plan_tiles(
    n_frames: int, shape_yx: tuple[int, int], *, tile_px: int, overlap_px: int
) -> list[Tile]:
    """Cover every frame with tiles, evenly spaced, row by row.

    Parameters
    ----------
    n_frames, shape_yx
        Number of frames; height and width of a frame in pixels.
    tile_px, overlap_px
        Side of a tile and smallest overlap with its neighbours, in pixels of the image.
    """
    rows = _starts(shape_yx[0], tile_px, overlap_px)
    columns = _starts(shape_yx[1], tile_px, overlap_px)
    height, width = min(tile_px, shape_yx[0]), min(tile_px, shape_yx[1])
    return [
        Tile(frame, i * len(columns) + j, y, x, y + height, x + width)
        for frame in range(n_frames)
        for i, y in enumerate(rows)
        for j, x in enumerate(columns)
    ]


def _starts(length: int, tile: int, overlap: int) -> list[int]:
    if length <= tile:
        return [0]
    n = math.ceil((length - overlap) / (tile - overlap))
    return [round(i * (length - tile) / (n - 1)) for i in range(n)]


def take_batch(tiles: list[Tile], batch: int, n_batches: int) -> list[Tile]:
    """Return the contiguous share of the tiles that belongs to batch 1..n_batches."""
    share = share_of(len(tiles), batch, n_batches)
    return tiles[share.start : share.stop]
