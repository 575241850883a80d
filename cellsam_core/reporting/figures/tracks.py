"""Figures of tracked cells, made from arrays and tables: masks, paths, counts, lineages."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.ticker import MaxNLocator

from cellsam_core.reporting.figures.common import (
    ACCENT,
    MAX_LABELS,
    WARM,
    figure_for,
    label_ids,
    new_figure,
    show_window,
    time_axis,
)
from cellsam_core.reporting.pictures.images import id_colours

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from cellsam_core.reporting.pictures.images import Rgb, Window
    from cellsam_core.reporting.units import Units

    FloatArray = npt.NDArray[np.float64]


def draw_masks(
    axes: Axes,
    rgb: Rgb,
    window: Window,
    units: Units,
    objects: pd.DataFrame | None = None,
) -> None:
    """Draw a micrograph with outlines, and the ids of tracks in their colours.

    Parameters
    ----------
    rgb
        Picture ``(y, x, 3)`` of `window`.
    objects
        Table of the frame with track_id, y, x in pixels; None writes no ids.
    """
    show_window(axes, rgb, window, units)
    if objects is not None:
        xy = objects[["x", "y"]].to_numpy(np.float64) * units.per_px
        label_ids(axes, xy, objects["track_id"].to_numpy())


def figure_masks(
    title: str, rgb: Rgb, window: Window, units: Units, objects: pd.DataFrame | None
) -> Figure:
    """Draw one frame; see :func:`draw_masks`."""
    figure = figure_for(window)
    axes = figure.add_subplot()
    draw_masks(axes, rgb, window, units, objects)
    axes.set_title(title)
    return figure


def track_paths(
    objects: pd.DataFrame, tracks: pd.DataFrame
) -> tuple[npt.NDArray[np.int64], list[FloatArray]]:
    """Return the ids of tracks and their paths ``(n, 2)`` of x, y; daughters begin at their parent.

    Parameters
    ----------
    objects
        Table with frame, track_id, y, x, in any order.
    tracks
        Table with track_id, parent_id (0 = none), first_frame, last_frame. A mother that lives on
        (budding) is not joined to her bud.
    """
    ordered = objects.sort_values(["track_id", "frame"])
    ids = ordered["track_id"].to_numpy(np.int64)
    starts = np.flatnonzero(np.diff(ids, prepend=ids[:1] - 1))
    paths = np.split(ordered[["x", "y"]].to_numpy(np.float64), starts[1:])
    ids = ids[starts]
    end_of = {track_id: path[-1:] for track_id, path in zip(ids.tolist(), paths, strict=False)}
    born = tracks.merge(tracks, left_on="parent_id", right_on="track_id", suffixes=("", "_parent"))
    born = born[born["last_frame_parent"] < born["first_frame"]]
    mother_of = dict(zip(born["track_id"], born["parent_id"], strict=True))
    nowhere = np.zeros((0, 2))
    joined = [
        np.concatenate([end_of.get(mother_of.get(track_id), nowhere), path])
        for track_id, path in zip(ids.tolist(), paths, strict=False)
    ]
    return ids, joined


def draw_tracks(
    axes: Axes,
    grey: npt.NDArray[np.uint8],
    window: Window,
    units: Units,
    paths: tuple[npt.NDArray[np.int64], list[FloatArray]],
) -> None:
    """Draw the paths of all tracks over a frame, with a dot where a track ends.

    Parameters
    ----------
    grey
        Picture ``(y, x)`` of `window`, uint8; it is drawn at half its brightness.
    paths
        Ids and paths of :func:`track_paths`.
    """
    show_window(axes, np.repeat(grey[..., None] // 2, 3, axis=2), window, units)
    ids, in_px = paths
    scaled = [path * units.per_px for path in in_px]
    colours = id_colours(ids)
    axes.add_collection(LineCollection(scaled, colors=colours, linewidths=1.4))
    ends = np.array([path[-1] for path in scaled]).reshape(-1, 2)
    axes.scatter(ends[:, 0], ends[:, 1], s=12, c=colours, linewidths=0, zorder=3)


def figure_tracks(
    grey: npt.NDArray[np.uint8],
    window: Window,
    units: Units,
    paths: tuple[npt.NDArray[np.int64], list[FloatArray]],
) -> Figure:
    """Draw tracks; see :func:`draw_tracks`."""
    figure = figure_for(window)
    draw_tracks(figure.add_subplot(), grey, window, units, paths)
    return figure


def figure_counts(n_cells: npt.NDArray[np.int64], division_frames: Any, units: Units) -> Figure:
    """Draw cells per frame and cumulative divisions over time.

    Parameters
    ----------
    n_cells
        Number of cells in each frame, ``(n_frames,)``.
    division_frames
        Frame of each division.
    """
    times = units.times(np.arange(len(n_cells)))
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
        time_axis(axes, units)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return figure


def lineage_layout(tracks: pd.DataFrame) -> dict[int, float]:
    """Compute the vertical position of every track, lineages one below the other.

    A leaf has its own row; a parent that ended is midway between its daughters; a mother that
    lives on (budding) has a row above her buds.

    Parameters
    ----------
    tracks
        Table with track_id, parent_id (0 = none, or a track that is not in the table),
        first_frame, last_frame.
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
    # Parents are placed after their children; a stack allows lineages of any depth.
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
    """Draw a lineage tree; see :func:`draw_lineages`."""
    n_rows = max(lineage_layout(tracks).values(), default=0) + 1
    figure = new_figure(float(np.clip(0.2 * n_rows + 0.8, 1.8, 9.5)))
    draw_lineages(figure.add_subplot(), tracks, units)
    return figure


