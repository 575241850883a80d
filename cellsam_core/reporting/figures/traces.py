"""Figures of reporter traces, made from arrays and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.colors import LogNorm, to_rgb
from matplotlib.ticker import MaxNLocator

from cellsam_core.reporting.figures.common import ACCENT, CATEGORICAL, new_figure, time_axis
from cellsam_core.reporting.pictures.images import id_colours
from cellsam_core.traces.summaries import mean_and_ci

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cellsam_core.reporting.units import Units

    FloatArray = npt.NDArray[np.float64]

MAX_SINGLE_TRACES = 200
MAX_COLOURED_TRACES = 30
MAX_ROW_IDS = 50  # of a heat map


class Onset(NamedTuple):
    """First frame of the response, and the word that marks it."""

    frame: int
    word: str


def sort_by_response(matrix: pd.DataFrame, onset: Onset) -> pd.DataFrame:
    """Sort rows by mean R/R0 after the onset, strongest first; rows without a value come last."""
    after = matrix.to_numpy()
    after = after[:, onset.frame :] if after.shape[1] > onset.frame else after
    counts = np.isfinite(after).sum(axis=1)
    means = np.divide(
        np.nansum(after, axis=1), counts, out=np.full(len(after), -np.inf), where=counts > 0
    )
    return matrix.iloc[np.argsort(-means, kind="stable")]


def figure_heat_map(matrix: pd.DataFrame, onset: Onset, units: Units) -> Figure:
    """Draw a heat map of R/R0; see :func:`draw_heat_map`."""
    figure = new_figure(float(np.clip(0.1 * len(matrix) + 1.2, 2.2, 5.5)))
    draw_heat_map(figure.add_subplot(), matrix, onset, units)
    return figure


def draw_heat_map(axes: Axes, matrix: pd.DataFrame, onset: Onset, units: Units) -> None:
    """Draw R/R0 of all cells over time, strongest response on top, missing values grey.

    Parameters
    ----------
    matrix
        One row a track (index: its id), one column a frame; NaN where there is no valid value.
    onset
        First frame of the response, which a line marks.
    """
    sorted_rows = sort_by_response(matrix, onset)
    ordered = sorted_rows.to_numpy()
    finite = ordered[np.isfinite(ordered)]
    low, high = np.percentile(finite, [1, 99]) if len(finite) else (1.0, 1.0)
    fold = max(float(high), 1 / max(float(low), 0.1), 1.05)
    axes.set_facecolor("0.8")
    shown = np.ma.masked_invalid(ordered.clip(1 / fold, fold))
    colours: dict[str, Any] = {"cmap": "RdBu_r", "norm": LogNorm(1 / fold, fold)}
    edges = units.times(np.arange(ordered.shape[1] + 1) - 0.5)
    if units.uneven_times_s:
        picture: Any = axes.pcolormesh(edges, np.arange(len(ordered) + 1), shown, **colours)
        axes.set_ylim(len(ordered), 0)
    else:
        extent = (float(edges[0]), float(edges[-1]), len(ordered), 0)
        picture = axes.imshow(
            shown, aspect="auto", interpolation="nearest", extent=extent, **colours
        )
    if onset.frame < ordered.shape[1]:
        _mark_onset(axes, float(units.times(onset.frame - 0.5)), onset.word)
    time_axis(axes, units)
    if len(ordered) <= MAX_ROW_IDS:
        ids = [str(track_id) for track_id in sorted_rows.index]
        axes.set_yticks(np.arange(len(ids)) + 0.5, ids, fontsize=6)
        axes.tick_params(axis="y", length=0)
        axes.set_ylabel("track")
    else:
        axes.set_ylabel("cells, by response")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    bar = axes.figure.colorbar(picture, ax=axes, label="R/R0", pad=0.02)
    ticks = fold ** np.array([-1, -0.5, 0, 0.5, 1])
    bar.set_ticks(ticks.tolist(), labels=[f"{tick:.2f}" for tick in ticks], minor=False)
    bar.minorticks_off()


def figure_traces(matrix: pd.DataFrame, onset: Onset, units: Units) -> Figure:
    """Draw single traces, and their mean with its 95 % confidence interval.

    `matrix` is that of the heat map. At most 200 evenly spaced rows are drawn as single traces, up
    to 30 of them in the colours of their tracks; the mean is that of all rows.
    """
    times = units.times(np.arange(matrix.shape[1]))
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2, sharey=False)
    shown = matrix.iloc[:: max(1, -(-len(matrix) // MAX_SINGLE_TRACES))]
    few = len(shown) <= MAX_COLOURED_TRACES
    colours = (
        id_colours(shown.index.to_numpy()) if few else np.tile(to_rgb(ACCENT), (len(shown), 1))
    )
    style = {"lw": 1.1, "alpha": 0.9} if few else {"lw": 0.7, "alpha": 0.3}
    for row, colour in zip(shown.to_numpy(), colours, strict=True):
        left.plot(times, row, color=colour, marker="." if len(times) <= 40 else "", ms=3, **style)
    left.set_title(f"single cells ({len(shown)} of {len(matrix)})", loc="right", pad=14)
    _plot_mean(right, times, matrix.to_numpy())
    right.set_title("mean and 95 % CI", loc="right", pad=14)
    for axes in (left, right):
        axes.axhline(1, color="0.6", lw=0.8, zorder=0)
        if onset.frame < matrix.shape[1]:
            _mark_onset(axes, float(units.times(onset.frame - 0.5)), onset.word)
        time_axis(axes, units)
        axes.set_ylabel("R/R0")
    return figure


def figure_conditions(
    curves: pd.DataFrame, unit: str, events: Sequence[float], note: str = ""
) -> Figure:
    """Draw the mean R/R0 of each condition with its 95 % confidence interval.

    Parameters
    ----------
    curves
        Table with the columns condition, ``time_<unit>``, n, mean, ci95.
    unit
        Unit of time: ``s`` (drawn in minutes) or ``frames``.
    events
        Times in `unit` that are marked by dashed lines.
    note
        Text above the axes.
    """
    scale, label = (1 / 60, "time (min)") if unit == "s" else (1.0, "time (frames)")
    figure = new_figure(3.4)
    axes = figure.add_subplot()
    for i, (name, curve) in enumerate(curves.groupby("condition", sort=False)):
        colour = CATEGORICAL[i % len(CATEGORICAL)]
        times = curve[f"time_{unit}"] * scale
        low, high = curve["mean"] - curve["ci95"], curve["mean"] + curve["ci95"]
        axes.fill_between(times, low, high, color=colour, alpha=0.25, lw=0)
        axes.plot(
            times, curve["mean"], color=colour, lw=1.6, label=f"{name} (n = {curve['n'].max()})"
        )
    for event in events:
        axes.axvline(event * scale, color="0.3", lw=0.8, ls="--", zorder=0)
    axes.axhline(1, color="0.6", lw=0.8, zorder=0)
    axes.set_xlabel(label)
    axes.set_ylabel("R/R0, mean and 95 % CI")
    axes.set_title(note, loc="left", fontsize=7)
    # The legend is beside the axes because names of conditions may be long.
    legend = axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    for text in legend.get_texts():
        text.set_parse_math(False)
    return figure


def figure_intensities(matrices: dict[str, pd.DataFrame], units: Units) -> Figure:
    """Draw the mean intensity above background of each channel, with its 95 % interval.

    Parameters
    ----------
    matrices
        Intensities ``(n_tracks, n_frames)`` of each channel, NaN where a cell is absent.
    """
    columns = min(3, len(matrices))
    rows = -(-len(matrices) // columns)
    figure = new_figure(2.4 * rows)
    for i, (channel, matrix) in enumerate(matrices.items()):
        axes = figure.add_subplot(rows, columns, i + 1)
        _plot_mean(axes, units.times(np.arange(matrix.shape[1])), matrix.to_numpy())
        # In the user's name of a channel, a dollar sign is no mathematics.
        axes.set_title(channel, parse_math=False)
        time_axis(axes, units)
        axes.set_ylabel("intensity (grey values)")
    return figure


def _plot_mean(axes: Axes, times: npt.NDArray[Any], matrix: FloatArray) -> None:
    mean, half_width, _ = mean_and_ci(matrix)
    axes.fill_between(times, mean - half_width, mean + half_width, color=ACCENT, alpha=0.25, lw=0)
    axes.plot(times, mean, color=ACCENT, lw=1.6, marker="." if len(times) < 5 else "")


def _mark_onset(axes: Axes, time: float, word: str) -> None:
    """Draw a dashed line at the beginning of the response."""
    axes.axvline(time, color="black", lw=1, ls="--")
    axes.annotate(
        word,
        (time, 1),
        (0, 2),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        ha="center",
        fontsize=7,
    )
