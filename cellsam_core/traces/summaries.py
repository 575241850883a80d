"""Summaries of reporter traces: the response of each cell, and the mean of a condition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from cellsam_core.statistics import MAD_TO_SD

if TYPE_CHECKING:
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float64]

N_SD = 3.0
MIN_RESPONSE = 0.02
"""Smallest deviation of R/R0 from 1 that counts as a response; drift can cause smaller ones."""


def mean_and_ci(matrix: FloatArray) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Return mean over rows, half-width of its 95 % confidence interval (Student's t), and n.

    The half-width is NaN where fewer than two rows have a value, the mean where no row has one.
    """
    curve = condition_curve(matrix)
    return curve["mean"].to_numpy(), curve["ci95"].to_numpy(), curve["n"].to_numpy()


def condition_curve(matrix: FloatArray) -> pd.DataFrame:
    """Average cells frame by frame.

    Parameters
    ----------
    matrix
        ``(n_cells, n_frames)`` R/R0, NaN where there is no valid value.

    Returns
    -------
    DataFrame
        frame, n (cells), mean, sd, sem, ci95 (half-width, Student's t).
    """
    n = np.isfinite(matrix).sum(axis=0)
    nan = np.full(matrix.shape[1], np.nan)
    mean = np.divide(np.nansum(matrix, axis=0), n, out=nan.copy(), where=n > 0)
    squares = np.nansum((matrix - mean) ** 2, axis=0)
    sd = np.sqrt(np.divide(squares, n - 1, out=nan.copy(), where=n > 1))
    sem = sd / np.sqrt(np.maximum(n, 1))
    # As scipy.stats.t.ppf, whose import takes a third of the time of a small movie.
    half_width = stdtrit(np.maximum(n - 1, 1), 0.975) * sem
    frame = np.arange(matrix.shape[1])
    columns = {"frame": frame, "n": n, "mean": mean, "sd": sd, "sem": sem, "ci95": half_width}
    return pd.DataFrame(columns)


def resample(matrix: FloatArray, positions: FloatArray) -> FloatArray:
    """Interpolate cells linearly between frames.

    Parameters
    ----------
    matrix
        ``(n_cells, n_frames)``, NaN where there is no valid value.
    positions
        ``(n_times,)`` positions in frames. Less than a thousandth of a frame from a whole number
        counts as that frame.

    Returns
    -------
    ndarray, (n_cells, n_times)
        Interpolated values; NaN outside the movie, and where one of the two neighbouring frames
        has no valid value.
    """
    nearest = np.rint(positions)
    exact = np.abs(positions - nearest) < 1e-3
    before = np.where(exact, nearest, np.floor(positions)).astype(np.int64)
    after = np.where(exact, before, before + 1)
    share = np.where(exact, 0.0, positions - before)
    n_frames = matrix.shape[1]
    inside = (before >= 0) & (after < n_frames)
    result = np.full((len(matrix), len(positions)), np.nan)
    before, after, share = before[inside], after[inside], share[inside]
    result[:, inside] = (1 - share) * matrix[:, before] + share * matrix[:, after]
    return result


def summarise_tracks(
    matrix: pd.DataFrame, times: FloatArray, drug_time: float, unit: str
) -> pd.DataFrame:
    """Summarise the response of every cell to the drug.

    Parameters
    ----------
    matrix
        R/R0, one row per track (index: its id) and one column per frame; NaN where there is none.
    times
        ``(n_frames,)`` times of the frames, ascending, in `unit`.
    drug_time
        Time at which the drug was added, in `unit`; later frames show the response.
    unit
        Unit of the times, which is the suffix of column names.

    Returns
    -------
    DataFrame
        Index track_id; n_valid (number of valid frames); peak (the R/R0 furthest from 1 after the
        drug); and, counted from the drug, peak_time, half_time (time at which half of the peak is
        reached, interpolated linearly between frames) and response_time (the first of two
        consecutive frames, on the peak's side, that deviate from 1 by more than 3 standard
        deviations of the values of all cells before the drug, and by more than 0.02); auc, the
        trapezoidal area of R/R0 - 1. Values are NaN where fewer than two frames are valid after
        the drug. half_time and response_time are also NaN for cells without a frame before the
        drug, such as late daughters, and response_time where there is no response.
    """
    values = matrix.to_numpy()
    before = values[:, times < drug_time] - 1
    spread = MAD_TO_SD * np.nanmedian(np.abs(before)) if np.isfinite(before).any() else 0.0
    threshold = max(N_SD * float(spread), MIN_RESPONSE)
    rows = [_summarise(row, times - drug_time, threshold) for row in values]
    timed = [f"{name}_{unit}" for name in ("peak_time", "half_time", "response_time", "auc")]
    table = pd.DataFrame(rows, columns=["peak", *timed], index=matrix.index, dtype="float64")
    table.insert(0, "n_valid", np.isfinite(values).sum(axis=1))
    return table


def condition_summary(tracks: pd.DataFrame) -> pd.DataFrame:
    """Average each column of :func:`summarise_tracks` over cells.

    Parameters
    ----------
    tracks
        Responses, one row per track.

    Returns
    -------
    DataFrame
        quantity, n_cells (number of cells with a value), mean, ci95 (half-width of the 95 %
        confidence interval, Student's t).
    """
    mean, half_width, n = mean_and_ci(tracks.to_numpy(np.float64))
    columns = {"quantity": tracks.columns, "n_cells": n, "mean": mean, "ci95": half_width}
    return pd.DataFrame(columns)


def _summarise(row: FloatArray, times: FloatArray, threshold: float) -> tuple[float, ...]:
    """Return peak, peak time, half time, response time and area; `times` start at the drug."""
    valid = np.isfinite(row)
    deviation, times = row[valid] - 1, times[valid]
    first = int(np.searchsorted(times, 0))
    if len(times) - first < 2:
        return (np.nan,) * 5
    after, since = deviation[first:], times[first:]
    k = int(np.argmax(np.abs(after)))
    rising = deviation * (np.sign(after[k]) or 1.0)
    beyond = rising[first:] > threshold
    sustained = np.flatnonzero(beyond[:-1] & beyond[1:])
    half_time = response_time = np.nan
    if first > 0:
        # What is reached between the last frame before the drug and the first after it is at 0.
        half_time = max(0.0, _crossing(rising, times, first, level=abs(after[k]) / 2))
        response_time = since[sustained[0]] if len(sustained) else np.nan
    auc = float(np.trapezoid(after, since))
    return 1 + after[k], since[k], half_time, response_time, auc


def _crossing(values: FloatArray, times: FloatArray, first: int, level: float) -> float:
    """Return the time at which a level is reached from frame `first` (at least 1) on.

    It is interpolated linearly between frames.
    """
    k = first + int(np.argmax(values[first:] >= level))
    if values[k - 1] >= level:
        return float(times[k])
    share = (level - values[k - 1]) / (values[k] - values[k - 1])
    return float(times[k - 1] + share * (times[k] - times[k - 1]))
