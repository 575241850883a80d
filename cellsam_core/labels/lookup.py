"""Labels under points: the pixel rule that every stage shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from cellsam_core.labels.tiles import LabelTiles


def lookup(
    labels: LabelTiles, x_px: npt.NDArray[np.float64], y_px: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.bool_]]:
    """Label of the pixel under every point.

    Parameters
    ----------
    labels
        Label image, read tile by tile.
    x_px, y_px
        ``(n,)`` image coordinates.

    Returns
    -------
    cell_id, is_inside
        ``(n,)``: the label, 0 for background and outside; and whether the point is in the image.
    """
    height, width = labels.shape_yx
    column, row = x_px + 0.5, y_px + 0.5
    is_inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    if not is_inside.any():
        return np.zeros(len(x_px), dtype=np.uint32), is_inside
    if not is_inside.all():
        # Any magnitude is safe: what is outside is never made an index.
        column, row = np.where(is_inside, column, 0), np.where(is_inside, row, 0)
    # Truncation is the floor of what isn't negative.
    cell_id = labels.at(row.astype(np.int32), column.astype(np.int32))
    cell_id[~is_inside] = 0
    return cell_id, is_inside
