"""Genes imaged alone, one bit each (smFISH): spots of their own image, told from its noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from cellsam_core.decoding.mixture import MIN_SD, compress
from cellsam_core.decoding.spots import find_peaks, refine

if TYPE_CHECKING:
    Image = npt.NDArray[np.float32]
    Floats = npt.NDArray[np.float64]

MIN_PEAK = 2.0  # noise levels: below are the peaks of plain noise
MIN_SPOT = 5.0  # and from here on may be spots
ITERATIONS = 30


class Singles(NamedTuple):
    """Spots of one image.

    Attributes
    ----------
    y_px, x_px
        float64 ``(n,)``.
    log_odds
        float32 ``(n,)``: that it is a spot, against noise.
    """

    y_px: Floats
    x_px: Floats
    log_odds: npt.NDArray[np.float32]


def find_singles(image: Image) -> Singles:
    """Find the spots of an image.

    The heights of all its peaks, on the scale of the mixture model, are taken as drawn from two
    normal distributions: noise and spots. No blank can measure how often that is wrong.

    Parameters
    ----------
    image
        ``(y, x)`` band-passed, in noise levels.
    """
    row, column = find_peaks(image, MIN_PEAK)
    heights = image[row, column]
    is_spot = heights >= MIN_SPOT
    odds = _log_odds(
        compress(heights).astype(np.float64), float(compress(np.array(MIN_SPOT, np.float32)))
    )
    y, x = refine(image, row[is_spot], column[is_spot])
    return Singles(y, x, odds[is_spot].astype(np.float32))


def _log_odds(heights: Floats, least: float) -> Floats:
    """Log odds of the upper of two normal distributions, which never fall with the height."""
    spots = heights[heights >= least]
    if not len(spots):
        return np.full(len(heights), -np.inf)
    rest = heights[heights < least]
    # Where noise was left out beforehand, it is taken as it would be.
    dark = float(rest.mean()) if len(rest) else float(compress(np.array(MIN_PEAK, np.float32)))
    mean, sd = np.array([dark, float(np.median(spots))]), np.array([0.3, 0.3])
    share = np.array([max(len(rest), 1), len(spots)]) / (max(len(rest), 1) + len(spots))
    for _ in range(ITERATIONS):
        weight = _posterior(heights, mean, sd, share)
        total = weight.sum(axis=1) + 1e-9
        if (total < 1).any():
            break
        mean = (weight * heights).sum(axis=1) / total
        variance = (weight * (heights - mean[:, None]) ** 2).sum(axis=1) / total
        sd = np.maximum(np.sqrt(variance), MIN_SD)
        share = total / total.sum()
    # Above the typical spot nothing is less likely one.
    at = np.minimum(heights, mean[1])
    density = _densities(at, mean, sd, share)
    return np.where(at < mean[0], -np.inf, density[1] - density[0])


def _densities(heights: Floats, mean: Floats, sd: Floats, share: Floats) -> Floats:
    z = (heights - mean[:, None]) / sd[:, None]
    log_density: Floats = np.log(share / sd)[:, None] - 0.5 * z**2
    return log_density


def _posterior(heights: Floats, mean: Floats, sd: Floats, share: Floats) -> Floats:
    log_density = _densities(heights, mean, sd, share)
    density = np.exp(log_density - log_density.max(axis=0))
    weight: Floats = density / density.sum(axis=0)
    return weight
