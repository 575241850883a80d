"""CellFinder: Anchor DETR (Wang et al., AAAI 2022) over the features of its own ViT-B.

Layer names and arithmetic follow the Apache-2.0 repository megvii-research/AnchorDETR.
Row-column decoupled attention (RCDA) is arranged for inference: keys are averaged before
they are projected, queries go in chunks that stay in the cache, and what does not depend on
the image (positions, the first decoder layer's self-attention) is computed once per model.

Attention and feed-forward layers may be in bfloat16; softmax, norms, the residual stream and the
heads, whose scores decide what a cell is, stay in float32.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellsam_core.segmentation.vit_b import products
from cellsam_core.segmentation.vit_b.encoder import GRID, INPUT_PX, WIDTH, ImageEncoder

N_QUERIES = 3500
N_CLASSES = 2
D_MODEL = 256
N_HEADS = 8
HEAD_WIDTH = D_MODEL // N_HEADS
N_LAYERS = 6
FFN_WIDTH = 1024
QUERIES_AT_ONCE = {torch.float32: 64, torch.bfloat16: 512}
"""Queries of one head whose weighted columns (0.5 and 2 MB) stay in the second cache."""

TEMPERATURE = 10000


def sine_embedding(position: Tensor, width: int) -> Tensor:
    """Embed positions in [0, 1] as sines and cosines: ``(...)`` to ``(..., width)``."""
    index = torch.arange(width, dtype=torch.float32, device=position.device)
    period = TEMPERATURE ** (2 * (index // 2) / width)
    angle = position[..., None] * (2 * math.pi) / period
    return torch.stack((angle[..., 0::2].sin(), angle[..., 1::2].cos()), -1).flatten(-2)


class RCDA(nn.Module):
    """Row-column decoupled attention (Wang et al. 2022, equations 6 to 8).

    A key's weight is the product of a weight for its column (softmax along x of the row-wise
    averaged keys) and a weight for its row.
    """

    def __init__(self) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.zeros(5 * D_MODEL, D_MODEL))
        self.in_proj_bias = nn.Parameter(torch.zeros(5 * D_MODEL))
        self.out_proj = nn.Linear(D_MODEL, D_MODEL)

    def forward(
        self, query_x: Tensor, query_y: Tensor, source: Tensor, axis_position: Tensor
    ) -> Tensor:
        """Attend to a feature map.

        Parameters
        ----------
        query_x, query_y
            Queries ``(q, 256)`` with the embedding of their x and of their y.
        source
            Keys and values ``(64, 64, 256)``, y by x.
        axis_position
            Embedding ``(64, 256)`` of the 64 positions along either axis.

        Returns
        -------
        Tensor
            ``(q, 256)``.
        """
        weights = self.in_proj_weight.chunk(5)
        biases = self.in_proj_bias.chunk(5)
        dtype = self.in_proj_weight.dtype
        scale = HEAD_WIDTH**-0.5
        # The mean over an axis commutes with the projection.
        inputs = (query_x, query_y, source.mean(0) + axis_position, source.mean(1) + axis_position)
        q_x, q_y, k_x, k_y = (
            _heads(F.linear(x.to(dtype), w, b)).float()
            for x, w, b in zip(inputs, weights[:4], biases[:4], strict=True)
        )
        values = F.linear(source.to(dtype), weights[4], biases[4])
        values = values.view(GRID, GRID, N_HEADS, HEAD_WIDTH).permute(2, 0, 1, 3).flatten(2)
        result = torch.empty_like(q_x, dtype=dtype)
        # A GPU would rather have all at once.
        at_once = QUERIES_AT_ONCE[dtype] if source.device.type == "cpu" else len(query_x)
        columns = values.new_empty(at_once, GRID * HEAD_WIDTH)
        for head in range(N_HEADS):
            along_x = (q_x[head] * scale @ k_x[head].mT).softmax(-1).to(dtype)
            along_y = (q_y[head] * scale @ k_y[head].mT).softmax(-1).to(dtype)
            for first in range(0, len(along_x), at_once):
                rows = slice(first, first + at_once)
                part = torch.mm(along_y[rows], values[head], out=columns[: len(along_y[rows])])
                weighted = part.view(-1, GRID, HEAD_WIDTH)
                torch.bmm(along_x[rows, None], weighted, out=result[head, rows, None])
        out: Tensor = self.out_proj(result.transpose(0, 1).flatten(1))
        return out.to(source.dtype)


def _heads(x: Tensor) -> Tensor:
    return x.view(-1, N_HEADS, HEAD_WIDTH).transpose(0, 1)


class SelfAttention(nn.Module):
    """Multi-head attention among the queries; parameters named as torch's own module's."""

    def __init__(self) -> None:
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.zeros(3 * D_MODEL, D_MODEL))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * D_MODEL))
        self.out_proj = nn.Linear(D_MODEL, D_MODEL)

    def forward(self, query: Tensor, value: Tensor) -> Tensor:
        """Attend from ``(q, 256)``, which are the keys too, to values ``(q, 256)``."""
        inputs = (query, query, value)
        q, k, v = (
            F.linear(x.to(w.dtype), w, b)
            for x, w, b in zip(
                inputs, self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3), strict=True
            )
        )
        q, k, v = _heads(q), _heads(k), _heads(v)
        if products.are_faster(q):
            attended = products.attend(q, k, v)
        else:
            attended = F.scaled_dot_product_attention(q[None], k[None], v[None])[0]
        out: Tensor = self.out_proj(attended.transpose(0, 1).flatten(1))
        return out.to(query.dtype)


class FeedForward(nn.Module):
    """Two linear layers, a skip and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.linear1 = nn.Linear(D_MODEL, FFN_WIDTH)
        self.linear2 = nn.Linear(FFN_WIDTH, D_MODEL)
        self.norm2 = nn.LayerNorm(D_MODEL)

    def forward(self, x: Tensor) -> Tensor:
        """Transform features ``(..., 256)``, keeping their shape."""
        inner = F.relu(self.linear1(x.to(self.linear1.weight.dtype)))
        out: Tensor = self.norm2(x + self.linear2(inner).to(x.dtype))
        return out


