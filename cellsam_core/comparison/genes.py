"""Correlation of gene counts: between a sample and bulk expression, or between two samples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

MIN_GENES = 3
"""Smallest number of common genes for a correlation: two points always lie on a line."""


@dataclass(frozen=True)
class GeneCorrelation:
    """Correlation of two measurements of the same genes.

    Attributes
    ----------
    common
        Genes that are above 0 in both measurements, one row a gene, sorted by name; columns ``a``
        and ``b`` hold the two values.
    n_only_a, n_only_b
        Number of genes above 0 in one measurement and 0 or absent in the other.
    pearson_r_log10
        Pearson correlation of the decadic logarithms of the common genes; NaN for fewer than 3
        genes, or if one measurement is constant.
    spearman_rho
        Spearman rank correlation of the common genes; NaN in the same cases.
    """

    common: pd.DataFrame
    n_only_a: int
    n_only_b: int
    pearson_r_log10: float
    spearman_rho: float

    @property
    def is_defined(self) -> bool:
        """True if there are enough common genes and neither measurement is constant."""
        return not np.isnan(self.pearson_r_log10)


def correlate_genes(a: pd.Series[Any], b: pd.Series[Any]) -> GeneCorrelation:
    """Compare two measurements gene by gene.

    Parameters
    ----------
    a, b
        Value of each gene, 0 or more; the index has each gene once.

    Returns
    -------
    GeneCorrelation
        Common genes and their correlation.
    """
    a, b = a[a > 0], b[b > 0]
    common = a.rename("a").to_frame().join(b.rename("b"), how="inner").sort_index()
    log = np.log10(common.to_numpy(np.float64))
    n = len(common)
    pearson = spearman = float("nan")
    if n >= MIN_GENES and np.ptp(log, axis=0).all():
        # Imported here: reports without a bulk table do not wait for it.
        from scipy.stats import pearsonr, spearmanr

        pearson = float(pearsonr(log[:, 0], log[:, 1]).statistic)
        spearman = float(spearmanr(log[:, 0], log[:, 1]).statistic)
    return GeneCorrelation(common, len(a) - n, len(b) - n, pearson, spearman)


def correlate_samples(
    counts: Mapping[str, pd.Series[Any]],
) -> dict[tuple[str, str], GeneCorrelation]:
    """Compare each pair of samples gene by gene; see :func:`correlate_genes`.

    Parameters
    ----------
    counts
        Name of each sample and the transcripts of each of its genes.

    Returns
    -------
    dict
        Names of the two samples and their correlation, in the order of `counts`.
    """
    return {(a, b): correlate_genes(counts[a], counts[b]) for a, b in combinations(counts, 2)}
