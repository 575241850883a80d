"""Spots: the filter that makes them stand out, their peaks, and their positions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi

from cellsam_core.statistics import MAD_TO_SD

Image = npt.NDArray[np.float32]

LIT = 6.0
"""Noise levels from which on a bit counts as lit; noise alone hardly reaches them."""


def band_pass(image: Image, sigma_px: float) -> Image:
    """Laplacian of Gaussian, bright spots positive, smooth background 0.

    Parameters
    ----------
    image
        float32 ``(y, x)``.
    sigma_px
        Standard deviation of the spots to find; those answer best.
    """
    # The cut-off kernel does not sum to 0: without its offset a flat image gives just that.
    flat = image - np.median(image)
    filtered: Image = -(sigma_px**2) * ndi.gaussian_laplace(flat, sigma_px, mode="nearest")
    return filtered


def noise_level(filtered: Image) -> float:
    """Measure the standard deviation of the background by the median, which spots hardly move.

    Above 0 for any image, so that it can be divided by.
    """
    spread = MAD_TO_SD * float(np.median(np.abs(filtered - np.median(filtered))))
    return max(spread, float(np.finfo(np.float32).eps))


def find_peaks(
    image: Image, threshold: float
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows and columns of the local maxima above a threshold, in row-major order."""
    is_peak = (image > threshold) & (image == ndi.maximum_filter(image, 3, mode="nearest"))
    row, column = np.nonzero(is_peak)
    return row, column


def keep_near(filtered: Image, yx: npt.NDArray[np.float64], radius_px: float) -> Image:
    """Set an image to 0 but around spots that were found in another way.

    Parameters
    ----------
    filtered
        Filtered image, from `band_pass`.
    yx
        ``(n, 2)`` places of the spots in pixels.
    radius_px
        What `band_pass` makes of a spot of its own size ends at twice `sigma_px`.
    """
    is_far = np.ones(filtered.shape, dtype=bool)
    last = np.array(filtered.shape) - 1
    row, column = np.clip(np.rint(yx).astype(np.int64), 0, last).T
    is_far[row, column] = False
    if is_far.all():
        return np.zeros_like(filtered)
    kept: Image = np.where(ndi.distance_transform_edt(is_far) <= radius_px, filtered, np.float32(0))
    return kept


def refine(
    image: Image, row: npt.NDArray[np.int64], column: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Position of peaks to a fraction of a pixel: the vertex of a parabola along each axis.

    Returns
    -------
    y, x
        At most half a pixel off the peak; on the image's border the pixel itself.
    """
    height, width = image.shape
    y = row + _vertex(
        image[np.maximum(row - 1, 0), column],
        image[row, column],
        image[np.minimum(row + 1, height - 1), column],
        (row > 0) & (row < height - 1),
    )
    x = column + _vertex(
        image[row, np.maximum(column - 1, 0)],
        image[row, column],
        image[row, np.minimum(column + 1, width - 1)],
        (column > 0) & (column < width - 1),
    )
    return y, x


def _vertex(
    before: Image, here: Image, after: Image, is_inner: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    curvature = (before - 2.0 * here + after).astype(np.float64)
    usable = is_inner & (curvature < 0)
    offset = np.zeros(len(here))
    offset[usable] = 0.5 * (before - after)[usable] / curvature[usable]
    return np.clip(offset, -0.5, 0.5)
