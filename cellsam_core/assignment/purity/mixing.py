"""Share of a second cell type among the transcripts of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy.sparse import csr_matrix

    Floats = npt.NDArray[np.float64]

MIN_TRANSCRIPTS = 20
MIN_GAIN_NATS = 5.0
"""Least logarithmic likelihood that a second type must add; a smaller one is chance."""
N_STEPS = 25
ROWS = 2000  # cells at a time


def second_type_share(counts: csr_matrix, profiles: Floats) -> Floats:
    """Estimate which share of the transcripts of each cell is of a second type.

    Parameters
    ----------
    counts
        ``(cells, columns)`` transcripts of each column of genes.
    profiles
        ``(types, columns)`` share of each column.

    Returns
    -------
    ndarray
        ``(cells,)`` from 0 to 0.5; 0 where one type explains the cell, NaN for cells with too few
        transcripts.
    """
    parts = [
        _of_cells(counts[start : start + ROWS], profiles)
        for start in range(0, counts.shape[0], ROWS)
    ]
    return np.concatenate([*parts, np.empty(0)])


def _of_cells(counts: csr_matrix, profiles: Floats) -> Floats:
    cells = counts.tocoo()
    n, total = counts.shape[0], np.asarray(counts.sum(axis=1)).ravel()
    likely = profiles.T[cells.col]
    single = np.asarray(counts @ np.log(profiles).T)
    weights = np.full((n, len(profiles)), 1 / len(profiles))
    for keep in (len(profiles), 2):
        if keep < len(profiles):
            cut = np.sort(weights, axis=1)[:, -keep]
            weights = np.where(weights >= cut[:, None], weights, 0)
            weights /= weights.sum(axis=1, keepdims=True)
        for _ in range(N_STEPS):
            joint = weights[cells.row] * likely
            joint *= (cells.data / joint.sum(axis=1))[:, None]
            sums = [np.bincount(cells.row, column, minlength=n) for column in joint.T]
            weights = np.stack(sums, axis=1) / np.maximum(total, 1)[:, None]
            weights = np.where(total[:, None] > 0, weights, 1 / len(profiles))
    mixed = cells.data * np.log((weights[cells.row] * likely).sum(axis=1))
    gain = np.bincount(cells.row, mixed, minlength=n) - single.max(axis=1)
    second = np.sort(weights, axis=1)[:, -2]
    share = np.where(gain >= MIN_GAIN_NATS, np.minimum(second, 0.5), 0.0)
    return np.asarray(np.where(total >= MIN_TRANSCRIPTS, share, np.nan))
