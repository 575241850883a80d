"""Contrast of the segmentation channels, as the weights were trained on it.

Each plane is clipped at a percentile of its non-zero pixels and stretched to 0-1. For the
published weights it is then equalised with CLAHE (Israel et al., CellSAM, bioRxiv
2023.11.17.567630; scikit-image's `equalize_adapthist`, kernel 128 px, clip limit 0.01).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.models import PUBLISHED_CLAHE_CLIP_LIMIT
from cellsam_core.preprocessing.options import PreprocessOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

BAND_PX = 1024
"""Rows of a band of a large plane; the chunk size of the store that bands go to."""
TILE_PX = 2048
WHOLE_PLANE_PX = 4096 * 4096
"""Planes up to this many pixels are processed at once."""
N_BINS = 256
MAX_SAMPLED_PX = 1 << 24
# Rec. 709, on the pixel values as they are.
LUMINANCE = (0.2125, 0.7154, 0.0721)


def to_grey(rgb: NDArray[Any]) -> NDArray[np.float32]:
    """Return the luminance of a colour image (Rec. 709 weights).

    Parameters
    ----------
    rgb
        Red, green and blue ``(3, y, x)``, any real type.

    Returns
    -------
    ndarray of float32, (y, x)
        Luminance in the unit of the input.
    """
    return np.tensordot(np.asarray(LUMINANCE, np.float32), rgb.astype(np.float32), axes=1)


def preprocess_plane(
    plane: NDArray[Any],
    *,
    clip_percentile: float = PreprocessOptions.clip_percentile,
    clahe_kernel_px: int = PreprocessOptions.clahe_kernel_px,
    clahe_clip_limit: float = PUBLISHED_CLAHE_CLIP_LIMIT,
    limits: tuple[float, float] | None = None,
) -> NDArray[np.float32]:
    """Clip, stretch to 0-1 and equalise one plane.

    Parameters
    ----------
    plane
        Image ``(y, x)``, any real type. Pixels that are not finite count as 0.
    clip_percentile
        Percentile of the non-zero pixels, 0 to 100; brighter pixels are clipped to it.
    clahe_kernel_px
        Side of the regions of the adaptive histogram equalisation (CLAHE), in pixels.
    clahe_clip_limit
        Contrast limit of CLAHE, 0 to 1; a higher one gives more contrast, 0 leaves CLAHE out.
    limits
        Intensities that become 0 and 1; without them, see :func:`intensity_limits`.

    Returns
    -------
    ndarray of float32, (y, x)
        Values between 0 and 1; 0 everywhere for a constant plane.
    """
    limits = limits or intensity_limits([plane], plane.size, clip_percentile)
    stretched = _stretch(plane, limits)
    if clahe_clip_limit == 0 or not stretched.any():
        return stretched
    from skimage.exposure import equalize_adapthist

    equalised = equalize_adapthist(stretched, clahe_kernel_px, clahe_clip_limit)
    return np.asarray(equalised, dtype=np.float32)


def intensity_limits(
    bands: Iterable[NDArray[Any]], n_pixels: int, clip_percentile: float
) -> tuple[float, float]:
    """Return the intensities that become 0 and 1: minimum, and percentile of non-zero pixels.

    The percentile is exact up to 16.8 million pixels; of larger planes it is that of evenly
    spaced pixels, so that memory stays bounded.

    Parameters
    ----------
    bands
        Parts of one plane.
    n_pixels
        Number of pixels of the whole plane.
    clip_percentile
        Percentile from 0 to 100.

    Returns
    -------
    tuple of float
        Lower and upper limit; they are equal for a plane without contrast.
    """
    step = -(-n_pixels // MAX_SAMPLED_PX)
    low = np.inf
    samples, offset = [], 0
    for band in bands:
        flat = finite(band).ravel()
        if flat.size:
            low = min(low, float(flat.min()))
        sample = flat[(-offset) % step :: step]
        samples.append(sample[sample != 0])
        offset += flat.size
    signal = np.concatenate(samples) if samples else np.empty(0)
    if signal.size == 0:
        return 0.0, 0.0
    return low, float(np.percentile(signal, clip_percentile))


def preprocess_bands(
    read_rows: Callable[[int, int], NDArray[Any]],
    shape_yx: tuple[int, int],
    options: PreprocessOptions,
    limits: tuple[float, float] | None = None,
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Process a plane that is too large for memory, without seams.

    The result is that of :func:`preprocess_plane`, but for the sampled percentile: intensity
    limits are those of the whole plane, tiles lie on the grid of CLAHE's regions and carry
    the neighbouring regions that are interpolated with.

    Parameters
    ----------
    read_rows
        Function of first row and row behind the last one.
    shape_yx
        Height and width of the plane in pixels.
    options
        Percentile, and kernel and limit of CLAHE.
    limits
        Intensities that become 0 and 1, see :func:`preprocess_plane`.

    Yields
    ------
    tuple of int and ndarray of float32, (y, x)
        Number of the first row, and `BAND_PX` full rows, or what is left of them.
    """
    height, width = shape_yx
    rows = [(y, min(y + BAND_PX, height)) for y in range(0, height, BAND_PX)]
    limits = limits or intensity_limits(
        (read_rows(*r) for r in rows), height * width, options.clip_percentile
    )
    if options.clip_limit == 0 or limits[1] <= limits[0]:
        for y0, y1 in rows:
            yield y0, _stretch(read_rows(y0, y1), limits)
        return

    def equalise(y0: int, y1: int) -> NDArray[np.float32]:
        top, bottom = _halo(y0, y1, height, options.clahe_kernel_px)
        stretched = _stretch(read_rows(top, bottom), limits)
        return _equalise_band(stretched, options)[y0 - top : y1 - top]

    # CLAHE's last step stretches the whole plane to 0-1: a first pass finds its range.
    ranges = [(float(band.min()), float(band.max())) for band in (equalise(*r) for r in rows)]
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    for y0, y1 in rows:
        yield y0, _stretch(equalise(y0, y1), (low, high))


