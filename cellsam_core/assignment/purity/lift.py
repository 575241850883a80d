"""Exclusivity lift: how often genes that exclude each other in cores meet in grown cells.

Cells are thinned to the same number of transcripts, since co-occurrence rises with depth alone.
Pairs of genes are learnt on one half of the cells and counted on the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import bdtr

from cellsam_core.assignment.purity.hashing import hashed
from cellsam_core.assignment.purity.windows import CORE
from cellsam_core.labels.rows import rows_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from cellsam_core.assignment.purity.molecules import Molecules

    Floats = npt.NDArray[np.float64]
    Positive = npt.NDArray[np.float32]

DEPTH = 20
"""Transcripts to which each cell is thinned."""
MIN_CELLS = 300
MAX_CELLS = 1500
MIN_PAIRS = 20
MIN_POSITIVE = 0.05  # share of the cells that have a gene
MAX_OBSERVED = 0.5  # of what independent genes would give
MAX_P = 0.05
N_SPLITS = 10
ENOUGH_DRAWN = 2.5 * DEPTH  # transcripts of a core, of which hardly ever fewer than DEPTH are left
KEY_BITS = 40


class Lift(NamedTuple):
    """Exclusivity lift of cells that grow to the end of each zone.

    Attributes
    ----------
    lift, spread
        ``(zones,)`` mean and standard deviation over divisions of the cells: 0 if pairs of genes
        exclude each other, 1 if they are independent.
    n_pairs, n_cells
        Median number of pairs, and number of cells.
    """

    lift: Floats
    spread: Floats
    n_pairs: int
    n_cells: int


def exclusivity_lift(molecules: Molecules, n_zones: int) -> Lift:
    """Measure the lift; it is NaN where there are too few cells or pairs.

    Parameters
    ----------
    molecules
        Transcripts in the zones.
    n_zones
        Number of zones.
    """
    unknown = np.full(n_zones, np.nan)
    cells, n_in_core = np.unique(molecules.nearest[molecules.zone == CORE], return_counts=True)
    cells = cells[n_in_core >= DEPTH]
    if len(cells) < MIN_CELLS:
        return Lift(unknown, unknown, 0, len(cells))
    if len(cells) > MAX_CELLS:
        cells = np.sort(cells[np.argsort(hashed(cells, 6), kind="stable")[:MAX_CELLS]])
    row = rows_of(molecules.nearest, cells)
    here = np.flatnonzero((row >= 0) & (molecules.zone < n_zones))
    thinned = _Thinned(row[here], molecules.gene[here], molecules.zone[here], here)
    found, n_pairs = [], []
    for split in range(N_SPLITS):
        side = (hashed(cells, 200 + split) >> np.uint64(63)).astype(bool)
        core = thinned.positive([CORE], 2 * split)[0]
        grown = thinned.positive(list(range(n_zones)), 2 * split + 1)
        for learn in (side, ~side):
            first, second = _pairs(core[learn])
            n_pairs.append(len(first))
            found.append([_lift(each[~learn], first, second) for each in grown])
    median = int(np.median(n_pairs))
    if median < MIN_PAIRS:
        return Lift(unknown, unknown, median, len(cells))
    return Lift(np.nanmean(found, axis=0), np.nanstd(found, axis=0), median, len(cells))


class _Thinned:
    """Transcripts of cells, of which the same number is drawn from each cell."""

    def __init__(
        self,
        row: npt.NDArray[np.integer[Any]],
        gene: npt.NDArray[np.int32],
        zone: npt.NDArray[np.uint8],
        number: npt.NDArray[np.intp],
    ) -> None:
        self._row, self._zone, self._number = row, zone, number
        in_core = zone == CORE
        n_cells = int(row.max(initial=0)) + 1
        n_in_core = np.bincount(row[in_core], minlength=n_cells)
        # Below this key, a core is sure to have enough transcripts to draw; see `positive`.
        self._limit = np.where(n_in_core > 0, ENOUGH_DRAWN / np.maximum(n_in_core, 1), 1.0)
        # A gene in fewer cells can't be positive in enough of them after thinning.
        pairs = np.unique(row[in_core].astype(np.int64) << 32 | gene[in_core].astype(np.int64))
        cells_with = np.bincount(pairs & 0xFFFFFFFF, minlength=int(gene.max(initial=0)) + 1)
        kept = np.flatnonzero(cells_with >= MIN_POSITIVE * n_cells)
        column = np.full(len(cells_with), -1)
        column[kept] = np.arange(len(kept))
        self._column, self._shape = column[gene], (n_cells, len(kept))

    def positive(self, last_zones: list[int], salt: int) -> list[Positive]:
        """Mark the genes ``(cells, genes)`` among transcripts drawn up to each of some zones."""
        order = self._in_order(max(last_zones), salt)
        found = []
        for last_zone in last_zones:
            kept = order[self._zone[order] <= last_zone]
            row = self._row[kept]
            starts = np.searchsorted(row, np.arange(self._shape[0]))
            drawn = kept[np.arange(len(row)) - starts[row] < DEPTH]
            drawn = drawn[self._column[drawn] >= 0]
            marks = np.zeros(self._shape, dtype=np.float32)
            marks[self._row[drawn], self._column[drawn]] = 1
            found.append(marks)
        return found

    def _in_order(self, last_zone: int, salt: int) -> npt.NDArray[np.intp]:
        """Sort transcripts by cell and random key; leave out those that can't be drawn.

        The transcripts with the lowest keys are drawn. Where a core alone has enough of them below
        a limit, none above it is drawn, whatever the last zone.
        """
        within = np.flatnonzero(self._zone <= last_zone)
        key = hashed(self._number[within], 300 + salt) >> np.uint64(64 - KEY_BITS)
        row = self._row[within]
        limit = (self._limit * 2**KEY_BITS)[row]
        is_low = key < limit
        in_core = is_low & (self._zone[within] == CORE)
        n_low = np.bincount(row[in_core], minlength=self._shape[0])
        kept = np.flatnonzero(is_low | (n_low < DEPTH)[row])
        of_cell = row[kept].astype(np.uint64) << np.uint64(KEY_BITS)
        return np.asarray(within[kept[np.argsort(of_cell | key[kept], kind="stable")]])


def _pairs(positive: Positive) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Find the pairs of genes that meet less often than independent ones, and not by chance."""
    n, n_with = len(positive), positive.sum(axis=0)
    met = positive.T @ positive
    expected = np.outer(n_with, n_with) / max(n, 1)
    often = n_with >= MIN_POSITIVE * n
    first, second = np.nonzero(np.triu(met <= MAX_OBSERVED * expected, 1) & np.outer(often, often))
    # Cells that have one gene are drawn from those that have the other.
    drawn = n_with[first].astype(np.int64)
    by_chance = bdtr(met[first, second], drawn, n_with[second] / max(n, 1))
    return first[by_chance < MAX_P], second[by_chance < MAX_P]


def _lift(positive: Positive, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> float:
    """Compare how often pairs meet with how often they would if they were independent."""
    share = positive.mean(axis=0, dtype=np.float64)
    expected = len(positive) * float(share[first] @ share[second])
    met = float((positive[:, first] * positive[:, second]).sum())
    return met / expected if expected > 0 else float("nan")
