"""Gap closing: ends of tracks are joined to later starts (Jaqaman et al. 2008, second step)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.tracking.graph import NONE, Link, LinkGraph
from cellsam_core.tracking.link import AREA_WEIGHT, area_cost, near_pairs, solve

if TYPE_CHECKING:
    from cellsam_core.tracking.options import TrackOptions
    from cellsam_core.tracking.overlap import Floats, Ints


def close_gaps(graph: LinkGraph, options: TrackOptions) -> None:
    """Link ends of tracks to starts after at most ``gap_closing_max_frame_count`` missing frames.

    A pair that overlaps enough has the same cost as in consecutive frames. Any other pair costs
    more: 1 + distance / (allowed distance), where the allowed distance grows with the square root
    of the time, as in a random walk. All gaps of the movie compete in one assignment.
    """
    end, start = _candidates(graph, options)
    if len(end) == 0:
        return
    iou = _shared_iou(graph, end, start)
    penalty = area_cost(graph.area_px[end], graph.area_px[start])
    radius = np.maximum(graph.radius_px[end], graph.radius_px[start])
    elapsed = np.sqrt(graph.frame[start] - graph.frame[end])
    reach = options.gap_closing_max_distance_radii * radius * elapsed
    distance = np.linalg.norm(graph.fixed_yx[end] - graph.fixed_yx[start], axis=1)
    overlapping = iou >= options.sigma_iou
    max_penalty = AREA_WEIGHT * float(np.log(options.area_ratio_max))
    near = (distance <= reach) & (penalty <= max_penalty)
    cost = penalty + np.where(overlapping, 1 - iou, 1 + distance / np.maximum(reach, 1e-9))
    allowed = overlapping | near
    limit = 2 + max_penalty + 1e-9
    links = solve(end[allowed], start[allowed], iou[allowed], cost[allowed], limit)
    figures = zip(links.i, links.j, links.iou, links.cost, links.margin, strict=True)
    for e, s, i, c, m in figures:
        graph.link(int(e), Link(int(s), "gap", float(i), float(c), float(m)))
        graph.flag(int(s), "gap")


def _candidates(graph: LinkGraph, options: TrackOptions) -> tuple[Ints, Ints]:
    """Return pairs of ends and starts that are close in space and time."""
    is_end = graph.successor == NONE
    is_end[graph.parent[graph.parent != NONE]] = False
    ends, starts = np.flatnonzero(is_end), np.flatnonzero(graph.is_start)
    is_start = graph.is_start
    start, end, _ = graph.earlier_overlaps.T
    overlapping = is_end[end] & is_start[start]
    pairs = [np.stack([end[overlapping], start[overlapping]], axis=1)]
    longest = options.gap_closing_max_frame_count + 1
    radius = float(graph.radius_px.max(initial=0))
    reach = options.gap_closing_max_distance_radii * radius * float(np.sqrt(longest))
    for frame in np.unique(graph.frame[starts]):
        here = starts[graph.frame[starts] == frame]
        before = frame - graph.frame[ends]
        earlier = ends[(before > 1) & (before <= longest)]
        i, j = near_pairs(graph.fixed_yx[earlier], graph.fixed_yx[here], reach)
        pairs.append(np.stack([earlier[i], here[j]], axis=1))
    end, start = np.unique(np.concatenate(pairs), axis=0).T
    elapsed = graph.frame[start] - graph.frame[end]
    fits = (elapsed > 1) & (elapsed <= longest)
    return end[fits], start[fits]


def _shared_iou(graph: LinkGraph, end: Ints, start: Ints) -> Floats:
    """Return the intersection over union of each pair, 0 for pairs without overlap."""
    n = len(graph)
    key = graph.earlier_overlaps[:, 0] * n + graph.earlier_overlaps[:, 1]
    order = np.argsort(key)
    wanted = start * n + end
    at = np.searchsorted(key, wanted, sorter=order)
    at = order[np.minimum(at, len(key) - 1)] if len(key) else np.zeros(len(end), dtype=np.int64)
    n_px = np.zeros(len(end))
    if len(key):
        hit = key[at] == wanted
        n_px[hit] = graph.earlier_overlaps[at[hit], 2]
    return n_px / (graph.area_px[end] + graph.area_px[start] - n_px)
