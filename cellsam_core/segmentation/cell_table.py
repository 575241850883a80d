"""The cell table, with one row for each segmented cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellsam_core.files.facts import Facts
from cellsam_core.files.tables import with_sample

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
UM_COLUMNS = ("y_um", "x_um", "area_um2", "y_image_um", "x_image_um")


def cell_table(
    frame: int,
    instances: list[Instance],
    shape_yx: tuple[int, int],
    pixel_size_um: float | None,
    facts: Facts | None = None,
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
        Side of a pixel in micrometres; the columns in micrometres are NaN without it.
    facts
        Place of the image on the slide, and name of the sample for a last column ``sample``.

    Returns
    -------
    DataFrame
        One row for each cell: centroid ``y``, ``x`` and bounding box in pixels, the end of a box
        not included, area, scores; ``y_um``, ``x_um`` on the slide, ``area_um2``, and
        ``y_image_um``, ``x_image_um`` in the image.
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
    return with_places(table, pixel_size_um, facts)


def with_places(
    table: pd.DataFrame, pixel_size_um: float | None, facts: Facts | None
) -> pd.DataFrame:
    """Add the columns in micrometres and the sample to a cell table; see :func:`cell_table`."""
    size_um = np.nan if pixel_size_um is None else pixel_size_um
    xy_um = (facts or Facts()).slide_um(table[["x", "y"]].to_numpy(), pixel_size_um)
    table["y_um"], table["x_um"] = xy_um[:, 1], xy_um[:, 0]
    table["area_um2"] = table["area_px"] * size_um**2
    table["y_image_um"], table["x_image_um"] = table["y"] * size_um, table["x"] * size_um
    return table if facts is None else with_sample(table, facts.sample)
