"""Training targets and losses: set prediction for the queries, one-to-many for the proposals."""

from __future__ import annotations

from typing import NamedTuple

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from cellsam_core.segmentation.tiny.boxes import area, paired_iou, pairwise_iou, to_centre
from cellsam_core.segmentation.tiny.cellfinder import STRIDE, Boxes, anchor_points
from cellsam_core.segmentation.tiny.encoder import sample_windows
from cellsam_core.segmentation.tiny.masks import MASK_PX, TOKENS, WindowMaskDecoder, mask_windows
from cellsam_core.segmentation.tiny.masks import STRIDE as MASK_STRIDE

COST_CLASS, COST_L1, COST_GIOU = 2.0, 1.0, 2.0
"""Weights of matching and loss after Carion et al. 2020; L1 is relative to the cell's size."""


class Target(NamedTuple):
    """Truth of one image: boxes ``(g, 4)`` px, their labels ``(g,)``, label image ``(h, w)``.

    Where the label image is negative, there may be a cell without a label.
    """

    boxes: Tensor
    ids: Tensor
    labels: Tensor


def quality_focal(logits: Tensor, quality: Tensor, asked: Tensor) -> Tensor:
    """Sum of the quality focal loss (Li et al. 2020, eq. 4, beta 2); target is the IoU.

    Only what is `asked` counts: not a box without a cell where there may be an unlabelled one.
    """
    return (
        F.binary_cross_entropy_with_logits(logits, quality, reduction="none")
        * (quality - logits.sigmoid()).abs().square()
        * asked
    ).sum()


@torch.no_grad()
def is_known(boxes: Tensor, labels: Tensor) -> Tensor:
    """Tell which boxes ``(n, 4)`` have their middle where the truth is known ``(n,)``."""
    centre = to_centre(boxes)[:, :2].floor().long()
    height, width = labels.shape
    return labels[centre[:, 1].clamp(0, height - 1), centre[:, 0].clamp(0, width - 1)] >= 0