def draw_lineages(axes: Axes, tracks: pd.DataFrame, units: Units) -> None:
    """Draw a lineage tree in the colours of the tracks, with the times of divisions.

    `tracks` is that of :func:`lineage_layout`; for more than 80 tracks, ids and times are left out.
    """
    rows = lineage_layout(tracks)
    tracks = tracks.sort_values("track_id")
    n_rows = max(rows.values(), default=0) + 1
    starts = units.times(tracks["first_frame"].to_numpy())
    stops = units.times(tracks["last_frame"].to_numpy() + 1)
    y = np.array([rows[track_id] for track_id in tracks["track_id"]])
    axes.hlines(
        y, starts, stops, colors=[tuple(c) for c in id_colours(tracks["track_id"].to_numpy())], lw=2
    )
    divisions = set()
    for start, own, parent in zip(starts, y, tracks["parent_id"], strict=True):
        if parent in rows:
            axes.plot([start, start], [rows[parent], own], color="0.3", lw=0.9, zorder=1)
            divisions.add((float(start), rows[parent]))
    for start, row in sorted(divisions):
        axes.plot(start, row, "o", color="0.15", ms=3.5)
    if len(tracks) <= MAX_LABELS:
        note = partial(axes.annotate, textcoords="offset points", fontsize=7)
        for track_id, start, own in zip(tracks["track_id"], starts, y, strict=True):
            note(str(track_id), (start, own), (3, 1.5), color="0.25")
        for start, row in sorted(divisions):
            note(units.at(start), (start, row), (-4, 1.5), ha="right", color="0.15", weight="bold")
    axes.set_xlim(starts.min(), stops.max())
    axes.set_ylim(n_rows - 0.3, -0.9)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylabel("tracks by lineage")
    axes.grid(axis="x", color="0.92")
    axes.set_axisbelow(True)
    time_axis(axes, units)


def figure_track_lengths(lengths: npt.NDArray[np.int64], n_frames: int, units: Units) -> Figure:
    """Draw a histogram of the number of frames that tracks span."""
    figure = new_figure(2.4, 5.0)
    axes = figure.add_subplot()
    step = max(1, n_frames // 40)
    edges = (np.arange(0, n_frames + step, step) + 0.5) * units.per_frame
    axes.hist(lengths * units.per_frame, bins=edges.tolist(), color=ACCENT)
    axes.set_xlabel(f"track length ({'min' if units.frame_interval_s else 'frames'})")
    if not units.frame_interval_s:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylabel("tracks")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return figure
