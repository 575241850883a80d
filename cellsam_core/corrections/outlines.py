"""Outlines of cells as text: ``x y;x y;...`` in pixels of the raw image, at multiples of 0.5.

The centre of the first pixel is (0, 0), so that the image begins at -0.5. A pixel belongs to a cell
if its centre is inside of the outline.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Points = NDArray[np.float64]
    Mask = NDArray[np.bool_]

SIMPLIFY_PX = 0.25
MAX_COORDINATE = 10_000_000


@dataclass(frozen=True)
class Region:
    """Pixels of an image inside of a window.

    Attributes
    ----------
    y0, x0
        Upper left corner of the window in the image, in pixels.
    mask
        ``(h, w)`` pixels of the region.
    """

    y0: int
    x0: int
    mask: Mask

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the window."""
        height, width = self.mask.shape
        return slice(self.y0, self.y0 + height), slice(self.x0, self.x0 + width)

    @property
    def area_px(self) -> int:
        """Number of pixels."""
        return int(self.mask.sum())


def parse_points(text: str, where: str, column: str, *, at_least: int = 3) -> Points:
    """Read the corners of an outline, or of a line.

    Parameters
    ----------
    text
        Corners as ``x y;x y;...``.
    where, column
        Row and column of the table, for error messages.
    at_least
        Smallest number of corners.

    Returns
    -------
    ndarray, (n, 2)
        Corners ``x, y`` in pixels.

    Raises
    ------
    InputError
        A corner is not two multiples of 0.5, or there are too few corners.

    Examples
    --------
    >>> parse_points("0 0;4 0;4.5 3", "cells.csv, row 2", "outline").tolist()
    [[0.0, 0.0], [4.0, 0.0], [4.5, 3.0]]
    """
    corners = [corner.split() for corner in text.strip().strip(";").split(";")]
    try:
        points = [(float(x), float(y)) for x, y in corners]
    except ValueError:
        points = []
    is_good = all(
        math.isfinite(v) and abs(v) < MAX_COORDINATE and (2 * v).is_integer()
        for point in points
        for v in point
    )
    if len(points) < at_least or not is_good:
        shown = text if len(text) <= 40 else f"{text[:40]}..."
        raise InputError(
            where,
            found=f"{column} {shown!r}",
            expected=f"at least {at_least} corners `x y;x y;...`, multiples of 0.5 px",
            remedy="correct or remove the row",
        )
    return np.array(points, np.float64)


def format_points(points: Points) -> str:
    """Write corners as :func:`parse_points` reads them.

    Examples
    --------
    >>> format_points(np.array([[0, 0], [4.5, 0], [4, 3]]))
    '0 0;4.5 0;4 3'
    """
    rounded = np.round(np.asarray(points, float) * 2) / 2 + 0.0  # no minus zero
    return ";".join(
        f"{x:g} {y:g}" if max(abs(x), abs(y)) < 1e5 else _long(x, y) for x, y in rounded
    )


def _long(x: float, y: float) -> str:
    return " ".join(f"{v:.1f}".removesuffix(".0") for v in (x, y))


def outline_of(mask: Mask, y0: int = 0, x0: int = 0) -> Points:
    """Trace the outline of the largest piece of a mask, without its holes.

    Parameters
    ----------
    mask
        ``(h, w)``, not empty.
    y0, x0
        Image coordinates of its first pixel, in pixels.

    Returns
    -------
    ndarray, (n, 2)
        Corners ``x, y``; :func:`fill` gives back the pixels of the piece.

    Examples
    --------
    >>> mask = np.zeros((6, 7), bool)
    >>> mask[1:5, 2:6] = True
    >>> region = fill(outline_of(mask), mask.shape)
    >>> region.y0, region.x0, region.mask.shape, region.area_px
    (1, 2, (4, 4), 16)
    """
    import shapely
    from skimage.measure import find_contours

    contours = find_contours(np.pad(mask, 1).astype(np.uint8), 0.5, fully_connected="high")
    largest = max(contours, key=lambda c: shapely.Polygon(c).area)
    corners = (largest - 1)[:, ::-1]
    simple = np.asarray(shapely.Polygon(corners).simplify(SIMPLIFY_PX).exterior.coords)
    whole, reduced = (_raster(points, mask.shape) for points in (corners, simple))
    points = simple if len(simple) > 3 and np.array_equal(whole, reduced) else corners
    return np.asarray(points[:-1] + np.array((x0, y0)), np.float64)


def fill(points: Points, shape_yx: tuple[int, int]) -> Region:
    """Find the pixels of an image whose centres are inside of an outline.

    Parameters
    ----------
    points
        ``(n, 2)`` corners ``x, y`` in pixels.
    shape_yx
        Height and width of the image in pixels.

    Returns
    -------
    Region
        Its window is as small as possible; without a pixel it is empty.
    """
    y0, x0 = (max(0, math.ceil(low)) for low in points.min(axis=0)[::-1])
    high = points.max(axis=0)[::-1]
    y1, x1 = (min(size, math.floor(v) + 1) for size, v in zip(shape_yx, high, strict=True))
    if y1 <= y0 or x1 <= x0:
        return Region(0, 0, np.zeros((0, 0), bool))
    return crop(Region(y0, x0, _raster(points - np.array((x0, y0)), (y1 - y0, x1 - x0))))


def crop(region: Region) -> Region:
    """Make the window of a region as small as possible."""
    y, x = (np.flatnonzero(region.mask.any(axis=axis)) for axis in (1, 0))
    if not len(y):
        return Region(0, 0, np.zeros((0, 0), bool))
    mask = region.mask[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
    return Region(region.y0 + int(y[0]), region.x0 + int(x[0]), mask)


def _raster(points: Points, shape_yx: tuple[int, ...]) -> Mask:
    from skimage.draw import polygon

    mask = np.zeros(shape_yx, bool)
    mask[polygon(points[:, 1], points[:, 0], shape_yx)] = True
    return mask


def inner_point(mask: Mask, y0: int = 0, x0: int = 0) -> tuple[float, float]:
    """Return ``y, x`` of the pixel of a mask that is farthest from its border.

    Unlike a centroid, it is always inside of the cell.
    """
    from scipy.ndimage import distance_transform_edt

    distance = distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), mask.shape)
    return float(y + y0), float(x + x0)
