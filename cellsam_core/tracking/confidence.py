"""Probabilities that links, divisions and buds are correct.

They come from logistic regressions on the costs, margins and overlaps of the links. The regressions
were fitted to simulated movies with missing, split and merged masks, stage jumps and long frame
intervals by

    python benchmarks/calibrate_tracking.py

which also prints, for other simulated movies, how many links and births of each probability are
correct.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.tracking.graph import NONE

if TYPE_CHECKING:
    from cellsam_core.tracking.graph import Event, LinkGraph
    from cellsam_core.tracking.overlap import Floats

# For each kind: the constant, then the weights of the cues.
COEFFICIENTS = {
    "link": (-4.00, 5.33, 12.14),
    "rescue": (-11.23, 8.79, 11.27),
    "gap": (2.47, -2.21, 2.37),
    "mitosis": (-3.71, -6.27, 13.26, -13.53),
    "bud": (0.57, 0.48),
}
AMBIGUOUS = 2 / 3
MAX_SHARE = 0.999


def link_cues(graph: LinkGraph) -> Floats:
    """Return the ``(n, 2)`` cost and margin of each object's link; a missing margin counts as 0."""
    return np.stack([graph.cost, np.nan_to_num(graph.margin)], axis=1)


def event_cues(event: Event) -> Floats:
    """Return the cues of an event.

    They are overlap, symmetry and change in area for a division, and the log odds of the mother
    for a bud.
    """
    if event.kind == "mitosis":
        return np.array([event.overlap, event.symmetry, abs(np.log(event.area_ratio))])
    share = min(max(event.score, 1 - MAX_SHARE), MAX_SHARE)
    return np.array([np.log(share / (1 - share))])


def probability(kind: str, cues: Floats) -> Floats:
    """Return the probability that a link or event with ``(..., k)`` cues is correct."""
    constant, *weights = COEFFICIENTS[kind]
    right: Floats = 1 / (1 + np.exp(-(constant + cues @ np.array(weights))))
    return right


def judge_events(events: list[Event]) -> list[Event]:
    """Turn scores into probabilities, and mark events below 2/3 as ambiguous.

    A bud without a mother gets 0. Divisions into three are too rare for the fit: they are always
    marked, and their probability is at most 2/3.
    """
    judged = []
    for event in events:
        known = event.parent != NONE
        score = float(probability(event.kind, event_cues(event))) if known else 0.0
        if len(event.daughters) > 2:
            score = min(score, AMBIGUOUS)
        sure = score >= AMBIGUOUS and len(event.daughters) <= 2
        judged.append(replace(event, score=score))
        judged[-1].status = "auto" if sure else "ambiguous"
    return judged


def link_probability(graph: LinkGraph, events: list[Event]) -> Floats:
    """Return the ``(n,)`` probability of each object's link or birth; NaN where it has neither."""
    right = np.full(len(graph), np.nan)
    cues = link_cues(graph)
    for kind in ("link", "rescue", "gap"):
        rows = graph.kind == kind
        right[rows] = probability(kind, cues[rows])
    for event in events:
        if event.parent != NONE:
            right[list(event.daughters)] = event.score
    return right
