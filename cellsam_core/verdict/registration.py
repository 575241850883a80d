"""Registration of transcripts to cells: density in cells for every shift of the transcripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Map = NDArray[np.float64]

BINS_PER_DIAMETER = 8
REACH_DIAMETERS = 3
CLEAR_SIGMA = 4.0
"""Height of a peak over the other shifts, in their standard deviations, that is no chance."""


@dataclass(frozen=True)
class Registration:
    """Fit of transcripts to cells.

    Attributes
    ----------
    contrast
        Share of the transcripts in cells, over its mean with the transcripts shifted by more
        than a cell; 1 where they have nothing to do with each other.
    sigma
        The same difference in standard deviations of the shifts.
    density_ratio
        Transcripts per area in cells over those between cells: the odds to lie in a cell, over the
        same with the transcripts shifted.
    offset_yx
        Shift in bins of the transcripts against the cells: minus the shift at which most of them
        lie in cells.
    is_clear
        True where this shift stands out from the others.
    """

    contrast: float
    sigma: float
    density_ratio: float
    offset_yx: tuple[float, float]
    is_clear: bool


def register(cells: Sequence[Map], transcripts: Sequence[Map], reach: int) -> Registration | None:
    """Compare maps of cells and of transcripts at all shifts up to `reach` bins.

    Parameters
    ----------
    cells
        Share of each bin that cells cover, ``(y, x)``, one map a window of the image.
    transcripts
        Transcripts in each bin of the same windows.
    reach
        Largest shift in bins; it must be more than one cell diameter.

    Returns
    -------
    Registration or None
        None where a map is empty or even.
    """
    size = 2 * reach + 1
    inside, covered = np.zeros((size, size)), np.zeros((size, size))
    for cover, counts in zip(cells, transcripts, strict=True):
        inside += _correlate(counts, cover, reach)
        covered += _correlate(counts, np.ones_like(cover), reach)
    if covered.min() <= 0 or inside.max() <= 0:
        return None
    share = inside / covered
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    away = np.hypot(y, x) > BINS_PER_DIAMETER
    mean, spread = float(share[away].mean()), float(share[away].std())
    if mean <= 0 or spread <= 0:
        return None
    peak = np.unravel_index(int(np.argmax(share)), share.shape)
    at_rest = float(share[reach, reach])
    return Registration(
        contrast=at_rest / mean,
        sigma=(at_rest - mean) / spread,
        density_ratio=at_rest * (1 - mean) / max(mean * (1 - at_rest), 1e-9),
        offset_yx=(float(reach - peak[0]), float(reach - peak[1])),
        is_clear=bool((share[peak] - mean) / spread > CLEAR_SIGMA),
    )


def _correlate(counts: Map, cover: Map, reach: int) -> Map:
    """Sum ``counts[i] * cover[i + shift]`` for all shifts up to `reach` along both axes."""
    shape = tuple(n + 2 * reach for n in cover.shape)
    product = np.fft.rfft2(cover, shape) * np.conj(np.fft.rfft2(counts, shape))
    full = np.fft.irfft2(product, shape)
    rows = np.r_[-reach : reach + 1]
    return np.asarray(full[np.ix_(rows, rows)])


def bin_means(plane: Map, bin_px: int) -> Map:
    """Return the means over squares of `bin_px` pixels; an incomplete rim is left out."""
    height, width = (side // bin_px for side in plane.shape)
    cut = plane[: height * bin_px, : width * bin_px]
    return np.asarray(cut.reshape(height, bin_px, width, bin_px).mean(axis=(1, 3)))