class EncoderLayer(nn.Module):
    """Row-column decoupled attention of the feature map with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = RCDA()
        self.norm1 = nn.LayerNorm(D_MODEL)
        self.ffn = FeedForward()

    def forward(self, source: Tensor, axis_position: Tensor) -> Tensor:
        """Transform the feature map ``(64, 64, 256)``, keeping its shape."""
        query_x = (source + axis_position).flatten(0, 1)
        query_y = (source + axis_position[:, None]).flatten(0, 1)
        attended = self.self_attn(query_x, query_y, source, axis_position)
        out: Tensor = self.ffn(self.norm1(source + attended.view_as(source)))
        return out


class DecoderLayer(nn.Module):
    """Queries attend to each other, then to the feature map."""

    def __init__(self) -> None:
        super().__init__()
        self.cross_attn = RCDA()
        self.norm1 = nn.LayerNorm(D_MODEL)
        self.self_attn = SelfAttention()
        self.norm2 = nn.LayerNorm(D_MODEL)
        self.ffn = FeedForward()

    def compare(self, target: Tensor, position: Tensor) -> Tensor:
        """Let queries ``(q, 256)`` attend to each other."""
        compared: Tensor = self.norm2(target + self.self_attn(target + position, target))
        return compared

    def look(
        self, target: Tensor, position_xy: tuple[Tensor, Tensor], source: Tensor, axis: Tensor
    ) -> Tensor:
        """Let queries attend to the feature map ``(64, 64, 256)``."""
        x, y = position_xy
        seen = self.cross_attn(target + x, target + y, source, axis)
        out: Tensor = self.ffn(self.norm1(target + seen))
        return out


class BoxHead(nn.Module):
    """Three linear layers that predict centre and size."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(D_MODEL, n) for n in (D_MODEL, D_MODEL, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Predict boxes ``(q, 4)`` from queries ``(q, 256)``."""
        first, second, last = self.layers
        out: Tensor = last(F.relu(second(F.relu(first(x)))))
        return out


