"""Do two measurements agree on which genes are frequent: a sample and bulk, or two samples."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.stats

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

MIN_GENES = 3  # two points are always on a line


@dataclass(frozen=True)
class GeneCorrelation:
    """Two measurements of the same genes.

    Attributes
    ----------
    common
        One row a gene that both have above 0, sorted by name: columns ``a`` and ``b``.
    n_only_a, n_only_b
        Genes above 0 in one of them, and 0 or not there in the other.
    pearson_r_log10
        Of the decadic logarithms; NaN for fewer than 3 genes, or where one side is constant.
    spearman_rho
        Of the ranks; NaN likewise.
    """

    common: pd.DataFrame
    n_only_a: int
    n_only_b: int
    pearson_r_log10: float
    spearman_rho: float

    @property
    def is_defined(self) -> bool:
        """Whether there are enough genes, and differences between them."""
        return not np.isnan(self.pearson_r_log10)


def correlate_genes(a: pd.Series[Any], b: pd.Series[Any]) -> GeneCorrelation:
    """Compare two measurements gene by gene.

    Parameters
    ----------
    a, b
        Number of 0 or more of each gene; the index has each gene once.
    """
    a, b = a[a > 0], b[b > 0]
    common = a.rename("a").to_frame().join(b.rename("b"), how="inner").sort_index()
    log = np.log10(common.to_numpy(np.float64))
    n = len(common)
    pearson = spearman = float("nan")
    if n >= MIN_GENES and np.ptp(log, axis=0).all():
        pearson = float(scipy.stats.pearsonr(log[:, 0], log[:, 1]).statistic)
        spearman = float(scipy.stats.spearmanr(log[:, 0], log[:, 1]).statistic)
    return GeneCorrelation(common, len(a) - n, len(b) - n, pearson, spearman)


def correlate_samples(
    counts: Mapping[str, pd.Series[Any]],
) -> dict[tuple[str, str], GeneCorrelation]:
    """Compare each pair of samples, in their order; see :func:`correlate_genes`."""
    return {(a, b): correlate_genes(counts[a], counts[b]) for a, b in combinations(counts, 2)}
