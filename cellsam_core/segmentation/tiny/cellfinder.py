"""CellFinder: queries over the features of the encoder predict one box for each cell.

An Anchor DETR (Wang et al. 2022) in two stages (Zhu et al. 2021, Zhang et al. 2023): every
position of the stride-8 features is an anchor point that proposes a box; the best proposals
become queries, which attend to each other (so that one query speaks for one cell) and to
the features inside their box (Nguyen et al. 2022, box attention), and are matched one to one
with the cells in training (Carion et al. 2020).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellsam_core.segmentation.lean_imports import nms
from cellsam_core.segmentation.tiles import REFERENCE_PX
from cellsam_core.segmentation.tiny.boxes import to_centre, to_corners
from cellsam_core.segmentation.tiny.encoder import conv_norm, sample_windows

STRIDE = 8
GRID = 5
PROPOSAL_NMS_IOU = 0.8
QUERIES_PER_PEAK = 5
"""Queries for each peak of the proposals' scores. There are one to two peaks for each cell."""
PEAK_SCORE = 0.1
MIN_QUERIES = 50


class Boxes(NamedTuple):
    """Boxes of a batch of images: ``(n, k, 4)`` in pixels, and their logits ``(n, k)``."""

    boxes: Tensor
    logits: Tensor


class QueryLayer(nn.Module):
    """Self-attention of the queries, attention to the features in each box, MLP."""

    def __init__(self, width: int, n_heads: int = 4) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.position = nn.Sequential(
            nn.Linear(2 * width, width), nn.ReLU(inplace=True), nn.Linear(width, width)
        )
        self.self_qk = nn.Linear(width, 2 * width)
        self.self_v = nn.Linear(width, width)
        self.self_out = nn.Linear(width, width)
        self.norm_self = nn.LayerNorm(width)
        self.box_q = nn.Linear(width, width)
        self.box_kv = nn.Linear(width, 2 * width)
        self.grid_position = nn.Parameter(torch.randn(GRID * GRID, width) * 0.02)
        self.box_out = nn.Linear(width, width)
        self.norm_box = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.ReLU(inplace=True), nn.Linear(4 * width, width)
        )
        self.norm_mlp = nn.LayerNorm(width)
        self.to_logit = nn.Linear(width, 1)
        self.to_delta = nn.Linear(width, 4)
        nn.init.constant_(self.to_logit.bias, -2.0)
        nn.init.zeros_(self.to_delta.weight)
        nn.init.zeros_(self.to_delta.bias)

    def forward(self, queries: Tensor, boxes: Tensor, features: Tensor) -> tuple[Tensor, Boxes]:
        """Refine queries ``(n, k, c)`` and their boxes ``(n, k, 4)``."""
        n, k, c = queries.shape
        place = self.position(box_embedding(boxes, c))
        q, key = self.self_qk(queries + place).view(n, k, 2, self.n_heads, -1).unbind(2)
        v = self.self_v(queries).view(n, k, self.n_heads, -1)
        attended = F.scaled_dot_product_attention(
            q.transpose(1, 2), key.transpose(1, 2), v.transpose(1, 2)
        )
        queries = self.norm_self(queries + self.self_out(attended.transpose(1, 2).reshape(n, k, c)))

        centre = to_centre(boxes)
        windows = to_corners(torch.cat((centre[..., :2], centre[..., 2:] * 1.2), -1))
        sampled = torch.stack(
            [sample_windows(f, w, GRID, STRIDE) for f, w in zip(features, windows, strict=True)]
        )
        inside = sampled.flatten(3).transpose(2, 3) + self.grid_position
        box_k, box_v = self.box_kv(inside).view(n, k, GRID * GRID, 2, self.n_heads, -1).unbind(3)
        box_q = self.box_q(queries + place).view(n, k, 1, self.n_heads, -1)
        weight = ((box_q * box_k).sum(-1, keepdim=True) / math.sqrt(c / self.n_heads)).softmax(2)
        queries = self.norm_box(queries + self.box_out((weight * box_v).sum(2).reshape(n, k, c)))
        queries = self.norm_mlp(queries + self.mlp(queries))

        delta = self.to_delta(queries).float()
        size = centre[..., 2:]
        moved = torch.cat(
            (centre[..., :2] + delta[..., :2] * size, size * delta[..., 2:].clamp(-2, 2).exp()), -1
        )
        return queries, Boxes(to_corners(moved), self.to_logit(queries).float()[..., 0])


