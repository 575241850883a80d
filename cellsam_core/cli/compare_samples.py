"""``cellsam-core compare-samples``: transcripts of each gene, correlated between samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse

    import pandas as pd
    from matplotlib.figure import Figure

    from cellsam_core.comparison.genes import GeneCorrelation

    Pairs = dict[tuple[str, str], GeneCorrelation]

MAX_PAIRS = 6  # drawn gene by gene; more are a heat map


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "samples",
        nargs="+",
        metavar="SAMPLE=H5AD",
        help="name of a sample and its cells.h5ad; two or more",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")


def run(args: argparse.Namespace) -> None:
    import pandas as pd

    from cellsam_core.cli.comparison import write_figure
    from cellsam_core.comparison.genes import correlate_samples
    from cellsam_core.files.atomic import atomic_path

    counts = _read(args.samples)
    pairs = correlate_samples(counts)
    genes = pd.DataFrame(counts).fillna(0).astype("int64").sort_index().rename_axis("gene")
    correlation = _table(pairs)
    for name, table in {"gene_counts": genes, "correlation": correlation}.items():
        with atomic_path(args.output / f"{name}.tsv") as path:
            table.to_csv(path, sep="\t", float_format="%.6g")
    write_figure(args.output / "correlation.png", lambda: _figure(list(counts), pairs))
    print(correlation.to_string(sparsify=False, float_format=lambda value: f"{value:.4g}"))


def _read(arguments: list[str]) -> dict[str, pd.Series[Any]]:
    """Read the transcripts of each gene of each sample."""
    from cellsam_core.assignment.anndata import read_gene_counts
    from cellsam_core.cli.comparison import named_file

    example = "cortex=results/cortex/3_cells/cells.h5ad"
    paths: dict[str, Path] = {}
    for text in arguments:
        sample, path = named_file(text, "SAMPLE=H5AD", example)
        if sample in paths:
            raise InputError(
                "argument SAMPLE=H5AD",
                found=f"the sample {sample} twice",
                expected="a name that no other sample has",
                remedy=f"write e.g. {example}",
            )
        paths[sample] = path
    if len(paths) < 2:
        raise InputError(
            "argument SAMPLE=H5AD",
            found="one sample",
            expected="two or more to compare",
            remedy="name another",
        )
    return {sample: read_gene_counts(path) for sample, path in paths.items()}


def _table(pairs: Pairs) -> pd.DataFrame:
    import pandas as pd

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
        for (a, b), found in pairs.items()
    ]
    return pd.DataFrame(rows).set_index(["sample_a", "sample_b"])


def _figure(samples: list[str], pairs: Pairs) -> Figure:
    import numpy as np

    from cellsam_core.reporting.figures_correlation import Pair, figure_matrix, figure_pairs

    if len(pairs) <= MAX_PAIRS:
        return figure_pairs(
            [Pair(f"transcripts, {a}", f"transcripts, {b}", pairs[a, b]) for a, b in pairs]
        )
    r = np.full((len(samples), len(samples)), np.nan)
    for (a, b), found in pairs.items():
        i, j = samples.index(a), samples.index(b)
        r[i, j] = r[j, i] = found.pearson_r_log10
    return figure_matrix(samples, r)
