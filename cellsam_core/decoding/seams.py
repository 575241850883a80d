"""Seams between fields: a molecule that two fields see is counted once.

A point belongs to the field whose centre is nearest. Two fields see one molecule at slightly
different places. On a seam, each might take it for its own, or each for the other's. Therefore the
place at which the surest of the two calls sees it decides for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from cellsam_core.decoding.field import DUPLICATE_RADIUS_PX

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellsam_core.decoding.field import Calls
    from cellsam_core.mosaic import Layout

APART = 10 * DUPLICATE_RADIUS_PX
"""Distance between codewords on the axis that keeps them apart."""


class Twins(NamedTuple):
    """Pairs of calls of two fields that are of one molecule.

    Attributes
    ----------
    own, other
        Indices of the calls in the two fields.
    """

    own: NDArray[np.int64]
    other: NDArray[np.int64]


def owned_calls(layout: Layout, field: int, calls_of: Callable[[int], Calls]) -> Calls:
    """Return the calls of a field that belong to it.

    Parameters
    ----------
    layout
        Places of all fields.
    field
        Index of the field.
    calls_of
        Function that returns the calls of a field, in its own pixels.
    """
    calls = calls_of(field)
    y, x = calls.y_px.copy(), calls.x_px.copy()
    surest = calls.log_odds.copy()
    # Fields in their order: of equally sure calls, the first decides in each field.
    seen_by = np.full(len(y), field)
    for other in layout.overlapping(field).tolist():
        theirs = calls_of(other)
        shift = layout.offset_yx[other] - layout.offset_yx[field]
        theirs = theirs._replace(y_px=theirs.y_px + shift[0], x_px=theirs.x_px + shift[1])
        for own, twin in zip(*find_twins(calls, theirs, layout.field_shape_yx), strict=True):
            odds = theirs.log_odds[twin]
            if odds > surest[own] or (odds == surest[own] and other < seen_by[own]):
                surest[own], seen_by[own] = odds, other
                y[own], x[own] = theirs.y_px[twin], theirs.x_px[twin]
    return calls.take(layout.owns(field, y, x))


def find_twins(calls: Calls, theirs: Calls, shape_yx: tuple[int, int]) -> Twins:
    """Find the calls of one codeword that two fields see in one place.

    Parameters
    ----------
    calls, theirs
        Calls of two fields, in pixels of the first.
    shape_yx
        Height and width of the first field.
    """
    margin = DUPLICATE_RADIUS_PX
    inside = [
        (-margin <= at) & (at < size + margin)
        for at, size in zip((theirs.y_px, theirs.x_px), shape_yx, strict=True)
    ]
    near = np.flatnonzero(np.logical_and(*inside))
    theirs = theirs.take(near)
    points, others = _points(calls), _points(theirs)
    pairs = cKDTree(points).sparse_distance_matrix(
        cKDTree(others), DUPLICATE_RADIUS_PX, output_type="ndarray"
    )
    own, twin = pairs["i"], pairs["j"]
    is_one = np.abs(calls.z[own] - theirs.z[twin]) <= 1
    order = np.lexsort((twin[is_one], own[is_one]))
    return Twins(own[is_one][order], near[twin[is_one][order]])


def _points(calls: Calls) -> NDArray[np.float64]:
    """Places of calls in a space in which other codewords are far away."""
    return np.stack([calls.y_px, calls.x_px, calls.codeword * APART], axis=1)
