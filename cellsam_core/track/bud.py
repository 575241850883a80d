"""Budding: a small new cell on a larger, older one is its bud; the mother keeps her identity.

As in Cell-ACDC, buds are assigned to mothers by their contact, here over the bud's first frames
instead of one, with the direction in which the bud grows, and as it keeps its distance. What
cannot be decided is marked, never a stop.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.track.graph import NONE, Event, LinkGraph

if TYPE_CHECKING:
    from cellsam_core.track.overlap import Ints
    from cellsam_core.track.parameters import TrackParameters

Contact = tuple[int, float, float]  # pixels, pointing, gap in radii of the bud
AMBIGUOUS_FRACTION = 0.5
# Fitted on simulated movies (budding, seeds 0 and 1 of docs/benchmark_tracking.py); the last one in
# pixels, then scaled to radii.
CONTACT_WEIGHT, POINTING_WEIGHT, GAP_WEIGHT = 9.6, 26.7, 40.0


@dataclass(frozen=True)
class _Candidate:
    """First objects of a bud's and a possible mother's tracks, and a probability."""

    bud: int
    mother: int
    probability: float


def find_buds(graph: LinkGraph, parameters: TrackParameters) -> list[Event]:
    """Assign small new cells to mothers and set their parents.

    The surest pair of all is taken first, then the next: a mother has no second bud born within
    ``bud_window_frames`` of another. A bud whose only possible mothers are taken gets
    none and is marked ambiguous, as is one with another mother at least half as probable.
    """
    first = graph.first_objects()
    by_bud = _score(graph, first)
    window = parameters.bud_window_frames
    mothers: dict[int, _Candidate] = {}
    births: dict[int, list[int]] = defaultdict(list)
    for pair in sorted(chain(*by_bud.values()), key=lambda c: (-c.probability, c.bud, c.mother)):
        frame = int(graph.frame[pair.bud])
        busy = any(abs(frame - other) < window for other in births[pair.mother])
        if pair.bud not in mothers and not busy:
            mothers[pair.bud] = pair
            births[pair.mother].append(frame)
    return [_event(graph, first, by_bud[bud], mothers.get(bud), bud) for bud in sorted(by_bud)]


def _score(graph: LinkGraph, first: Ints) -> dict[int, list[_Candidate]]:
    """Bud -> possible mothers and their probabilities, which sum to 1.

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
        if not (is_start[bud] and older and larger):
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


def _event(
    graph: LinkGraph,
    first: Ints,
    candidates: list[_Candidate],
    chosen: _Candidate | None,
    bud: int,
) -> Event:
    others = [c for c in candidates if c is not chosen]
    rival = max(others, key=lambda c: (c.probability, -c.mother), default=None)
    runner_up = NONE if rival is None else rival.mother
    if chosen is None:
        graph.flag(bud, "no_mother")
        return Event("bud", NONE, (bud,), 0.0, "ambiguous", runner_up=runner_up)
    mother_rows = np.flatnonzero((first == chosen.mother) & (graph.frame < graph.frame[bud]))
    graph.parent[bud] = mother_rows[-1]
    graph.kind[bud] = "bud"
    close = rival is not None and rival.probability >= AMBIGUOUS_FRACTION * chosen.probability
    return Event(
        "bud",
        int(mother_rows[-1]),
        (bud,),
        chosen.probability,
        "ambiguous" if close else "auto",
        area_ratio=float(graph.area_px[bud] / graph.area_px[mother_rows[-1]]),
        runner_up=runner_up,
    )
