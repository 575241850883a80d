"""Boxes: tensors ``(n, 4)`` of x0, y0, x1, y1 in pixels."""

from __future__ import annotations

import torch
from torch import Tensor


def area(boxes: Tensor) -> Tensor:
    """Return the area of each box, ``(n,)``, px^2."""
    return (boxes[..., 2] - boxes[..., 0]).clamp(min=0) * (boxes[..., 3] - boxes[..., 1]).clamp(
        min=0
    )


def pairwise_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU and generalised IoU (Rezatofighi et al. 2019) of all pairs, ``(n, m)`` each."""
    low = torch.maximum(a[:, None, :2], b[None, :, :2])
    high = torch.minimum(a[:, None, 2:], b[None, :, 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    union = area(a)[:, None] + area(b)[None] - inter
    iou = inter / union.clamp(min=1e-6)
    hull_low = torch.minimum(a[:, None, :2], b[None, :, :2])
    hull_high = torch.maximum(a[:, None, 2:], b[None, :, 2:])
    hull = (hull_high - hull_low).clamp(min=0).prod(-1).clamp(min=1e-6)
    return iou, iou - (hull - union) / hull


def paired_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return IoU and generalised IoU of corresponding rows, ``(n,)`` each."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    union = area(a) + area(b) - inter
    iou = inter / union.clamp(min=1e-6)
    hull_low, hull_high = torch.minimum(a[:, :2], b[:, :2]), torch.maximum(a[:, 2:], b[:, 2:])
    hull = (hull_high - hull_low).clamp(min=0).prod(-1).clamp(min=1e-6)
    return iou, iou - (hull - union) / hull


def to_centre(boxes: Tensor) -> Tensor:
    """Convert corners to centre x, centre y, width, height."""
    low, high = boxes[..., :2], boxes[..., 2:]
    return torch.cat(((low + high) / 2, high - low), -1)


def to_corners(boxes: Tensor) -> Tensor:
    """Convert centre x, centre y, width, height to corners."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((centre - half, centre + half), -1)
