"""Single pass over the label images: cells are measured and linked from frame to frame.

Overlaps of newly appeared cells with earlier frames, contacts of possible buds and links of the
subsampled movie are recorded on the way. The cells of the last ``look_back_frames`` frames, at
least 4, are held in memory as runs.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from cellsam_core.errors import InputError
from cellsam_core.tracking.drift import CoarseForeground, coarse_foreground, estimate_shift
from cellsam_core.tracking.graph import NONE, LinkGraph
from cellsam_core.tracking.link import Links, link_by_distance, link_by_overlap
from cellsam_core.tracking.overlap import (
    CellRuns,
    Floats,
    FrameObjects,
    Ints,
    Labels,
    Overlaps,
    count_overlaps,
    measure_objects,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cellsam_core.tracking.options import TrackOptions

# Fraction of a cell's extent along the border: a disc of which a sixth of the diameter is outside.
MAX_CUT_FRACTION = 0.75
# The movie is subsampled to every 2nd, 3rd and 4th frame as a trial. One frame in 20 is compared,
# which costs little time.
SUBSAMPLED_INTERVALS, SUBSAMPLED_EVERY = (2, 3, 4), 20


@dataclass
class _Frame:
    """A frame in memory: its cells, their pixels, its first row in the graph and its drift."""

    objects: FrameObjects
    runs: CellRuns
    first_row: int
    drift_yx: tuple[int, int]
    foreground: CoarseForeground | None
    bud_age: Ints  # frames since a small new cell appeared; -1 for all other cells


@dataclass
class _Columns:
    """Columns of the graph, collected frame by frame."""

    objects: list[FrameObjects] = field(default_factory=list)
    drift_yx: list[tuple[int, int]] = field(default_factory=list)
    links: list[tuple[Ints, Ints, Links, str]] = field(default_factory=list)
    earlier_overlaps: list[Ints] = field(default_factory=list)
    contacts: list[tuple[int, int, int]] = field(default_factory=list)
    pointing: list[float] = field(default_factory=list)
    subsampled_links: list[Ints] = field(default_factory=list)


def link_frames(frames: Iterable[Labels], options: TrackOptions) -> LinkGraph:
    """Measure and link the cells of a movie.

    Parameters
    ----------
    frames
        ``(y, x)`` label images of any integer type, in order of time; each is read once.
    options
        Options of tracking.

    Raises
    ------
    InputError
        A frame is not a two-dimensional integer image, has negative labels, or differs in size
        from the first.
    """
    look_back = options.look_back_frames
    recent: deque[_Frame] = deque(maxlen=max(look_back, *SUBSAMPLED_INTERVALS))
    columns = _Columns()
    n_rows = 0
    for index, raw in enumerate(frames):
        labels = _checked(raw, index, recent[-1].runs.shape if recent else None)
        current = _open_frame(labels, n_rows, recent, options)
        linked = np.zeros(len(current.objects), dtype=bool)
        if recent:
            linked = _link(recent[-1], current, columns, options)
            _look_back(list(recent)[-look_back:-1], current, linked, columns)
            if is_subsampled(np.int64(index)):
                _link_subsampled(recent, current, columns, options.sigma_iou)
        if recent and options.division == "budding":
            _watch_buds(labels, current, linked, columns, options)
        columns.objects.append(current.objects)
        columns.drift_yx.append(current.drift_yx)
        recent.append(current)
        n_rows += len(current.objects)
    return _graph(columns)


def _checked(raw: Labels, index: int, shape: tuple[int, ...] | None) -> Labels:
    labels = np.asarray(raw)
    where = f"frame {index}"
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise InputError(
            where,
            found=f"{labels.dtype} array with {labels.ndim} dimensions",
            expected="a two-dimensional label image of integers",
            remedy="give label images (0 = background, one integer a cell)",
        )
    if shape is not None and labels.shape != shape:
        raise InputError(
            where,
            found=f"{labels.shape[0]} x {labels.shape[1]} px",
            expected=f"{shape[0]} x {shape[1]} px as in the first frame",
            remedy="give frames of one movie only",
        )
    if labels.dtype.kind == "i" and labels.size and labels.min() < 0:
        raise InputError(
            where,
            found=f"label {labels.min()}",
            expected="labels of 0 (background) and above",
            remedy="write the labels as unsigned integers",
        )
    return np.ascontiguousarray(labels, dtype=labels.dtype.newbyteorder("="))


def _open_frame(
    labels: Labels, first_row: int, recent: deque[_Frame], options: TrackOptions
) -> _Frame:
    objects, runs = measure_objects(labels)
    drift = recent[-1].drift_yx if recent else (0, 0)
    foreground = coarse_foreground(labels) if options.registration == "auto" else None
    if foreground and recent and recent[-1].foreground:
        dy, dx = estimate_shift(recent[-1].foreground, foreground)
        recent[-1].foreground = None  # of no further use
        drift = drift[0] + dy, drift[1] + dx
    no_bud = np.full(len(objects), NONE, dtype=np.int64)
    return _Frame(objects, runs, first_row, drift, foreground, no_bud)


def _shift(before: _Frame, after: _Frame) -> tuple[int, int]:
    return after.drift_yx[0] - before.drift_yx[0], after.drift_yx[1] - before.drift_yx[1]


def _link(
    before: _Frame, after: _Frame, columns: _Columns, options: TrackOptions
) -> NDArray[np.bool_]:
    """Link two frames; return the mask of cells of the later frame that have a predecessor."""
    shift = _shift(before, after)
    overlaps = count_overlaps(before.runs, after.runs, shift)
    links = link_by_overlap(overlaps, options.sigma_iou)
    linked_before = np.zeros(len(before.objects), dtype=bool)
    linked_after = np.zeros(len(after.objects), dtype=bool)

    def note(links: Links, kind: str) -> None:
        linked_before[links.i] = linked_after[links.j] = True
        rows = before.first_row + links.i, after.first_row + links.j
        columns.links.append((*rows, links, kind))
        ages = before.bud_age[links.i]
        after.bud_age[links.j] = np.where(ages == NONE, NONE, ages + 1)

    note(links, "link")
    if options.rescue_max_distance_radii > 0:
        rescued = link_by_distance(
            before.objects,
            after.objects,
            (np.flatnonzero(~linked_before), np.flatnonzero(~linked_after)),
            shift,
            max_distance_radii=options.rescue_max_distance_radii,
            area_ratio_max=options.area_ratio_max,
        )
        note(rescued, "rescue")
    _note_overlaps(before, after, overlaps, ~linked_after, columns)
    return linked_after


def _note_overlaps(
    earlier: _Frame,
    later: _Frame,
    overlaps: Overlaps,
    appeared: NDArray[np.bool_],
    columns: _Columns,
) -> None:
    """Record the cells of an earlier frame that lie under the masks of newly appeared cells."""
    new = appeared[overlaps.j]
    rows = later.first_row + overlaps.j[new], earlier.first_row + overlaps.i[new]
    columns.earlier_overlaps.append(np.stack([*rows, overlaps.n_px[new]], axis=1))


def _look_back(
    frames: list[_Frame], current: _Frame, linked: NDArray[np.bool_], columns: _Columns
) -> None:
    """Compare newly appeared cells with the frames before the last."""
    runs = current.runs.of(~linked)
    for earlier in frames:
        overlaps = count_overlaps(earlier.runs, runs, _shift(earlier, current))
        _note_overlaps(earlier, current, overlaps, ~linked, columns)


def is_subsampled(frame: Ints | np.int64) -> NDArray[np.bool_]:
    """Return True for frames that are also compared at longer intervals."""
    return np.asarray(frame % SUBSAMPLED_EVERY == max(SUBSAMPLED_INTERVALS))


def _link_subsampled(
    recent: deque[_Frame], current: _Frame, columns: _Columns, sigma_iou: float
) -> None:
    """Link the frame by overlap alone with the frames 2 to 4 frames earlier, as a trial."""
    for interval in SUBSAMPLED_INTERVALS:
        before = recent[-interval]
        overlaps = count_overlaps(before.runs, current.runs, _shift(before, current))
        links = link_by_overlap(overlaps, sigma_iou)
        rows = before.first_row + links.i, current.first_row + links.j
        columns.subsampled_links.append(np.stack([np.full_like(rows[0], interval), *rows], axis=1))


def _watch_buds(
    labels: Labels,
    current: _Frame,
    linked: NDArray[np.bool_],
    columns: _Columns,
    options: TrackOptions,
) -> None:
    """Record the neighbours of small new cells while they are young."""
    objects = current.objects
    if len(objects) == 0:
        return
    largest = options.bud_max_area_fraction * float(np.median(objects.area_px))
    for row in np.flatnonzero(~linked & (objects.area_px <= largest)):
        if not (objects.border[row] and _enters(labels, objects, int(row))):
            current.bud_age[row] = 0
    current.bud_age[current.bud_age >= options.bud_window_frames] = NONE
    for row in np.flatnonzero(current.bud_age != NONE):
        for neighbour, n_px, pointing in _contacts(
            labels, objects, int(row), options.bud_contact_px
        ):
            columns.contacts.append(
                (current.first_row + int(row), current.first_row + neighbour, n_px)
            )
            columns.pointing.append(pointing)


def _enters(labels: Labels, objects: FrameObjects, row: int) -> bool:
    """Return True if the border cuts off much of a cell, which then comes from outside."""
    y0, x0, y1, x1 = objects.bbox[row]
    own = labels[y0:y1, x0:x1] == objects.label[row]
    height, width = labels.shape
    cuts = [
        (own[0], y0 == 0),
        (own[-1], y1 == height),
        (own[:, 0], x0 == 0),
        (own[:, -1], x1 == width),
    ]
    return any(at and rim.sum() > MAX_CUT_FRACTION * rim.size for rim, at in cuts)


def _contacts(
    labels: Labels, objects: FrameObjects, row: int, contact_px: int
) -> list[tuple[int, int, float]]:
    """Return each neighbour within `contact_px` of a cell's outline, its pixels there, pointing."""
    y0, x0, y1, x1 = objects.bbox[row]
    margin = contact_px + 1
    window = labels[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin]
    own = window == objects.label[row]
    near = (ndimage.distance_transform_edt(~own) <= contact_px + 1) & ~own & (window != 0)
    label, n_px = np.unique(window[near], return_counts=True)
    rows = objects.index_of(label.astype(np.int64))
    pointing = _pointing(own, objects.yx[rows] - objects.yx[row])
    return list(zip(rows.tolist(), n_px.tolist(), pointing.tolist(), strict=True))


