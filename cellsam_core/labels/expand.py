"""Cells grown outwards, as where a stain shows nuclei and whole cells are wanted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from skimage.segmentation import expand_labels

from cellsam_core.labels.tiles import LabelTiles

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


def expand(labels: LabelTiles, distance_px: float) -> LabelTiles:
    """Give the background within a distance of a cell to the nearest cell.

    A tile is grown with the pixels around it that can reach into it, so that the result does not
    depend on where tiles end.

    Parameters
    ----------
    labels
        Label image.
    distance_px
        How far, from pixel centre to pixel centre.
    """
    if distance_px <= 0:
        return labels
    height, width = labels.shape_yx
    margin = math.ceil(distance_px)

    def read_window(rows: slice, columns: slice) -> npt.NDArray[np.uint32]:
        y0, x0 = max(0, rows.start - margin), max(0, columns.start - margin)
        y1, x1 = min(height, rows.stop + margin), min(width, columns.stop + margin)
        grown = expand_labels(labels.window(y0, y1, x0, x1), distance_px)
        cut: npt.NDArray[np.uint32] = grown[
            rows.start - y0 : rows.stop - y0, columns.start - x0 : columns.stop - x0
        ]
        return cut

    return LabelTiles(read_window, labels.shape_yx, labels.tile_px)
