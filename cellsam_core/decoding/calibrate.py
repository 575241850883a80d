"""Error rate of calls from codewords that no gene has: blanks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

POSTERIOR_WITHOUT_BLANKS = 0.95  # as Polaris


def rate_of_counts(
    n_blank_calls: npt.ArrayLike, n_gene_calls: npt.ArrayLike, n_blanks: int, n_genes: int
) -> npt.NDArray[np.float64]:
    """Misidentification rate of numbers of calls.

    ``(blank calls / blanks) / (gene calls / genes)``: a wrong call hits a blank as easily as a
    gene, so each gene has as many wrong calls as each blank (as MERlin). Infinite without a call
    of a gene.
    """
    blank, gene = np.broadcast_arrays(n_blank_calls, n_gene_calls)
    rate = np.full(blank.shape, np.inf)
    np.divide(blank * n_genes, gene * max(n_blanks, 1), out=rate, where=gene > 0)
    return rate


def misidentification_rate(
    is_blank: npt.NDArray[np.bool_], n_blanks: int, n_genes: int
) -> npt.NDArray[np.float64]:
    """Rate among the first 1, 2, ... calls; see :func:`rate_of_counts`.

    Parameters
    ----------
    is_blank
        ``(n,)`` calls, the surest first.
    n_blanks, n_genes
        In the codebook, seen or not.

    Returns
    -------
    ndarray
        ``(n,)``; infinite before the first gene.
    """
    return rate_of_counts(np.cumsum(is_blank), np.cumsum(~is_blank), n_blanks, n_genes)


def threshold_for_rate(
    log_odds: npt.NDArray[np.floating],
    is_blank: npt.NDArray[np.bool_],
    n_blanks: int,
    n_genes: int,
    target: float,
) -> float:
    """Least log odds at which calls keep the misidentification rate asked for.

    Without blanks nothing can be measured and the model's own posterior of 0.95 is the limit.

    Parameters
    ----------
    log_odds, is_blank
        ``(n,)`` of the calls.
    n_blanks, n_genes
        In the codebook.
    target
        Rate asked for.

    Returns
    -------
    float
        Calls of at least this are kept; infinite if none can be.
    """
    if n_blanks == 0:
        return float(np.log(POSTERIOR_WITHOUT_BLANKS / (1 - POSTERIOR_WITHOUT_BLANKS)))
    order = np.argsort(-log_odds, kind="stable")
    sorted_odds = log_odds[order]
    rate = misidentification_rate(is_blank[order], n_blanks, n_genes)
    # Equal odds stand or fall together.
    is_last = np.append(sorted_odds[1:] < sorted_odds[:-1], True)[: len(order)]
    kept = np.flatnonzero((rate <= target) & is_last)
    return float(sorted_odds[kept[-1]]) if len(kept) else float("inf")
