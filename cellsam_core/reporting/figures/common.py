"""Common parts of the figures: style, histograms, deterministic encoding."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt
    from matplotlib.axes import Axes

    from cellsam_core.reporting.pictures.images import Window
    from cellsam_core.reporting.units import Units

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so pages look alike everywhere
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": "white",
}
ACCENT = "#1f6f8b"
WARM = "#c8553d"
CATEGORICAL = (ACCENT, WARM, "#7a9a3a", "#8a6fa8", "#b08d3c")
WIDTH_IN = 8.2
DPI = 110
MAX_LABELS = 80  # of cells in one picture


def plain(text: str) -> str:
    """Escape a text of the user for a figure, in which a dollar sign would start mathematics."""
    return text.replace("$", r"\$")


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """Make an empty figure outside of pyplot's global state."""
    return Figure(figsize=(width_in, height_in), layout="constrained")


def encode(draw: Callable[[], Figure], *, photograph: bool = False) -> str:
    """Draw a figure in the report's style and return it as a data URI.

    Parameters
    ----------
    draw
        Function that makes the figure; it is called with the style set, which axes take when
        they are made.
    photograph
        True writes JPEG instead of PNG: micrographs take a tenth of the size, so that more pixels
        can be shown to a reader who zooms in.
    """
    # after_reset: the user's matplotlibrc does not change the report.
    with style.context(STYLE, after_reset=True):
        figure = draw()
        figure.dpi = 1.6 * DPI if photograph else DPI
        _lay_out(figure)
        canvas = FigureCanvasAgg(figure)
        # `savefig` would draw twice.
        canvas.draw()  # type: ignore[no-untyped-call]
        pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    picture = Image.fromarray(pixels).convert("RGB")
    kind, options = ("jpeg", {"quality": 85}) if photograph else ("png", {})
    buffer = io.BytesIO()
    picture.save(buffer, kind, dpi=(figure.dpi, figure.dpi), **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def _lay_out(figure: Figure) -> None:
    """Place the axes of a figure; with an engine, drawing would place them again."""
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine("none")


def show_window(axes: Axes, rgb: npt.NDArray[Any], window: Window, units: Units) -> None:
    """Show a picture of `window` with axes in physical units."""
    left, right, bottom, top = (edge * units.per_px for edge in window.extent)
    axes.imshow(rgb, extent=(left, right, bottom, top), interpolation="nearest")
    axes.set_xlabel(units.label("x"))
    axes.set_ylabel(units.label("y"))
    axes.set_anchor("W")  # flush with the text


def label_ids(axes: Axes, xy: npt.NDArray[Any], ids: npt.NDArray[Any]) -> None:
    """Write ids at the points ``(n, 2)``, unless there are too many."""
    if len(ids) > MAX_LABELS:
        return
    halo = [withStroke(linewidth=1.5, foreground="black")]
    style: dict[str, Any] = {"color": "white", "fontsize": 7, "path_effects": halo}
    for (x, y), number in zip(xy, ids, strict=True):
        axes.text(x, y, str(number), ha="center", va="center", clip_on=True, **style)


def figure_for(window: Window) -> Figure:
    """Make an empty figure of the height that a picture of `window` needs."""
    height = 0.75 * WIDTH_IN * (window.y1 - window.y0) / (window.x1 - window.x0) + 0.5
    return new_figure(float(np.clip(height, 2.5, 8.0)))


def time_axis(axes: Axes, units: Units) -> None:
    """Label the axis of time; ticks at frames are whole numbers."""
    axes.set_xlabel(units.time_label)
    if not units.timed:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def figure_histograms(
    panels: Sequence[tuple[npt.NDArray[Any], str]], ylabel: str = "cells"
) -> Figure:
    """Draw histograms side by side with their medians; the last bin includes the top 0.5 %.

    Parameters
    ----------
    panels
        Finite values, at least one, and the label of the x axis with its unit.
    """
    figure = new_figure(2.6)
    for i, (values, xlabel) in enumerate(panels):
        axes = figure.add_subplot(1, len(panels), i + 1)
        # With more bins, few cells would give a comb of single counts.
        edges = histogram_bins(values, int(np.clip(2 * np.sqrt(len(values)), 10, 40)))
        axes.hist(np.minimum(values, edges[-1]), bins=edges.tolist(), color=ACCENT)
        median = float(np.median(values))
        axes.axvline(median, color=WARM, lw=1.2)
        axes.set_title(f"median {median:.3g}", color=WARM, fontsize=9)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        whole = np.issubdtype(values.dtype, np.integer)
        axes.xaxis.set_major_locator(MaxNLocator(integer=whole, nbins=6))
    return figure


def histogram_bins(values: npt.NDArray[Any], bins: int) -> npt.NDArray[np.float64]:
    """Choose bin edges up to the 99.5th percentile; whole numbers are in the middle of a bin."""
    low, high = float(np.min(values)), float(np.percentile(values, 99.5))
    if np.issubdtype(values.dtype, np.integer):
        step = max(1, int(np.ceil((high - low + 1) / bins)))
        return np.arange(low - 0.5, high + step + 0.5, step)
    if high <= low:
        return np.array([low - 0.5, low + 0.5])
    return np.linspace(low, high, bins + 1)
