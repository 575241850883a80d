"""Budding: a small new cell on a larger, older one is its bud; the mother keeps her identity.

As in Cell-ACDC, buds are assigned to mothers by linear assignment on their contact, here over
the bud's first frames instead of one. What cannot be decided is marked, never a stop.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.track.graph import NONE, Event, LinkGraph
from cellsam_core.track.link import assign

if TYPE_CHECKING:
    from cellsam_core.track.overlap import Ints
    from cellsam_core.track.parameters import TrackParameters

AMBIGUOUS_FRACTION = 0.5


@dataclass(frozen=True)
class _Candidate:
    """First objects of a bud's and a possible mother's tracks, and a score of 0-1."""

    bud: int
    mother: int
    score: float


def find_buds(graph: LinkGraph, parameters: TrackParameters) -> list[Event]:
    """Assign small new cells to mothers and set their parents.

    Buds are taken in order of birth; within a frame the assignment is joint. A mother has no
    second bud within ``bud_window_frames``. A bud whose only possible mothers are taken gets
    none and is marked ambiguous, as is one with another mother of at least half the score.
    """
    first = graph.first_objects()
    by_bud = _score(graph, first)
    busy_until: dict[int, int] = {}
    events = []
    for frame in sorted({int(graph.frame[bud]) for bud in by_bud}):
        buds = [bud for bud in sorted(by_bud) if graph.frame[bud] == frame]
        free = [c for bud in buds for c in by_bud[bud] if busy_until.get(c.mother, 0) <= frame]
        i = np.array([c.bud for c in free], dtype=np.int64)
        j = np.array([c.mother for c in free], dtype=np.int64)
        cost = np.array([1 - c.score for c in free])
        chosen = assign(i, j, cost, 1.0)
        mothers = {c.bud: c for c, yes in zip(free, chosen, strict=True) if yes}
        for bud in buds:
            events.append(_event(graph, first, by_bud[bud], mothers.get(bud), bud))
            if bud in mothers:
                busy_until[mothers[bud].mother] = frame + parameters.bud_window_frames
    return events


def _score(graph: LinkGraph, first: Ints) -> dict[int, list[_Candidate]]:
    """Bud -> possible mothers: share of the contact times share of the frames in contact."""
    pixels: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    frames: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    watched: dict[int, set[int]] = defaultdict(set)
    is_start = graph.is_start
    for row, neighbour, n_px in graph.contacts.tolist():
        bud, mother = int(first[row]), int(first[neighbour])
        older = graph.frame[mother] < graph.frame[bud]
        larger = graph.area_px[neighbour] > graph.area_px[row]
        if not (is_start[bud] and older and larger):
            continue
        pixels[bud][mother] += n_px
        frames[bud][mother] += 1
        watched[bud].add(row)
    return {
        bud: [
            _Candidate(
                bud,
                mother,
                n_px / sum(pixels[bud].values()) * frames[bud][mother] / len(watched[bud]),
            )
            for mother, n_px in sorted(pixels[bud].items())
        ]
        for bud in pixels
    }


def _event(
    graph: LinkGraph,
    first: Ints,
    candidates: list[_Candidate],
    chosen: _Candidate | None,
    bud: int,
) -> Event:
    others = [c for c in candidates if c is not chosen]
    rival = max(others, key=lambda c: (c.score, -c.mother), default=None)
    runner_up = NONE if rival is None else rival.mother
    if chosen is None:
        graph.flag(bud, "no_mother")
        return Event("bud", NONE, (bud,), 0.0, "ambiguous", runner_up=runner_up)
    mother_rows = np.flatnonzero((first == chosen.mother) & (graph.frame < graph.frame[bud]))
    graph.parent[bud] = mother_rows[-1]
    graph.kind[bud] = "bud"
    close = rival is not None and rival.score >= AMBIGUOUS_FRACTION * chosen.score
    return Event(
        "bud",
        int(mother_rows[-1]),
        (bud,),
        chosen.score,
        "ambiguous" if close else "auto",
        area_ratio=float(graph.area_px[bud] / graph.area_px[mother_rows[-1]]),
        runner_up=runner_up,
    )
