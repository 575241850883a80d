"""How far transcripts can be trusted: owners near borders, wrong calls in cells and of genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cellsam_core.features import BLANK, GENE

if TYPE_CHECKING:
    from collections.abc import Callable

    import scipy.sparse

Points = npt.NDArray[np.float64]

PROBABILITY_POINTS = 32


def owner_probability(
    owner_of: Callable[[Points, Points], npt.NDArray[np.uint32]],
    x: Points,
    y: Points,
    cell_id: npt.NDArray[np.uint32],
    localisation_error: float,
) -> npt.NDArray[np.float32]:
    """Chance that a transcript lies where it was assigned, given how well its place is known.

    The place is taken as normally distributed along each axis about the one measured. The share
    of `PROBABILITY_POINTS` fixed places, spread evenly over that distribution, that have the same
    owner is the chance; at a straight border it is at most 0.08 off.

    Parameters
    ----------
    owner_of
        Owner of each of the points ``(n,)``, 0 for none.
    x, y, cell_id
        ``(n,)`` places and their owners.
    localisation_error
        Standard deviation along an axis, in the unit of `x` and `y`.

    Returns
    -------
    ndarray
        ``(n,)`` from 0 to 1; for a transcript in no cell, the chance that it is in none.
    """
    # A spiral that turns by the golden angle, its radii the quantiles of the distance.
    k = np.arange(PROBABILITY_POINTS)
    radius = localisation_error * np.sqrt(-2 * np.log1p(-(k + 0.5) / PROBABILITY_POINTS))
    angle = k * np.pi * (3 - np.sqrt(5))
    same = np.zeros(len(x), dtype=np.float32)
    for dx, dy in zip(radius * np.cos(angle), radius * np.sin(angle), strict=True):
        same += owner_of(x + dx, y + dy) == cell_id
    return same / np.float32(PROBABILITY_POINTS)


class CellMeans:
    """Mean over the transcripts of each cell, chunk by chunk.

    Parameters
    ----------
    cell_id
        ``(cells,)`` sorted ids; transcripts of other cells are left out.
    """

    def __init__(self, cell_id: npt.NDArray[np.uint32]) -> None:
        self._cell_id = cell_id
        self._n, self._total = np.zeros((2, len(cell_id)))

    def add(self, cell_id: npt.NDArray[np.uint32], value: npt.NDArray[np.float32]) -> None:
        """Take in the cells and the values ``(n,)`` of some transcripts."""
        row = np.searchsorted(self._cell_id, cell_id)
        known = row < len(self._cell_id)
        known[known] = self._cell_id[row[known]] == cell_id[known]
        # Whole multiples of 1/32 add up to the same sum in any order.
        self._total += np.bincount(row[known], value[known], minlength=len(self._n))
        self._n += np.bincount(row[known], minlength=len(self._n))

    @property
    def means(self) -> npt.NDArray[np.float64]:
        """``(cells,)``; NaN for a cell without transcripts."""
        means: npt.NDArray[np.float64] = np.full(len(self._n), np.nan)
        np.divide(self._total, self._n, out=means, where=self._n > 0)
        return means


def expected_false_positives(
    counts: scipy.sparse.csr_matrix,
    feature_type: npt.NDArray[Any],
    area: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Transcripts of genes in each cell that are expected to be wrong, from the blanks in cells.

    ``genes * (blank counts / blanks) * (area / area of all cells)``: a gene has as many wrong
    calls as a blank, and they are spread evenly over the cells' area. As 10x's estimate of false
    positives for a cell (negative control counts for a control and a cell, times the genes), with
    the area of the cell for the average cell. Genes and blanks that were never seen are not known.

    Parameters
    ----------
    counts
        ``(cells, features)``.
    feature_type
        ``(features,)``
    area
        ``(cells,)``, in any unit.

    Returns
    -------
    ndarray
        ``(cells,)``; NaN without blanks.
    """
    is_blank = feature_type == BLANK
    total = float(area.sum())
    if not is_blank.any() or total <= 0:
        return np.full(len(area), np.nan)
    n_genes = np.count_nonzero(feature_type == GENE)
    of_each_gene = float(counts[:, is_blank].sum()) / np.count_nonzero(is_blank)
    return n_genes * of_each_gene * area / total


def expected_false_share(
    n_transcripts: npt.NDArray[np.int64], feature_type: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Share of each feature's transcripts that wrong calls would explain, from the blanks.

    ``min(1, mean count of a blank / count of the feature)``, over all transcripts: MERlin's
    misidentification rate, gene by gene. Averaged over the genes, weighted by their transcripts,
    it is that rate, where none is cut off at 1. Blanks that were never seen are not known.

    Parameters
    ----------
    n_transcripts, feature_type
        ``(features,)``

    Returns
    -------
    ndarray
        ``(features,)`` from 0 to 1; NaN without blanks.
    """
    is_blank = feature_type == BLANK
    if not is_blank.any():
        return np.full(len(n_transcripts), np.nan)
    of_a_blank = n_transcripts[is_blank].mean()
    if of_a_blank == 0:
        return np.zeros(len(n_transcripts))
    share: npt.NDArray[np.float64] = of_a_blank / np.maximum(n_transcripts, of_a_blank)
    return share
