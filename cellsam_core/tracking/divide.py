"""Mitosis: the track of a parent ends and the tracks of two daughters begin.

The cues are the usual ones: daughters lie on or beside the parent (Cell-ACDC, TrackMate), their
areas are similar and sum to the parent's, and they lie on opposite sides of its centroid (btrack).
Divisions that do not last are flickering over-segmentation and are undone.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.tracking.division_shapes import (
    Shapes,
    daughter_shapes,
    overlap_on,
    parent_shapes,
    shared_pixels,
)
from cellsam_core.tracking.graph import NONE, Event, Link, LinkGraph
from cellsam_core.tracking.link import area_cost

if TYPE_CHECKING:
    from cellsam_core.tracking.options import TrackOptions

# Imbalance of the daughters around the parent's centroid: 0 if they are opposite and equally far, 1
# if both are on one side. Cells that move far between frames shift both daughters; but beside a
# parent that has shrunk already, a daughter on one side is the late sister of that "parent".
MAX_IMBALANCE, MAX_IMBALANCE_SHRUNK = 0.9, 0.7
SHRUNK_FRACTION = 0.8
MIN_FUSED_FRACTION = 0.5


def find_divisions(graph: LinkGraph, options: TrackOptions) -> list[Event]:
    """Find mitoses, remove the links that they replace, and set the daughters' parents.

    Frame by frame, a parent divides at most once and a daughter is born at most once. Conflicts
    are resolved in favour of parents that did not appear just before, then of daughters that
    appear together right after the parent (a cell that only shrinks before it divides is not yet a
    daughter), then by score. A cell younger than ``min_daughter_length_frames`` does not divide.
    """
    candidates: dict[int, list[Event]] = defaultdict(list)
    for event in _candidates(graph, options):
        candidates[int(graph.frame[list(event.daughters)].max())].append(event)

    def priority(event: Event) -> tuple[bool, int, float, int, tuple[int, ...]]:
        start = _recent_start(graph, event.parent, options)
        appeared = start != NONE and graph.frame[start] > 0
        delay = int((graph.frame[list(event.daughters)] - graph.frame[event.parent]).sum())
        return bool(appeared), delay, -event.score, event.parent, event.daughters

    events: list[Event] = []
    for frame in sorted(candidates):
        taken: dict[tuple[str, int], Event] = {}
        for event in sorted(candidates[frame], key=priority):
            roles = [("parent", event.parent), *(("daughter", d) for d in event.daughters)]
            winner = next((taken[role] for role in roles if role in taken), None)
            if winner is not None and winner.runner_up == NONE != winner.parent != event.parent:
                winner.runner_up = event.parent
            if winner is not None or not _is_possible(graph, event, options):
                continue
            taken |= dict.fromkeys(roles, event)
            _apply(graph, event)
            events.append(event)
    return sorted(events, key=lambda event: min(event.daughters))


def undo_flicker(graph: LinkGraph, events: list[Event], options: TrackOptions) -> list[Event]:
    """Undo divisions with a short-lived daughter; return the others.

    The parent's track then continues through the longer-lived daughter. A daughter may be
    short-lived where the movie ends or where she leaves the image, unless her sister then grows by
    the daughter's area: that cell was only segmented in two pieces.
    """
    first = graph.first_objects()
    last = np.zeros(len(graph), dtype=np.int64)
    np.maximum.at(last, first, np.arange(len(graph)))
    n_seen = np.bincount(first, minlength=len(graph))

    def too_short(daughter: int, sister: int) -> bool:
        end = int(last[daughter])
        if n_seen[daughter] >= options.min_daughter_length_frames:
            return False
        cut_off = graph.frame[end] == graph.n_frames - 1 or graph.border[end]
        return not cut_off or _grown_by(graph, sister, daughter, end)

    kept = []
    for event in reversed(events):
        a, b = event.daughters
        if not too_short(a, b) and not too_short(b, a):
            kept.append(event)
            continue
        survivor = max(event.daughters, key=lambda d: (n_seen[d], graph.area_px[d], -d))
        _undo(graph, event, survivor, options.sigma_iou)
        last[first[event.parent]] = last[survivor]
        n_seen[first[event.parent]] += n_seen[survivor]
    return kept[::-1]


def _grown_by(graph: LinkGraph, sister: int, daughter: int, end: int) -> bool:
    """Return True if the sister gains the daughter's area after the daughter's last object."""
    row = sister
    while graph.frame[row] < graph.frame[end] and graph.successor[row] != NONE:
        row = int(graph.successor[row])
    later = int(graph.successor[row])
    gain = int(graph.area_px[later]) - int(graph.area_px[row])
    return later != NONE and gain > MIN_FUSED_FRACTION * float(graph.area_px[daughter])


def _candidates(graph: LinkGraph, options: TrackOptions) -> list[Event]:
    """Return all parents with two daughters that pass every criterion."""
    shared = shared_pixels(graph)
    shapes = parent_shapes(graph), daughter_shapes(graph)
    found = []
    for parent, appeared in _appeared_near(graph, shared, shapes, options).items():
        for daughters in _pairs(graph, parent, appeared, options):
            overlap = min(overlap_on(graph, parent, d, shared) for d in daughters)
            event = _judge(graph, parent, daughters, shapes, overlap, options)
            if event is not None:
                found.append(event)
    return found


def _recent_start(graph: LinkGraph, row: int, options: TrackOptions) -> int:
    """Return the first object of a cell younger than ``min_daughter_length_frames``, else -1."""
    for _ in range(options.min_daughter_length_frames):
        if graph.predecessor[row] == NONE:
            return row
        row = int(graph.predecessor[row])
    return NONE


def _is_possible(graph: LinkGraph, event: Event, options: TrackOptions) -> bool:
    """Return True if the daughters are still free and the parent is old enough."""
    start = _recent_start(graph, event.parent, options)
    if start != NONE and graph.parent[start] != NONE:
        return False
    free = all(graph.parent[d] == NONE for d in event.daughters)
    return free and int(graph.successor[event.parent]) in (NONE, *event.daughters)


def _appeared_near(
    graph: LinkGraph,
    shared: dict[tuple[int, int], int],
    shapes: tuple[Shapes, Shapes],
    options: TrackOptions,
) -> dict[int, list[int]]:
    """Return for each possible parent the cells that appeared on or beside it soon after."""
    window = options.division_window_frames
    near: dict[int, set[int]] = defaultdict(set)
    is_start = graph.is_start
    starts = np.flatnonzero(is_start)
    for older, new in shared:
        if is_start[new] and graph.frame[new] - graph.frame[older] <= window:
            near[older].add(new)
    parents, daughters = shapes
    trees = graph.trees(parents.yx)
    reach = options.division_max_distance_radii * np.sqrt(parents.area_px / np.pi)
    for new in starts.tolist():
        for lag in range(1, min(window, int(graph.frame[new])) + 1):
            tree, first_row = trees[int(graph.frame[new]) - lag]
            if tree is None:
                continue
            point = daughters.yx[new]
            furthest = reach[first_row : first_row + tree.n].max()
            for row in tree.query_ball_point(point, furthest):
                parent = first_row + int(row)
                if np.linalg.norm(parents.yx[parent] - point) <= reach[parent]:
                    near[parent].add(new)
    return {parent: sorted(near[parent]) for parent in sorted(near)}


def _pairs(
    graph: LinkGraph, parent: int, appeared: list[int], options: TrackOptions
) -> list[tuple[int, int]]:
    """Return possible pairs: the parent's successor and a new cell, or else two new cells.

    A successor that covers more of the parent than the larger of two daughters could is the same
    cell. This also holds at the border, where areas are misleading, because the overlap is
    measured in the part of the image that both frames show.
    """
    linked = int(graph.successor[parent])
    if linked == NONE:
        return list(combinations(appeared, 2))
    if graph.frame[linked] - graph.frame[parent] > options.division_window_frames:
        return []
    if graph.iou[linked] > 1 / (1 + options.division_min_symmetry):
        return []
    return [(linked, new) for new in appeared]


def _judge(
    graph: LinkGraph,
    parent: int,
    daughters: tuple[int, int],
    shapes: tuple[Shapes, Shapes],
    overlap: float,
    options: TrackOptions,
) -> Event | None:
    """Score a candidate; return None where a criterion fails.

    `overlap` is the smaller of the two fractions of a daughter that lie on the parent.
    """
    parent_area = float(shapes[0].area_px[parent])
    area = shapes[1].area_px[list(daughters)]
    ratio = float(area.sum()) / parent_area
    symmetry = float(area.min() / area.max())
    offsets = shapes[1].yx[list(daughters)] - shapes[0].yx[parent]
    distance = np.linalg.norm(offsets, axis=1)
    reach = options.division_max_distance_radii * float(np.sqrt(parent_area / np.pi))
    imbalance = float(np.linalg.norm(offsets.sum(axis=0))) / max(float(distance.sum()), 1e-9)
    shrunk = float(graph.area_px[parent]) < SHRUNK_FRACTION * parent_area
    beside = float(distance.max()) <= reach
    if (
        (overlap < options.division_min_overlap and not beside)
        or not options.division_area_min <= ratio <= options.division_area_max
        or symmetry < options.division_min_symmetry
        or imbalance > (MAX_IMBALANCE_SHRUNK if shrunk else MAX_IMBALANCE)
    ):
        return None
    nearness = max(overlap, 1 - float(distance.max()) / reach if reach else 0.0)
    cues = (nearness, symmetry, min(ratio, 1 / ratio), 1 - imbalance)
    score = float(np.prod(np.clip(cues, 0, 1)) ** (1 / len(cues)))
    return Event(
        kind="mitosis",
        parent=parent,
        daughters=daughters,
        score=score,
        area_ratio=ratio,
        symmetry=symmetry,
        overlap=overlap,
    )


def _apply(graph: LinkGraph, event: Event) -> None:
    for daughter in event.daughters:
        event.replaced = graph.unlink(daughter) or event.replaced
        graph.parent[daughter] = event.parent
        graph.kind[daughter] = "division"


def _undo(graph: LinkGraph, event: Event, survivor: int, sigma_iou: float) -> None:
    for daughter in event.daughters:
        graph.parent[daughter] = NONE
        graph.kind[daughter] = "start"
        graph.flag(daughter, "flicker")
    link = event.replaced
    if link is None or link.after != survivor:
        link = _new_link(graph, event.parent, survivor, sigma_iou)
    graph.link(event.parent, link)


def _new_link(graph: LinkGraph, before: int, after: int, sigma_iou: float) -> Link:
    iou = graph.iou_of(before, after)
    cost = 1 - iou + float(area_cost(graph.area_px[[before]], graph.area_px[[after]])[0])
    if graph.frame[after] - graph.frame[before] > 1:
        return Link(after, "gap", iou, cost, float("nan"))
    return Link(after, "link" if iou >= sigma_iou else "rescue", iou, cost, float("nan"))
