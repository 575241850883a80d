"""Classical baseline: smoothing, Otsu threshold, watershed on the distance transform.

Otsu, IEEE Trans. Syst. Man Cybern. 9 (1979) 62; Vincent & Soille, IEEE PAMI 13 (1991) 583.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.measure import regionprops_table
from skimage.segmentation import watershed

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIGMA_PX = 1.5
SIGMA_DIAMETERS = 0.06
"""Standard deviation of the smoothing as a fraction of the diameter, where that is given."""

MIN_AREA_PX = 25


def segment_otsu_watershed(
    pixels: NDArray[np.float32], diameter_px: float | None
) -> NDArray[np.int32]:
    """Segment the whole-cell channel, or the nuclear one if that is empty.

    Segmentations of bright cells, of dark cells and of cells that differ from the background by
    their texture are made; the one that looks most like cells is kept (see
    :func:`_cell_likeness`), which is the choice that a user would make by eye.

    Parameters
    ----------
    pixels
        ``(2, y, x)`` in [0, 1]: nuclear, whole cell.
    diameter_px
        Diameter of the cells in pixels; None takes a fixed smoothing, and the scale of the
        watershed from the objects.

    Returns
    -------
    ndarray
        ``(y, x)`` int32 labels.
    """
    plane = pixels[1] if pixels[1].any() else pixels[0]
    sigma = SIGMA_PX if diameter_px is None else max(0.7, SIGMA_DIAMETERS * diameter_px)
    smooth = ndi.gaussian_filter(plane, sigma)
    if np.ptp(smooth) == 0:
        return np.zeros(plane.shape, np.int32)
    texture = np.sqrt(ndi.gaussian_filter((plane - smooth) ** 2, 2 * sigma))
    tried = [_split(view, diameter_px) for view in (smooth, -smooth, texture)]
    labels = max(tried, key=_cell_likeness)
    if labels is tried[-1]:
        # The texture filter widens objects by the reach of its window.
        labels[~ndi.binary_erosion(labels > 0, iterations=round(sigma))] = 0
    return labels


def _split(view: NDArray[np.float32], diameter_px: float | None) -> NDArray[np.int32]:
    """Threshold, fill holes and cut touching cells apart at the necks between them."""
    mask = ndi.binary_fill_holes(ndi.binary_opening(view > threshold_otsu(view)))
    distance = ndi.gaussian_filter(ndi.distance_transform_edt(mask), 1.0)
    radius = diameter_px / 2 if diameter_px else _typical_radius_px(mask, distance)
    peaks = peak_local_max(
        distance, min_distance=max(1, round(0.7 * radius)), labels=ndi.label(mask)[0]
    )
    markers = np.zeros(view.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels = watershed(-distance, markers, mask=mask)
    areas = np.bincount(labels.ravel())
    labels[areas[labels] < MIN_AREA_PX] = 0
    return np.asarray(labels, np.int32)


def _typical_radius_px(mask: NDArray[np.bool_], distance: NDArray[np.float64]) -> float:
    """Compute the median over the mask's pieces of their greatest distance to the background."""
    pieces, n = ndi.label(mask)
    if n == 0:
        return 1.0
    return float(np.median(ndi.maximum(distance, pieces, np.arange(1, n + 1))))


def _cell_likeness(labels: NDArray[np.int32]) -> float:
    """Compute the mean solidity of the pieces, weighted by area, times the free border share.

    Background that was taken for cells covers nearly the whole border of the image, and fragments
    are not convex.
    """
    if not labels.any():
        return 0.0
    table = regionprops_table(labels, properties=("area", "solidity"))
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    solidity = float(np.average(table["solidity"], weights=table["area"]))
    return solidity * float((border == 0).mean())
