"""Transcripts of each gene, correlated between samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellsam_core.assignment.anndata import gene_counts, read_gene_counts
from cellsam_core.comparison.genes import correlate_samples
from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData

    from cellsam_core.comparison.genes import GeneCorrelation


@dataclass(frozen=True)
class SampleComparison:
    """Result of :func:`compare_samples`.

    Attributes
    ----------
    counts
        Transcripts of each gene (row) in each sample (column), int64; genes sorted by name.
    pairs
        Comparison of each two samples, gene by gene.
    """

    counts: pd.DataFrame
    pairs: dict[tuple[str, str], GeneCorrelation]

    @property
    def correlation(self) -> pd.DataFrame:
        """One row a pair of samples: numbers of genes, Pearson's r of log10 and Spearman's rho."""
        rows = [
            {
                "sample_a": a,
                "sample_b": b,
                "n_genes": len(found.common),
                "n_genes_only_a": found.n_only_a,
                "n_genes_only_b": found.n_only_b,
                "pearson_r_log10": found.pearson_r_log10,
                "spearman_rho": found.spearman_rho,
            }
            for (a, b), found in self.pairs.items()
        ]
        return pd.DataFrame(rows).set_index(["sample_a", "sample_b"])

    @property
    def r_matrix(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Pearson's r of each two samples, ``(samples, samples)``; NaN on the diagonal."""
        samples = self.counts.columns.to_list()
        r = np.full((len(samples), len(samples)), np.nan)
        for (a, b), found in self.pairs.items():
            i, j = samples.index(a), samples.index(b)
            r[i, j] = r[j, i] = found.pearson_r_log10
        return r

    def write(self, folder: str | Path) -> None:
        """Write ``gene_counts.tsv`` and ``correlation.tsv``.

        Parameters
        ----------
        folder
            Folder to write to.
        """
        for name, table in {"gene_counts": self.counts, "correlation": self.correlation}.items():
            with atomic_path(Path(folder) / f"{name}.tsv") as path:
                table.to_csv(path, sep="\t", float_format="%.6g")


def compare_samples(
    samples: Mapping[str, AnnData | str | Path] | Sequence[AnnData],
) -> SampleComparison:
    """Correlate the transcripts of each gene between tissues, such as replicates.

    Parameters
    ----------
    samples
        Name of each sample and its cells, as :func:`cellsam_core.assign` returns them or as the
        path of its ``cells.h5ad``. Or a list of such tables, named by their cells' names.

    Returns
    -------
    SampleComparison
        Counts of each gene, and their correlation between each two samples.

    Raises
    ------
    InputError
        There are fewer than two samples, two have one name, or a table can't be used.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> import cellsam_core as cc
    >>> from cellsam_core.comparison.samples import compare_samples
    >>> labels = np.ones((10, 10), dtype=np.uint32)
    >>> first = pd.DataFrame({"gene": list("AABCCCC"), "x_px": 5.0, "y_px": 5.0})
    >>> second = pd.DataFrame({"gene": list("AAAABBCCCCCCCC"), "x_px": 5.0, "y_px": 5.0})
    >>> found = compare_samples(
    ...     {
    ...         "day_1": cc.assign(first, labels, pixel_size_um=1.0),
    ...         "day_2": cc.assign(second, labels, pixel_size_um=1.0),
    ...     }
    ... )
    >>> found.counts["day_2"].to_dict()
    {'A': 4, 'B': 2, 'C': 8}
    >>> found.correlation["spearman_rho"].round(3).tolist()
    [1.0]
    """
    named = samples if isinstance(samples, Mapping) else _by_name(samples)
    if len(named) < 2:
        raise InputError(
            "samples",
            found="one sample" if named else "no sample",
            expected="two or more to compare",
            remedy="name another sample",
        )
    counts = {
        name: read_gene_counts(table) if isinstance(table, str | Path) else gene_counts(name, table)
        for name, table in named.items()
    }
    genes = pd.DataFrame(counts).fillna(0).astype("int64").sort_index().rename_axis("gene")
    return SampleComparison(genes, correlate_samples(counts))


def _by_name(tables: Sequence[AnnData]) -> dict[str, AnnData]:
    """Name tables by what stands before the numbers of their cells."""
    named: dict[str, AnnData] = {}
    for number, table in enumerate(tables, start=1):
        if not hasattr(table, "obs_names"):
            raise InputError(
                "samples",
                found=f"an object of type {type(table).__name__} in a list",
                expected="tables of `cellsam_core.assign` in a list, or paths with names",
                remedy="give each sample its name, as {name: path}",
            )
        name = table.obs_names[0].rpartition("_")[0] if table.n_obs else f"sample {number}"
        if name in named:
            raise InputError(
                "samples",
                found=f"the sample {name} twice",
                expected="a name that no other sample has",
                remedy="give each table its name, as {name: table}",
            )
        named[name] = table
    return named