def finite(pixels: NDArray[Any]) -> NDArray[Any]:
    """Put 0 in the place of what is no number or infinite."""
    if pixels.dtype.kind != "f":
        return pixels
    return np.asarray(np.nan_to_num(pixels, nan=0.0, posinf=0.0, neginf=0.0))


def _stretch(pixels: NDArray[Any], limits: tuple[float, float]) -> NDArray[np.float32]:
    low, high = limits
    if high <= low:
        return np.zeros(pixels.shape, np.float32)
    stretched = (finite(pixels).astype(np.float64) - low) / (high - low)
    return np.clip(stretched, 0, 1).astype(np.float32)


def _halo(start: int, stop: int, size: int, kernel_px: int) -> tuple[int, int]:
    """Widen a range by one CLAHE region, to the grid of regions, inside the plane."""
    first = max(0, (start // kernel_px - 1) * kernel_px)
    last = (-(-stop // kernel_px) + 1) * kernel_px
    return first, min(size, last)


def _equalise_band(
    stretched: NDArray[np.float32], options: PreprocessOptions
) -> NDArray[np.float32]:
    """Equalise full rows tile by tile, without the final stretch."""
    # The public function stretches each tile by its own range, which would show as seams.
    from skimage.exposure._adapthist import NR_OF_GRAY, _clahe

    kernel_px = options.clahe_kernel_px
    width = stretched.shape[1]
    equalised = np.empty(stretched.shape, np.float32)
    for x0 in range(0, width, TILE_PX):
        x1 = min(x0 + TILE_PX, width)
        left, right = _halo(x0, x1, width, kernel_px)
        grey = np.round(np.round(stretched[:, left:right] * 65535.0) / 65535 * (NR_OF_GRAY - 1))
        tile = _clahe(grey.astype(np.uint16), [kernel_px] * 2, options.clip_limit, N_BINS)
        equalised[:, x0:x1] = tile[:, x0 - left : x1 - left]
    return equalised
