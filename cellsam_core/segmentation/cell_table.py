"""The cell table, with one row for each segmented cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from cellsam_core.segmentation.instances import Instance

DTYPES = {
    "frame": "int32",
    "label": "uint32",
    "y": "float64",
    "x": "float64",
    "area_px": "int64",
    "bbox_y0": "int32",
    "bbox_x0": "int32",
    "bbox_y1": "int32",
    "bbox_x1": "int32",
    "score": "float32",
    "predicted_iou": "float32",
    "touches_border": "bool",
}


def cell_table(
    frame: int,
    instances: list[Instance],
    shape_yx: tuple[int, int],
    pixel_size_um: float | None,
) -> pd.DataFrame:
    """Measure the cells of one frame.

    Parameters
    ----------
    frame
        Index of the frame.
    instances
        Disjoint cells in the order of their labels.
    shape_yx
        Height and width of the frame in pixels.
    pixel_size_um
        Side of a pixel in micrometres; it adds the columns ``y_um``, ``x_um``, ``area_um2``.

    Returns
    -------
    DataFrame
        One row for each cell: centroid ``y``, ``x`` and bounding box in pixels, the end of a box
        not included, area, scores.
    """
    height, width = shape_yx
    rows = []
    for label, i in enumerate(instances, start=1):
        y, x = np.nonzero(i.mask)
        border = i.y0 == 0 or i.x0 == 0 or i.y1 == height or i.x1 == width
        centre = i.y0 + y.mean(), i.x0 + x.mean()
        box = i.y0, i.x0, i.y1, i.x1
        rows.append((frame, label, *centre, len(y), *box, i.score, i.predicted_iou, border))
    table = pd.DataFrame(rows, columns=list(DTYPES)).astype(DTYPES)
    if pixel_size_um is not None:
        table["y_um"] = table["y"] * pixel_size_um
        table["x_um"] = table["x"] * pixel_size_um
        table["area_um2"] = table["area_px"] * pixel_size_um**2
    return table
