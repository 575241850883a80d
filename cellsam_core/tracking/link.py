"""Links between two sets of cells: gated costs and one linear assignment per component."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import lap
import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import KDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.tracking.overlap import Floats, FrameObjects, Ints, Overlaps

AREA_WEIGHT = 0.1
FORBIDDEN = 1e6


@dataclass(frozen=True)
class Links:
    """Chosen links from cells `i` to cells `j`.

    Attributes
    ----------
    i, j
        ``(n,)`` rows of the two sets.
    iou
        ``(n,)`` intersection over union, 0 for links by distance.
    cost
        ``(n,)`` cost of the link.
    margin
        ``(n,)`` cost of the best alternative (another partner for either cell, or no link) minus
        `cost`; a small or negative value marks an uncertain choice.
    """

    i: Ints
    j: Ints
    iou: Floats
    cost: Floats
    margin: Floats


def area_cost(area_i: NDArray[np.number], area_j: NDArray[np.number]) -> Floats:
    """Return the penalty of a change in area: 0.1 times the absolute logarithm of the ratio."""
    penalty: Floats = AREA_WEIGHT * np.abs(np.log(area_j / area_i))
    return penalty


def overlap_cost_limit(sigma_iou: float) -> float:
    """Return the largest cost that a pair of cells with enough overlap can have."""
    return 1.0 - sigma_iou + AREA_WEIGHT * float(np.log(1 / sigma_iou)) + 1e-9


def link_by_overlap(overlaps: Overlaps, sigma_iou: float) -> Links:
    """Link cells of consecutive frames by overlap, at cost ``1 - IoU + 0.1 |ln(area ratio)|``.

    Pairs with an IoU below `sigma_iou` are not linked. Threshold and cost are those of the IoU
    tracker (Bochinski et al. 2017), solved globally as in Jaqaman et al. 2008.
    """
    gate = overlaps.iou >= sigma_iou
    i, j, iou = overlaps.i[gate], overlaps.j[gate], overlaps.iou[gate]
    cost = 1.0 - iou + area_cost(overlaps.area_i[gate], overlaps.area_j[gate])
    return solve(i, j, iou, cost, overlap_cost_limit(sigma_iou))


def link_by_distance(
    before: FrameObjects,
    after: FrameObjects,
    free: tuple[Ints, Ints],
    shift_yx: tuple[float, float],
    *,
    max_distance_radii: float,
    area_ratio_max: float,
) -> Links:
    """Link cells without overlap to the nearest centroid (rescue).

    Parameters
    ----------
    before, after
        Cells of consecutive frames.
    free
        Rows of `before` and of `after` that are not linked yet.
    shift_yx
        Translation of the image between the frames, in pixels.
    max_distance_radii
        Largest distance of the centroids, in radii of the larger of the two cells.
    area_ratio_max
        Largest ratio of the areas.
    """
    i, j = near_pairs(
        before.yx[free[0]] + shift_yx,
        after.yx[free[1]],
        max_distance_radii * max_radius(before, after),
    )
    i, j = free[0][i], free[1][j]
    radius = np.maximum(before.radius_px[i], after.radius_px[j])
    distance = np.linalg.norm(before.yx[i] + shift_yx - after.yx[j], axis=1) / radius
    penalty = area_cost(before.area_px[i], after.area_px[j])
    gate = (distance <= max_distance_radii) & (penalty <= AREA_WEIGHT * np.log(area_ratio_max))
    i, j, cost = i[gate], j[gate], (distance + penalty)[gate]
    limit = max_distance_radii + AREA_WEIGHT * float(np.log(area_ratio_max)) + 1e-9
    return solve(i, j, np.zeros(len(i)), cost, limit)


def max_radius(before: FrameObjects, after: FrameObjects) -> float:
    """Return the largest radius of both sets, in pixels; 0 if both are empty."""
    return float(max(before.radius_px.max(initial=0), after.radius_px.max(initial=0)))


def near_pairs(first: Floats, second: Floats, max_distance: float) -> tuple[Ints, Ints]:
    """Return the pairs of rows of two ``(n, 2)`` point sets within `max_distance`, sorted."""
    if len(first) == 0 or len(second) == 0 or max_distance <= 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    pairs = KDTree(first).sparse_distance_matrix(
        KDTree(second), max_distance, output_type="ndarray"
    )
    order = np.lexsort((pairs["j"], pairs["i"]))
    return pairs["i"][order].astype(np.int64), pairs["j"][order].astype(np.int64)


def assign(i: Ints, j: Ints, cost: Floats, cost_limit: float) -> NDArray[np.bool_]:
    """Choose the links of least total cost; leaving two cells unlinked costs `cost_limit`.

    The gates leave small connected components. Each is solved on its own by the algorithm of
    Jonker and Volgenant (``lap.lapjv``); a component of a single link needs no solver.

    Parameters
    ----------
    i, j
        ``(n,)`` rows of the allowed links; each pair occurs once.
    cost
        ``(n,)`` costs, not negative.
    cost_limit
        Links of this cost or more are never chosen.

    Returns
    -------
    chosen
        ``(n,)`` mask of the chosen links.
    """
    chosen = np.zeros(len(i), dtype=bool)
    if len(i) == 0:
        return chosen
    single = (np.bincount(i)[i] == 1) & (np.bincount(j)[j] == 1)
    chosen[single] = cost[single] < cost_limit
    rest = np.flatnonzero(~single)
    if len(rest) == 0:
        return chosen
    n_i, n_j = int(i.max()) + 1, int(j.max()) + 1
    graph = sparse.coo_array(
        (np.ones(len(rest)), (i[rest], n_i + j[rest])), shape=(n_i + n_j, n_i + n_j)
    )
    component = csgraph.connected_components(graph, directed=False)[1][i[rest]]
    order = np.argsort(component, kind="stable")
    bounds = np.flatnonzero(np.diff(component[order])) + 1
    for group in np.split(rest[order], bounds):
        chosen[group] = _assign_dense(i[group], j[group], cost[group], cost_limit)
    return chosen


def _assign_dense(i: Ints, j: Ints, cost: Floats, cost_limit: float) -> NDArray[np.bool_]:
    rows, row = np.unique(i, return_inverse=True)
    columns, column = np.unique(j, return_inverse=True)
    matrix = np.full((len(rows), len(columns)), FORBIDDEN)
    matrix[row, column] = cost
    partner, _ = lap.lapjv(matrix, extend_cost=True, cost_limit=cost_limit, return_cost=False)
    return np.asarray(partner[row] == column)


def solve(i: Ints, j: Ints, iou: Floats, cost: Floats, cost_limit: float) -> Links:
    """Choose links by :func:`assign` and return them with overlap, cost and margin."""
    chosen = assign(i, j, cost, cost_limit)
    margin = _margin(i, j, cost, chosen, cost_limit)
    return Links(i[chosen], j[chosen], iou[chosen], cost[chosen], margin)


def _margin(i: Ints, j: Ints, cost: Floats, chosen: NDArray[np.bool_], cost_limit: float) -> Floats:
    """Return the cost of the best alternative of either partner minus that of the chosen link."""
    if len(i) == 0:
        return np.zeros(0)
    other_i = np.full(int(i.max()) + 1, cost_limit)
    other_j = np.full(int(j.max()) + 1, cost_limit)
    np.minimum.at(other_i, i[~chosen], cost[~chosen])
    np.minimum.at(other_j, j[~chosen], cost[~chosen])
    best: Floats = np.minimum(other_i[i[chosen]], other_j[j[chosen]])
    return best - cost[chosen]
