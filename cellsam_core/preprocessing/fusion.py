"""Stains of one role, fused to one plane by their local signal to noise.

Each stain is measured in blocks: how much it varies at the size of cells and their borders, how
much it varies from pixel to pixel, and how bright its background is. Each stain is divided by its
own local signal, so that all regions have the same contrast, and weighted by the square of its
ratio of signal to noise in power. The square lets the best stain dominate: a sum of different
structures, such as membranes and cytoplasm, is harder to segment than one of them. Where no stain
has more than noise, the plane is dark. Between the centres of blocks weights change linearly, so
that no border of a block can be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from cellsam_core.preprocessing.contrast import finite

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellsam_core.files.plane import Window

    Grid = NDArray[np.float32]

BLOCK_PX = 64
"""Side of a block; each is averaged with its neighbours, so that some cells are in it."""
FINE_PX, COARSE_PX = 5, 33
"""Structures between these sizes count as signal: smaller ones are noise, larger ones haze."""
MARGIN_PX = COARSE_PX // 2 + 1
COLUMNS_PX = 2048
BACKGROUND_PERCENTILE = 1
LAPLACIAN = np.outer([1, -2, 1], [1, -2, 1])
LAPLACIAN_SD = 6.0 * 0.6745
"""Median of the absolute value of the filtered noise, for a standard deviation of 1."""
SHARPNESS = 2
"""Exponent of the ratios of signal to noise, in power, from which weights are made."""
MAX_RATIO = 10.0
"""Largest ratio of signal to noise of single pixels. Beyond, stains count as equally good."""
MIN_PIXELS = 256


@dataclass(frozen=True)
class Fusion:
    """Weights of the stains of one plane.

    Attributes
    ----------
    gain
        Factor of each stain ``(n, y, x)`` at the centres of blocks.
    background
        Grey value of each stain's background ``(n, y, x)`` at the centres of blocks.
    share
        Share of each stain ``(n, y, x)`` in the signal of the blocks, 0 to 1. The shares of a
        block add up to 1, or to 0 where no stain has a signal.
    """

    gain: Grid
    background: Grid
    share: Grid

    @property
    def has_signal(self) -> NDArray[np.bool_]:
        """Blocks in which any stain has a signal."""
        return np.asarray(self.share.sum(0) > 0)

    def fuse(
        self, read: Callable[[int, Window], NDArray[Any]], window: Window
    ) -> NDArray[np.float32]:
        """Return the fused plane in a window; its unit is the standard deviation of the signal.

        Parameters
        ----------
        read
            Function of a stain's index and a window, which returns the pixels ``(y, x)``.
        window
            First row, row behind the last one, and the same of columns, in pixels.
        """
        y0, y1, x0, x1 = window
        fused = np.zeros((y1 - y0, x1 - x0), np.float32)
        for stain in range(len(self.gain)):
            pixels = read(stain, window)
            for left in range(x0, x1, COLUMNS_PX):
                right = min(left + COLUMNS_PX, x1)
                part = finite(pixels[:, left - x0 : right - x0].astype(np.float32))
                rows, columns = (y0, y1), (left, right)
                part -= _spread(self.background[stain], rows, columns)
                part *= _spread(self.gain[stain], rows, columns)
                fused[:, left - x0 : right - x0] += part
        return np.maximum(fused, 0, out=fused)


def plan_fusion(
    read: Callable[[int, Window], NDArray[Any]],
    n_stains: int,
    shape_yx: tuple[int, int],
    *,
    has_gaps: bool = False,
) -> Fusion:
    """Measure the stains of a plane, block by block, and find their weights.

    Parameters
    ----------
    read
        Function of a stain's index and a window ``(y0, y1, x0, x1)`` in pixels, which returns the
        pixels ``(y, x)``. Memory holds one row of blocks of one stain at a time.
    n_stains
        Number of stains.
    shape_yx
        Height and width of the plane in pixels.
    has_gaps
        True for a plane of fields of view: pixels of 0 lie between them and are not measured.
    """
    height, width = shape_yx
    n_y, n_x = -(-height // BLOCK_PX), -(-width // BLOCK_PX)
    signal, noise, background, seen = (np.zeros((n_stains, n_y, n_x)) for _ in range(4))
    for stain in range(n_stains):
        for i in range(n_y):
            top, bottom, rows = _with_margin(i, height)
            band = read(stain, (top, bottom, 0, width))
            for j in range(n_x):
                left, right, columns = _with_margin(j, width)
                found = _measure(band[:, left:right], rows, columns, has_gaps=has_gaps)
                if found is not None:
                    signal[stain, i, j], noise[stain, i, j], background[stain, i, j] = found
                    seen[stain, i, j] = 1
    return _weigh(signal, noise, _darkest(background, seen), seen)


def _weigh(
    signal: NDArray[np.float64],
    noise: NDArray[np.float64],
    background: NDArray[np.float64],
    seen: NDArray[np.float64],
) -> Fusion:
    """Make weights of the variances of signal and noise of each block that was seen."""
    n_seen = _smooth(seen)
    signal, noise, background = (
        np.divide(_smooth(of), n_seen, out=np.zeros_like(of), where=n_seen > 0)
        for of in (signal, noise, background)
    )
    ratio = np.divide(signal, noise, out=np.zeros_like(signal), where=noise > 0)
    weight = ratio**SHARPNESS
    total = weight.sum(0)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    # A cell is seen by means over many pixels, which have less noise than one.
    seen_ratio = ratio.max(0) * FINE_PX**2
    scale = np.divide(1, np.sqrt(signal), out=np.zeros_like(signal), where=signal > 0)
    gain = share * scale * seen_ratio / (seen_ratio + 1)
    share = np.where(seen_ratio >= 1, share, 0)
    return Fusion(*(of.astype(np.float32) for of in (gain, background, share)))


def _darkest(background: NDArray[np.float64], seen: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the darkest background of each block and its neighbours: a block may be all cell."""
    known = np.where(seen > 0, background, np.inf)
    found = ndimage.minimum_filter(known, (1, 3, 3), mode="nearest")
    return np.where(seen > 0, found, 0)


