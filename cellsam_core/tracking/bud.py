"""Budding: small new cells are assigned to larger, older mother cells that keep their identity.

As in Cell-ACDC, buds are assigned to mothers by contact, but here over the bud's first frames
instead of one frame. Further cues are the direction in which the bud grows and a constant distance
to the mother. Ambiguous cases are marked and never stop the run.
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

    from cellsam_core.tracking.options import TrackOptions
    from cellsam_core.tracking.overlap import Ints

Contact = tuple[int, float, float]  # pixels, pointing, gap in radii of the bud
# The refractory period of mothers is estimated from at least MIN_PERIODS pairs of at least this
# probability (SURE); a fraction SHORTEST_PERIODS of the periods may be shorter.
SURE, MIN_PERIODS, SHORTEST_PERIODS = 0.9, 10, 0.05
# Fitted on simulated movies (budding, seeds 0 and 1 of benchmarks/benchmark_tracking.py); the
# last one in pixels, then scaled to radii.
CONTACT_WEIGHT, POINTING_WEIGHT, GAP_WEIGHT = 9.6, 26.7, 40.0


@dataclass(frozen=True)
class _Candidate:
    """A possible pair of bud and mother, given by their first objects, with a probability."""

    bud: int
    mother: int
    probability: float


class _RefractoryPeriod(NamedTuple):
    """Minimum number of frames from a mother's own birth, or from a bud, to her next bud."""

    after_birth: float
    after_bud: float


def find_buds(graph: LinkGraph, options: TrackOptions) -> list[Event]:
    """Assign small new cells to mothers and set their parents.

    Buds are assigned in order of decreasing probability. A mother has at most one bud within
    ``bud_window_frames``. A mother that would bud earlier after her own birth, or after another
    bud, than mothers of this movie usually do is less probable. A bud whose possible mothers are
    all taken gets none. The score is the probability of the chosen mother among all possible ones.
    """
    first = graph.first_objects()
    by_bud = _score(graph, first, _lives(graph, first, options))
    window = options.bud_window_frames
    at_once = _choose(graph, by_bud, window, _RefractoryPeriod(0, 0))
    chosen = _choose(graph, by_bud, window, _refractory_period(graph, at_once))
    return [_event(graph, first, chosen[bud], bud) for bud in sorted(by_bud)]


def _choose(
    graph: LinkGraph, by_bud: dict[int, list[_Candidate]], window: int, period: _RefractoryPeriod
) -> dict[int, list[_Candidate]]:
    """Return for each bud the mothers that were still free at its turn, the chosen one first."""
    births: dict[int, list[int]] = defaultdict(list)

    def weight(pair: _Candidate) -> float:
        frame = int(graph.frame[pair.bud])
        since_bud = min((abs(frame - other) for other in births[pair.mother]), default=np.inf)
        age = frame - graph.frame[pair.mother] if pair.mother in by_bud else np.inf
        if since_bud < window:
            return 0.0
        early = since_bud < period.after_bud or age < period.after_birth
        return pair.probability * (SHORTEST_PERIODS if early else 1.0)

    def free(bud: int) -> list[_Candidate]:
        weights = [weight(c) for c in by_bud[bud]]
        total = max(sum(weights), SHORTEST_PERIODS)  # whom all likely mothers leave is not sure
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


def _refractory_period(graph: LinkGraph, chosen: dict[int, list[_Candidate]]) -> _RefractoryPeriod:
    """Estimate the period that nearly all mothers of the surest pairs keep; 0 for too few pairs."""
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
        float(np.quantile(periods, SHORTEST_PERIODS)) if len(periods) >= MIN_PERIODS else 0.0
        for periods in (after_birth, after_bud)
    ]
    return _RefractoryPeriod(*usual)


def _lives(graph: LinkGraph, first: Ints, options: TrackOptions) -> NDArray[np.bool_]:
    """Return the mask of first objects whose cell lives long enough to be a cell of its own."""
    n_seen = np.bincount(first, minlength=len(graph))
    last = np.zeros(len(graph), dtype=np.int64)
    np.maximum.at(last, first, graph.frame)
    enough = n_seen >= options.min_daughter_length_frames
    alive: NDArray[np.bool_] = enough | (last == graph.n_frames - 1)
    return alive


def _score(graph: LinkGraph, first: Ints, lives: NDArray[np.bool_]) -> dict[int, list[_Candidate]]:
    """Return for each living bud the possible mothers with probabilities that sum to 1.

    A conditional logit model uses three cues: the fraction of the contact times the fraction of
    frames in contact; the mean elongation of the bud towards the mother; and the variation in time
    of the gap between the two, taken as discs, in radii of the bud.
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
