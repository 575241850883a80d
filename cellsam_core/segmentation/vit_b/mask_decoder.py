"""SAM's mask decoder for many boxes of one image (Kirillov et al. 2023), made for inference.

The parameters are segment-anything's own (Apache-2.0). A box has only 7 tokens, so that it is
cheaper to bring the projections of the image's 4096 keys to the token side: with heads written
as blocks of one matrix, ``q . (W k) = (W' q) . k``. What the first layer projects of the image,
and every projection of its positions, is the same for all boxes and is computed once.
All of this is exact but for rounding. What a box makes of the image may be held and upscaled in
bfloat16; its tokens, its predicted IoU and the sum that is a mask's logit stay in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellsam_core.segmentation.lean_imports import (
    MaskDecoder,
    PromptEncoder,
    TwoWayTransformer,
)
from cellsam_core.segmentation.vit_b.encoder import GRID, INPUT_PX, NECK_WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterator

N_HEADS = 8
INNER = NECK_WIDTH // 2
N_KEYS = GRID * GRID
BOXES_AT_ONCE = 4
"""Number of boxes that still fit the processor's cache."""


@dataclass(frozen=True)
class Decoded:
    """One box, decoded but not yet drawn.

    Attributes
    ----------
    keys
        Features of the image ``(64, 64, 256)`` as this box sees it, float32 or bfloat16.
    weights
        Weights ``(32,)`` of the upscaled features in the mask's logits.
    iou
        Intersection over union that the decoder predicts.
    """

    keys: Tensor
    weights: Tensor
    iou: float


@dataclass(frozen=True)
class _Image:
    """Projections that all boxes of an image share, in the type of :attr:`Decoded.keys`.

    Attributes
    ----------
    keys
        Features of the image ``(4096, 256)``.
    k, v, q
        Projections of the keys in the first layer, ``(4096, 128)``.
    second_k, second_q, final_k
        Projections ``(4096, 128)`` of the positions alone, in the second layer and in the last
        attention.
    """

    keys: Tensor
    k: Tensor
    v: Tensor
    q: Tensor
    second_k: Tensor
    second_q: Tensor
    final_k: Tensor


class BoxDecoder(nn.Module):
    """Network that draws masks in boxes.

    Attributes
    ----------
    image_dtype
        Type of the features of the image as a box sees it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.image_dtype = torch.float32
        self.prompt_encoder = PromptEncoder(
            embed_dim=NECK_WIDTH,
            image_embedding_size=(GRID, GRID),
            input_image_size=(INPUT_PX, INPUT_PX),
            mask_in_chans=16,
        )
        self.mask_decoder = MaskDecoder(
            transformer_dim=NECK_WIDTH,
            transformer=TwoWayTransformer(
                depth=2, embedding_dim=NECK_WIDTH, num_heads=N_HEADS, mlp_dim=2048
            ),
            num_multimask_outputs=3,
        )

    def decode(self, features: Tensor, boxes: Tensor) -> Iterator[Decoded]:
        """Decode boxes in batches.

        Parameters
        ----------
        features
            Features ``(256, 64, 64)`` of the image encoder with its neck.
        boxes
            Boxes ``(n, 4)`` x0, y0, x1, y1 in pixels of the encoder's input.
        """
        image = self._share(features)
        for first in range(0, len(boxes), BOXES_AT_ONCE):
            yield from self._decode(image, boxes[first : first + BOXES_AT_ONCE])

    def draw(self, decoded: Decoded) -> Tensor:
        """Return the mask's logits ``(256, 256)``, float32."""
        first, norm, activate, second, _ = self.mask_decoder.output_upscaling
        x = _upscale(decoded.keys, first).view(GRID, GRID, 4, -1)
        x = activate(_norm(x, norm))
        x = activate(_upscale(x, second)).view(GRID, GRID, 2, 2, 2, 2, -1)
        logits: Tensor = x.float() @ decoded.weights
        return logits.permute(0, 2, 4, 1, 3, 5).reshape(4 * GRID, 4 * GRID)

    def _share(self, features: Tensor) -> _Image:
        positions = self.prompt_encoder.get_dense_pe()[0].flatten(1).T.contiguous()
        transformer = self.mask_decoder.transformer
        first, second = transformer.layers
        keys = features.flatten(1).T + self.prompt_encoder.no_mask_embed.weight
        placed = keys + positions
        q = second.cross_attn_image_to_token.q_proj
        shared = (
            keys,
            first.cross_attn_token_to_image.k_proj(placed),
            first.cross_attn_token_to_image.v_proj(keys),
            first.cross_attn_image_to_token.q_proj(placed),
            # The bias of the keys adds the same to all logits of a query.
            F.linear(positions, second.cross_attn_token_to_image.k_proj.weight),
            F.linear(positions, q.weight, q.bias),
            F.linear(positions, transformer.final_attn_token_to_image.k_proj.weight),
        )
        return _Image(*(x.to(self.image_dtype) for x in shared))

    def _decode(self, image: _Image, boxes: Tensor) -> Iterator[Decoded]:
        decoder, transformer = self.mask_decoder, self.mask_decoder.transformer
        corners, _ = self.prompt_encoder(points=None, boxes=boxes, masks=None)
        output = torch.cat((decoder.iou_token.weight, decoder.mask_tokens.weight))
        prompt = torch.cat((output.expand(len(boxes), -1, -1), corners), 1)
        first, second = transformer.layers

        tokens = first.norm1(_attend(first.self_attn, prompt, prompt, prompt))
        looked = _look_shared(first.cross_attn_token_to_image, tokens + prompt, image.k, image.v)
        tokens = _settle_tokens(first, tokens + looked)
        keys = _update(first, image.keys, tokens, prompt, image.q, None)

        placed = tokens + prompt
        tokens = second.norm1(tokens + _attend(second.self_attn, placed, placed, tokens))
        to_image = second.cross_attn_token_to_image
        tokens = _settle_tokens(
            second, tokens + _look(to_image, tokens + prompt, keys, image.second_k)
        )
        weight = second.cross_attn_image_to_token.q_proj.weight
        keys = _update(second, keys, tokens, prompt, image.second_q, weight)

        to_image = transformer.final_attn_token_to_image
        looked = _look(to_image, tokens + prompt, keys, image.final_k)
        tokens = transformer.norm_final_attn(tokens + looked)
        iou = decoder.iou_prediction_head(tokens[:, 0])[:, 0].tolist()
        weights = decoder.output_hypernetworks_mlps[0](tokens[:, 1])
        for k in range(len(boxes)):
            yield Decoded(keys[k].view(GRID, GRID, -1), weights[k], iou[k])