class CellFinder(nn.Module):
    """Network that finds boxes with scores in features at stride 8.

    Parameters
    ----------
    width
        Number of channels of the features.
    n_layers
        Number of query layers.
    """

    def __init__(self, width: int = 128, n_layers: int = 2) -> None:
        super().__init__()
        self.tower = nn.Sequential(conv_norm(width, width), conv_norm(width, width))
        self.to_logit = nn.Conv2d(width, 1, 1)
        self.to_box = nn.Conv2d(width, 4, 1)
        nn.init.constant_(self.to_logit.bias, -4.6)  # type: ignore[arg-type]
        nn.init.zeros_(self.to_box.weight)
        nn.init.zeros_(self.to_box.bias)  # type: ignore[arg-type]
        self.to_query = nn.Sequential(nn.Linear(width, width), nn.LayerNorm(width))
        self.layers = nn.ModuleList(QueryLayer(width) for _ in range(n_layers))

    def forward(self, features: Tensor, n_queries: int | None = None) -> tuple[Boxes, list[Boxes]]:
        """Return the dense proposals and the queries' boxes after each layer.

        Parameters
        ----------
        features
            Features ``(n, width, h, w)``.
        n_queries
            Largest number of boxes of an image; without it, five for each cell, about.
        """
        _, c, h, w = features.shape
        tower = self.tower(features)
        score_map = self.to_logit(tower).float()
        n_queries = n_queries or enough_queries(score_map)
        logits = score_map.flatten(1)
        offset = self.to_box(tower).float().flatten(2).transpose(1, 2)
        points = anchor_points(h, w, features.device)
        size = REFERENCE_PX * offset[..., 2:].clamp(-3, 3).exp()
        dense = Boxes(to_corners(torch.cat((points + offset[..., :2] * STRIDE, size), -1)), logits)
        chosen = self._propose(dense, min(n_queries, h * w))
        boxes = dense.boxes.detach().gather(1, chosen[..., None].expand(-1, -1, 4))
        content = tower.flatten(2).transpose(1, 2)
        queries = self.to_query(content.gather(1, chosen[..., None].expand(-1, -1, c)))
        refined = []
        for layer in self.layers:
            queries, found = layer(queries, boxes, features)
            refined.append(found)
            boxes = found.boxes.detach()
        return dense, refined

    @torch.no_grad()
    def _propose(self, dense: Boxes, n_queries: int) -> Tensor:
        """Choose the best distinct proposals, then, if places are left, the best others."""
        chosen = []
        for boxes, logits in zip(dense.boxes, dense.logits, strict=True):
            candidates = logits.topk(min(len(logits), 4 * n_queries)).indices
            keep = nms(boxes[candidates], logits[candidates], PROPOSAL_NMS_IOU)
            rank = logits - 1e4
            rank[candidates[keep]] += 1e4
            chosen.append(rank.topk(n_queries).indices)
        return torch.stack(chosen)


def enough_queries(score_map: Tensor) -> int:
    """Return how many queries speak for all cells of the fullest image.

    Parameters
    ----------
    score_map
        Logits of the proposals ``(n, 1, h, w)``.
    """
    is_peak = score_map == F.max_pool2d(score_map, 3, stride=1, padding=1)
    n_peaks = (is_peak & (score_map.sigmoid() > PEAK_SCORE)).flatten(1).sum(1).max()
    return max(MIN_QUERIES, QUERIES_PER_PEAK * int(n_peaks))


def anchor_points(height: int, width: int, device: torch.device) -> Tensor:
    """Return the anchor points ``(height * width, 2)``, x and y in input pixels."""
    y, x = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    return (torch.stack((x, y), -1).reshape(-1, 2).float() + 0.5) * STRIDE


def box_embedding(boxes: Tensor, width: int) -> Tensor:
    """Sine embedding of centre and size, ``(..., 2 * width)`` (Liu et al. 2022, DAB-DETR)."""
    centre = to_centre(boxes)
    values = torch.cat((centre[..., :2], 8 * centre[..., 2:].clamp(min=1).log()), -1)
    half = width // 4
    frequency = (
        2
        * math.pi
        / (4.0 * 256 ** (torch.arange(half, device=boxes.device, dtype=torch.float32) / half))
    )
    phase = values[..., None] * frequency
    return torch.cat((phase.sin(), phase.cos()), -1).flatten(-2)
