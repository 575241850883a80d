"""Cells of a frame and their overlaps with another frame, from run-length encoded labels.

A frame of 1,000 x 1,000 pixels has about 60,000 runs, so all steps after finding the runs are fast,
and none is quadratic in the number of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cellsam_core.labels.runs import find_runs

Labels = NDArray[np.integer[Any]]
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FrameObjects:
    """The cells of one frame, ordered by centroid so that label values do not matter.

    Attributes
    ----------
    label
        ``(n,)`` label values.
    area_px
        ``(n,)`` areas in pixels.
    yx
        ``(n, 2)`` centroids in pixels; pixel centres are at integers.
    bbox
        ``(n, 4)`` bounding boxes y0, x0, y1, x1 in pixels, half open.
    border
        ``(n,)`` mask of cells that touch the border of the image.
    """

    label: Ints
    area_px: Ints
    yx: Floats
    bbox: Ints
    border: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.label)

    @property
    def radius_px(self) -> Floats:
        """Radii of discs of the same areas, in pixels."""
        return np.sqrt(self.area_px / np.pi)

    def index_of(self, labels: Ints) -> Ints:
        """Return the rows of `labels`, all of which must be present."""
        order, ordered = self._by_label
        rows: Ints = order[np.searchsorted(ordered, labels)]
        return rows

    @cached_property
    def _by_label(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.label)
        return order, self.label[order]


@dataclass(frozen=True)
class CellRuns:
    """The pixels of the cells of one frame as runs along x, starting at the top left.

    Attributes
    ----------
    cell
        ``(n,)`` row of the cell in the frame's :class:`FrameObjects`.
    y, x0, x1
        ``(n,)`` row of the image, first column, and column after the last, in pixels.
    n_cells
        Number of cells of the frame.
    shape
        Height and width of the image, in pixels.
    """

    cell: Ints
    y: Ints
    x0: Ints
    x1: Ints
    n_cells: int
    shape: tuple[int, int]

    def of(self, chosen: NDArray[np.bool_]) -> CellRuns:
        """Return only the runs of chosen cells, given as a mask ``(n_cells,)``."""
        return self._only(chosen[self.cell])

    def within(self, window: tuple[slice, slice]) -> CellRuns:
        """Crop to a window of the image, in coordinates of the window."""
        rows, columns = window
        if window == tuple(slice(0, size) for size in self.shape):
            return self
        x0, x1 = np.maximum(self.x0, columns.start), np.minimum(self.x1, columns.stop)
        inside = (self.y >= rows.start) & (self.y < rows.stop) & (x0 < x1)
        shape = max(0, rows.stop - rows.start), max(0, columns.stop - columns.start)
        cut = (self.y - rows.start, x0 - columns.start, x1 - columns.start)
        return CellRuns(self.cell, *cut, self.n_cells, shape)._only(inside)

    def _only(self, runs: NDArray[np.bool_]) -> CellRuns:
        cell, y, x0, x1 = (values[runs] for values in (self.cell, self.y, self.x0, self.x1))
        return CellRuns(cell, y, x0, x1, self.n_cells, self.shape)

    @property
    def area_px(self) -> Ints:
        """``(n_cells,)`` pixels of each cell."""
        area: Ints = np.bincount(self.cell, self.x1 - self.x0, self.n_cells).astype(np.int64)
        return area

    @property
    def span(self) -> tuple[Ints, Ints]:
        """First pixel of each run and the one after its last, as indices of the flat image."""
        return self.y * self.shape[1] + self.x0, self.y * self.shape[1] + self.x1


@dataclass(frozen=True)
class Overlaps:
    """Sparse overlaps of the cells of two frames, within what both frames show.

    Attributes
    ----------
    i, j
        ``(n,)`` rows of cells that overlap.
    n_px
        ``(n,)`` pixels that they share.
    area_i, area_j
        ``(n,)`` pixels of either that lie in the part of the image that both frames show: after
        a jump of the stage, a cell at the border is cut differently.
    """

    i: Ints
    j: Ints
    n_px: Ints
    area_i: Ints
    area_j: Ints

    @property
    def iou(self) -> Floats:
        """Intersection over union."""
        iou: Floats = self.n_px / (self.area_i + self.area_j - self.n_px)
        return iou


def measure_objects(labels: Labels) -> tuple[FrameObjects, CellRuns]:
    """Measure the cells of a ``(y, x)`` label image, 0 being background, and find their runs."""
    height, width = labels.shape
    starts, lengths = find_runs(labels)
    value = labels.ravel()[starts]
    inside = value != 0
    starts, lengths = starts[inside], lengths[inside]
    label, index = np.unique(value[inside].astype(np.int64), return_inverse=True)
    n = len(label)
    row, column = starts // width, starts % width
    area = np.bincount(index, lengths, n)
    y = np.bincount(index, lengths * row, n) / area
    x = np.bincount(index, lengths * (column + (lengths - 1) / 2), n) / area
    bbox = np.tile(np.array([height, width, 0, 0], dtype=np.int64), (n, 1))
    np.minimum.at(bbox[:, 0], index, row)
    np.minimum.at(bbox[:, 1], index, column)
    np.maximum.at(bbox[:, 2], index, row + 1)
    np.maximum.at(bbox[:, 3], index, column + lengths)
    border = (bbox[:, :2] == 0).any(axis=1) | (bbox[:, 2:] == (height, width)).any(axis=1)
    order = np.lexsort((label, x, y))
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    yx, area_px = np.stack([y, x], axis=1)[order], area.astype(np.int64)[order]
    objects = FrameObjects(label[order], area_px, yx, bbox[order], border[order])
    return objects, CellRuns(rank[index], row, column, column + lengths, n, (height, width))


def count_overlaps(
    before: CellRuns, after: CellRuns, shift_yx: tuple[int, int] = (0, 0)
) -> Overlaps:
    """Count the pixels shared by the cells of two frames.

    Parameters
    ----------
    before, after
        Cells of two images of the same size.
    shift_yx
        Translation ``dy, dx`` in pixels: the point ``(y, x)`` of `before` is compared with
        ``(y + dy, x + dx)`` of `after`.
    """
    window_before, window_after = shifted_windows(before.shape, shift_yx)
    before, after = before.within(window_before), after.within(window_after)
    span, span_after = before.span, after.span
    if len(before.cell) < len(after.cell):
        a, b = _meeting(span, span_after)
    else:
        b, a = _meeting(span_after, span)
    n_px = np.minimum(span[1][a], span_after[1][b]) - np.maximum(span[0][a], span_after[0][b])
    pairs = sparse.coo_array(
        (n_px, (before.cell[a], after.cell[b])), shape=(before.n_cells, after.n_cells)
    )
    table = pairs.tocsr().tocoo()
    i, j = table.row.astype(np.int64), table.col.astype(np.int64)
    return Overlaps(i, j, table.data, before.area_px[i], after.area_px[j])


def _meeting(few: tuple[Ints, Ints], many: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Return the pairs of runs that share pixels; the runs of either list are sorted, disjoint."""
    # The runs that meet one run are neighbours in the other list.
    first = np.searchsorted(many[1], few[0], side="right")
    n = np.searchsorted(many[0], few[1], side="left") - first
    in_few = np.repeat(np.arange(len(n)), n)
    in_many = np.arange(len(in_few)) + np.repeat(first - np.cumsum(n) + n, n)
    return in_few, in_many


def shifted_windows(
    shape: tuple[int, ...], shift_yx: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return the windows of the earlier and the later image that show the same region."""
    before, after = [], []
    for size, shift in zip(shape, shift_yx, strict=True):
        before.append(slice(max(0, -shift), max(0, size - max(0, shift))))
        after.append(slice(max(0, shift), max(0, size - max(0, -shift))))
    return (before[0], before[1]), (after[0], after[1])
