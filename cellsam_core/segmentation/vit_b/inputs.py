"""Inputs of the two encoders of the published CellSAM.

Both see the image stretched to 1024 x 1024 px in the channel order (blank, nuclear,
whole cell). CellFinder's encoder gets 8-bit steps from 0 to 1; the mask encoder gets SAM's
normalisation. Published weights without `model_cp` (version 1.0) were trained without the
stretch of every channel to 0-1: `stretched` tells.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from cellsam_core.segmentation.vit_b.encoder import INPUT_PX

SAM_MEAN = (123.675, 116.28, 103.53)
SAM_STD = (58.395, 57.12, 57.375)
UPPER_PERCENTILE = 99.5
EPSILON = 1e-6


def to_square(pixels: Tensor) -> Tensor:
    """Place the channels and resize the image to 1024 x 1024 px.

    Parameters
    ----------
    pixels
        Image ``(c, y, x)``, float32 in [0, 1], with 1 channel (whole cell or anything grey), 2
        (nuclear, whole cell) or 3.

    Returns
    -------
    Tensor
        Image ``(3, 1024, 1024)``; channels that are absent come first and are 0.
    """
    placed = F.pad(pixels, (0, 0, 0, 0, 3 - pixels.shape[0], 0))
    if placed.shape[1:] == (INPUT_PX, INPUT_PX):
        return placed
    return F.interpolate(
        placed[None], (INPUT_PX, INPUT_PX), mode="bilinear", antialias=True, align_corners=False
    )[0]


def detector_input(square: Tensor, *, stretched: bool = True) -> Tensor:
    """Prepare a square of :func:`to_square` for CellFinder, ``(1, 3, 1024, 1024)``."""
    stepped = (square.clamp(0, 1) * 255).to(torch.uint8).float()
    if not stretched:
        return _sam_normalised(stepped / 255)[None]
    # The authors normalise twice before; the stretch takes both back but for rounding.
    image = _stretch(stepped)
    if image[1].max() == 0:
        image[1] = image[2]
    if image[2].max() == 0:
        image[2] = image[1]
    return image[None]


def encoder_input(square: Tensor, *, stretched: bool = True) -> Tensor:
    """Prepare a square of :func:`to_square` for the mask encoder, ``(1, 3, 1024, 1024)``."""
    present = square[square != 0]
    if len(present) > 0:
        low, high = present.min(), _percentile(present, UPPER_PERCENTILE)
        square = square.clamp(low, high)
        square = (square - low) / (high - low) if high > low else square
    if stretched:
        square = _stretch(square)
    return _sam_normalised(square)[None]


def _sam_normalised(image: Tensor) -> Tensor:
    mean = image.new_tensor(SAM_MEAN)[:, None, None] / 255
    std = image.new_tensor(SAM_STD)[:, None, None] / 255
    return (image - mean) / std


def _stretch(image: Tensor) -> Tensor:
    low, high = image.amin((1, 2), keepdim=True), image.amax((1, 2), keepdim=True)
    return (image - low) / (high - low + EPSILON)


def _percentile(values: Tensor, percent: float) -> Tensor:
    """Interpolate linearly between order statistics; torch.quantile is limited in size."""
    position = (len(values) - 1) * percent / 100
    below = int(position)
    under = values.kthvalue(below + 1).values
    above = values.kthvalue(min(below + 2, len(values))).values
    return under + (above - under) * (position - below)
