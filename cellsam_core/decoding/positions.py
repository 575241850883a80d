"""Positions of fields, refined by the molecules and beads that neighbours see in their overlaps.

The stage says where a field is to within some pixels. Two neighbours see the same molecules, with
the same codewords, and the same beads: by how much they differ on their places is a link between
two fields. The places of all fields that fit all links best are found by robust least squares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import spsolve
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from cellsam_core.mosaic import Layout

    Floats = NDArray[np.float64]

AGREE_PX = 1.0
"""Distance of displacements that are of one shift, and of links that agree with the others."""

MIN_SHARED = 6
"""Fewest molecules and beads that a link rests on."""

SIGNIFICANT = 5.0
"""Standard deviations by which they exceed what chance gives."""

MAX_WEIGHT = 50
"""Number of shared molecules beyond which a link is no better."""

PRIOR = 1e-4
"""Weight of the stage's own positions against that of one molecule."""

BEAD = -1
"""Kind of the points that are beads."""

ITERATIONS = 20
APART = 1000.0
"""Distance between kinds of points on the axis that keeps them apart."""


class Points(NamedTuple):
    """Places that neighbours see as well.

    Attributes
    ----------
    yx
        float64 ``(n, 2)`` in pixels of the field.
    kind
        int64 ``(n,)``: codeword of a molecule, or `BEAD`.
    """

    yx: Floats
    kind: NDArray[np.int64]


class Link(NamedTuple):
    """Error of the stage between two fields, measured in their overlap.

    Attributes
    ----------
    first, second
        Indices of the fields.
    error_yx
        float64 ``(2,)``: correction of the second less that of the first, in pixels.
    n_shared
        Number of molecules and beads that both fields see.
    residual_px
        Median distance between the places at which they see them, after the correction.
    """

    first: int
    second: int
    error_yx: Floats
    n_shared: int
    residual_px: float


class Refined(NamedTuple):
    """Corrections of the positions.

    Attributes
    ----------
    shift_yx
        float64 ``(fields, 2)`` to add to the stage's positions, in pixels; 0 without a link.
    links
        Links that agree with the others.
    n_left_out
        Number of links that do not.
    """

    shift_yx: Floats
    links: list[Link]
    n_left_out: int


def refine_positions(
    layout: Layout, points_of: Callable[[int], Points], stage_error_px: float
) -> Refined:
    """Refine the positions of fields in their overlaps.

    Parameters
    ----------
    layout
        Places as the stage says.
    points_of
        Function that returns the points of a field.
    stage_error_px
        Largest error of a position along each axis, in pixels.
    """
    links = []
    for first, second, shift in neighbours(layout) if stage_error_px > 0 else ():
        pair = points_of(first), points_of(second)
        found = measure_error(pair, shift, layout.field_shape_yx, 2 * stage_error_px)
        if found is not None:
            links.append(Link(first, second, *found))
    shift_yx, agrees = solve(len(layout.offset_yx), links)
    kept = [link for link, good in zip(links, agrees.tolist(), strict=True) if good]
    return Refined(shift_yx, kept, len(links) - len(kept))


