"""Interpolation of the mask decoder's 256 x 256 px at the pixels of an image, in any window."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cellsam_core.segmentation.vit_b.encoder import GRID, INPUT_PX

PX_PER_TOKEN = 4
"""Pixels of the decoder's masks along each side of a token."""


class Axis(NamedTuple):
    """Interpolation along one axis of an image from the decoder's mask.

    Attributes
    ----------
    matrix
        Weights ``(pixels, 256)``, float32.
    low, high
        First and last column that is not 0 in each row; both increase.
    """

    matrix: Tensor
    low: np.ndarray
    high: np.ndarray

    def near(self, first: int, last: int) -> tuple[slice, slice]:
        """Return the pixels that depend on columns `first` to `last`, and all their columns."""
        start = int(np.searchsorted(self.high, first))
        stop = int(np.searchsorted(self.low, last, side="right"))
        return slice(start, stop), slice(int(self.low[start]), int(self.high[stop - 1]) + 1)


def make_axis(size: int, device: str) -> Axis:
    """Interpolate as the authors do: bilinearly to 1024 px, then bilinearly to the image."""
    whole = PX_PER_TOKEN * GRID
    matrix = _bilinear(INPUT_PX, size) @ _bilinear(whole, INPUT_PX)
    touched = matrix > 0
    low = touched.argmax(1)
    high = whole - 1 - touched[:, ::-1].argmax(1)
    return Axis(torch.from_numpy(matrix.astype(np.float32)).to(device), low, high)


def _bilinear(size: int, wanted: int) -> np.ndarray:
    """Return the matrix ``(wanted, size)`` that interpolates at pixel centres, edges repeated."""
    position = np.clip((np.arange(wanted) + 0.5) * size / wanted - 0.5, 0, size - 1)
    below = np.minimum(position.astype(int), max(size - 2, 0))
    share = position - below
    matrix = np.zeros((wanted, size))
    rows = np.arange(wanted)
    matrix[rows, below] = 1 - share
    matrix[rows, np.minimum(below + 1, size - 1)] += share
    return matrix
