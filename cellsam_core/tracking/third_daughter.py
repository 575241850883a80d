"""Divisions into three, which are rare in healthy cells and frequent in cancer lines under drugs.

Divisions are found as pairs. Afterwards a cell that appeared beside such a pair joins it, if three
daughters explain the parent better than two: their summed area is closer to hers, and they surround
her centroid more evenly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.tracking.division_shapes import (
    daughter_shapes,
    overlap_on,
    parent_shapes,
    shared_pixels,
)
from cellsam_core.tracking.graph import NONE

if TYPE_CHECKING:
    from cellsam_core.tracking.division_shapes import Shapes
    from cellsam_core.tracking.graph import Event, LinkGraph
    from cellsam_core.tracking.options import TrackOptions
    from cellsam_core.tracking.overlap import Ints


def add_third_daughters(graph: LinkGraph, events: list[Event], options: TrackOptions) -> None:
    """Give divisions their third daughter, in place, where a cell that appeared qualifies.

    She must fulfil the criteria of a daughter, be away from the border, and be followed for
    ``min_daughter_length_frames`` or to the end of the movie.

    Parameters
    ----------
    graph
        Graph with links, closed gaps and divisions.
    events
        Divisions into two.
    options
        Options of tracking.
    """
    if not events:
        return
    shapes = parent_shapes(graph), daughter_shapes(graph)
    shared = shared_pixels(graph)
    lasting = _lasting(graph, options.min_daughter_length_frames)
    for event in events:
        best = None
        for row in _appeared_after(graph, event, lasting, options):
            overlap = min(event.overlap, overlap_on(graph, event.parent, row, shared))
            gain = _judge(graph, event, row, shapes, overlap, options)
            if gain is not None and (best is None or gain[0] > best[0]):
                best = (*gain, row, overlap)
        if best is not None:
            _, event.area_ratio, event.symmetry, third, event.overlap = best
            event.daughters = (*event.daughters, third)
            graph.parent[third], graph.kind[third] = event.parent, "division"


def _lasting(graph: LinkGraph, n_frames: int) -> Ints:
    """Return the first objects of cells that appeared whole and are followed for long enough."""
    first = graph.first_objects()
    n_seen = np.bincount(first, minlength=len(graph))
    last = np.zeros(len(graph), dtype=np.int64)
    np.maximum.at(last, first, graph.frame)
    enough = (n_seen >= n_frames) | (last == graph.n_frames - 1)
    return np.flatnonzero(graph.is_start & ~graph.border & enough)


def _appeared_after(
    graph: LinkGraph, event: Event, lasting: Ints, options: TrackOptions
) -> list[int]:
    """Return those of the appeared cells that are free and in the window of the division."""
    lag = graph.frame[lasting] - graph.frame[event.parent]
    inside = (lag > 0) & (lag <= options.division_window_frames)
    return [int(row) for row in lasting[inside & (graph.parent[lasting] == NONE)]]


def _judge(
    graph: LinkGraph,
    event: Event,
    third: int,
    shapes: tuple[Shapes, Shapes],
    overlap: float,
    options: TrackOptions,
) -> tuple[float, float, float] | None:
    """Return the gain in balance, area ratio and symmetry of three; None if a criterion fails."""
    parents, daughters = shapes
    rows = [*event.daughters, third]
    parent_area = float(parents.area_px[event.parent])
    area = daughters.area_px[rows]
    ratio, symmetry = float(area.sum()) / parent_area, float(area.min() / area.max())
    offsets = daughters.yx[rows] - parents.yx[event.parent]
    distance = np.linalg.norm(offsets, axis=1)
    reach = options.division_max_distance_radii * float(np.sqrt(parent_area / np.pi))

    def imbalance(n: int) -> float:
        total = max(float(distance[:n].sum()), 1e-9)
        return float(np.linalg.norm(offsets[:n].sum(axis=0))) / total

    gain = imbalance(2) - imbalance(3)
    if (
        (overlap < options.division_min_overlap and float(distance.max()) > reach)
        or symmetry < options.division_min_symmetry
        or ratio > options.division_area_max
        or abs(np.log(ratio)) >= abs(np.log(event.area_ratio))
        or gain <= 0
    ):
        return None
    return gain, ratio, symmetry
