"""Budding: a small new cell on a larger, older one is its bud; the mother keeps her identity.

As in Cell-ACDC, buds are assigned to mothers by their contact, here over the bud's first frames
instead of one, with the direction in which the bud grows, and as it keeps its distance. What
cannot be decided is marked, never a stop.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cellsam_core.tracking.graph import NONE, Event, LinkGraph

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.tracking.overlap import Ints
    from cellsam_core.tracking.parameters import TrackParameters

Contact = tuple[int, float, float]  # pixels, pointing, gap in radii of the bud
# Of the rests of mothers: from how sure pairs they are learned, how many it takes, and the share
# that may be shorter.
SURE, MIN_RESTS, SHORTEST_RESTS = 0.9, 10, 0.05
# Fitted on simulated movies (budding, seeds 0 and 1 of benchmarks/benchmark_tracking.py); the
# last one in pixels, then scaled to radii.
CONTACT_WEIGHT, POINTING_WEIGHT, GAP_WEIGHT = 9.6, 26.7, 40.0


@dataclass(frozen=True)
class _Candidate:
    """First objects of a bud's and a possible mother's tracks, and a probability."""

    bud: int
    mother: int
    probability: float


class _Rest(NamedTuple):
    """Least frames between a mother's own birth, or a bud's, and the birth of her next bud."""

    after_birth: float
    after_bud: float


def find_buds(graph: LinkGraph, parameters: TrackParameters) -> list[Event]:
    """Assign small new cells to mothers and set their parents.

    The surest bud is given to her mother first, then the next. A mother has no second bud within
    ``bud_window_frames`` of another, and one who would bud sooner after her own birth or another
    bud than mothers of this movie usually do is less probable. A bud whose only possible mothers
    are taken gets none. The score is the share of the chosen mother among all possible ones.
    """
    first = graph.first_objects()
    by_bud = _score(graph, first, _lives(graph, first, parameters))
    window = parameters.bud_window_frames
    at_once = _choose(graph, by_bud, window, _Rest(0, 0))
    chosen = _choose(graph, by_bud, window, _usual_rest(graph, at_once))
    return [_event(graph, first, chosen[bud], bud) for bud in sorted(by_bud)]


def _choose(
    graph: LinkGraph, by_bud: dict[int, list[_Candidate]], window: int, rest: _Rest
) -> dict[int, list[_Candidate]]:
    """Bud -> the mothers who were free when it was her turn, the chosen one first."""
    births: dict[int, list[int]] = defaultdict(list)

    def weight(pair: _Candidate) -> float:
        frame = int(graph.frame[pair.bud])
        since_bud = min((abs(frame - other) for other in births[pair.mother]), default=np.inf)
        age = frame - graph.frame[pair.mother] if pair.mother in by_bud else np.inf
        if since_bud < window:
            return 0.0
        early = since_bud < rest.after_bud or age < rest.after_birth
        return pair.probability * (SHORTEST_RESTS if early else 1.0)

    def free(bud: int) -> list[_Candidate]:
        weights = [weight(c) for c in by_bud[bud]]
        total = max(sum(weights), SHORTEST_RESTS)  # whom all likely mothers leave is not sure
        pairs = [
            replace(c, probability=w / total)
            for c, w in zip(by_bud[bud], weights, strict=True)
            if w
        ]
        return sorted(pairs, key=lambda c: (-c.probability, c.mother))

    chosen = {}
    queue = [(-1.0, bud) for bud in sorted(by_bud)]
    while queue:
        sureness, bud = heappop(queue)
        candidates = free(bud)
        if candidates and -candidates[0].probability > sureness:
            heappush(queue, (-candidates[0].probability, bud))
            continue
        chosen[bud] = candidates
        if candidates:
            births[candidates[0].mother].append(int(graph.frame[bud]))
    return chosen


def _usual_rest(graph: LinkGraph, chosen: dict[int, list[_Candidate]]) -> _Rest:
    """Rests that nearly all mothers of the surest pairs keep, 0 where the movie shows too few."""
    after_birth, after_bud = [], []
    last: dict[int, int] = {}
    sure = [c[0] for c in chosen.values() if c and c[0].probability >= SURE]
    for pair in sorted(sure, key=lambda c: c.bud):
        frame = int(graph.frame[pair.bud])
        if pair.mother in last:
            after_bud.append(frame - last[pair.mother])
        elif pair.mother in chosen:
            after_birth.append(frame - int(graph.frame[pair.mother]))
        last[pair.mother] = frame
    usual = [
        float(np.quantile(seen, SHORTEST_RESTS)) if len(seen) >= MIN_RESTS else 0.0
        for seen in (after_birth, after_bud)
    ]
    return _Rest(*usual)


def _lives(graph: LinkGraph, first: Ints, parameters: TrackParameters) -> NDArray[np.bool_]:
    """Whether the cell of each first object is more than a piece of another for a moment."""
    n_seen = np.bincount(first, minlength=len(graph))
    last = np.zeros(len(graph), dtype=np.int64)
    np.maximum.at(last, first, graph.frame)
    enough = n_seen >= parameters.min_daughter_length_frames
    alive: NDArray[np.bool_] = enough | (last == graph.n_frames - 1)
    return alive


def _score(graph: LinkGraph, first: Ints, lives: NDArray[np.bool_]) -> dict[int, list[_Candidate]]:
    """Living bud -> possible mothers and their probabilities, which sum to 1.

    A conditional logit of three cues: the share of the contact times the share of the frames in
    contact; the mean elongation of the bud towards the mother, out of whom it grows; and by how
    much the gap between them, as if both were discs, varies in time, in radii of the bud.
    """
    contacts: dict[int, dict[int, list[Contact]]] = defaultdict(lambda: defaultdict(list))
    watched: dict[int, set[int]] = defaultdict(set)
    is_start, radius = graph.is_start, graph.radius_px
    for (row, neighbour, n_px), towards in zip(
        graph.contacts.tolist(), graph.pointing.tolist(), strict=True
    ):
        bud, mother = int(first[row]), int(first[neighbour])
        older = graph.frame[mother] < graph.frame[bud]
        larger = graph.area_px[neighbour] > graph.area_px[row]
        if not (is_start[bud] and lives[bud] and older and larger):
            continue
        distance = float(np.linalg.norm(graph.yx[row] - graph.yx[neighbour]))
        gap = (distance - radius[neighbour]) / radius[row]
        contacts[bud][mother].append((n_px, towards, gap))
        watched[bud].add(row)
    return {bud: _candidates(bud, contacts[bud], len(watched[bud])) for bud in contacts}


def _candidates(bud: int, contacts: dict[int, list[Contact]], n_frames: int) -> list[_Candidate]:
    mothers = sorted(contacts)
    n_px = np.array([sum(c[0] for c in contacts[m]) for m in mothers])
    in_contact = np.array([len(contacts[m]) for m in mothers]) / n_frames
    towards = np.array([np.mean([c[1] for c in contacts[m]]) for m in mothers])
    unsteady = np.array([np.std([c[2] for c in contacts[m]]) for m in mothers])
    logit = CONTACT_WEIGHT * np.log(n_px / n_px.sum() * in_contact)
    logit += POINTING_WEIGHT * towards - GAP_WEIGHT * unsteady
    odds = np.exp(logit - logit.max())
    return [
        _Candidate(bud, m, p) for m, p in zip(mothers, (odds / odds.sum()).tolist(), strict=True)
    ]


def _event(graph: LinkGraph, first: Ints, candidates: list[_Candidate], bud: int) -> Event:
    runner_up = candidates[1].mother if len(candidates) > 1 else NONE
    if not candidates:
        graph.flag(bud, "no_mother")
        return Event("bud", NONE, (bud,), 0.0)
    chosen = candidates[0]
    mother_rows = np.flatnonzero((first == chosen.mother) & (graph.frame < graph.frame[bud]))
    graph.parent[bud] = mother_rows[-1]
    graph.kind[bud] = "bud"
    return Event(
        "bud",
        int(mother_rows[-1]),
        (bud,),
        chosen.probability,
        area_ratio=float(graph.area_px[bud] / graph.area_px[mother_rows[-1]]),
        runner_up=runner_up,
    )
