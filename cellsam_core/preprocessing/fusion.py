"""Stains of one role, fused to one plane by their local signal to noise.

Each stain is measured in blocks: how much it varies at the size of cells and their borders, how
much it varies from pixel to pixel, and how bright its background is. The ratio of signal to noise
of a block is the median of it and its neighbours, which, unlike a mean, does not mix the good and
the bad part of a stain where its quality changes. Stains are weighted by the square of this ratio
in power, so that the best stain dominates: a sum of different structures, such as membranes and
cytoplasm, is harder to segment than one of them, and a stain that is several times worse adds only
noise.

Background and contrast of a stain are means over some hundred pixels, of the places where the
stain is used. Thus all regions have a like contrast, but dim cells stay dimmer than their bright
neighbours. Where no stain has more than noise, the plane is dark. Between the centres of blocks
weights change linearly, so that no border of a block can be seen.

Light is noisier where it is brighter (shot noise). Each stain is therefore compressed so that its
noise is the same at all brightnesses (Anscombe 1948, Murtagh et al. 1995): in proportion to the
square root where shot noise prevails, and not at all where noise does not grow with brightness or
is negligible beside the signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

import numpy as np
from scipy import ndimage

from cellsam_core.preprocessing.contrast import finite

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellsam_core.files.plane import Window

    Grid = NDArray[np.float32]

T = TypeVar("T")

BLOCK_PX = 64
"""Side of a block; it is looked at together with its neighbours, so that some cells are in it."""
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
CONTRAST_BLOCKS = 3.0
"""Standard deviation, in blocks, of the weights with which contrast and background are averaged."""
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
    bend
        Compression of each stain ``(n, y, x)``, per grey value: from 1 / `bend` above the
        background on, the plane grows with the square root. 0 is no compression.
    share
        Share of each stain ``(n, y, x)`` in the signal of the blocks, 0 to 1. The shares of a
        block add up to 1, or to 0 where no stain has a signal.
    """

    gain: Grid
    background: Grid
    bend: Grid
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
                bent = part * _spread(self.bend[stain], rows, columns)
                part *= 2 / (1 + np.sqrt(np.maximum(1 + bent, 0)))
                part *= _spread(self.gain[stain], rows, columns)
                fused[:, left - x0 : right - x0] += part
        return np.maximum(fused, 0, out=fused)


class _Block(NamedTuple, Generic[T]):
    """Measures of a stain in a block.

    Attributes
    ----------
    signal, noise
        Variance of structures of the size of cells and borders, and from pixel to pixel.
    background
        Grey value of the darkest places.
    dim, bright
        Mean grey value of the dimmer and the brighter half of the pixels.
    dim_noise, bright_noise
        Variance of the noise of both halves.
    """

    signal: T
    noise: T
    background: T
    dim: T
    bright: T
    dim_noise: T
    bright_noise: T


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
    blocks = np.full((len(_Block._fields), n_stains, n_y, n_x), np.nan)
    for stain in range(n_stains):
        for i in range(n_y):
            top, bottom, rows = _with_margin(i, height)
            band = read(stain, (top, bottom, 0, width))
            for j in range(n_x):
                left, right, columns = _with_margin(j, width)
                found = _measure(band[:, left:right], rows, columns, has_gaps=has_gaps)
                if found is not None:
                    blocks[:, stain, i, j] = found
    return _weigh(_Block(*blocks))


def _weigh(blocks: _Block[NDArray[np.float64]]) -> Fusion:
    """Make weights of what was measured in the blocks; what was not seen is not a number."""
    is_seen = ~np.isnan(blocks.signal)
    ratio = _divide(_typical(blocks.signal, is_seen), _typical(blocks.noise, is_seen))
    weight = ratio**SHARPNESS
    share = _divide(weight, weight.sum(0))
    # A cell is seen by means over many pixels, which have less noise than one.
    seen_ratio = ratio.max(0) * FINE_PX**2
    contrast, bend, background = _scale(blocks, share * is_seen)
    gain = _divide(share, contrast) * seen_ratio / (seen_ratio + 1)
    share = np.where(seen_ratio >= 1, share, 0)
    return Fusion(*(of.astype(np.float32) for of in (gain, background, bend, share)))