def _with_margin(index: int, size: int) -> tuple[int, int, slice]:
    """Return first and last pixel of a block with its margin, and the block inside of them."""
    start, stop = index * BLOCK_PX, min((index + 1) * BLOCK_PX, size)
    first = max(0, start - MARGIN_PX)
    return first, min(size, stop + MARGIN_PX), slice(start - first, stop - first)


def _measure(
    pixels: NDArray[Any], rows: slice, columns: slice, *, has_gaps: bool
) -> tuple[float, float, float] | None:
    """Return variance of the signal, variance of the noise and background; None if not to know."""
    is_whole = pixels.dtype.kind in "bui"
    grey = finite(pixels.astype(np.float32))
    inside: Any = np.s_[:]
    if has_gaps:
        near = ndimage.minimum_filter((grey != 0).astype(np.uint8), COARSE_PX)[rows, columns] > 0
        if near.sum() < MIN_PIXELS:
            return None
        inside = near
    fine = ndimage.uniform_filter(grey, FINE_PX)
    structure = (fine - ndimage.uniform_filter(grey, COARSE_PX))[rows, columns][inside]
    rough = np.abs(ndimage.convolve(grey, LAPLACIAN.astype(np.float32))[rows, columns][inside])
    noise = (float(np.median(rough)) / LAPLACIAN_SD) ** 2
    noise = max(noise, 1 / 12 if is_whole else 0.0)  # whole numbers are rounded
    signal = max(0.0, float(structure.var(dtype=np.float64)) - noise / FINE_PX**2)
    noise = max(noise, signal / MAX_RATIO**2)
    background = float(np.percentile(fine[rows, columns][inside], BACKGROUND_PERCENTILE))
    return signal, noise, background


def _smooth(grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average each block with its eight neighbours."""
    for axis in (1, 2):
        grid = ndimage.correlate1d(grid, [0.25, 0.5, 0.25], axis, mode="nearest")
    return grid


def _spread(grid: Grid, rows: tuple[int, int], columns: tuple[int, int]) -> NDArray[np.float32]:
    """Interpolate the centres of blocks to pixels."""
    for axis, (start, stop) in enumerate((rows, columns)):
        place = ((np.arange(start, stop) + 0.5) / BLOCK_PX - 0.5).clip(0, grid.shape[axis] - 1)
        low = place.astype(np.intp)
        part = (place - low).astype(np.float32)
        part = part[:, None] if axis == 0 else part[None]
        high = np.minimum(low + 1, grid.shape[axis] - 1)
        grid = grid.take(low, axis) * (1 - part) + grid.take(high, axis) * part
    return grid
