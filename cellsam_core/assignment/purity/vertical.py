"""Cells one above the other: another type in the upper than in the lower half of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy.sparse import csr_matrix

    Floats = npt.NDArray[np.float64]

BIN_UM = 50.0
"""Side of the squares whose mean z divides upper from lower: tissue is tilted."""
STEPS_PER_UNIT = 1000  # z is added up in whole steps, whose sum no order changes
MIN_IN_HALF = 10
MIN_GAIN_NATS = 3.0
N_SHUFFLES = 20


class MeanHeight:
    """Mean z of the transcripts in squares of an image.

    Parameters
    ----------
    shape_yx
        Height and width of the image in pixels.
    pixel_size_um
        Side of a pixel.
    """

    def __init__(self, shape_yx: tuple[int, int], pixel_size_um: float) -> None:
        self._bin_px = BIN_UM / pixel_size_um
        self._shape = tuple(int(size / self._bin_px) + 1 for size in shape_yx)
        self._sum, self._n = np.zeros((2, self._shape[0] * self._shape[1]), dtype=np.int64)
        self._lowest, self._highest = np.inf, -np.inf

    def add(self, x_px: Floats, y_px: Floats, z: Floats) -> None:
        """Take in the next transcripts."""
        at = self._bin(x_px, y_px)
        np.add.at(self._sum, at, np.rint(z * STEPS_PER_UNIT).astype(np.int64))
        self._n += np.bincount(at, minlength=len(self._n))
        self._lowest = min(self._lowest, float(z.min(initial=np.inf)))
        self._highest = max(self._highest, float(z.max(initial=-np.inf)))

    @property
    def is_known(self) -> bool:
        """True if the transcripts lie in two planes or more."""
        return self._lowest < self._highest

    def is_upper(self, x_px: Floats, y_px: Floats, z: Floats) -> npt.NDArray[np.bool_]:
        """Tell which transcripts are above the mean of their square."""
        mean = self._sum / np.maximum(self._n, 1) / STEPS_PER_UNIT
        return np.asarray(z > mean[self._bin(x_px, y_px)])

    def _bin(self, x_px: Floats, y_px: Floats) -> npt.NDArray[np.int64]:
        row, column = (
            np.clip(((place + 0.5) / self._bin_px).astype(np.int64), 0, size - 1)
            for place, size in zip((y_px, x_px), self._shape, strict=True)
        )
        return np.asarray(row * self._shape[1] + column)


def vertical_overlap(
    counts: csr_matrix, upper: csr_matrix, profiles: Floats, cell_id: npt.NDArray[Any]
) -> npt.NDArray[np.bool_]:
    """Find cells whose upper and lower halves are of different types, beyond chance.

    The halves are compared with halves of the same sizes that are drawn at random from the cell.

    Parameters
    ----------
    counts, upper
        ``(cells, columns)`` transcripts of each column of genes: all, and in the upper half.
    profiles
        ``(types, columns)`` share of each column.
    cell_id
        ``(cells,)`` ids, which the random numbers depend on.

    Returns
    -------
    ndarray
        ``(cells,)``: True for a cell that lies above or below another.
    """
    log = np.log(profiles).T
    all_, above = np.asarray(counts @ log), np.asarray(upper @ log)
    gain = above.max(axis=1) + (all_ - above).max(axis=1) - all_.max(axis=1)
    n, n_upper = (np.asarray(each.sum(axis=1)).ravel() for each in (counts, upper))
    enough = (n_upper >= MIN_IN_HALF) & (n - n_upper >= MIN_IN_HALF)
    found = np.zeros(len(n), dtype=bool)
    for row in np.flatnonzero(enough & (gain > MIN_GAIN_NATS)).tolist():
        span = slice(counts.indptr[row], counts.indptr[row + 1])
        column, each = counts.indices[span], counts.data[span].astype(np.int64)
        rng = np.random.default_rng([7, int(cell_id[row])])
        draws = rng.multivariate_hypergeometric(each, int(n_upper[row]), size=N_SHUFFLES)
        shuffled = draws @ log[column]
        by_chance = shuffled.max(axis=1) + (all_[row] - shuffled).max(axis=1) - all_[row].max()
        found[row] = gain[row] > by_chance.max()
    return found