def _pointing(mask: NDArray[np.bool_], directions: Floats) -> Floats:
    """Measure the elongation of a cell towards each of ``(n, 2)`` directions.

    It is the elongation (1 - minor / major variance of the pixel positions) times
    ``cos(2 angle) / 2``, where the angle is between the major axis and the direction. It ranges
    from -0.5 to 0.5 and is 0 for a disc.
    """
    places = np.argwhere(mask).astype(np.float64)
    places -= places.mean(axis=0)
    variance, axes = np.linalg.eigh(places.T @ places / len(places))
    if variance[1] == 0:
        return np.zeros(len(directions))
    length = np.maximum(np.linalg.norm(directions, axis=1), 1e-9)
    cosine = directions @ axes[:, 1] / length
    pointing: Floats = (1 - variance[0] / variance[1]) * (cosine**2 - 0.5)
    return pointing


def _graph(columns: _Columns) -> LinkGraph:
    frames = columns.objects
    counts = [len(objects) for objects in frames]
    n = sum(counts)
    frame = np.repeat(np.arange(len(frames)), counts)
    yx = np.concatenate([np.zeros((0, 2)), *(o.yx for o in frames)])
    drift = np.array(columns.drift_yx, dtype=float).reshape(-1, 2)

    none = np.zeros(0, dtype=np.int64)
    graph = LinkGraph(
        frame=frame.astype(np.int64),
        label=np.concatenate([none, *(o.label for o in frames)]),
        area_px=np.concatenate([none, *(o.area_px for o in frames)]),
        yx=yx,
        fixed_yx=yx - drift[frame],
        bbox=np.concatenate([none.reshape(0, 4), *(o.bbox for o in frames)]),
        border=np.concatenate([none.astype(bool), *(o.border for o in frames)]),
        predecessor=np.full(n, NONE, dtype=np.int64),
        successor=np.full(n, NONE, dtype=np.int64),
        parent=np.full(n, NONE, dtype=np.int64),
        iou=np.full(n, np.nan),
        cost=np.full(n, np.nan),
        margin=np.full(n, np.nan),
        kind=np.full(n, "start", dtype=object),
        earlier_overlaps=np.concatenate([none.reshape(0, 3), *columns.earlier_overlaps]),
        contacts=np.array(columns.contacts, dtype=np.int64).reshape(-1, 3),
        pointing=np.array(columns.pointing, dtype=np.float64),
        subsampled_links=np.concatenate([none.reshape(0, 3), *columns.subsampled_links]),
        drift_yx=drift,
        n_frames=len(frames),
    )
    for before, after, links, kind in columns.links:
        graph.predecessor[after], graph.successor[before] = before, after
        graph.iou[after], graph.cost[after], graph.margin[after] = (
            links.iou,
            links.cost,
            links.margin,
        )
        graph.kind[after] = kind
    return graph
