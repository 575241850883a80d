"""Cells of a frame and their overlaps with another frame, from run-length encoded labels.

A frame of 1,000 x 1,000 pixels has some 60,000 runs, so everything after finding the runs is
cheap and nothing is quadratic in the number of cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cellsam_core.runs import find_runs

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
        ``(n,)`` areas.
    yx
        ``(n, 2)`` centroids in pixels; pixel centres are at integers.
    bbox
        ``(n, 4)`` y0, x0, y1, x1, half open.
    border
        ``(n,)`` whether the cell touches the image's border.
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
        """Radii of discs of the same areas."""
        return np.sqrt(self.area_px / np.pi)

    def index_of(self, labels: Ints) -> Ints:
        """Rows of `labels`, all of which must be present."""
        order, ordered = self._by_label
        rows: Ints = order[np.searchsorted(ordered, labels)]
        return rows

    @cached_property
    def _by_label(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.label)
        return order, self.label[order]


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


def measure_objects(labels: Labels) -> FrameObjects:
    """Measure the cells of a ``(y, x)`` label image; 0 is background."""
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
    yx = np.stack([y, x], axis=1)[order]
    return FrameObjects(label[order], area.astype(np.int64)[order], yx, bbox[order], border[order])


def count_overlaps(
    before: Labels,
    after: Labels,
    before_objects: FrameObjects,
    after_objects: FrameObjects,
    shift_yx: tuple[int, int] = (0, 0),
) -> Overlaps:
    """Count the pixels shared by the cells of two frames.

    Parameters
    ----------
    before, after
        ``(y, x)`` label images of one size.
    before_objects, after_objects
        Their cells.
    shift_yx
        What is at ``(y, x)`` in `before` is compared with ``(y + dy, x + dx)`` in `after`.
    """
    window_before, window_after = shifted_windows(before.shape, shift_yx)
    a = np.ascontiguousarray(before[window_before])
    b = np.ascontiguousarray(after[window_after])
    if a.size == 0:
        empty = np.zeros(0, dtype=np.int64)
        return Overlaps(empty, empty, empty, empty, empty)
    starts, lengths = find_runs(a, b)
    label_a, label_b = a.ravel()[starts], b.ravel()[starts]
    both = (label_a != 0) & (label_b != 0)
    i = before_objects.index_of(label_a[both].astype(np.int64))
    j = after_objects.index_of(label_b[both].astype(np.int64))
    shape = (len(before_objects), len(after_objects))
    table = sparse.coo_array((lengths[both], (i, j)), shape=shape).tocsr().tocoo()
    i, j = table.row.astype(np.int64), table.col.astype(np.int64)
    area_i, area_j = before_objects.area_px, after_objects.area_px
    if shift_yx != (0, 0):
        area_i = _visible_px(label_a, lengths, before_objects)
        area_j = _visible_px(label_b, lengths, after_objects)
    return Overlaps(i, j, table.data, area_i[i], area_j[j])


def _visible_px(labels: Labels, lengths: Ints, objects: FrameObjects) -> Ints:
    """Pixels of each cell among runs of `labels`."""
    cell = labels != 0
    rows = objects.index_of(labels[cell].astype(np.int64))
    return np.bincount(rows, lengths[cell], len(objects)).astype(np.int64)


def shifted_windows(
    shape: tuple[int, ...], shift_yx: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Windows of the earlier and the later image that show the same place after a shift."""
    before, after = [], []
    for size, shift in zip(shape, shift_yx, strict=True):
        before.append(slice(max(0, -shift), max(0, size - max(0, shift))))
        after.append(slice(max(0, shift), max(0, size - max(0, -shift))))
    return (before[0], before[1]), (after[0], after[1])
