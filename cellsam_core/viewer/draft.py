"""Labels of a frame on which corrections are tried; nothing of it reaches the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.viewer.pyramid import Pyramid

Window = tuple[slice, slice]


class Draft:
    """Array of the labels of a frame that is written in memory.

    Only windows that are asked for are read, so that a slide of any size can be corrected.

    Parameters
    ----------
    labels
        Label images; they stay as they are.
    index
        Index of the frame along the axes before y and x.

    Attributes
    ----------
    shape
        Height and width in pixels.
    """

    def __init__(self, labels: Pyramid, index: tuple[int, ...]) -> None:
        self.shape = labels.shape_yx
        self._labels = labels
        self._index = index
        self._written: list[tuple[Window, NDArray[Any]]] = []

    def __setitem__(self, window: Window, block: NDArray[Any]) -> None:
        self._written.append((window, block))

    def __getitem__(self, window: Window) -> NDArray[Any]:
        rows, columns = window
        shape = (rows.stop - rows.start, columns.stop - columns.start)
        found = self._labels.region(self._index, (rows.start, columns.start), shape)
        for (ys, xs), block in self._written:
            top, bottom = max(rows.start, ys.start), min(rows.stop, ys.stop)
            left, right = max(columns.start, xs.start), min(columns.stop, xs.stop)
            if top < bottom and left < right:
                part = block[top - ys.start : bottom - ys.start, left - xs.start : right - xs.start]
                found[top - rows.start : bottom - rows.start][
                    :, left - columns.start : right - columns.start
                ] = part
        return np.asarray(found)