def _upscale(x: Tensor, up: nn.ConvTranspose2d) -> Tensor:
    """Apply a transposed convolution without overlap to ``(..., in)``: ``(..., 4 * out)``."""
    weight = up.weight.permute(2, 3, 1, 0).flatten(0, 2)
    bias: Tensor = up.bias.repeat(4)  # type: ignore[union-attr]
    return F.linear(x, weight.to(x.dtype), bias.to(x.dtype))


def _norm(x: Tensor, norm: Any) -> Tensor:
    weight, bias = norm.weight.to(x.dtype), norm.bias.to(x.dtype)
    return F.layer_norm(x, x.shape[-1:], weight, bias, norm.eps)


def _heads(x: Tensor) -> Tensor:
    return x.view(*x.shape[:-1], N_HEADS, -1).transpose(-3, -2)


def _attend(attention: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    attended = F.scaled_dot_product_attention(
        _heads(attention.q_proj(q)), _heads(attention.k_proj(k)), _heads(attention.v_proj(v))
    )
    out: Tensor = attention.out_proj(attended.transpose(1, 2).flatten(2))
    return out


def _look_shared(attention: Any, placed: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Let tokens of all boxes attend to the same keys, already projected ``(4096, 128)``."""
    n, n_tokens, _ = placed.shape
    q = _heads(attention.q_proj(placed).flatten(0, 1).to(k.dtype))[None]
    attended = F.scaled_dot_product_attention(q, _heads(k)[None], _heads(v)[None])
    attended = attended[0].transpose(0, 1).reshape(n, n_tokens, -1)
    out: Tensor = attention.out_proj(attended.to(placed.dtype))
    return out


def _look(attention: Any, placed: Tensor, keys: Tensor, positions: Tensor) -> Tensor:
    """Let tokens ``(b, 7, 256)`` attend to keys ``(b, 4096, 256)`` of their own box.

    `positions` holds the key projections ``(4096, 128)`` of the keys' positions.
    """
    queries = _spread(attention.q_proj(placed)) * (INNER // N_HEADS) ** -0.5
    absorbed = queries @ attention.k_proj.weight
    base = queries.to(keys.dtype) @ positions.T
    logits = torch.baddbmm(base, absorbed.to(keys.dtype), keys.mT)
    seen = logits.softmax(-1) @ keys
    return _gather(attention, attention.v_proj(seen.to(placed.dtype)))


def _settle_tokens(layer: Any, tokens: Tensor) -> Tensor:
    tokens = layer.norm2(tokens)
    out: Tensor = layer.norm3(tokens + layer.mlp(tokens))
    return out


def _spread(x: Tensor) -> Tensor:
    """Give every head of ``(b, t, 128)`` its own row, zero elsewhere: ``(b, 8 * t, 128)``."""
    n, n_tokens, _ = x.shape
    own = torch.eye(N_HEADS, dtype=x.dtype, device=x.device).repeat_interleave(
        INNER // N_HEADS, dim=1
    )
    return (x[:, None] * own[:, None]).view(n, N_HEADS * n_tokens, INNER)


def _gather(attention: Any, values: Tensor) -> Tensor:
    """Take each head's own part of ``(b, 8 * t, 128)`` and project: ``(b, t, 256)``."""
    n = len(values)
    blocks = values.view(n, N_HEADS, -1, N_HEADS, INNER // N_HEADS)
    own = blocks.diagonal(dim1=1, dim2=3).permute(0, 1, 3, 2)
    out: Tensor = attention.out_proj(own.flatten(2))
    return out


def _update(
    layer: Any,
    keys: Tensor,
    tokens: Tensor,
    prompt: Tensor,
    projected: Tensor,
    weight: Tensor | None,
) -> Tensor:
    """Let the image attend to the tokens.

    `projected` holds the query projections ``(4096, 128)`` of the whole input, or, with
    `weight`, only of its positions; the rest is then absorbed into the tokens.
    """
    attention = layer.cross_attn_image_to_token
    k = _spread(attention.k_proj(tokens + prompt)) * (INNER // N_HEADS) ** -0.5
    logits = k.to(keys.dtype) @ projected.mT
    if weight is not None:
        logits = torch.baddbmm(logits, (k @ weight).to(keys.dtype), keys.mT)
    n = len(logits)
    # Tokens before positions: softmax over 7 neighbours in memory would be slow.
    share = logits.view(n, N_HEADS, -1, N_KEYS).softmax(2)
    # The shares of a head add up to 1, so the bias can ride on what tokens contribute.
    bias = attention.out_proj.bias / N_HEADS
    moves = _spread(attention.v_proj(tokens)) @ attention.out_proj.weight.T + bias
    spread = share.view(n, -1, N_KEYS).mT
    moved = torch.baddbmm(keys.expand(n, -1, -1), spread, moves.to(keys.dtype))
    return _norm(moved, layer.norm4)