def _scale(
    blocks: _Block[NDArray[np.float64]], used: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Find contrast after compression, compression, and background of the stains.

    Parameters
    ----------
    blocks
        What was measured in the blocks.
    used
        Share of each stain in each block; 0 where it was not seen.
    """
    dark = _darkest(blocks.background)
    blocks = _Block(*(np.nan_to_num(of) for of in blocks))
    signal, background, dim, bright, dim_noise, bright_noise = (
        _mean_where_used(of, used)
        for of in (
            *(blocks.signal, dark, blocks.dim, blocks.bright),
            *(blocks.dim_noise, blocks.bright_noise),
        )
    )
    slope = _divide(np.maximum(bright_noise - dim_noise, 0), bright - dim)
    # Noise that is negligible beside the signal is no reason to compress it.
    least = signal / MAX_RATIO**2
    floor = np.maximum(dim_noise - slope * (dim - background), 0) + least
    bend = _divide(slope, floor)
    brightness = np.maximum((dim + bright) / 2 - background, 0)
    return np.sqrt(_divide(signal, 1 + bend * brightness)), bend, background


def _divide(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide; the result is 0 where the divisor is 0."""
    whole = np.broadcast_to(whole, part.shape)
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _typical(grid: NDArray[np.float64], is_seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the median of each block and its eight neighbours, of those that were seen."""
    found = np.zeros_like(grid)
    _, height, width = grid.shape
    for median, of, seen in zip(found, grid, is_seen, strict=True):
        padded = np.pad(np.where(seen, of, np.nan), 1, "edge")
        near = [padded[i : i + height, j : j + width] for i in range(3) for j in range(3)]
        known = ndimage.binary_dilation(seen, np.ones((3, 3)))
        median[known] = np.nanmedian([other[known] for other in near], axis=0)
    return found


def _mean_where_used(grid: NDArray[np.float64], used: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average each block with those around it, weighted by the share of the stain in them."""
    near = (0, CONTRAST_BLOCKS, CONTRAST_BLOCKS)
    total, weight = (
        ndimage.gaussian_filter(of, near, mode="nearest") for of in (used * grid, used)
    )
    return _divide(total, weight)


def _darkest(background: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the darkest background of each block and its neighbours: a block may be all cell."""
    known = np.where(np.isnan(background), np.inf, background)
    found = ndimage.minimum_filter(known, (1, 3, 3), mode="nearest")
    return np.where(np.isnan(background), 0, found)


def _with_margin(index: int, size: int) -> tuple[int, int, slice]:
    """Return first and last pixel of a block with its margin, and the block inside of them."""
    start, stop = index * BLOCK_PX, min((index + 1) * BLOCK_PX, size)
    first = max(0, start - MARGIN_PX)
    return first, min(size, stop + MARGIN_PX), slice(start - first, stop - first)


def _measure(
    pixels: NDArray[Any], rows: slice, columns: slice, *, has_gaps: bool
) -> _Block[float] | None:
    """Measure a block; None if too few of its pixels belong to the image."""
    is_whole = pixels.dtype.kind in "bui"
    grey = finite(pixels.astype(np.float32))
    inside: Any = np.s_[:]
    if has_gaps:
        near = ndimage.minimum_filter((grey != 0).astype(np.uint8), COARSE_PX)[rows, columns] > 0
        if near.sum() < MIN_PIXELS:
            return None
        inside = near
    smooth = ndimage.uniform_filter(grey, FINE_PX)
    structure = (smooth - ndimage.uniform_filter(grey, COARSE_PX))[rows, columns][inside]
    rough = np.abs(ndimage.convolve(grey, LAPLACIAN.astype(np.float32))[rows, columns][inside])
    smooth = smooth[rows, columns][inside]
    rounding = 1 / 12 if is_whole else 0.0  # variance of whole numbers that are rounded
    noise = _noise(rough, rounding)
    signal = max(0.0, float(structure.var(dtype=np.float64)) - noise / FINE_PX**2)
    is_bright = smooth > np.median(smooth)
    halves = [half for half in (~is_bright, is_bright) if half.any()]
    dim, bright = (float(smooth[halves[k]].mean(dtype=np.float64)) for k in (0, -1))
    dim_noise, bright_noise = (_noise(rough[halves[k]], rounding) for k in (0, -1))
    noise = max(noise, signal / MAX_RATIO**2)
    background = float(np.percentile(smooth, BACKGROUND_PERCENTILE))
    return _Block(signal, noise, background, dim, bright, dim_noise, bright_noise)


def _noise(rough: NDArray[np.float32], least: float) -> float:
    """Return the variance of the noise, from the absolute values of the filtered pixels."""
    return max(least, (float(np.median(rough)) / LAPLACIAN_SD) ** 2)


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
