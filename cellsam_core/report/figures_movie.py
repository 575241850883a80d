"""Figures of a movie: tracks, counts, lineages, traces. Arrays and tables in, figures out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.ticker import MaxNLocator
from scipy.stats import t as student_t

from cellsam_core.report.figures_common import (
    ACCENT,
    WARM,
    Units,
    figure_for,
    new_figure,
    show_window,
)
from cellsam_core.report.images import id_colours

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cellsam_core.report.images import Window

    FloatArray = npt.NDArray[np.float64]

MAX_SINGLE_TRACES = 200


def figure_tracks(
    grey: npt.NDArray[np.uint8], window: Window, objects: pd.DataFrame, units: Units
) -> Figure:
    """Paths of all tracks over the last frame; a dot where a track ends.

    Parameters
    ----------
    grey
        ``(y, x)`` uint8 picture of `window`.
    objects
        frame, track_id, y, x (px), in any order.
    """
    figure = figure_for(window)
    axes = figure.add_subplot()
    show_window(axes, np.repeat(grey[..., None], 3, axis=2), window, units)
    ordered = objects.sort_values(["track_id", "frame"])
    ids = ordered["track_id"].to_numpy()
    points = ordered[["x", "y"]].to_numpy(np.float64) * units.per_px
    starts = np.flatnonzero(np.diff(ids, prepend=ids[:1] - 1))
    colours = id_colours(ids[starts])
    paths = np.split(points, starts[1:])
    axes.add_collection(LineCollection(paths, colors=colours, linewidths=1.1))
    ends = np.array([path[-1] for path in paths]) if len(starts) else np.zeros((0, 2))
    axes.scatter(ends[:, 0], ends[:, 1], s=7, c=colours, linewidths=0, zorder=3)
    return figure


def figure_counts(n_cells: npt.NDArray[np.int64], division_frames: Any, units: Units) -> Figure:
    """Cells per frame and cumulative divisions over time.

    Parameters
    ----------
    n_cells
        ``(n_frames,)``.
    division_frames
        Frame of each division.
    """
    times = np.arange(len(n_cells)) * units.per_frame
    divisions = np.bincount(np.asarray(division_frames, dtype=np.int64), minlength=len(n_cells))
    figure = new_figure(2.6)
    left, right = figure.subplots(1, 2)
    left.plot(times, n_cells, color=ACCENT, marker="o", ms=2.5, lw=1.2)
    left.set_ylim(0, max(1.0, 1.08 * n_cells.max(initial=1)))
    left.set_ylabel("cells per frame")
    right.step(times, np.cumsum(divisions)[: len(times)], where="post", color=WARM)
    right.set_ylim(0, max(1.0, 1.08 * len(division_frames)))
    right.set_ylabel("divisions (cumulative)")
    for axes in (left, right):
        _time_axis(axes, units)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return figure


def lineage_layout(tracks: pd.DataFrame) -> dict[int, float]:
    """Vertical position of every track, lineages one below the other.

    A leaf has its own row; a mother that ended is midway between her daughters; one that lives on
    (budding) has a row above them.

    Parameters
    ----------
    tracks
        track_id, parent_id (0 = none, or a track that is not in the table), first_frame,
        last_frame.
    """
    first = dict(zip(tracks["track_id"], tracks["first_frame"], strict=True))
    last = dict(zip(tracks["track_id"], tracks["last_frame"], strict=True))
    children: dict[int, list[int]] = {}
    roots = []
    for track_id, parent_id in zip(tracks["track_id"], tracks["parent_id"], strict=True):
        if parent_id in first:
            children.setdefault(parent_id, []).append(track_id)
        else:
            roots.append(track_id)
    rows: dict[int, float] = {}
    next_row = 0
    # Parents are placed after their children: an explicit stack, for lineages of any depth.
    stack = [(root, False) for root in sorted(roots, reverse=True)]
    while stack:
        track_id, children_done = stack.pop()
        daughters = sorted(children.get(track_id, []), key=lambda d: (first[d], d))
        ends = bool(daughters) and last[track_id] < first[daughters[0]]
        if children_done:
            rows[track_id] = (rows[daughters[0]] + rows[daughters[-1]]) / 2
            continue
        if ends:
            stack.append((track_id, True))
        else:
            rows[track_id] = next_row
            next_row += 1
        stack.extend((daughter, False) for daughter in reversed(daughters))
    return rows


def figure_lineages(tracks: pd.DataFrame, units: Units) -> Figure:
    """Lineage tree, in the colours of the tracks; see :func:`lineage_layout` for `tracks`."""
    rows = lineage_layout(tracks)
    tracks = tracks.sort_values("track_id")
    n_rows = max(rows.values(), default=0) + 1
    figure = new_figure(float(np.clip(0.16 * n_rows + 0.8, 1.8, 9.5)))
    axes = figure.add_subplot()
    starts = tracks["first_frame"].to_numpy() * units.per_frame
    stops = (tracks["last_frame"].to_numpy() + 1) * units.per_frame
    y = np.array([rows[track_id] for track_id in tracks["track_id"]])
    axes.hlines(
        y, starts, stops, colors=[tuple(c) for c in id_colours(tracks["track_id"].to_numpy())], lw=2
    )
    for start, own, parent in zip(starts, y, tracks["parent_id"], strict=True):
        if parent in rows:
            axes.plot([start, start], [rows[parent], own], color="0.5", lw=0.8, zorder=0)
    if len(tracks) <= 80:
        for track_id, start, own in zip(tracks["track_id"], starts, y, strict=True):
            axes.annotate(
                str(track_id), (start, own), (1, 1.5), textcoords="offset points", fontsize=6
            )
    axes.set_xlim(starts.min(), stops.max())
    axes.set_ylim(n_rows - 0.3, -0.9)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel("tracks by lineage")
    _time_axis(axes, units)
    return figure


def figure_track_lengths(lengths: npt.NDArray[np.int64], n_frames: int, units: Units) -> Figure:
    """Histogram of the number of frames that tracks span."""
    figure = new_figure(2.4, 5.0)
    axes = figure.add_subplot()
    step = max(1, n_frames // 40)
    edges = (np.arange(0, n_frames + step, step) + 0.5) * units.per_frame
    axes.hist(lengths * units.per_frame, bins=edges.tolist(), color=ACCENT)
    axes.set_xlabel(f"track length ({units.time if units.time == 'min' else 'frames'})")
    if not units.frame_interval_s:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("tracks")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return figure


def sort_by_response(matrix: FloatArray, baseline_frames: int) -> FloatArray:
    """Rows by mean R/R0 after the baseline, strongest first; rows without any value last."""
    after = matrix[:, baseline_frames:] if matrix.shape[1] > baseline_frames else matrix
    counts = np.isfinite(after).sum(axis=1)
    means = np.divide(
        np.nansum(after, axis=1), counts, out=np.full(len(after), -np.inf), where=counts > 0
    )
    return matrix[np.argsort(-means, kind="stable")]


def figure_heat_map(matrix: FloatArray, baseline_frames: int, units: Units) -> Figure:
    """R/R0 of all cells over time, strongest response on top, missing values grey.

    Parameters
    ----------
    matrix
        ``(n_tracks, n_frames)``, NaN where there is no valid value.
    baseline_frames
        A line is drawn after them.
    """
    ordered = sort_by_response(matrix, baseline_frames)
    finite = ordered[np.isfinite(ordered)]
    low, high = np.percentile(finite, [1, 99]) if len(finite) else (1.0, 1.0)
    fold = max(float(high), 1 / max(float(low), 0.1), 1.05)
    figure = new_figure(float(np.clip(0.03 * len(ordered) + 1.6, 2.4, 6.0)))
    axes = figure.add_subplot()
    axes.set_facecolor("0.8")
    right = ordered.shape[1] * units.per_frame
    picture = axes.imshow(
        np.ma.masked_invalid(ordered.clip(1 / fold, fold)),
        aspect="auto",
        cmap="RdBu_r",
        norm=LogNorm(1 / fold, fold),  # as many-fold up as down
        interpolation="nearest",
        extent=(0, right, len(ordered), 0),
    )
    if baseline_frames < ordered.shape[1]:
        _mark_baseline(axes, baseline_frames * units.per_frame)
    _time_axis(axes, units)
    axes.set_ylabel("cells, by response")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    bar = figure.colorbar(picture, ax=axes, label="R/R0", pad=0.02)
    ticks = fold ** np.array([-1, -0.5, 0, 0.5, 1])
    bar.set_ticks(ticks.tolist(), labels=[f"{tick:.2f}" for tick in ticks], minor=False)
    bar.minorticks_off()
    return figure


def mean_and_ci(matrix: FloatArray) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64]]:
    """Mean over rows, half-width of its 95 % confidence interval (Student's t), and n.

    The half-width is NaN where fewer than two rows have a value, the mean where none has.
    """
    n = np.isfinite(matrix).sum(axis=0)
    nan = np.full(matrix.shape[1], np.nan)
    mean = np.divide(np.nansum(matrix, axis=0), n, out=nan.copy(), where=n > 0)
    squares = np.nansum((matrix - mean) ** 2, axis=0)
    variance = np.divide(squares, n - 1, out=nan.copy(), where=n > 1)
    half_width = student_t.ppf(0.975, np.maximum(n - 1, 1)) * np.sqrt(variance / np.maximum(n, 1))
    return mean, np.asarray(half_width), n


def figure_traces(matrix: FloatArray, baseline_frames: int, units: Units) -> Figure:
    """Single traces, and their mean with its 95 % confidence interval; `matrix` as the heat map's.

    At most 200 evenly spaced rows are drawn singly; the mean is of all.
    """
    times = np.arange(matrix.shape[1]) * units.per_frame
    figure = new_figure(2.9)
    left, right = figure.subplots(1, 2, sharey=False)
    shown = matrix[:: max(1, -(-len(matrix) // MAX_SINGLE_TRACES))]
    marker = "." if matrix.shape[1] < 5 else ""
    left.plot(times, shown.T, color=ACCENT, lw=0.7, alpha=0.35, marker=marker)
    left.set_title(f"single cells ({len(shown)} of {len(matrix)})")
    _plot_mean(right, times, matrix)
    right.set_title("mean and 95 % CI")
    for axes in (left, right):
        axes.axhline(1, color="0.6", lw=0.8, zorder=0)
        if baseline_frames < matrix.shape[1]:
            _mark_baseline(axes, (baseline_frames - 0.5) * units.per_frame)
        _time_axis(axes, units)
        axes.set_ylabel("R/R0")
    return figure


def figure_intensities(matrices: dict[str, FloatArray], units: Units) -> Figure:
    """Mean intensity above background per channel, with its 95 % confidence interval.

    Parameters
    ----------
    matrices
        For each channel ``(n_tracks, n_frames)``, NaN where a cell is absent.
    """
    columns = min(3, len(matrices))
    rows = -(-len(matrices) // columns)
    figure = new_figure(2.4 * rows)
    for i, (channel, matrix) in enumerate(matrices.items()):
        axes = figure.add_subplot(rows, columns, i + 1)
        _plot_mean(axes, np.arange(matrix.shape[1]) * units.per_frame, matrix)
        # A channel's name is the user's: a dollar sign is no mathematics.
        axes.set_title(channel, parse_math=False)
        _time_axis(axes, units)
        axes.set_ylabel("intensity (grey values)")
    return figure


def _time_axis(axes: Axes, units: Units) -> None:
    """Label the axis of time; frames are whole numbers."""
    axes.set_xlabel(units.time_label)
    if not units.frame_interval_s:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _plot_mean(axes: Axes, times: npt.NDArray[Any], matrix: FloatArray) -> None:
    mean, half_width, _ = mean_and_ci(matrix)
    axes.fill_between(times, mean - half_width, mean + half_width, color=ACCENT, alpha=0.25, lw=0)
    axes.plot(times, mean, color=ACCENT, lw=1.6, marker="." if len(times) < 5 else "")


def _mark_baseline(axes: Axes, end: float) -> None:
    """Dashed line between the baseline and what follows."""
    axes.axvline(end, color="black", lw=1, ls="--")