def neighbours(layout: Layout) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Yield each pair of fields that overlap, and the place of the second less that of the first.

    Parameters
    ----------
    layout
        Places as the stage says.
    """
    for first in range(len(layout.offset_yx)):
        for second in layout.overlapping(first).tolist():
            if second > first:
                yield first, second, layout.offset_yx[second] - layout.offset_yx[first]


def measure_error(
    pair: tuple[Points, Points],
    shift_yx: NDArray[np.int64],
    shape_yx: tuple[int, int],
    reach_px: float,
) -> tuple[Floats, int, float] | None:
    """Measure the error of the stage between two fields; None if too few points tell it.

    Parameters
    ----------
    pair
        Points of the two fields.
    shift_yx
        Place of the second field less that of the first, as the stage says.
    shape_yx
        Height and width of a field.
    reach_px
        Largest error along each axis.

    Returns
    -------
    tuple or None
        Error, number of shared points and their residual, as in `Link`.
    """
    one = points_near(pair[0], np.zeros(2), shift_yx, shape_yx, reach_px)
    two = points_near(pair[1], shift_yx, np.zeros(2), shape_yx, reach_px)
    if min(len(one.kind), len(two.kind)) < MIN_SHARED:
        return None
    first, second = _pairs(one, two, reach_px)
    if len(first) < MIN_SHARED:
        return None
    error = one.yx[first] - two.yx[second]
    tree = cKDTree(error)
    n_near = tree.query_ball_point(error, AGREE_PX, return_length=True)
    centre = error[int(np.argmax(n_near))]
    for _ in range(3):  # to the middle of those that agree
        near = np.hypot(*(error - centre).T) <= AGREE_PX
        centre = np.median(error[near], axis=0)
    near = np.hypot(*(error - centre).T) <= AGREE_PX
    n_shared = min(len(np.unique(first[near])), len(np.unique(second[near])))
    by_chance = len(error) * np.pi * AGREE_PX**2 / (2 * reach_px) ** 2
    if n_shared < max(MIN_SHARED, by_chance + SIGNIFICANT * np.sqrt(by_chance)):
        return None
    residual = np.median(np.hypot(*(error[near] - centre).T))
    return centre, n_shared, float(residual)


def points_near(
    points: Points,
    at: Floats | NDArray[np.int64],
    other: Floats | NDArray[np.int64],
    shape_yx: tuple[int, int],
    reach_px: float,
) -> Points:
    """Take the points in and around the overlap with a field, with their places on the stage.

    Parameters
    ----------
    points
        Points of a field.
    at, other
        Places of this field and of the other one on the stage.
    shape_yx
        Height and width of a field.
    reach_px
        Distance from the overlap up to which points are taken.
    """
    yx = points.yx + at
    inside = (yx >= other - reach_px) & (yx < other + np.array(shape_yx) + reach_px)
    is_near = inside.all(axis=1)
    return Points(yx[is_near], points.kind[is_near])


def _pairs(
    one: Points, two: Points, reach_px: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair the points of one kind that are within reach of each other along both axes."""
    trees = [cKDTree(np.column_stack([p.yx, p.kind * APART])) for p in (one, two)]
    # The largest of the three differences: a square of the reach, in which kinds stay apart.
    found = trees[0].query_ball_tree(trees[1], reach_px, p=np.inf)
    first = np.repeat(np.arange(len(found)), [len(near) for near in found])
    second = np.array([i for near in found for i in sorted(near)], dtype=np.int64)
    return first, second


def solve(n_fields: int, links: Sequence[Link]) -> tuple[Floats, NDArray[np.bool_]]:
    """Find the corrections that fit the links best, and which links agree with them.

    Parameters
    ----------
    n_fields
        Number of fields.
    links
        Measured errors between two fields each.

    Returns
    -------
    shift_yx, agrees
        float64 ``(fields, 2)`` and bool ``(links,)``. Fields without a link have 0. Fields that
        are linked among each other but not with the rest have a mean of 0.
    """
    shift = np.zeros((n_fields, 2))
    if not links:
        return shift, np.zeros(0, dtype=bool)
    first, second = (np.array([link[i] for link in links]) for i in (0, 1))
    error = np.array([link.error_yx for link in links])
    # Several links with few molecules outvote a wrong one with many.
    weight = np.sqrt(np.minimum([link.n_shared for link in links], MAX_WEIGHT))
    rows = np.arange(len(links))
    ones = np.ones(len(links))
    difference = sparse.csr_matrix(
        (np.r_[ones, -ones], (np.r_[rows, rows], np.r_[second, first])), (len(links), n_fields)
    )
    prior = PRIOR * sparse.identity(n_fields)
    trust = np.ones(len(links))
    for scale in np.geomspace(10 * AGREE_PX, AGREE_PX, ITERATIONS):
        weighted = difference.T @ sparse.diags(weight * trust)
        normal = (weighted @ difference + prior).tocsc()
        shift = np.column_stack([spsolve(normal, weighted @ error[:, i]) for i in (0, 1)])
        off = np.hypot(*(difference @ shift - error).T)
        trust = 1 / (1 + (off / scale) ** 2) ** 2  # one wrong link must not bend the rest
    return shift, off <= 2 * AGREE_PX
