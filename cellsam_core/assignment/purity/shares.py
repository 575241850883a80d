"""Shares of a ring: own, a neighbour's and ambient, with standard errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

N_GROUPS = 20
N_HALVINGS = 50
BEYOND = 0.5
"""Part of its range by which an own share may be estimated beyond it."""


class Share(NamedTuple):
    """Own share of the transcripts of a ring, its standard error, and their number."""

    own: float
    error: float
    n: int


def own_share(
    own: Floats, other: Floats, ambient: Floats, share: float, group: npt.NDArray[np.int64]
) -> Share:
    """Estimate the share of transcripts that are the cell's own, by maximum likelihood.

    Each transcript is of the cell, of its neighbour or ambient. The ambient share is given; own
    share and neighbour's share add up to the rest. Where profiles are not quite right, the share
    may be a little below 0 or above the rest; see :func:`calibrated`.

    Parameters
    ----------
    own, other
        ``(n,)`` probability of the transcript's gene in the type of the cell and of the neighbour.
    ambient
        ``(n,)`` probability of the gene in ambient transcripts.
    share
        Ambient share.
    group
        ``(n,)`` group of each transcript from 0: cells, or places, that the standard error is
        estimated from by leaving out one group at a time.
    """
    rest, n = 1.0 - share, len(own)
    if n == 0:
        return Share(float("nan"), float("nan"), 0)
    difference, base = own - other, rest * other + share * ambient
    low, high = _possible(base, difference, rest)
    for _ in range(N_HALVINGS):
        middle = (low + high) / 2
        # The slope of the likelihood falls with the own share.
        slope = float(np.sum(difference / (base + middle * difference)))
        low, high = (middle, high) if slope > 0 else (low, middle)
    found = (low + high) / 2
    score = difference / (base + found * difference)
    slopes = np.bincount(group, score, minlength=N_GROUPS)
    curves = np.bincount(group, score**2, minlength=N_GROUPS)
    left = curves.sum() - curves
    without = found + (slopes.sum() - slopes) / np.where(left > 0, left, np.inf)
    j = len(without)
    error = float(np.sqrt((j - 1) / j * np.sum((without - without.mean()) ** 2)))
    # At the end of the scale, where groups hardly move it, the error by the model holds.
    return Share(found, max(error, min(1.0, float(1 / np.sqrt(max(curves.sum(), 1.0))))), n)


def _possible(base: Floats, difference: Floats, rest: float) -> tuple[float, float]:
    """Range of own shares with which no gene has a probability below 0."""
    ends = -base / np.where(difference != 0, difference, np.inf)
    low = max(-BEYOND * rest, float(ends[difference > 0].max(initial=-np.inf)))
    high = min((1 + BEYOND) * rest, float(ends[difference < 0].min(initial=np.inf)))
    return min(low, 0.0), max(high, rest)


def calibrated(found: Share, control: Share, rest: float) -> Share:
    """Correct an own share for profiles that are too much, or too little, alike.

    Smoothed profiles make shares too extreme, and those with chance errors make them too even. Both
    are seen where the neighbour's transcripts can't be: with a type that is not there in its place.

    Parameters
    ----------
    found
        Own share of a ring; `rest` is one less its ambient share.
    control
        Own share of transcripts that are all own, as a part of theirs and the neighbour's: 1 if
        profiles are right.
    """
    scale = 2 * control.own - 1
    part = (found.own / rest - (1 - control.own)) / scale
    error = np.hypot(found.error, (2 * part - 1) * control.error * rest) / scale
    return Share(float(np.clip(part, 0, 1)) * rest, float(error), found.n)
