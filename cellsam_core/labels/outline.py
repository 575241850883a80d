"""Outlines of cells along the edges of their pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import shapely

from cellsam_core.labels.rows import narrow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_CANVAS_PX = 4_000_000
"""Pixels of the masks that are traced together; it bounds the memory."""

Mask = tuple[npt.NDArray[np.bool_], int, int]
"""A mask ``(h, w)``, not empty, and the image coordinates y0, x0 of its first pixel's centre."""


def outlines(masks: Iterable[Mask]) -> Iterator[shapely.Geometry]:
    """Outline masks along the edges of their pixels: an area is a number of pixels.

    Many masks are traced at once, because a call of numpy for each would take most of the time.

    Parameters
    ----------
    masks
        Mask and image coordinates of its first pixel's centre.

    Yields
    ------
    shapely.Geometry
        For each mask, in order, a polygon, or a multipolygon where pieces touch at corners only
        or not at all, in ``(x, y)`` pixels with pixel centres at integers.
    """
    group: list[Mask] = []
    height = width = 0
    for mask in masks:
        h, w = mask[0].shape
        height, width = height + h + 2, max(width, w + 2)
        if group and height * width > MAX_CANVAS_PX:
            yield from _outline_group(group)
            group, height, width = [], h + 2, w + 2
        group.append(mask)
    if group:
        yield from _outline_group(group)


def _outline_group(group: Sequence[Mask]) -> Iterator[shapely.Geometry]:
    """Trace the masks of one ring, one below the other on a canvas; join the runs of the others.

    A corner has one or three of its four pixels inside. Along a row or a column of corners of a
    mask, the first is joined to the second, the third to the fourth, and so on.
    """
    heights = np.array([mask.shape[0] + 2 for mask, _, _ in group])
    tops = np.concatenate(([0], np.cumsum(heights)))
    canvas = np.zeros((tops[-1], max(mask.shape[1] for mask, _, _ in group) + 2), dtype=np.int8)
    for (mask, _, _), top in zip(group, tops, strict=False):
        canvas[top + 1 : top + 1 + mask.shape[0], 1 : 1 + mask.shape[1]] = mask
    upper, lower = canvas[:-1], canvas[1:]
    n_inside = upper[:, :-1] + upper[:, 1:] + lower[:, :-1] + lower[:, 1:]
    is_corner = np.flatnonzero(n_inside & 1)  # sorted by row, and so by mask, then by column
    row, column = np.divmod(is_corner, n_inside.shape[1])
    owner = np.searchsorted(tops, row, side="right") - 1
    along_column = np.lexsort((narrow(column), narrow(owner)))  # stable: by row, too
    down = np.empty(len(row), dtype=np.int64)
    down[along_column] = along_column[np.arange(len(row)) ^ 1]
    touching = np.flatnonzero((n_inside == 2) & (upper[:, :-1] == lower[:, 1:]))
    touching //= n_inside.shape[1]
    is_traced = np.ones(len(group), dtype=bool)
    is_traced[np.searchsorted(tops, touching, side="right") - 1] = False
    ring, place = _trace(np.flatnonzero(is_traced[owner]), owner, down)
    # Each outer ring has four more corners that stick out than that go in, each hole four fewer.
    sticks_out = n_inside[row, column] == 1
    n_outer_less_holes = np.bincount(owner, 2 * sticks_out - 1, len(group)) // 4
    owner_of_ring = _first_values(ring, owner)
    n_rings = np.bincount(owner_of_ring, minlength=len(group))
    is_traced &= n_rings == n_outer_less_holes
    used = np.flatnonzero(is_traced[owner])
    used = used[np.lexsort([narrow(each[used]) for each in (place, ring, owner)])]
    # Corner (i, j) of a padded mask lies half a pixel before pixel (i, j) of the mask.
    corner_yx = np.array([(y0 - 0.5, x0 - 0.5) for _, y0, x0 in group])[owner[used]]
    x = column[used] + corner_yx[:, 1]
    y = row[used] - tops[owner[used]] + corner_yx[:, 0]
    number = np.cumsum(np.diff(ring[used], prepend=-1) != 0) - 1
    polygons = shapely.polygons(shapely.linearrings(np.column_stack((x, y)), indices=number))
    end = np.cumsum(np.where(is_traced, n_rings, 0))
    for placed, traced, n, last in zip(group, is_traced, n_rings, end, strict=True):
        if not traced:
            yield _union_of_runs(*placed)
        else:
            parts = polygons[last - n : last]
            yield parts[0] if n == 1 else shapely.MultiPolygon(list(parts))


def _first_values(
    ring: npt.NDArray[np.int64], values: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the value of the first corner of each ring, in the order of the rings' numbers."""
    numbers, index = np.unique(ring, return_index=True)
    return values[index[numbers >= 0]]


def _trace(
    corners: npt.NDArray[np.int64], owner: npt.NDArray[np.int64], down: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Follow the rings: across, down, across, down; the next one of every mask at the same time.

    Parameters
    ----------
    corners
        Sorted indices of the corners to follow.
    owner
        Mask of each corner.
    down
        The corner that each is joined to in its column; in its row, neighbours are joined.

    Returns
    -------
    tuple
        Number of each corner's ring, -1 for those that were not followed, and its place in it.
    """
    ring = np.full(len(down), -1, dtype=np.int64)
    place = np.zeros(len(down), dtype=np.int64)
    n_rings = 0
    while len(corners):
        first = corners[np.unique(owner[corners], return_index=True)[1]]
        number, corner, step = n_rings + np.arange(len(first)), first, 0
        n_rings += len(first)
        while len(corner):
            ring[corner] = ring[corner ^ 1] = number
            place[corner], place[corner ^ 1] = step, step + 1
            corner, step = down[corner ^ 1], step + 2
            goes_on = corner != first
            first, number, corner = first[goes_on], number[goes_on], corner[goes_on]
        corners = corners[ring[corners] < 0]
    return ring, place


def _union_of_runs(mask: npt.NDArray[np.bool_], y0: int, x0: int) -> shapely.Geometry:
    """Outline of any mask, holes and touching corners included, by joining its runs of pixels."""
    steps = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    y, start = np.nonzero(steps == 1)
    end = np.nonzero(steps == -1)[1]
    y, start, end = y + y0, start + x0, end + x0
    runs = shapely.box(start - 0.5, y - 0.5, end - 0.5, y + 0.5)
    return shapely.simplify(shapely.union_all(runs), 0)
