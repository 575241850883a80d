"""Outlines of cells along the edges of their pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import shapely


def outline(mask: npt.NDArray[np.bool_], y0: int, x0: int) -> shapely.Geometry:
    """Outline of a mask along the edges of its pixels: its area is the number of pixels.

    Parameters
    ----------
    mask
        ``(h, w)``, not empty.
    y0, x0
        Image coordinates of its first pixel's centre.

    Returns
    -------
    shapely.Geometry
        Polygon, or multipolygon where pieces touch at corners only, in ``(x, y)`` pixels with
        pixel centres at integers.
    """
    height, width = mask.shape
    padded = np.zeros((height + 2, width + 2), dtype=bool)
    padded[1:-1, 1:-1] = mask
    rings = _simple_rings(padded)
    if rings is None:
        return _union_of_runs(mask, y0, x0)
    # Corner (i, j) of the padded mask lies half a pixel before pixel (i, j) of the mask.
    parts = [shapely.Polygon(ring[:, ::-1] + (x0 - 0.5, y0 - 0.5)) for ring in rings]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _simple_rings(padded: npt.NDArray[np.bool_]) -> list[npt.NDArray[np.int64]] | None:
    """Corners ``(i, j)`` of each ring, in order; None with holes or pieces that touch at corners.

    A corner has one or three of its four pixels inside. Along a row or a column of corners, the
    first is joined to the second, the third to the fourth, and so on.
    """
    inside = padded.astype(np.int8)
    n_inside = inside[:-1, :-1] + inside[:-1, 1:] + inside[1:, :-1] + inside[1:, 1:]
    touching = (n_inside == 2) & (inside[:-1, :-1] == inside[1:, 1:])
    corners = np.argwhere((n_inside == 1) | (n_inside == 3))
    if touching.any():
        return None
    along_column = np.lexsort((corners[:, 0], corners[:, 1]))
    across = (np.arange(len(corners)) ^ 1).tolist()  # argwhere sorts by row, then column
    partner = np.empty(len(corners), dtype=np.int64)
    partner[along_column] = along_column[np.arange(len(corners)) ^ 1]
    down = partner.tolist()
    rings, is_used = [], [False] * len(corners)
    for start in range(len(corners)):
        if is_used[start]:
            continue
        ring, corner = [], start
        while not is_used[corner]:
            other = across[corner]
            is_used[corner] = is_used[other] = True
            ring += [corner, other]
            corner = down[other]
        rings.append(corners[ring])
    # Each outer ring has four more corners that stick out than that go in, each hole four fewer.
    n_convex = int(np.count_nonzero(n_inside == 1))
    n_outer_less_holes = (2 * n_convex - len(corners)) // 4
    return rings if len(rings) == n_outer_less_holes else None


def _union_of_runs(mask: npt.NDArray[np.bool_], y0: int, x0: int) -> shapely.Geometry:
    """Outline of any mask, holes and touching corners included, by joining its runs of pixels."""
    steps = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    y, start = np.nonzero(steps == 1)
    end = np.nonzero(steps == -1)[1]
    y, start, end = y + y0, start + x0, end + x0
    runs = shapely.box(start - 0.5, y - 0.5, end - 0.5, y + 0.5)
    return shapely.simplify(shapely.union_all(runs), 0)
