"""Levels of lower resolution of an OME-Zarr, written while its planes are.

Each level has half the height and width of the level before, until it fits into one chunk. Pixels
of an image are the mean of 2 x 2 pixels, those of a label image the label that most of them have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.files.lazy import zarr
from cellsam_core.files.omezarr_arrays import CHUNK_PX, create_array, declare_levels

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from numpy.typing import NDArray

    from cellsam_core.files.omezarr import OmeZarr

    Halve = Callable[[NDArray[Any]], NDArray[Any]]

BLOCK_ROWS = 128  # The rows that are halved at a time fit into the cache of a processor.


class PyramidWriter:
    """Writer of the planes of an OME-Zarr and, with them, of its levels of lower resolution.

    Used as a context manager: the levels are added to the metadata when all planes are written.

    Parameters
    ----------
    store
        New image or label image that :func:`cellsam_core.files.omezarr.create` returned.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from cellsam_core.files import omezarr
    >>> path = f"{tempfile.mkdtemp()}/masks.zarr"
    >>> store = omezarr.create(path, shape=(1500, 2100), axes="yx", dtype="uint32")
    >>> with PyramidWriter(store) as writer:
    ...     writer.write((), 0, np.ones((1500, 2100), np.uint32))
    >>> [omezarr.open_(path).level(k).shape for k in range(3)]
    [(1500, 2100), (750, 1050), (375, 525)]
    """

    def __init__(self, store: OmeZarr) -> None:
        self._store = store
        self._height = store.shape_yx[0]
        self._plane: tuple[int, ...] | None = None
        self._next_row = 0
        group = zarr.open_group(str(store.path), mode="r+")
        halve = halve_mean if "c" in store.axes else halve_mode
        lead = store.array.shape[:-2]
        self._level: _Level | None = None
        for k, shape in reversed(list(enumerate(level_shapes(store.shape_yx)))[1:]):
            array = create_array(group, str(k), (*lead, *shape), store.axes, store.array.dtype)
            self._level = _Level(array, halve, self._level)

    def __enter__(self) -> PyramidWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            n_levels = len(level_shapes(self._store.shape_yx))
            declare_levels(self._store.path, self._store.axes, n_levels)

    def write(self, plane: tuple[int, ...], y0: int, rows: NDArray[Any]) -> None:
        """Write full rows of a plane; those of a plane come from top to bottom, plane by plane.

        Parameters
        ----------
        plane
            Index along the axes before y and x.
        y0
            Number of the first row.
        rows
            ``(y, x)`` pixels.
        """
        if y0 == 0:
            self._plane, self._next_row = plane, 0
        assert (plane, y0) == (self._plane, self._next_row), "rows come from top to bottom"
        self._next_row += len(rows)
        self._store.array[(*plane, slice(y0, self._next_row))] = rows
        if self._level is not None:
            self._level.add(plane, rows, is_last=self._next_row == self._height)


class _Level:
    """One level, and rows of it that wait until a row of chunks is complete."""

    def __init__(self, array: zarr.Array[Any], halve: Halve, next_: _Level | None) -> None:
        self._array, self._halve, self._next = array, halve, next_
        height, width = array.shape[-2:]
        self._rows = np.empty((min(height, CHUNK_PX), width), array.dtype)
        self._n_rows = self._y0 = 0
        self._left: NDArray[Any] | None = None

    def add(self, plane: tuple[int, ...], rows: NDArray[Any], *, is_last: bool) -> None:
        """Take full rows of the level before."""
        if self._left is not None:
            rows, self._left = np.concatenate([self._left, rows]), None
        if len(rows) % 2 and not is_last:
            rows, self._left = rows[:-1], rows[-1:].copy()
        for start in range(0, len(rows), BLOCK_ROWS):
            block = self._halve(rows[start : start + BLOCK_ROWS])
            while len(block):
                n = min(len(block), len(self._rows) - self._n_rows)
                self._rows[self._n_rows : self._n_rows + n] = block[:n]
                self._n_rows += n
                block = block[n:]
                if self._n_rows == len(self._rows):
                    self._flush(plane, is_last=False)
        if is_last:
            self._flush(plane, is_last=True)

    def _flush(self, plane: tuple[int, ...], *, is_last: bool) -> None:
        rows = self._rows[: self._n_rows]
        if self._n_rows:
            end = self._y0 + self._n_rows
            self._array[(*plane, slice(self._y0, end))] = rows
            self._y0 = end
        self._n_rows = 0
        if self._next is not None:
            self._next.add(plane, rows, is_last=is_last)
        if is_last:
            self._y0 = 0


def level_shapes(shape_yx: tuple[int, int]) -> list[tuple[int, int]]:
    """List height and width of all levels, the full resolution first.

    Examples
    --------
    >>> level_shapes((5000, 2049))
    [(5000, 2049), (2500, 1025), (1250, 513), (625, 257)]
    """
    shapes = [shape_yx]
    while max(shapes[-1]) > CHUNK_PX:
        height, width = shapes[-1]
        shapes.append((-(-height // 2), -(-width // 2)))
    return shapes


def halve_mean(pixels: NDArray[Any]) -> NDArray[Any]:
    """Average 2 x 2 pixels; the last row or column of an odd number is averaged alone.

    Parameters
    ----------
    pixels
        ``(y, x)``, uint8 or uint16.

    Examples
    --------
    >>> halve_mean(np.array([[1, 2, 9], [3, 4, 7]], np.uint16)).tolist()
    [[3, 8]]
    """
    a, b, c, d = _quarters(pixels)
    total = a.astype(np.uint32)
    total += b
    total += c
    total += d
    total += 2
    total >>= 2
    return total.astype(pixels.dtype)


def halve_mode(labels: NDArray[Any]) -> NDArray[Any]:
    """Take the most frequent label of 2 x 2 pixels; of equally frequent ones, the first.

    Parameters
    ----------
    labels
        ``(y, x)`` label image.

    Examples
    --------
    >>> halve_mode(np.array([[1, 2, 9], [2, 0, 7]], np.uint32)).tolist()
    [[2, 9]]
    """
    a, b, c, d = _quarters(labels)
    out: NDArray[Any] = a.copy()
    # Rare pixels only, on the borders of cells, need more than the first label.
    y, x = np.nonzero((a != b) & (a != c) & (a != d))
    second, third, fourth = b[y, x], c[y, x], d[y, x]
    is_second = (second == third) | (second == fourth)
    rest = np.where(third == fourth, third, out[y, x])
    out[y, x] = np.where(is_second, second, rest)
    return out


def _quarters(
    pixels: NDArray[Any],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the four pixels of each 2 x 2; the last row or column of an odd number twice."""
    height, width = pixels.shape
    if height % 2 or width % 2:
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2)), mode="edge")
    return pixels[::2, ::2], pixels[::2, 1::2], pixels[1::2, ::2], pixels[1::2, 1::2]
