"""Cell types as profiles of genes, learnt on one half of the molecules and judged on the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_matrix

from cellsam_core.assignment.purity.hashing import hashed, uniform

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy.sparse import coo_matrix

    Floats = npt.NDArray[np.float64]

MIN_CORE_TRANSCRIPTS = 10
"""Transcripts in half a core with which a cell takes part in learning types."""
MIN_GENE_TRANSCRIPTS = 20
"""Rarer genes are taken together as one."""
N_TYPES = (3, 4, 6, 8, 12)
WEIGHTS = (30.0, 100.0, 300.0, 1000.0, 3000.0)
"""Transcripts of the overall profile that are added to each type."""
CELLS_PER_TYPE = 5
"""Fewest cells, on average, from which a type is learnt."""
N_STARTS = 3
N_STEPS = 40
N_SEARCHED = 3000  # cells
MIN_POSTERIOR = 0.9


@dataclass(frozen=True)
class Types:
    """Profiles of cell types.

    Attributes
    ----------
    profiles
        ``(types, columns)`` share of each column of genes; rows sum to 1.
    overall
        ``(columns,)`` the same of all cells together.
    share
        ``(types,)`` share of the cells.
    column
        ``(genes,)`` column of each gene: rare genes share the last.
    gain
        Held-out logarithmic likelihood that types add to the overall profile, in nats for each
        transcript, less its standard error over the cells.
    """

    profiles: Floats
    overall: Floats
    share: Floats
    column: npt.NDArray[np.intp]
    gain: float

    def likely(self, counts: csr_matrix) -> npt.NDArray[np.int64]:
        """Type of each cell; -1 where none is probable enough."""
        return self.likely_of(merged(counts, self.column))

    def likely_of(self, counts: csr_matrix) -> npt.NDArray[np.int64]:
        """Type of each cell, from counts of the columns ``(cells, columns)``."""
        posterior = _posterior(counts, self.profiles, self.share)
        is_known = posterior.max(axis=1, initial=0) > MIN_POSTERIOR
        return np.where(is_known, posterior.argmax(axis=1), -1)


def merged(
    counts: csr_matrix, column: npt.NDArray[np.intp], n_columns: int | None = None
) -> csr_matrix:
    """Add up the genes ``(cells, genes)`` that share a column."""
    n = int(column.max(initial=0)) + 1 if n_columns is None else n_columns
    to_columns = csr_matrix(
        (np.ones(len(column)), (np.arange(len(column)), column)), shape=(len(column), n)
    )
    found = csr_matrix(counts.astype(np.float64) @ to_columns)
    found.sort_indices()
    return found


def columns_of(n_transcripts: npt.NDArray[np.int64]) -> npt.NDArray[np.intp]:
    """Give each gene a column of its own, but one to all rare ones together."""
    is_rare = n_transcripts < MIN_GENE_TRANSCRIPTS
    column = np.cumsum(~is_rare) - 1
    return np.where(is_rare, np.count_nonzero(~is_rare), column).astype(np.intp)


def learn_types(learn: csr_matrix, held_out: csr_matrix) -> Types | None:
    """Learn types on one half of the molecules; number and smoothing suit the other half best.

    Parameters
    ----------
    learn, held_out
        ``(cells, genes)`` counts of the two halves.

    Returns
    -------
    Types or None
        None if too few cells have enough transcripts.
    """
    enough = np.asarray(learn.sum(axis=1)).ravel() >= MIN_CORE_TRANSCRIPTS
    if np.count_nonzero(enough) < CELLS_PER_TYPE * min(N_TYPES):
        return None
    column = columns_of(np.asarray(learn.sum(axis=0) + held_out.sum(axis=0)).ravel())
    a, b = (merged(counts[enough], column) for counts in (learn, held_out))
    some = np.argsort(hashed(np.arange(a.shape[0]), 1), kind="stable")[:N_SEARCHED]
    some.sort()
    overall = _overall(a)
    part_a, part_b = a[some], b[some]
    n_held_out = max(float(part_b.sum()), 1.0)
    plain, entries = np.asarray(part_b @ np.log(overall)).ravel(), part_b.tocoo()
    n_each = np.asarray(part_b.sum(axis=1)).ravel()
    best: tuple[float, Floats, Floats, float] | None = None
    spread = np.zeros(len(n_each))
    for n_types in N_TYPES:
        if n_types * CELLS_PER_TYPE > len(some):
            continue
        for start in range(N_STARTS):
            found = _mixture(part_a, overall, n_types, start)
            share, total = _share(found), _totals(part_a, found)
            for weight in WEIGHTS:
                profiles = _smoothed(total, overall, weight)
                each = _held_out(_posterior(part_a, profiles, share), entries, profiles) - plain
                gain = float(each.sum()) / n_held_out
                if best is None or gain > best[0]:
                    best = gain, profiles, share, weight
                    spread = each - gain * n_each
    assert best is not None
    gain, profiles, share, weight = best
    gain -= float(np.sqrt(spread @ spread)) / n_held_out
    posterior = _posterior(a, profiles, share)
    return Types(_profiles(a, posterior, overall, weight), overall, _share(posterior), column, gain)


def _overall(counts: csr_matrix) -> Floats:
    total = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel() + 0.5
    return np.asarray(total / total.sum())


def _share(posterior: Floats) -> Floats:
    share = posterior.sum(axis=0) + 1.0
    return np.asarray(share / share.sum())


def _totals(counts: csr_matrix, posterior: Floats) -> Floats:
    """Count the transcripts ``(types, columns)`` that each type has."""
    return np.asarray(counts.T @ posterior).T


def _smoothed(total: Floats, overall: Floats, weight: float) -> Floats:
    """Return profiles ``(types, columns)``; `weight` transcripts of the overall one are added."""
    total = total + weight * overall
    return np.asarray(total / total.sum(axis=1, keepdims=True))


def _profiles(counts: csr_matrix, posterior: Floats, overall: Floats, weight: float) -> Floats:
    return _smoothed(_totals(counts, posterior), overall, weight)


def _posterior(counts: csr_matrix, profiles: Floats, share: Floats) -> Floats:
    log = np.asarray(counts @ np.log(profiles).T) + np.log(share)
    log -= log.max(axis=1, keepdims=True)
    likely = np.exp(log)
    return np.asarray(likely / likely.sum(axis=1, keepdims=True))


def _mixture(counts: csr_matrix, overall: Floats, n_types: int, start: int) -> Floats:
    """Fit a mixture of multinomials; return the posterior ``(cells, types)``."""
    posterior = _seeds(counts, n_types, start)
    for _ in range(N_STEPS):
        before = posterior
        profiles = _profiles(counts, posterior, overall, WEIGHTS[1])
        posterior = _posterior(counts, profiles, _share(posterior))
        if np.abs(posterior - before).max() < 1e-3:
            break
    return posterior


def _seeds(counts: csr_matrix, n_types: int, start: int) -> Floats:
    """Put each cell to the nearest of some cells that are far from each other (k-means++)."""
    n = counts.shape[0]
    total = np.asarray(counts.sum(axis=1)).ravel()
    roots = counts.sqrt().multiply(1 / np.sqrt(total)[:, None]).tocsr()
    draws = uniform(np.arange(n_types), 100 + start)
    nearest = np.full(n, 2.0)
    closest = np.zeros(n, dtype=np.intp)
    for k in range(n_types):
        weight = np.cumsum(nearest if k else total)
        seed = min(int(np.searchsorted(weight, draws[k] * weight[-1])), n - 1)
        # Square of the distance between square roots of shares (Hellinger).
        distance = np.maximum(2 - 2 * np.asarray((roots @ roots[seed].T).todense()).ravel(), 0)
        closest = np.where(distance < nearest, k, closest)
        nearest = np.minimum(nearest, distance)
    return np.eye(n_types)[closest]


def _held_out(posterior: Floats, held_out: coo_matrix, profiles: Floats) -> Floats:
    """Logarithmic likelihood ``(cells,)`` of the held-out half, given the types of the other."""
    n_each = np.bincount(held_out.row, minlength=held_out.shape[0])  # entries are sorted by row
    likely = np.zeros(len(held_out.data))
    for mine, profile in zip(posterior.T, profiles, strict=True):
        likely += np.repeat(mine, n_each) * profile[held_out.col]
    found = np.bincount(held_out.row, held_out.data * np.log(likely), minlength=len(n_each))
    return np.asarray(found, dtype=np.float64)
