"""Probabilities that links, divisions and buds are right.

Logistic regressions on the figures that linking leaves behind, fitted on simulated movies with
lost, cut and merged masks, jumps of the stage and long intervals by

    python benchmarks/calibrate_tracking.py

which also prints how often links and births of each probability are right in other such movies.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.tracking.graph import NONE

if TYPE_CHECKING:
    from cellsam_core.tracking.graph import Event, LinkGraph
    from cellsam_core.tracking.overlap import Floats

# By kind: constant, then the weights of the cues.
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
    """``(n, 2)`` cost and margin of each object's link to the one before; no margin counts as 0."""
    return np.stack([graph.cost, np.nan_to_num(graph.margin)], axis=1)


def event_cues(event: Event) -> Floats:
    """Cues of a division: overlap, symmetry, change in area; of a bud: her mother's log odds."""
    if event.kind == "mitosis":
        return np.array([event.overlap, event.symmetry, abs(np.log(event.area_ratio))])
    share = min(max(event.score, 1 - MAX_SHARE), MAX_SHARE)
    return np.array([np.log(share / (1 - share))])


def probability(kind: str, cues: Floats) -> Floats:
    """Probability that something is right, of ``(..., k)`` cues."""
    constant, *weights = COEFFICIENTS[kind]
    right: Floats = 1 / (1 + np.exp(-(constant + cues @ np.array(weights))))
    return right


def judge_events(events: list[Event]) -> list[Event]:
    """Turn scores into probabilities and mark what is less likely than 2 to 1.

    A bud without a mother keeps 0.
    """
    judged = []
    for event in events:
        known = event.parent != NONE
        score = float(probability(event.kind, event_cues(event))) if known else 0.0
        judged.append(replace(event, score=score))
        judged[-1].status = "auto" if score >= AMBIGUOUS else "ambiguous"
    return judged


def link_probability(graph: LinkGraph, events: list[Event]) -> Floats:
    """``(n,)`` probability of each object's link, or of a daughter's or bud's birth; else NaN."""
    right = np.full(len(graph), np.nan)
    cues = link_cues(graph)
    for kind in ("link", "rescue", "gap"):
        rows = graph.kind == kind
        right[rows] = probability(kind, cues[rows])
    for event in events:
        if event.parent != NONE:
            right[list(event.daughters)] = event.score
    return right
