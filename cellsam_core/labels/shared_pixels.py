"""Pixels that the objects of two label images share, counted tile by tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cellsam_core.labels.tiles import TILE_PX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHIFT = np.uint64(32)
LOW = np.uint64(0xFFFFFFFF)


class SharedPixels(NamedTuple):
    """Numbers of pixels by the label in a first and in a second image.

    Attributes
    ----------
    first, second
        ``(n,)`` labels, uint32, sorted by both and each pair once; 0 for background, but not for
        both.
    n_px
        ``(n,)`` number of pixels, int64.
    """

    first: npt.NDArray[np.uint32]
    second: npt.NDArray[np.uint32]
    n_px: npt.NDArray[np.int64]


def count_shared_pixels(
    read_first: Callable[[slice, slice], npt.NDArray[Any]],
    read_second: Callable[[slice, slice], npt.NDArray[Any]],
    shape_yx: tuple[int, int],
) -> SharedPixels:
    """Count the pixels of every pair; memory grows with the number of objects only.

    Parameters
    ----------
    read_first, read_second
        Functions of rows and columns that return a window of the labels, ``(y, x)`` integers.
    shape_yx
        Height and width of both images in pixels.
    """
    keys, counts = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for rows, columns in _windows(shape_yx):
        first = read_first(rows, columns).astype(np.uint64).ravel()
        second = read_second(rows, columns).astype(np.uint64).ravel()
        key = (first << SHIFT) | second
        key, count = np.unique(key[key > 0], return_counts=True)
        keys.append(key)
        counts.append(count)
    key, place = np.unique(np.concatenate(keys), return_inverse=True)
    n_px = np.bincount(place, np.concatenate(counts), minlength=len(key)).astype(np.int64)
    return SharedPixels((key >> SHIFT).astype(np.uint32), (key & LOW).astype(np.uint32), n_px)


def _windows(shape_yx: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    height, width = shape_yx
    for y0 in range(0, height, TILE_PX):
        for x0 in range(0, width, TILE_PX):
            yield slice(y0, min(height, y0 + TILE_PX)), slice(x0, min(width, x0 + TILE_PX))
