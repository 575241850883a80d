"""Levels of an OME-Zarr image: regions are read at any zoom, through a cache of chunks."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr

from cellsam_core.errors import InputError, first_line

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.files.omezarr import OmeZarr

CACHE_BYTES = 128 << 20
MAX_REDUCED_PX = 4096
"""Largest side of a region that is read whole in order to reduce it."""


class ChunkCache:
    """The decoded chunks that were used last.

    Parameters
    ----------
    limit_bytes
        Largest size of all chunks together.
    """

    def __init__(self, limit_bytes: int = CACHE_BYTES) -> None:
        self._limit = limit_bytes
        self._chunks: OrderedDict[tuple[Any, ...], NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()
        self.size_bytes = 0

    def get(self, key: tuple[Any, ...]) -> NDArray[Any] | None:
        """Return a chunk; None if it is not kept."""
        with self._lock:
            chunk = self._chunks.get(key)
            if chunk is not None:
                self._chunks.move_to_end(key)
            return chunk

    def put(self, key: tuple[Any, ...], chunk: NDArray[Any]) -> None:
        """Keep a chunk; those that were not used for the longest time are dropped."""
        with self._lock:
            old = self._chunks.pop(key, None)
            self.size_bytes += chunk.nbytes - (0 if old is None else old.nbytes)
            self._chunks[key] = chunk
            while self.size_bytes > self._limit and len(self._chunks) > 1:
                self.size_bytes -= self._chunks.popitem(last=False)[1].nbytes


class Pyramid:
    """An image with the levels that its folder has.

    Parameters
    ----------
    image
        The opened image.
    cache
        Cache of chunks, shared by all images.
    """

    def __init__(self, image: OmeZarr, cache: ChunkCache) -> None:
        self.path: Path = image.path
        self.axes = image.axes
        self.channels = image.channels
        self.n_frames = image.n_frames
        self.shape_yx = image.shape_yx
        self.version = image.version
        self._cache = cache
        self._arrays = _arrays_by_factor(image)

    @property
    def n_levels(self) -> int:
        """Number of levels until the whole image fits into one tile of 512 px."""
        return max(0, (max(self.shape_yx) - 1).bit_length() - 9) + 1

    def size(self, level: int) -> tuple[int, int]:
        """Return height and width of a level in its pixels."""
        height, width = ((n + (1 << level) - 1) >> level for n in self.shape_yx)
        return height, width

    def index(self, frame: int, channel: int | None = None) -> tuple[int, ...]:
        """Return the index of a plane for :meth:`read`; labels have no channel."""
        at = (frame,) if "t" in self.axes else ()
        return at if channel is None else (*at, channel)

    def read(
        self, level: int, index: tuple[int, ...], corner: tuple[int, int], shape: tuple[int, int]
    ) -> NDArray[Any] | None:
        """Read a region of one plane.

        Parameters
        ----------
        level
            Zoom: a pixel of the level is ``2**level`` pixels of the image.
        index
            Frame and channel of an image, frame of labels, as far as there are such axes.
        corner, shape
            First pixel and size of the region (y, x) in pixels of the level. What lies outside
            of the image is 0.

        Returns
        -------
        ndarray, (h, w) or None
            None where the folder has no level that is coarse enough to be read quickly.

        Raises
        ------
        InputError
            A chunk is damaged.
        """
        factor = max(f for f in self._arrays if f <= 1 << level)
        step = (1 << level) // factor
        if max(shape) * step > MAX_REDUCED_PX:
            return None
        y0, x0 = (c * step for c in corner)
        fine = self._read(factor, index, (y0, x0), (shape[0] * step, shape[1] * step))
        if step == 1:
            return fine
        if "c" not in self.axes:
            return fine[step // 2 :: step, step // 2 :: step]
        blocks = fine.reshape(shape[0], step, shape[1], step)
        return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32).astype(fine.dtype))

    def region(
        self, index: tuple[int, ...], corner: tuple[int, int], shape: tuple[int, int]
    ) -> NDArray[Any]:
        """Read a region of one plane in full size, however large; see :meth:`read`."""
        return self._read(1, index, corner, shape)

    def _read(
        self, factor: int, index: tuple[int, ...], corner: tuple[int, int], shape: tuple[int, int]
    ) -> NDArray[Any]:
        array = self._arrays[factor]
        rows, columns = array.chunks[-2:]
        y0, x0 = (max(0, c) for c in corner)
        y1, x1 = (
            min(c + n, size) for c, n, size in zip(corner, shape, array.shape[-2:], strict=True)
        )
        out = np.zeros(shape, array.dtype)
        for i in range(y0 // rows, -(-y1 // rows)):
            for j in range(x0 // columns, -(-x1 // columns)):
                top, left = max(y0, i * rows), max(x0, j * columns)
                bottom, right = min(y1, (i + 1) * rows), min(x1, (j + 1) * columns)
                part = self._chunk(factor, index, i, j)
                part = part[top - i * rows : bottom - i * rows]
                part = part[:, left - j * columns : right - j * columns]
                to = np.s_[
                    top - corner[0] : bottom - corner[0], left - corner[1] : right - corner[1]
                ]
                out[to] = part
        return out

    def _chunk(self, factor: int, index: tuple[int, ...], i: int, j: int) -> NDArray[Any]:
        key = (str(self.path), self.version, factor, index, i, j)
        chunk = self._cache.get(key)
        if chunk is None:
            array = self._arrays[factor]
            rows, columns = array.chunks[-2:]
            window = np.s_[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns]
            try:
                chunk = np.asarray(array[(*index, *window)])
            except (OSError, RuntimeError, ValueError) as error:
                raise InputError(
                    self.path,
                    found=f"a damaged chunk ({first_line(error)})",
                    expected="a complete OME-Zarr image",
                    remedy="delete the folder and run the workflow again",
                ) from error
            self._cache.put(key, chunk)
        return chunk


def _arrays_by_factor(image: OmeZarr) -> dict[int, zarr.Array[Any]]:
    """Open the levels whose pixels are 1, 2, 4, ... pixels of the image."""
    group = zarr.open_group(str(image.path), mode="r")
    attributes: dict[str, Any] = dict(group.attrs)
    ome: dict[str, Any] = attributes.get("ome", attributes)
    found = {1: image.array}
    for dataset in ome["multiscales"][0]["datasets"][1:]:
        array = group[dataset["path"]]
        if isinstance(array, zarr.Array):
            factor = round(image.shape_yx[0] / array.shape[-2])
            fits = [
                abs(-(-n // factor) - m) <= 1
                for n, m in zip(image.shape_yx, array.shape[-2:], strict=True)
            ]
            if factor & (factor - 1) == 0 and all(fits):
                found[factor] = array
    return found
