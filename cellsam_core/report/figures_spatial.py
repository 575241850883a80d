"""Figures of a spatial sample: transcripts over outlines, cell maps, densities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LogNorm

from cellsam_core.report.figures_common import WIDTH_IN, Units, new_figure, show_window
from cellsam_core.report.images import id_colours

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from matplotlib.figure import Figure

    from cellsam_core.report.images import Rgb, Window

N_COLOURED_GENES = 8


@dataclass(frozen=True)
class Spots:
    """Transcripts to draw.

    Attributes
    ----------
    xy_px
        ``(n, 2)`` float64, x and y in image pixels.
    gene
        ``(n,)`` names.
    """

    xy_px: npt.NDArray[np.float64]
    gene: npt.NDArray[np.object_]


def figure_zooms(panels: Sequence[tuple[str, Rgb, Window, Spots]], units: Units) -> Figure:
    """Outlines over the stain with transcripts at several zooms, one below the other.

    The most frequent genes of a panel are coloured, the others are white.

    Parameters
    ----------
    panels
        Title, picture, the window it shows and the transcripts in it; at least one.
    """
    heights = [
        float(np.clip(0.72 * WIDTH_IN * (w.y1 - w.y0) / (w.x1 - w.x0), 2.0, 6.5))
        for _, _, w, _ in panels
    ]
    figure = new_figure(sum(heights) + 0.5 * len(panels))
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for axes, (title, rgb, window, spots) in zip(grid[:, 0], panels, strict=True):
        show_window(axes, rgb, window, units)
        axes.set_title(title)
        size = 9 if window.x1 - window.x0 < 300 else 3 if window.x1 - window.x0 < 1500 else 0.6
        names, counts = np.unique(spots.gene.astype(str), return_counts=True)
        top = names[np.argsort(-counts, kind="stable")][:N_COLOURED_GENES]
        xy = spots.xy_px * units.per_px
        others = ~np.isin(spots.gene.astype(str), top)
        axes.scatter(xy[others, 0], xy[others, 1], s=size, c="white", alpha=0.6, lw=0)
        for gene, colour in zip(top, id_colours(np.arange(1, len(top) + 1)), strict=True):
            here = spots.gene == gene
            # A gene's name is the user's: a dollar sign is no mathematics.
            label = str(gene).replace("$", r"\$")
            axes.scatter(xy[here, 0], xy[here, 1], s=size, color=colour, lw=0, label=label)
        if len(names):
            axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), markerscale=3 / size**0.5)
        left, right, bottom, top_edge = (edge * units.per_px for edge in window.extent)
        axes.set(xlim=(left, right), ylim=(bottom, top_edge))
    return figure


def figure_cell_map(
    xy: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], label: str, units: Units
) -> Figure:
    """Cells at their centroids, coloured by `counts` on a logarithmic scale; 0 is grey.

    Parameters
    ----------
    xy
        ``(n, 2)`` centroids, in the unit of length of `units`.
    counts
        ``(n,)``.
    label
        Of the colour bar.
    """
    span = np.ptp(xy, axis=0) if len(xy) else np.ones(2)
    figure = new_figure(float(np.clip(0.8 * WIDTH_IN * span[1] / max(span[0], 1e-9), 2.5, 7.0)))
    axes = figure.add_subplot(aspect="equal")
    size = float(np.clip(30_000 / max(len(xy), 1), 0.5, 30))
    empty = counts == 0
    axes.scatter(xy[empty, 0], xy[empty, 1], s=size, c="0.8", lw=0)
    if (~empty).any():
        norm = LogNorm(int(counts[~empty].min()), max(int(counts.max()), 2))
        filled = ~empty
        dots = axes.scatter(xy[filled, 0], xy[filled, 1], s=size, c=counts[filled], norm=norm, lw=0)
        figure.colorbar(dots, ax=axes, label=label, pad=0.02)
    axes.invert_yaxis()  # as in the image
    axes.set_xlabel(units.label("x"))
    axes.set_ylabel(units.label("y"))
    return figure


def figure_density(
    counts: npt.NDArray[np.int64], extent_px: tuple[int, int], label: str, units: Units
) -> Figure:
    """Map of binned counts per unit of area.

    Parameters
    ----------
    counts
        ``(y, x)`` bins that cover the image.
    extent_px
        Height and width of the image.
    label
        What is counted.
    """
    height, width = (side * units.per_px for side in extent_px)
    area = height * width / counts.size
    figure = new_figure(float(np.clip(0.8 * WIDTH_IN * height / width, 2.5, 7.0)))
    axes = figure.add_subplot()
    picture = axes.imshow(
        counts / area, extent=(0, width, height, 0), cmap="magma", interpolation="nearest"
    )
    figure.colorbar(picture, ax=axes, label=f"{label} per {units.area}", pad=0.02)
    axes.set_xlabel(units.label("x"))
    axes.set_ylabel(units.label("y"))
    return figure
