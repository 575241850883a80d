"""A seeded stand-in for the published weights: same keys and shapes, random values.

Values are structured where noise would make the networks meaningless: positions are sharp
enough that a mask depends on its box, and the last layers in `Heads` are fitted so that some
of the boxes and masks pass the thresholds.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import prod

import numpy as np
import torch

from cellsam_core.segmentation.vit_b.checkpoint import expected_shapes

EMBEDDINGS = (
    *(f"point_embeddings.{k}.weight" for k in range(4)),
    "iou_token.weight",
    "mask_tokens.weight",
    "not_a_point_embed.weight",
    "no_mask_embed.weight",
    "pattern.weight",
)
UNUSED = "model.image_encoder."
GAIN = {
    "in_proj_weight": 1.2,
    "adapt_pos": 2.5,
    "cross_attn.out_proj.weight": 3.0,
    "self_attn.out_proj.weight": 0.3,
    "ffn.linear2.weight": 0.5,
    "patch_embed.proj.weight": 3.0,
    "attn.proj.weight": 0.5,
    "lin2.weight": 0.5,
    "neck.3.weight": 0.3,
    "no_mask_embed": 0.1,
    "point_embeddings": 0.8,
    "iou_token": 0.5,
    "mask_tokens": 0.5,
}


@dataclass(frozen=True)
class Heads:
    """Fitted last layers: class logits, the mask's weights, predicted IoU."""

    class_weight: tuple[tuple[float, ...], ...] = ()
    class_bias: float = 0.0
    mask: tuple[float, ...] = ()
    iou_scale: float = 1.0
    iou_bias: float = 0.0


def random_state(heads: Heads, seed: int = 0) -> dict[str, torch.Tensor]:
    """Return 1041 tensors; those of SAM's unused encoder share one zero."""
    state = {}
    for key, shape in expected_shapes().items():
        if key.startswith(UNUSED):
            state[key] = torch.zeros(1).expand(shape)
            continue
        # One stream a key, so that values do not depend on the order of keys; the repeated
        # heads of CellFinder are equal.
        name = key.replace("model_cp.", "model.")
        for head in ("class_embed.", "bbox_embed."):
            before, found, after = name.partition(head)
            name = before + found + after[2:] if found else name
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        state[key] = torch.from_numpy(_values(key, shape, rng))
        if key.endswith("in_proj_weight") and shape[0] == 5 * shape[1]:
            # Equal projections of queries and keys: a query looks where it is.
            width = 2 * shape[1]
            state[key][width : 2 * width] = state[key][:width]
    _fit(state, heads)
    return state


def _values(key: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    noise = rng.standard_normal(shape, np.float32)
    gain = np.float32(next((g for name, g in GAIN.items() if name in key), 1.0))
    if key.endswith("gaussian_matrix"):
        return noise * 2.5
    if key.endswith("transformer.position.weight"):
        return rng.random(shape, np.float32)
    if "rel_pos" in key or "pos_embed" in key:
        return noise * np.float32(0.1)
    if key.endswith(EMBEDDINGS):
        return noise * gain
    if len(shape) == 1:
        norm = key.endswith("weight")
        return noise * np.float32(0.1) + gain * np.float32(norm)
    fan_in = shape[0] if "output_upscaling" in key else prod(shape[1:])
    return noise * (gain / np.sqrt(np.float32(fan_in)))


def _fit(state: dict[str, torch.Tensor], heads: Heads) -> None:
    transformer = "cellfinder.decode_head.transformer."
    for k in range(6):
        last = f"{transformer}bbox_embed.{k}.layers.2."
        state[last + "weight"] *= 0.3
        state[last + "bias"] = torch.tensor([0.0, 0.0, -3.0, -3.0])
        if heads.class_weight:
            state[f"{transformer}class_embed.{k}.weight"] = torch.tensor(heads.class_weight)
        state[f"{transformer}class_embed.{k}.bias"] = torch.full((2,), heads.class_bias)
    for tree in ("model.", "model_cp."):
        decoder = f"{tree}mask_decoder."
        for layer in (0, 1):
            block = f"{decoder}transformer.layers.{layer}."
            attention = f"{block}cross_attn_image_to_token."
            state[attention + "q_proj.weight"] *= 1.8
            state[attention + "k_proj.weight"] = state[attention + "q_proj.weight"].clone()
            state[attention + "v_proj.weight"] *= 2
            state[attention + "out_proj.weight"] *= 2
            own = f"{block}self_attn."
            state[own + "q_proj.weight"] *= 1.5
            state[own + "k_proj.weight"] = state[own + "q_proj.weight"].clone()
            state[block + "norm3.weight"] *= 0.4
            state[block + "norm4.weight"] *= 0.3
        for layer in ("output_upscaling.0.weight", "output_upscaling.3.weight"):
            weight = state[decoder + layer]
            state[decoder + layer] = weight[:, :, :1, :1] + 0.2 * weight
        # The last upscaled channel is constant: the intercept of the mask's logits.
        state[decoder + "output_upscaling.3.weight"][:, -1] = 0
        state[decoder + "output_upscaling.3.bias"][-1] = 1
        head = f"{decoder}output_hypernetworks_mlps.0.layers.2."
        if heads.mask:
            state[head + "weight"] *= 0.02
            state[head + "bias"] = torch.tensor(heads.mask)
        head = f"{decoder}iou_prediction_head.layers.2."
        state[head + "weight"] *= heads.iou_scale
        state[head + "bias"] = torch.full((4,), heads.iou_bias)


def cells_image(height: int, width: int, n_cells: int, seed: int) -> np.ndarray:
    """Draw soft ellipses with a nuclear and a whole-cell channel: ``(2, y, x)`` in [0, 1]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.zeros((2, height, width))
    for _ in range(n_cells):
        centre_y, centre_x = rng.uniform(0, height), rng.uniform(0, width)
        radius, aspect, brightness = rng.uniform(5, 9), rng.uniform(0.7, 1.4), rng.uniform(0.4, 1)
        distance = np.hypot((y - centre_y) * aspect, (x - centre_x) / aspect)
        for channel, share in enumerate((0.6, 1.0)):
            edge = np.clip(distance - radius * share, -30, 30)
            image[channel] = np.maximum(image[channel], brightness / (1 + np.exp(edge)))
    image += rng.normal(0, 0.02, image.shape)
    return np.clip(image, 0, 1).astype(np.float32)
