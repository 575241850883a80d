"""A label image of any size, tile by tile: where its cells are, how large, and their outlines."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cellsam_core.labels.runs import find_runs

if TYPE_CHECKING:
    from collections.abc import Callable

TILE_PX = 1024  # The chunk of masks.zarr: a tile costs one decompression.
N_CACHED_TILES = 64  # 256 MB of uint32: a row of tiles 65,000 px wide.


class LabelTiles:
    """A label image read in square tiles, the latest of which stay in memory.

    Parameters
    ----------
    read_window
        ``read_window(rows, columns)`` gives the labels of a window as a ``(y, x)`` integer array.
    shape_yx
        Height and width of the image in pixels.
    tile_px
        Side of a tile.
    """

    def __init__(
        self,
        read_window: Callable[[slice, slice], npt.NDArray[Any]],
        shape_yx: tuple[int, int],
        tile_px: int = TILE_PX,
    ) -> None:
        self.shape_yx = shape_yx
        self.tile_px = tile_px
        self.n_tiles_y, self.n_tiles_x = (-(-size // tile_px) for size in shape_yx)

        def read(tile_y: int, tile_x: int) -> npt.NDArray[np.uint32]:
            y, x = tile_y * tile_px, tile_x * tile_px
            window = read_window(
                slice(y, min(y + tile_px, shape_yx[0])), slice(x, min(x + tile_px, shape_yx[1]))
            )
            return np.asarray(window).astype(np.uint32, copy=False)

        self.tile = lru_cache(maxsize=N_CACHED_TILES)(read)

    def at(
        self, row: npt.NDArray[np.int32], column: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.uint32]:
        """Labels of pixels inside of the image; each tile is read at most once a call."""
        labels = np.zeros(len(row), dtype=np.uint32)
        tile = (row // self.tile_px) * self.n_tiles_x + column // self.tile_px
        order = np.argsort(tile, kind="stable")
        starts = np.flatnonzero(np.diff(tile[order], prepend=-1))
        for group in np.split(order, starts[1:]) if len(order) else []:
            tile_y, tile_x = divmod(int(tile[group[0]]), self.n_tiles_x)
            place = row[group] - tile_y * self.tile_px, column[group] - tile_x * self.tile_px
            labels[group] = self.tile(tile_y, tile_x)[place]
        return labels

    def window(self, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.uint32]:
        """Read rows `y0` to `y1` and columns `x0` to `x1` (ends excluded, inside the image)."""
        side = self.tile_px
        if y0 // side == (y1 - 1) // side and x0 // side == (x1 - 1) // side:
            tile = self.tile(y0 // side, x0 // side)
            return tile[y0 % side : (y1 - 1) % side + 1, x0 % side : (x1 - 1) % side + 1]
        rows = []
        for tile_y in range(y0 // side, (y1 - 1) // side + 1):
            pieces = []
            for tile_x in range(x0 // side, (x1 - 1) // side + 1):
                top, left = tile_y * side, tile_x * side
                tile = self.tile(tile_y, tile_x)
                pieces.append(tile[max(y0 - top, 0) : y1 - top, max(x0 - left, 0) : x1 - left])
            rows.append(np.concatenate(pieces, axis=1))
        return np.concatenate(rows, axis=0)


class LabelArray(LabelTiles):
    """A label image in memory, or mapped into it: no tile is copied.

    Parameters
    ----------
    labels
        ``(y, x)`` integers from 0 to 2^32 - 1.
    """

    def __init__(self, labels: npt.NDArray[Any]) -> None:
        super().__init__(lambda rows, columns: labels[rows, columns], labels.shape)
        self._labels = labels

    def at(
        self, row: npt.NDArray[np.int32], column: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.uint32]:
        """Labels of pixels inside of the image."""
        return self._labels[row, column].astype(np.uint32, copy=False)

    def window(self, y0: int, y1: int, x0: int, x1: int) -> npt.NDArray[np.uint32]:
        """Cut rows `y0` to `y1` and columns `x0` to `x1`."""
        window = np.asarray(self._labels[y0:y1, x0:x1])
        return window.astype(np.uint32, copy=False)


def measure_cells(labels: LabelTiles) -> pd.DataFrame:
    """Measure every label, in memory that grows with the number of cells only.

    Returns
    -------
    pandas.DataFrame
        Sorted by ``label`` (uint32), with the columns of ``cells.parquet`` that follow from the
        labels: centroid ``y``, ``x`` (px), ``area_px``, ``bbox_y0``, ``bbox_x0``, ``bbox_y1``,
        ``bbox_x1`` (ends excluded), ``touches_border``.
    """
    parts = [
        _measure_tile(labels.tile(tile_y, tile_x), tile_y * labels.tile_px, tile_x * labels.tile_px)
        for tile_y in range(labels.n_tiles_y)
        for tile_x in range(labels.n_tiles_x)
    ]
    columns = {"area_px": "sum", "sum_y": "sum", "sum_x": "sum"}
    columns |= {"bbox_y0": "min", "bbox_x0": "min", "bbox_y1": "max", "bbox_x1": "max"}
    if not parts:
        parts = [pd.DataFrame({name: np.empty(0, np.int64) for name in ["label", *columns]})]
    cells = pd.concat(parts).groupby("label", sort=True).agg(columns).reset_index()
    height, width = labels.shape_yx
    cells["y"], cells["x"] = cells["sum_y"] / cells["area_px"], cells["sum_x"] / cells["area_px"]
    cells["touches_border"] = (
        (cells["bbox_y0"] == 0)
        | (cells["bbox_x0"] == 0)
        | (cells["bbox_y1"] == height)
        | (cells["bbox_x1"] == width)
    )
    cells["label"] = cells["label"].astype(np.uint32)
    boxes = ["bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"]
    return cells[["label", "y", "x", "area_px", *boxes, "touches_border"]]


def _measure_tile(tile: npt.NDArray[np.uint32], top: int, left: int) -> pd.DataFrame:
    pixels, width = tile.ravel(), tile.shape[1]
    start, length = find_runs(tile)
    is_cell = pixels[start] > 0
    start, length = start[is_cell], length[is_cell]
    label, index = np.unique(pixels[start], return_inverse=True)
    y, x = start // width + top, start % width + left
    low = np.full((2, len(label)), np.iinfo(np.int64).max)
    high = np.full((2, len(label)), -1, dtype=np.int64)
    for axis, (first, end) in enumerate(((y, y + 1), (x, x + length))):
        np.minimum.at(low[axis], index, first)
        np.maximum.at(high[axis], index, end)
    # Sums of whole numbers below 2^53 are exact, whatever the order of the tiles.
    area, sum_y, sum_x = (
        np.bincount(index, weights=weight, minlength=len(label)).astype(np.int64)
        for weight in (length, length * y, length * x + length * (length - 1) // 2)
    )
    return pd.DataFrame(
        {
            "label": label,
            "area_px": area,
            "sum_y": sum_y,
            "sum_x": sum_x,
            "bbox_y0": low[0],
            "bbox_x0": low[1],
            "bbox_y1": high[0],
            "bbox_x1": high[1],
        }
    )
