"""Stains of a tissue, read once by bands of rows: intensities of the cells, and a small picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from cellsam_core.labels.runs import find_runs
from cellsam_core.labels.tiles import TILE_PX

if TYPE_CHECKING:
    from cellsam_core.labels.tiles import LabelTiles
    from cellsam_core.preprocessing.images import RawImages
    from cellsam_core.samples.manifest import Manifest

Floats = npt.NDArray[np.float64]

PICTURE_PX = 800
"""Longest side of the small picture, in pixels."""
PICTURE_CHANNELS = 2


@dataclass
class Measured:
    """Intensities of cells, and a small picture of the first channels.

    Attributes
    ----------
    channels
        Names of the channels.
    n_px, n_px_nucleus
        ``(cells,)`` pixels of each cell, and those in a nucleus (0 without nuclei).
    sums, sums_nucleus
        ``(cells, channels)`` summed grey values of each cell, and in its nucleus.
    step
        Side of a block of pixels that is one pixel of the picture.
    picture
        ``(channels, y, x)`` means of blocks, float32; of at most two channels.
    labels
        ``(y, x)`` label in the middle of each block, uint32.
    """

    channels: tuple[str, ...]
    n_px: npt.NDArray[np.int64]
    n_px_nucleus: npt.NDArray[np.int64]
    sums: Floats
    sums_nucleus: Floats
    step: int
    picture: npt.NDArray[np.float32]
    labels: npt.NDArray[np.uint32]
    has_nuclei: bool = False

    @property
    def means(self) -> Floats:
        """Mean grey value ``(cells, channels)``; NaN for a cell without pixels."""
        return _divide(self.sums, self.n_px)

    @property
    def means_nucleus(self) -> Floats:
        """Mean grey value in the nucleus ``(cells, channels)``; NaN for a cell without one."""
        return _divide(self.sums_nucleus, self.n_px_nucleus)


def _divide(sums: Floats, n_px: npt.NDArray[np.int64]) -> Floats:
    n = n_px[:, None].astype(np.float64)
    return np.asarray(np.divide(sums, n, out=np.full(sums.shape, np.nan), where=n > 0))


def absent_images(manifest: Manifest) -> str | None:
    """Return the first raw image of a manifest that is no longer there; None if all are."""
    planes = [plane for row in manifest.planes for plane in row if plane is not None]
    names = (name for plane in planes for name in (plane.path, *plane.also))
    return next((name for name in names if not Path(name).exists()), None)


def measure_stains(
    images: RawImages | None,
    cells: LabelTiles,
    cell_id: npt.NDArray[np.uint32],
    nuclei: LabelTiles | None = None,
) -> Measured:
    """Measure every channel in every cell, and shrink the first channels to a picture.

    One band of rows of one channel is in memory at a time.

    Parameters
    ----------
    images
        Raw images of one frame; without them, only the labels are shrunken.
    cells
        Labels of the cells, as large as the images.
    cell_id
        ``(cells,)`` sorted labels to measure; all of the label image.
    nuclei
        Labels or mask of the nuclei; None if they are not known.

    Returns
    -------
    Measured
        Sums and numbers of pixels; sums of whole numbers are exact.
    """
    height, width = cells.shape_yx
    channels = [] if images is None else images.channels
    step = max(1, -(-max(height, width) // PICTURE_PX))
    n_cells, n_channels = len(cell_id), len(channels)
    shape = -(-height // step), -(-width // step)
    found = Measured(
        tuple(channels),
        np.zeros(n_cells, np.int64),
        np.zeros(n_cells, np.int64),
        np.zeros((n_cells, n_channels)),
        np.zeros((n_cells, n_channels)),
        step,
        np.zeros((min(n_channels, PICTURE_CHANNELS), *shape), np.float32),
        np.zeros(shape, np.uint32),
        nuclei is not None,
    )
    band_px = max(1, TILE_PX // step) * step
    for y0 in range(0, height, band_px):
        band = _Band(y0, min(height, y0 + band_px), width)
        rows = slice(y0 // step, -(-band.y1 // step))
        found.labels[rows] = band.middle(cells, step)
        if images is None:
            continue
        for x0 in range(0, width, TILE_PX):
            band.add(cells, nuclei, cell_id, x0, min(width, x0 + TILE_PX))
        band.count(found)
        for c, name in enumerate(channels):
            pixels = images.read(0, [name], (y0, band.y1, 0, width))[0]
            band.sum(found, c, pixels)
            if c < len(found.picture):
                found.picture[c, rows] = _shrink(pixels, step)
    return found


@dataclass
class _Run:
    """Runs of equal labels in one tile: start in the tile, cell, and if it is in a nucleus."""

    x0: int
    x1: int
    start: npt.NDArray[np.intp]
    end: npt.NDArray[np.intp]
    cell: npt.NDArray[np.intp]
    in_nucleus: npt.NDArray[np.bool_]


@dataclass
class _Band:
    """Rows of the image from `y0` to `y1` and the runs of cells in them."""

    y0: int
    y1: int
    width: int
    runs: list[_Run] = field(default_factory=list)

    def add(
        self,
        cells: LabelTiles,
        nuclei: LabelTiles | None,
        cell_id: npt.NDArray[np.uint32],
        x0: int,
        x1: int,
    ) -> None:
        """Find the runs of a tile."""
        window = self.y0, self.y1, x0, x1
        labels = np.ascontiguousarray(cells.window(*window))
        # A run may not go on from a nucleus into the cytoplasm.
        mask = None if nuclei is None else nuclei.window(*window) > 0
        kinds = labels if mask is None else labels.astype(np.uint64) * 2 + mask
        start, length = find_runs(kinds)
        label = labels.ravel()[start]
        is_cell = label > 0
        start, length, label = start[is_cell], length[is_cell], label[is_cell]
        inside = np.zeros(len(start), bool) if mask is None else mask.ravel()[start]
        cell = np.searchsorted(cell_id, label)
        self.runs.append(_Run(x0, x1, start, start + length, cell, inside))

    def count(self, found: Measured) -> None:
        """Add the numbers of pixels."""
        n_cells = len(found.n_px)
        for run in self.runs:
            length = run.end - run.start
            found.n_px += np.bincount(run.cell, length, n_cells).astype(np.int64)
            inside = np.where(run.in_nucleus, length, 0)
            found.n_px_nucleus += np.bincount(run.cell, inside, n_cells).astype(np.int64)

    def sum(self, found: Measured, channel: int, pixels: npt.NDArray[Any]) -> None:
        """Add the grey values of one channel."""
        n_cells = len(found.n_px)
        for run in self.runs:
            if not len(run.start):
                continue
            grey = pixels[:, run.x0 : run.x1].astype(np.float64).ravel()
            # The pixels of a run, and then those up to the next one, which are dropped.
            bounds = np.stack([run.start, run.end], axis=1).ravel()
            total = np.add.reduceat(np.append(grey, 0.0), bounds)[::2]
            found.sums[:, channel] += np.bincount(run.cell, total, n_cells)
            inside = np.where(run.in_nucleus, total, 0.0)
            found.sums_nucleus[:, channel] += np.bincount(run.cell, inside, n_cells)

    def middle(self, cells: LabelTiles, step: int) -> npt.NDArray[np.uint32]:
        """Return the label in the middle of each block of pixels."""
        row = np.minimum(np.arange(self.y0, self.y1, step) + step // 2, self.y1 - 1)
        column = np.minimum(np.arange(0, self.width, step) + step // 2, self.width - 1)
        y, x = (grid.ravel().astype(np.int32) for grid in np.meshgrid(row, column, indexing="ij"))
        return cells.at(y, x).reshape(len(row), len(column))


def _shrink(pixels: npt.NDArray[Any], step: int) -> npt.NDArray[np.float32]:
    """Average blocks of pixels; those at the end may be smaller."""
    rows = np.arange(0, pixels.shape[0], step)
    columns = np.arange(0, pixels.shape[1], step)
    total = np.add.reduceat(pixels.astype(np.float64), columns, axis=1)
    total = np.add.reduceat(total, rows, axis=0)
    height = np.diff(rows, append=pixels.shape[0])
    width = np.diff(columns, append=pixels.shape[1])
    mean: npt.NDArray[np.float32] = (total / np.outer(height, width)).astype(np.float32)
    return mean
