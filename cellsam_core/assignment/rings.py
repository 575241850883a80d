"""Vertices in a row to polygons: each closed ring its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import shapely

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]
    Points = npt.NDArray[np.float64]

MIN_CORNERS = 3


class Rings(NamedTuple):
    """Polygons made of vertices.

    Attributes
    ----------
    geometry
        ``(rings,)`` polygons; None where the vertices make none.
    group
        ``(rings,)``: what each ring's vertices belong to.
    """

    geometry: npt.NDArray[np.object_]
    group: Ints


def join_rings(group: npt.NDArray[Any], xy: Points) -> Rings:
    """Make polygons of the vertices of each group, in their order.

    A ring ends where it comes back to its first vertex; what follows is the next ring of the
    group, such as another nucleus of the same cell. One that doesn't come back is closed.

    Parameters
    ----------
    group
        ``(n,)`` whole numbers from 0; the vertices of a group need not be side by side.
    xy
        ``(n, 2)`` vertices.
    """
    order = np.argsort(group, kind="stable")
    owner, xy = group[order].astype(np.int64), xy[order]
    starts = _ring_starts(owner, xy)
    sizes = np.diff(starts, append=len(owner))
    ring = np.repeat(np.arange(len(starts)), sizes)
    ends = starts + sizes - 1
    is_closed = (xy[starts] == xy[ends]).all(axis=1) & (sizes > 1)
    n_bad = np.bincount(ring, ~np.isfinite(xy).all(axis=1), minlength=len(starts))
    is_good = (sizes - is_closed >= MIN_CORNERS) & (n_bad == 0)
    geometry = np.full(len(starts), None, dtype=object)
    if is_good.any():
        kept = is_good[ring]
        renumbered = np.cumsum(is_good) - 1
        lines = shapely.linearrings(xy[kept], indices=renumbered[ring[kept]])
        geometry[is_good] = shapely.polygons(np.atleast_1d(lines))
    return Rings(geometry, owner[starts])


def _ring_starts(group: Ints, xy: Points) -> Ints:
    """Index of the first vertex of each ring; the vertices of a group are side by side."""
    firsts = np.flatnonzero(np.diff(group, prepend=-1))
    sizes = np.diff(firsts, append=len(group))
    comes_back = (xy == np.repeat(xy[firsts], sizes, axis=0)).all(axis=1)
    comes_back[firsts] = False
    last = firsts + sizes - 1
    # Nearly all groups are one ring: only those that come back before their end are walked along.
    early = np.bincount(np.repeat(np.arange(len(firsts)), sizes), comes_back)
    early -= comes_back[last]
    more: list[int] = []
    for i in np.flatnonzero(early > 0):
        start, end = int(firsts[i]), int(firsts[i] + sizes[i])
        while start < end:
            back = start + MIN_CORNERS
            while back < end and (xy[back] != xy[start]).any():
                back += 1
            start = back + 1
            more += [start] if start < end else []
    return np.sort(np.concatenate([firsts, np.array(more, dtype=np.int64)]))
