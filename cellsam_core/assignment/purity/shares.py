"""Shares of a ring: own, a neighbour's and ambient, with standard errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

N_GROUPS = 20
N_HALVINGS = 50


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
    share and neighbour's share add up to the rest.

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
    low, high = 0.0, rest
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
    without = np.clip(without, 0, rest)
    j = len(without)
    error = float(np.sqrt((j - 1) / j * np.sum((without - without.mean()) ** 2)))
    # At the end of the scale, where groups hardly move it, the error by the model holds.
    return Share(found, max(error, min(1.0, float(1 / np.sqrt(max(curves.sum(), 1.0))))), n)
