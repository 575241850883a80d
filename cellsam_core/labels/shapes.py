"""Shape of every cell of a label image, in memory that does not grow with the image."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellsam_core.labels.borders import inner_borders
from cellsam_core.labels.rows import rows_of
from cellsam_core.labels.runs import find_runs

if TYPE_CHECKING:
    from cellsam_core.labels.tiles import LabelTiles

MARGIN_PX = 2
# The perimeter of scikit-image: a pixel of the border counts by the pattern of its neighbours.
NEIGHBOUR_WEIGHT = {1: 2, 2: 10}
PATTERN_LENGTH = np.zeros(50)
PATTERN_LENGTH[[5, 7, 15, 17, 25, 27]] = 1
PATTERN_LENGTH[[21, 33]] = np.sqrt(2)
PATTERN_LENGTH[[13, 23]] = (1 + np.sqrt(2)) / 2
SHAPE_COLUMNS = (
    "perimeter_px",
    "major_axis_px",
    "minor_axis_px",
    "equivalent_diameter_px",
    "eccentricity",
    "orientation_rad",
)


def measure_shapes(labels: LabelTiles, measured: pd.DataFrame) -> pd.DataFrame:
    """Measure the shape of every cell, as scikit-image's ``regionprops`` defines it.

    Parameters
    ----------
    labels
        Label image.
    measured
        All cells of the image, sorted by ``label``, with ``bbox_y0`` and ``bbox_x0``.

    Returns
    -------
    pandas.DataFrame
        One row a cell, in the order and with the index of `measured`: ``perimeter_px``,
        ``major_axis_px`` and ``minor_axis_px`` (axes of the ellipse of the same moments),
        ``equivalent_diameter_px``, ``eccentricity`` (0 for a circle, towards 1 for a line) and
        ``orientation_rad`` (angle from the y axis to the major axis, -pi/2 to pi/2).
    """
    ids = measured["label"].to_numpy()
    origin = measured[["bbox_y0", "bbox_x0"]].to_numpy(dtype=np.int64)
    sums = np.zeros((6, len(ids)))
    perimeter = np.zeros(len(ids))
    height, width = labels.shape_yx
    side = labels.tile_px
    for y0, x0 in product(range(0, height, side), range(0, width, side)):
        y1, x1 = min(y0 + side, height), min(x0 + side, width)
        _add_moments(sums, labels.window(y0, y1, x0, x1), (y0, x0), ids, origin)
        rows = max(0, y0 - MARGIN_PX), min(height, y1 + MARGIN_PX)
        columns = max(0, x0 - MARGIN_PX), min(width, x1 + MARGIN_PX)
        padding = (
            (MARGIN_PX - (y0 - rows[0]), MARGIN_PX - (rows[1] - y1)),
            (MARGIN_PX - (x0 - columns[0]), MARGIN_PX - (columns[1] - x1)),
        )
        perimeter += _perimeters(np.pad(labels.window(*rows, *columns), padding), ids)
    return _shapes(sums, perimeter).set_axis(measured.index)


def _add_moments(
    sums: npt.NDArray[np.float64],
    tile: npt.NDArray[np.uint32],
    corner_yx: tuple[int, int],
    ids: npt.NDArray[np.uint32],
    origin: npt.NDArray[np.int64],
) -> None:
    """Add n, y, x, y2, x2 and xy of the pixels of a tile, counted from each cell's own corner.

    All are whole numbers below 2^53 for cells of less than 100,000 px a side, and exact.
    """
    start, length = find_runs(tile)
    label = np.ascontiguousarray(tile).ravel()[start]
    cell = rows_of(label, ids)
    is_cell = cell >= 0  # neither background nor a cell that is not measured
    start, n, cell = start[is_cell], length[is_cell], cell[is_cell]
    y = start // tile.shape[1] + corner_yx[0] - origin[cell, 0]
    x = start % tile.shape[1] + corner_yx[1] - origin[cell, 1]
    sum_x = n * x + n * (n - 1) // 2
    sum_x2 = n * x * x + x * n * (n - 1) + (n - 1) * n * (2 * n - 1) // 6
    for total, weight in zip(sums, (n, n * y, sum_x, n * y * y, sum_x2, y * sum_x), strict=True):
        total += np.bincount(cell, weight, len(ids))


def _perimeters(
    labels: npt.NDArray[np.uint32], ids: npt.NDArray[np.uint32]
) -> npt.NDArray[np.float64]:
    """Sum the lengths of the pixels of the borders inside of the margin."""
    border, width = inner_borders(labels), labels.shape[1]
    is_inside = np.zeros(labels.shape, dtype=bool)
    is_inside[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX] = True
    at = np.flatnonzero(border & is_inside)
    # Places in flat arrays are found faster than pairs of y and x.
    label, is_border = labels.ravel(), border.ravel()
    here = label[at]
    pattern = np.ones(len(at), np.int8)
    for dy, dx in product((-1, 0, 1), repeat=2):
        if dy or dx:
            place = at + (dy * width + dx)
            weight = np.int8(NEIGHBOUR_WEIGHT[abs(dy) + abs(dx)])
            pattern += weight * (is_border[place] & (label[place] == here))
    row = rows_of(here, ids) + 1  # 0: a cell that is not measured
    return np.bincount(row, PATTERN_LENGTH[pattern], len(ids) + 1)[1:].astype(np.float64)


def _shapes(sums: npt.NDArray[np.float64], perimeter: npt.NDArray[np.float64]) -> pd.DataFrame:
    n, y, x, y2, x2, xy = sums
    var_y, var_x, covariance = y2 / n - (y / n) ** 2, x2 / n - (x / n) ** 2, xy / n - y * x / n**2
    middle, half = (var_y + var_x) / 2, np.hypot((var_y - var_x) / 2, covariance)
    large, small = np.clip(middle + half, 0, None), np.clip(middle - half, 0, None)
    # A single pixel has no axis.
    flat = np.divide(small, large, out=np.ones(len(n)), where=large > 0)
    return pd.DataFrame(
        {
            "perimeter_px": perimeter,
            "major_axis_px": 4 * np.sqrt(large),
            "minor_axis_px": 4 * np.sqrt(small),
            "equivalent_diameter_px": 2 * np.sqrt(n / np.pi),
            "eccentricity": np.sqrt(np.clip(1 - flat, 0, 1)),
            "orientation_rad": 0.5 * np.arctan2(2 * covariance, var_y - var_x),
        }
    )