class Transformer(nn.Module):
    """Encoder and decoder of Anchor DETR with 3500 learned anchor points and one pattern."""

    def __init__(self) -> None:
        super().__init__()
        self.pattern = nn.Embedding(1, D_MODEL)
        self.position = nn.Embedding(N_QUERIES, 2)
        self.adapt_pos2d = _position_mlp()
        self.adapt_pos1d = _position_mlp()
        self.encoder_layers = nn.ModuleList(EncoderLayer() for _ in range(N_LAYERS))
        self.decoder_layers = nn.ModuleList(DecoderLayer() for _ in range(N_LAYERS))
        # The published weights repeat the heads for every layer; only the last layer's are used.
        self.class_embed = nn.Linear(D_MODEL, N_CLASSES)
        self.bbox_embed = BoxHead()
        self._fixed: tuple[Tensor, ...] | None = None

    def forward(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Turn features ``(64, 64, 256)`` to class logits ``(3500, 2)`` and boxes ``(3500, 4)``.

        Boxes are centre x, y, width and height as fractions of the image.
        """
        if self._fixed is None:
            self._fixed = self._image_independent()
        axis, both, x, y, target = self._fixed
        for encode in self.encoder_layers:
            source = encode(source, axis)
        decode: DecoderLayer
        for k, decode in enumerate(self.decoder_layers):  # type: ignore[assignment]
            if k > 0:
                target = decode.compare(target, both)
            target = decode.look(target, (x, y), source, axis)
        boxes = self.bbox_embed(target)
        boxes[:, :2] += _inverse_sigmoid(self.position.weight)
        return self.class_embed(target), boxes.sigmoid()

    def _image_independent(self) -> tuple[Tensor, ...]:
        anchor = self.position.weight
        axis = (torch.arange(GRID, device=anchor.device) + 0.5) / GRID
        axis = self.adapt_pos1d(sine_embedding(axis, D_MODEL))
        halves = [sine_embedding(anchor[:, k], D_MODEL // 2) for k in (1, 0)]
        both = self.adapt_pos2d(torch.cat(halves, -1))
        x, y = (self.adapt_pos1d(sine_embedding(anchor[:, k], D_MODEL)) for k in (0, 1))
        first: DecoderLayer = self.decoder_layers[0]  # type: ignore[assignment]
        target = first.compare(self.pattern.weight.expand(N_QUERIES, -1), both)
        return axis, both, x, y, target


def _position_mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(D_MODEL, D_MODEL), nn.ReLU(), nn.Linear(D_MODEL, D_MODEL))


def _inverse_sigmoid(x: Tensor, eps: float = 1e-5) -> Tensor:
    x = x.clamp(0, 1)
    return torch.log(x.clamp(min=eps) / (1 - x).clamp(min=eps))


class Backbone(nn.Module):
    """Image encoder under the name that the published weights use."""

    def __init__(self) -> None:
        super().__init__()
        self.body = ImageEncoder(neck=False)


class AnchorDETR(nn.Module):
    """Network that finds boxes with its own image encoder, `backbone.body`."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.input_proj = nn.ModuleList(
            [nn.Sequential(nn.Conv2d(WIDTH, D_MODEL, 1), nn.GroupNorm(32, D_MODEL))]
        )
        self.transformer = Transformer()

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Find boxes.

        Parameters
        ----------
        features
            Features ``(1, 768, 64, 64)`` of :func:`inputs.detector_input`.

        Returns
        -------
        tuple
            Boxes ``(3500, 4)`` as x0, y0, x1, y1 in px of the input, not clipped to it, and
            scores ``(3500,)``, falling. Both classes mean a cell, so a query can come twice.
        """
        source = self.input_proj[0](features)[0].permute(1, 2, 0)
        logits, boxes = self.transformer(source)
        scores, order = logits.sigmoid().flatten().topk(N_QUERIES)
        centre, size = boxes[order // N_CLASSES].split(2, -1)
        corners = torch.cat((centre - size / 2, centre + size / 2), -1)
        return corners * INPUT_PX, scores
