"""Pixels of a label image sorted by cell, for statistics of each cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.statistics import MAD_TO_SD

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]
    IntArray = npt.NDArray[np.int64]


class PixelGroups:
    """Pixels of a label image sorted by label, so that statistics of groups are cheap.

    Parameters
    ----------
    labels
        ``(y, x)`` integer, 0 = background.
    ids
        ``(n,)`` sorted labels to keep; each gets one group, which is empty if the label is absent.
    """

    def __init__(self, labels: npt.NDArray[Any], ids: IntArray) -> None:
        flat = labels.ravel()
        pixels = np.flatnonzero(flat)
        group = np.searchsorted(ids, flat[pixels])
        known = group < len(ids)
        known[known] = ids[group[known]] == flat[pixels[known]]
        pixels, group = pixels[known], group[known]
        self.pixels = pixels[np.argsort(group, kind="stable")]
        self.counts = np.bincount(group, minlength=len(ids))
        self._group = np.repeat(np.arange(len(ids)), self.counts)

    def values(self, plane: npt.NDArray[Any]) -> FloatArray:
        """Return the pixel values of `plane` ``(y, x)``, group after group."""
        return np.asarray(plane.ravel()[self.pixels], dtype=np.float64)

    def sum(self, values: FloatArray) -> FloatArray:
        """Return the sum of each group, float64."""
        totals = np.bincount(self._group, weights=values, minlength=len(self.counts))
        return totals.astype(np.float64)

    def mean(self, values: FloatArray) -> FloatArray:
        """Return the mean of each group; NaN for an empty one."""
        with np.errstate(invalid="ignore"):
            return self.sum(values) / self.counts

    def median(self, values: FloatArray) -> FloatArray:
        """Return the median of each group; NaN for an empty one."""
        result = np.full(len(self.counts), np.nan)
        filled = self.counts > 0
        ordered = values[np.lexsort((values, self._group))]
        start = (np.cumsum(self.counts) - self.counts)[filled]
        count = self.counts[filled]
        result[filled] = (ordered[start + (count - 1) // 2] + ordered[start + count // 2]) / 2
        return result

    def robust_sd(self, values: FloatArray) -> FloatArray:
        """Estimate the standard deviation of each group from its median absolute deviation."""
        deviation = np.abs(values - self.median(values)[self._group])
        return MAD_TO_SD * self.median(deviation)
