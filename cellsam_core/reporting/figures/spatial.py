"""Figures of a tissue: transcripts over outlines, cell maps, densities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import LogNorm, to_rgba

from cellsam_core.reporting.figures.common import WIDTH_IN, new_figure, plain, show_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cellsam_core.reporting.pictures.images import Rgb, Window
    from cellsam_core.reporting.units import Units

    FloatArray = npt.NDArray[np.float64]

# They differ for every kind of colour vision; none is the amber of the outlines. Each gene has a
# marker of its own, too.
GENE_COLOURS = ("#56b4e9", "#ff8ad8", "#2ecc9b", "#f0e442", "#ff6a2a", "#b8a6ff", "#d0f7ff")
GENE_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
NO_COUNT_COLOUR = "0.8"


@dataclass(frozen=True)
class Spots:
    """Transcripts to draw.

    Attributes
    ----------
    xy_px
        ``(n, 2)`` float64, x and y in image pixels.
    gene
        Name of the gene of each transcript, ``(n,)``.
    """

    xy_px: FloatArray
    gene: npt.NDArray[np.object_]


@dataclass(frozen=True)
class Panel:
    """Micrograph with transcripts: title, picture, window that it shows, transcripts."""

    title: str
    rgb: Rgb
    window: Window
    spots: Spots


def frequent_genes(spots: Spots) -> list[str]:
    """Return the names of the most frequent genes, as many as there are colours, in order."""
    names, counts = np.unique(spots.gene.astype(str), return_counts=True)
    top = names[np.argsort(-counts, kind="stable")][: len(GENE_COLOURS)]
    return [str(name) for name in top]


def draw_panel(axes: Axes, panel: Panel, genes: Sequence[str], units: Units) -> None:
    """Draw transcripts over a micrograph: `genes` in colour, the others white."""
    window, spots = panel.window, panel.spots
    show_window(axes, panel.rgb, window, units)
    axes.set_title(panel.title)
    side = window.x1 - window.x0
    size = 9.0 if side < 300 else 3.0 if side < 1500 else 0.6
    xy = spots.xy_px * units.per_px
    names = spots.gene.astype(str)
    others = ~np.isin(names, genes)
    axes.scatter(xy[others, 0], xy[others, 1], s=size, c="white", alpha=0.6, lw=0)
    for gene, colour, mark in zip(genes, GENE_COLOURS, GENE_MARKERS, strict=False):
        x, y = xy[names == gene].T
        axes.scatter(x, y, s=size, color=colour, marker=mark, lw=0, label=plain(gene))
    if genes:
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            markerscale=5 / size**0.5,
            handletextpad=0.2,
            labelcolor="white",
            facecolor="0.15",
            frameon=True,
        )
    left, right, bottom, top = (edge * units.per_px for edge in window.extent)
    axes.set(xlim=(left, right), ylim=(bottom, top))


def figure_zooms(panels: Sequence[Panel], units: Units) -> Figure:
    """Draw panels one below the other; a gene has the same colour in all.

    Parameters
    ----------
    panels
        At least one; the genes in colour are the most frequent ones of the first.
    """
    heights = [
        float(np.clip(0.75 * WIDTH_IN * (w.y1 - w.y0) / (w.x1 - w.x0), 2.0, 6.5))
        for w in (panel.window for panel in panels)
    ]
    genes = frequent_genes(panels[0].spots)
    figure = new_figure(sum(heights) + 0.5 * len(panels))
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for axes, panel in zip(grid[:, 0], panels, strict=True):
        draw_panel(axes, panel, genes, units)
    return figure


def draw_cell_map(
    axes: Axes,
    shapes: FloatArray | Sequence[FloatArray],
    counts: npt.NDArray[np.int64],
    label: str,
    units: Units,
) -> None:
    """Draw cells coloured by `counts` on a logarithmic scale, 0 grey; y points down.

    Parameters
    ----------
    shapes
        Either centroids ``(n, 2)``, drawn as dots, or n outlines ``(m, 2)``, drawn filled; x and
        y in the unit of length of `units`.
    counts
        Counts of the cells, ``(n,)``.
    label
        Label of the colour bar.
    """
    seen = counts[counts > 0]
    norm = LogNorm(int(seen.min()) if len(seen) else 1, max(int(counts.max(initial=0)), 2))
    filling = ScalarMappable(norm, "viridis")
    colours = filling.to_rgba(np.maximum(counts, 1))
    colours[counts == 0] = to_rgba(NO_COUNT_COLOUR)
    if isinstance(shapes, np.ndarray):
        size = float(np.clip(30_000 / max(len(shapes), 1), 0.5, 30))
        axes.scatter(shapes[:, 0], shapes[:, 1], s=size, c=colours, lw=0)
    else:
        cells = PolyCollection(shapes, facecolors=colours, edgecolors="white", linewidths=0.3)
        axes.add_collection(cells)
        axes.margins(0.02)
        axes.autoscale_view()
    if len(seen):
        bar = axes.figure.colorbar(filling, ax=axes, label=label, pad=0.02)
        ticks = _one_two_five(int(seen.min()), int(seen.max()))
        bar.set_ticks(ticks, labels=[f"{n:,}".replace(",", "\u202f") for n in ticks], minor=False)
        bar.minorticks_off()
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.set_xlabel(units.label("x"))
    axes.set_ylabel(units.label("y"))


def _one_two_five(low: int, high: int) -> list[int]:
    """List the numbers 1, 2, 5, 10, 20, 50, ... between `low` and `high`."""
    steps = [n * 10**power for power in range(10) for n in (1, 2, 5)]
    return [n for n in steps if low <= n <= high] or [low]


def figure_cell_map(
    shapes: FloatArray | Sequence[FloatArray],
    counts: npt.NDArray[np.int64],
    label: str,
    units: Units,
) -> Figure:
    """Draw a map of the cells; see :func:`draw_cell_map`."""
    points = shapes if isinstance(shapes, np.ndarray) else np.concatenate([*shapes])
    span = np.ptp(points, axis=0)
    figure = _figure_for_map(float(span[1]), float(span[0]))
    draw_cell_map(figure.add_subplot(), shapes, counts, label, units)
    return figure


def _figure_for_map(height: float, width: float) -> Figure:
    """Make an empty figure in the proportions of a map with a colour bar."""
    ratio = height / max(width, 1e-9)
    height_in = float(np.clip(0.75 * WIDTH_IN * ratio, 2.5, 6.5))
    width_in = float(np.clip((height_in - 0.5) / max(ratio, 1e-9) + 1.6, 4.0, WIDTH_IN))
    return new_figure(height_in, width_in)


def figure_density(
    counts: npt.NDArray[np.int64], extent_px: tuple[int, int], label: str, units: Units
) -> Figure:
    """Draw a map of binned counts per unit of area.

    Parameters
    ----------
    counts
        ``(y, x)`` bins that cover the image.
    extent_px
        Height and width of the image.
    label
        Name of the counted objects, for the colour bar.
    """
    height, width = (side * units.per_px for side in extent_px)
    area = height * width / counts.size
    figure = _figure_for_map(height, width)
    axes = figure.add_subplot()
    picture = axes.imshow(
        counts / area, extent=(0, width, height, 0), cmap="magma", interpolation="nearest"
    )
    figure.colorbar(picture, ax=axes, label=f"{label} per {units.area}", pad=0.02)
    axes.set_xlabel(units.label("x"))
    axes.set_ylabel(units.label("y"))
    return figure
