"""Points and affine maps between micrometres and pixels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Affine = npt.NDArray[np.float64]
"""Matrix of 3x3 that maps points ``(x, y, 1)``."""


def is_inside(px: np.ndarray[Any, Any], shape_yx: Sequence[int]) -> np.ndarray[Any, Any]:
    """Tell which points ``(2, n)`` in pixels ``(x, y)`` are on an image."""
    height, width = shape_yx
    inside = (px >= -0.5) & (px < np.array([[width - 0.5], [height - 0.5]]))
    return np.asarray(inside.all(axis=0))


def apply_affine(matrix: np.ndarray[Any, Any], xy: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Map points ``(2, n)`` through a 3x3 affine."""
    mapped: np.ndarray[Any, Any] = matrix[:2, :2] @ xy
    mapped += matrix[:2, 2:]
    return mapped


def pixel_size_of(um_to_px: np.ndarray[Any, Any]) -> float:
    """Side of the square with the area of a pixel, in micrometres."""
    return float(1.0 / math.sqrt(abs(np.linalg.det(um_to_px[:2, :2]))))
