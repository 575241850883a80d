"""Density of cells at the seams of tiles, compared with the density beside them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from cellsam_core.segmentation.tiles import Tile


MIN_CELLS = 20  # near seams and beside them
BESIDE_REACHES = 3.0
"""Distance from a seam up to which cells are beside it, in reaches. Farther cells tell little:
tissues are denser in some places than in others."""


class SeamRatio(NamedTuple):
    """Cells per area near seams, divided by cells per area beside them.

    Attributes
    ----------
    ratio
        Ratio of the two densities; 1 where seams make no difference.
    standard_error
        Standard error of the ratio, from the numbers of cells in a frame alone (Poisson).
    """

    ratio: float
    standard_error: float


def seam_ratio(
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    tiles: Sequence[Tile],
    shape_yx: tuple[int, int],
    reach_px: float,
    n_frames: int = 1,
) -> SeamRatio | None:
    """Compare the density of cells near seams with that beside them.

    A seam is the middle of the overlap of two neighbouring tiles: there the cells change the tile
    that they are taken from.

    Parameters
    ----------
    y, x
        Centroids ``(n,)`` in pixels, of one frame or of several.
    tiles
        Tiles of one frame.
    shape_yx
        Height and width of a frame in pixels.
    reach_px
        Distance from a seam, in pixels, up to which a cell is near it. Cells up to three times as
        far away are beside it.
    n_frames
        Number of frames that the centroids are of. The same cells are in all of them, so that ten
        frames say no more of chance than one.

    Returns
    -------
    SeamRatio or None
        Ratio of the densities; None without a seam, or with fewer than 20 cells in a frame near
        seams or beside them.
    """
    near, near_share = _cells_within(y, x, tiles, shape_yx, reach_px)
    around, around_share = _cells_within(y, x, tiles, shape_yx, BESIDE_REACHES * reach_px)
    n_near = int(near.sum())
    n_beside = int(around.sum()) - n_near
    if min(n_near, n_beside) < MIN_CELLS * n_frames:
        return None
    ratio = n_near / n_beside * (around_share - near_share) / near_share
    return SeamRatio(ratio, ratio * float(np.sqrt(n_frames / n_near + n_frames / n_beside)))


def _cells_within(
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    tiles: Sequence[Tile],
    shape_yx: tuple[int, int],
    reach_px: float,
) -> tuple[NDArray[np.bool_], float]:
    """Tell which cells are within a distance of a seam, and the share of the image that is."""
    found = np.zeros(len(y), dtype=bool)
    share_outside = 1.0
    for places, size, windows in (
        (y, shape_yx[0], {(tile.y0, tile.y1) for tile in tiles}),
        (x, shape_yx[1], {(tile.x0, tile.x1) for tile in tiles}),
    ):
        found |= _is_near(places, windows, reach_px)
        pixels = np.arange(size, dtype=np.float64)
        share_outside *= 1 - float(_is_near(pixels, windows, reach_px).mean())
    return found, 1 - share_outside


def _is_near(
    places: NDArray[np.float64], windows: Iterable[tuple[int, int]], reach_px: float
) -> NDArray[np.bool_]:
    near = np.zeros(len(places), dtype=bool)
    for before, after in pairwise(sorted(windows)):
        near |= np.abs(places - (before[1] + after[0] - 1) / 2) < reach_px
    return near
