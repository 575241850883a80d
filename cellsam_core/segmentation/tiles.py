"""Overlapping tiles that cover an image, in a fixed order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from cellsam_core.files.batch_names import share_of

if TYPE_CHECKING:
    from collections.abc import Mapping

REFERENCE_PX = 30.0
"""Cell diameter in pixels that images are resampled to, because the model is trained on it."""

OVERLAP_DIAMETERS = 4
"""Overlap of neighbouring tiles in cell diameters, so that a cell is whole in one of them."""

LARGEST = 1.5
"""Largest side of a tile that is fitted to the image, in usual sides."""


class Tile(NamedTuple):
    """Window of one frame in pixels of the image; the last row and column are not included."""

    frame: int
    number: int
    y0: int
    x0: int
    y1: int
    x1: int


def plan(
    n_frames: int, shape_yx: tuple[int, int], diameter_px: float, tile_px: int, *, fits: bool
) -> list[Tile]:
    """Plan tiles for cells of a given size.

    Parameters
    ----------
    n_frames, shape_yx
        Number of frames; height and width of a frame in pixels.
    diameter_px
        Typical cell diameter in pixels.
    tile_px
        Side of a tile in pixels of the model.
    fits
        True fits the tiles to the image, see :func:`fitted_side`; False for a model whose scale
        depends on the size of its tiles.
    """
    image_px = diameter_px / REFERENCE_PX
    side_px = max(1, round(tile_px * image_px))
    overlap_px = min(round(tile_px * image_px / 2), round(OVERLAP_DIAMETERS * diameter_px))
    height, width = (
        fitted_side(length, side_px, overlap_px) if fits else side_px for length in shape_yx
    )
    return plan_tiles(n_frames, shape_yx, tile_yx_px=(height, width), overlap_px=overlap_px)


def recorded_plan(shape_yx: tuple[int, int], recorded: Mapping[str, Any]) -> list[Tile]:
    """Plan the tiles of one frame as they were when it was segmented; none if that is not known.

    Parameters
    ----------
    shape_yx
        Height and width of the frame in pixels.
    recorded
        Record of the masks, with the size of the tiles and the diameter of the cells.
    """
    if not {"cell_diameter_px", "tile_px"} <= recorded.keys():
        return []
    # Tiles of earlier versions had one size.
    fits = recorded.get("fits_tiles", False)
    return plan(1, shape_yx, recorded["cell_diameter_px"], recorded["tile_px"], fits=fits)


def fitted_side(length_px: int, side_px: int, overlap_px: int) -> int:
    """Choose the side of the tiles that cover a length so that little of it is seen twice.

    Parameters
    ----------
    length_px
        Length of the image.
    side_px, overlap_px
        Usual side of a tile, and overlap with its neighbours.

    Returns
    -------
    int
        Side of tiles without needless overlap; at most half more than the usual side.

    Examples
    --------
    >>> fitted_side(1024, 512, 120), fitted_side(700, 512, 120), fitted_side(20_000, 512, 120)
    (572, 700, 762)
    """
    longest = max(LARGEST * side_px, overlap_px + 1)
    if length_px <= longest:
        return length_px
    n = math.ceil((length_px - overlap_px) / (longest - overlap_px))
    return math.ceil((length_px + (n - 1) * overlap_px) / n)


def plan_tiles(
    n_frames: int, shape_yx: tuple[int, int], *, tile_yx_px: tuple[int, int], overlap_px: int
) -> list[Tile]:
    """Cover every frame with tiles, evenly spaced, row by row.

    Parameters
    ----------
    n_frames, shape_yx
        Number of frames; height and width of a frame in pixels.
    tile_yx_px
        Height and width of a tile, in pixels of the image.
    overlap_px
        Smallest overlap of a tile with its neighbours, in pixels of the image.
    """
    rows = _starts(shape_yx[0], tile_yx_px[0], overlap_px)
    columns = _starts(shape_yx[1], tile_yx_px[1], overlap_px)
    height, width = (min(pair) for pair in zip(tile_yx_px, shape_yx, strict=True))
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
