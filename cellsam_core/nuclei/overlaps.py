"""Pixels that nuclei and cells of one frame share, counted tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TILE_PX = 1024
"""Side of a tile; the chunk of ``masks.zarr``."""
SHIFT = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)


class Overlaps(NamedTuple):
    """Numbers of pixels by nucleus and cell.

    Attributes
    ----------
    nucleus, cell
        ``(n,)`` labels, uint32, sorted by both and each pair once; 0 for no nucleus or no cell,
        but not for both.
    n_px
        ``(n,)`` number of pixels, int64.
    """

    nucleus: npt.NDArray[np.uint32]
    cell: npt.NDArray[np.uint32]
    n_px: npt.NDArray[np.int64]


def count_overlaps(
    read_nuclei: Callable[[slice, slice], npt.NDArray[Any]],
    read_cells: Callable[[slice, slice], npt.NDArray[Any]],
    shape_yx: tuple[int, int],
) -> Overlaps:
    """Count the pixels of every pair; memory grows with the number of cells only.

    Parameters
    ----------
    read_nuclei, read_cells
        Functions of rows and columns that return a window of the labels, ``(y, x)`` integers.
    shape_yx
        Height and width of the frame in pixels.
    """
    keys, counts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for rows, columns in _windows(shape_yx):
        nuclei = read_nuclei(rows, columns).astype(np.uint64).ravel()
        cells = read_cells(rows, columns).astype(np.uint64).ravel()
        key = (nuclei << SHIFT) | cells
        key, count = np.unique(key[key > 0], return_counts=True)
        keys.append(key)
        counts.append(count)
    key, place = np.unique(np.concatenate(keys), return_inverse=True)
    n_px = np.bincount(place, np.concatenate(counts), minlength=len(key)).astype(np.int64)
    return Overlaps((key >> SHIFT).astype(np.uint32), (key & LOW).astype(np.uint32), n_px)


def _windows(shape_yx: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    height, width = shape_yx
    for y0 in range(0, height, TILE_PX):
        for x0 in range(0, width, TILE_PX):
            yield slice(y0, min(height, y0 + TILE_PX)), slice(x0, min(width, x0 + TILE_PX))