def box_loss(boxes: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Compute the weighted sum of GIoU loss and L1 relative to the true size."""
    size = (truth[:, 2:] - truth[:, :2]).repeat(1, 2).clamp(min=4)
    relative = ((boxes - truth) / size).abs().mean(-1)
    giou = paired_iou(boxes, truth)[1]
    return (weight * (COST_GIOU * (1 - giou) + COST_L1 * relative)).sum()


@torch.no_grad()
def assign_one_to_many(
    boxes: Tensor, logits: Tensor, target: Target, n_candidates: int
) -> tuple[Tensor, Tensor]:
    """Match proposals to cells by task alignment (Feng et al. 2021, TOOD, eq. 1-3).

    A cell may claim `n_candidates` anchor points that lie on its mask, or the one nearest to
    its box centre.

    Returns
    -------
    tuple
        Cell index of each proposal (-1 none) and its target quality.
    """
    height, width = target.labels.shape[0] // STRIDE, target.labels.shape[1] // STRIDE
    points = anchor_points(height, width, boxes.device)
    on = target.labels[points[:, 1].long(), points[:, 0].long()]
    allowed = target.ids[:, None] == on[None]
    centre = (target.boxes[:, :2] + target.boxes[:, 2:]) / 2
    nearest = torch.cdist(centre, points).argmin(1)
    allowed[torch.arange(len(nearest)), nearest] = True
    iou = pairwise_iou(target.boxes, boxes)[0]
    alignment = logits.sigmoid()[None].sqrt() * iou.clamp(min=1e-3) ** 4 * allowed
    best = alignment.topk(min(n_candidates, alignment.shape[1]), dim=1)
    chosen = torch.zeros_like(allowed).scatter_(1, best.indices, best.values > 0)
    claim = torch.where(chosen, iou + 1e-3, torch.zeros_like(iou))
    value, owner = claim.max(0)
    matched = value > 0
    scale = iou.amax(1) / alignment.amax(1).clamp(min=1e-9)
    quality = (alignment * scale[:, None])[owner, torch.arange(len(owner))].clamp(0, 1)
    return torch.where(matched, owner, -1), torch.where(matched, quality, 0.0)


@torch.no_grad()
def assign_one_to_one(boxes: Tensor, logits: Tensor, target: Target) -> tuple[Tensor, Tensor]:
    """Match queries and cells by the Hungarian method (Carion et al. 2020, eq. 1)."""
    iou, giou = pairwise_iou(boxes, target.boxes)
    size = (target.boxes[:, 2:] - target.boxes[:, :2]).repeat(1, 2).clamp(min=4)
    relative = ((boxes[:, None] - target.boxes[None]) / size[None]).abs().mean(-1)
    cost = COST_L1 * relative - COST_GIOU * giou - COST_CLASS * logits.sigmoid()[:, None]
    rows, columns = linear_sum_assignment(cost.float().cpu().numpy())
    owner = torch.full((len(boxes),), -1, dtype=torch.long, device=boxes.device)
    owner[rows] = torch.as_tensor(columns, device=boxes.device)
    quality = torch.zeros(len(boxes), device=boxes.device)
    quality[rows] = iou[rows, columns]
    return owner, quality


def detection_loss(
    dense: Boxes, refined: list[Boxes], targets: list[Target], n_candidates: int
) -> dict[str, Tensor]:
    """Compute the losses of the proposals and of every query layer, each a mean over cells.

    Proposals are matched one to many, up to `n_candidates` a cell; queries one to one.
    """
    losses: dict[str, Tensor] = {}
    n_cells = max(1, sum(len(t.ids) for t in targets))
    stages = [("dense", dense), *((f"query{i}", found) for i, found in enumerate(refined))]
    for name, found in stages:
        zero = found.logits.new_zeros(())
        total_class, total_box, norm = zero, zero, zero + 1e-6
        for boxes, logits, target in zip(found.boxes, found.logits, targets, strict=True):
            known = is_known(boxes, target.labels)
            if len(target.ids) == 0:
                total_class = total_class + quality_focal(logits, torch.zeros_like(logits), known)
                continue
            if found is dense:
                owner, quality = assign_one_to_many(boxes, logits, target, n_candidates)
            else:
                owner, quality = assign_one_to_one(boxes, logits, target)
            hit = owner >= 0
            total_class = total_class + quality_focal(logits, quality, known | hit)
            weight = quality[hit] if found is dense else torch.ones_like(quality[hit])
            total_box = total_box + box_loss(boxes[hit], target.boxes[owner[hit]], weight)
            norm = norm + weight.sum()
        losses[f"{name}_class"] = COST_CLASS * total_class / max(1.0, min(n_cells, float(norm)))
        losses[f"{name}_box"] = total_box / norm.clamp(min=1.0)
    return losses


def jitter_boxes(boxes: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Move each side by up to `amount` of the box's size, as CellFinder's boxes are inexact."""
    size = (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)
    shift = 2 * torch.rand(boxes.shape, generator=generator) - 1
    return boxes + size * amount * shift.to(boxes.device)


def mask_targets(boxes: Tensor, ids: Tensor, labels: Tensor) -> Tensor:
    """Look up the true mask ``(n, 64, 64)`` in the window of each box."""
    windows = mask_windows(boxes)
    steps = (torch.arange(MASK_PX, device=boxes.device) + 0.5) / MASK_PX
    x = (windows[:, 0, None] + (windows[:, 2] - windows[:, 0])[:, None] * steps).floor().long()
    y = (windows[:, 1, None] + (windows[:, 3] - windows[:, 1])[:, None] * steps).floor().long()
    height, width = labels.shape
    inside = ((y >= 0) & (y < height))[:, :, None] & ((x >= 0) & (x < width))[:, None]
    found = labels[y.clamp(0, height - 1)[:, :, None], x.clamp(0, width - 1)[:, None]]
    return (inside & (found == ids[:, None, None])).float()


def mask_loss(
    decoder: WindowMaskDecoder,
    features: Tensor,
    targets: list[Target],
    *,
    max_boxes: int,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Compute BCE, dice and IoU losses on jittered true boxes (Kirillov et al. 2023, A)."""
    share = max(1, max_boxes // len(targets))
    sampled, prompts, truth = [], [], []
    for image, target in zip(features, targets, strict=True):
        pick = torch.randperm(len(target.ids), generator=generator)[:share]
        pick = pick[area(target.boxes[pick]) > 9]
        boxes = jitter_boxes(target.boxes[pick], 0.1, generator)
        sampled.append(sample_windows(image, mask_windows(boxes), TOKENS, MASK_STRIDE))
        prompts.append(boxes)
        truth.append(mask_targets(boxes, target.ids[pick], target.labels))
    boxes, true = torch.cat(prompts), torch.cat(truth)
    if len(boxes) == 0:
        zero = features.sum() * 0
        return {"mask_bce": zero, "mask_dice": zero, "mask_iou": zero}
    mask, iou = decoder.decode(torch.cat(sampled), boxes, mask_windows(boxes))
    probability = mask.sigmoid()
    inter, total = (probability * true).sum((1, 2)), (probability + true).sum((1, 2))
    drawn = mask.detach() > 0
    reached = (drawn & (true > 0)).sum((1, 2)) / (drawn | (true > 0)).sum((1, 2)).clamp(min=1)
    return {
        "mask_bce": 2 * F.binary_cross_entropy_with_logits(mask, true),
        "mask_dice": (1 - (2 * inter + 1) / (total + 1)).mean(),
        "mask_iou": (iou - reached).square().mean(),
    }
