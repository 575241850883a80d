"""Outlines drawn into a label image, window by window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from cellsam_core.labels.tiles import LabelTiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


class Drawing(LabelTiles):
    """A label image that is drawn from outlines when it is read; outline k has the label k + 1.

    A pixel belongs to the outline that its centre lies in; of two that overlap, to the first.

    Parameters
    ----------
    outlines
        Polygons in pixels ``(x, y)``; pixel centres are at integers.
    shape_yx
        Height and width of the image in pixels.
    """

    def __init__(self, outlines: Sequence[shapely.Geometry], shape_yx: tuple[int, int]) -> None:
        self._outlines = np.array(list(outlines), dtype=object)
        self._tree = shapely.STRtree(self._outlines)
        self.contested: set[int] = set()
        super().__init__(self._read, shape_yx)

    def _read(self, rows: slice, columns: slice) -> npt.NDArray[np.uint32]:
        y0, y1, x0, x1 = rows.start, rows.stop, columns.start, columns.stop
        labels = np.zeros((y1 - y0, x1 - x0), np.uint32)
        window = shapely.box(x0 - 0.5, y0 - 0.5, x1 - 0.5, y1 - 0.5)
        for index in np.sort(self._tree.query(window)).tolist():
            outline = self._outlines[index]
            left, top, right, bottom = shapely.bounds(outline)
            ys = np.arange(max(y0, int(np.ceil(top))), min(y1, int(np.floor(bottom)) + 1))
            xs = np.arange(max(x0, int(np.ceil(left))), min(x1, int(np.floor(right)) + 1))
            if not (len(ys) and len(xs)):
                continue
            shapely.prepare(outline)
            grid: Any = np.meshgrid(xs.astype(np.float64), ys.astype(np.float64))
            inside = shapely.contains_xy(outline, *grid)
            part = labels[ys[0] - y0 : ys[-1] + 1 - y0, xs[0] - x0 : xs[-1] + 1 - x0]
            if (inside & (part > 0)).any():
                self.contested.add(index)
            part[inside & (part == 0)] = index + 1
        return labels
