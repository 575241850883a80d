"""Figures that compare measurements gene by gene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import NullFormatter

from cellsam_core.reporting.figures.common import ACCENT, WIDTH_IN, new_figure, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cellsam_core.comparison.genes import GeneCorrelation
    from cellsam_core.comparison.samples import SampleComparison

COLUMNS = 3
MAX_PAIRS = 6
"""Largest number of pairs of samples that are drawn gene by gene; more are a heat map."""
SIDE_IN = WIDTH_IN / COLUMNS


@dataclass(frozen=True)
class Pair:
    """Two measurements of the same genes: labels of their axes, and correlation."""

    label_a: str
    label_b: str
    genes: GeneCorrelation


def draw_pair(axes: Axes, pair: Pair) -> None:
    """Draw one dot a gene that both have, on logarithmic axes, with r and rho above."""
    genes = pair.genes
    axes.scatter(genes.common["a"], genes.common["b"], s=10, c=ACCENT, alpha=0.6, lw=0)
    axes.set(xscale="log", yscale="log")
    # Whole decades give each axis at least two labels.
    axes.set(xlim=_decades(genes.common["a"]), ylim=_decades(genes.common["b"]))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=plain(pair.label_a), ylabel=plain(pair.label_b))
    if genes.is_defined:
        axes.set_title(f"r {genes.pearson_r_log10:.3f}, rho {genes.spearman_rho:.3f}")


def _decades(values: pd.Series[float]) -> tuple[float, float]:
    """Return the powers of ten below and above positive values; 1 and 10 without values."""
    if values.empty:
        return 1, 10
    low, high = np.log10([values.min() / 1.1, values.max() * 1.1])
    return float(10 ** np.floor(low)), float(10 ** np.ceil(high))


def figure_pairs(pairs: Sequence[Pair]) -> Figure:
    """Draw pairs, three in a row.

    Parameters
    ----------
    pairs
        At least one.
    """
    n_columns = min(len(pairs), COLUMNS)
    n_rows = -(-len(pairs) // COLUMNS)
    side = SIDE_IN if len(pairs) > 1 else 1.4 * SIDE_IN
    figure = new_figure(n_rows * (side + 0.3), n_columns * side)
    for i, pair in enumerate(pairs):
        draw_pair(figure.add_subplot(n_rows, n_columns, i + 1), pair)
    return figure


def figure_matrix(names: Sequence[str], r: npt.NDArray[np.float64]) -> Figure:
    """Draw a heat map of the correlation of each pair of samples.

    Parameters
    ----------
    names
        Names of the n samples.
    r
        Correlations ``(n, n)``, symmetric; NaN, as on the diagonal, is drawn grey.
    """
    side = float(np.clip(0.45 * len(names) + 1.5, 3.5, 20))
    figure = new_figure(side, side + 1)
    axes = figure.add_subplot()
    axes.set_facecolor("0.85")
    picture = axes.imshow(r, cmap="viridis", vmax=1, interpolation="nearest")
    ticks = range(len(names))
    axes.set_xticks(ticks, [plain(name) for name in names], rotation=90)
    axes.set_yticks(ticks, [plain(name) for name in names])
    low, high = picture.get_clim()
    for i, j in zip(*np.nonzero(np.isfinite(r)), strict=True):
        dark = r[i, j] < (low + high) / 2
        colour = "white" if dark else "black"
        axes.text(j, i, f"{r[i, j]:.2f}", ha="center", va="center", fontsize=7, color=colour)
    figure.colorbar(picture, ax=axes, label="Pearson r of log10 counts", shrink=0.8)
    return figure


def figure_samples(comparison: SampleComparison) -> Figure:
    """Draw samples against each other: gene by gene if they are few, else as a heat map."""
    pairs = comparison.pairs
    if len(pairs) > MAX_PAIRS:
        return figure_matrix(comparison.counts.columns.to_list(), comparison.r_matrix)
    return figure_pairs(
        [Pair(f"transcripts, {a}", f"transcripts, {b}", pairs[a, b]) for a, b in pairs]
    )
