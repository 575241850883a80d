"""Image encoder of the ``tiny`` model: convolutions, then global attention, then a pyramid."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv_norm(c_in: int, c_out: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Return convolution, batch norm (foldable at inference) and ReLU."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a skip (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_norm(width, width)
        self.second = nn.Sequential(
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Transform features ``(n, c, h, w)``, keeping their shape."""
        return F.relu(x + self.second(self.first(x)))


class AttentionBlock(nn.Module):
    """Pre-norm transformer block over all positions, as in SAM's ViT (Dosovitskiy et al. 2021).

    Positions are known from a depthwise convolution instead of a table, so that any
    tile size works (Chu et al. 2021, conditional positional encodings).
    """

    def __init__(self, width: int, n_heads: int = 8) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.position = nn.Conv2d(width, width, 3, 1, 1, groups=width)
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.projection = nn.Linear(width, width)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Transform features ``(n, c, h, w)``, keeping their shape."""
        n, c, h, w = x.shape
        x = x + self.position(x)
        tokens = x.flatten(2).transpose(1, 2)
        qkv = self.qkv(self.norm_attention(tokens)).view(n, h * w, 3, self.n_heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, h * w, c)
        tokens = tokens + self.projection(attended)
        tokens = tokens + self.mlp(self.norm_mlp(tokens))
        result: Tensor = tokens.transpose(1, 2).reshape(n, c, h, w)
        return result


class CoarseEncoder(nn.Module):
    """Hybrid encoder without the finest level of its pyramid.

    Input ``(n, 3, h, w)`` in the order (blank, nuclear, whole cell), values in [0, 1], sides
    divisible by 16. Output: features at stride 8 with `width` channels.
    """

    def __init__(self, width: int = 128, n_attention: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_norm(3, 32, 2), conv_norm(32, 64, 2))
        self.stage4 = nn.Sequential(ResidualBlock(64), ResidualBlock(64))
        self.stage8 = nn.Sequential(
            conv_norm(64, width, 2), ResidualBlock(width), ResidualBlock(width)
        )
        self.stage16 = nn.Sequential(
            conv_norm(width, 256, 2),
            ResidualBlock(256),
            ResidualBlock(256),
            *[AttentionBlock(256) for _ in range(n_attention)],
        )
        self.lateral16 = nn.Conv2d(256, width, 1)
        self.lateral8 = nn.Conv2d(width, width, 1)
        self.smooth8 = conv_norm(width, width)

    def coarse(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features at stride 8, and those of the convolutions at stride 4."""
        c4 = self.stage4(self.stem((x - 0.3) / 0.25))
        c8 = self.stage8(c4)
        c16 = self.stage16(c8)
        return self.smooth8(self.lateral8(c8) + _double(self.lateral16(c16))), c4


class ImageEncoder(CoarseEncoder):
    """Hybrid encoder with a feature pyramid (Lin et al. 2017).

    Output: features at stride 8 for CellFinder and at stride 4 for the mask decoder, both with
    `width` channels.
    """

    def __init__(self, width: int = 128, n_attention: int = 2) -> None:
        super().__init__(width, n_attention)
        self.lateral4 = nn.Conv2d(64, width, 1)
        # The neck: what stage 2 of the training adapts for masks, as in the paper.
        self.neck = conv_norm(width, width)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return features at stride 8 and at stride 4."""
        p8, c4 = self.coarse(x)
        return p8, self.neck(self.lateral4(c4) + _double(p8))


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def sample_windows(features: Tensor, windows: Tensor, size: int, stride: int) -> Tensor:
    """Sample a regular grid of `size` x `size` features inside each window, bilinearly.

    Parameters
    ----------
    features
        Features ``(c, h, w)`` of one image.
    windows
        Windows ``(n, 4)`` x0, y0, x1, y1 in input pixels.
    size
        Number of grid points along each side, at the centres of `size` equal cells.
    stride
        Number of input pixels per feature.

    Returns
    -------
    Tensor
        Features ``(n, c, size, size)``; zero outside the image.
    """
    channels, height, width = features.shape
    n = windows.shape[0]
    if n == 0:
        return features.new_zeros((0, channels, size, size))
    centres = (torch.arange(size, device=windows.device, dtype=windows.dtype) + 0.5) / size
    x = windows[:, 0, None] + (windows[:, 2] - windows[:, 0])[:, None] * centres
    y = windows[:, 1, None] + (windows[:, 3] - windows[:, 1])[:, None] * centres
    grid_x = (2 * x / (width * stride) - 1)[:, None, :].expand(n, size, size)
    grid_y = (2 * y / (height * stride) - 1)[:, :, None].expand(n, size, size)
    grid = torch.stack((grid_x, grid_y), -1).reshape(1, n * size, size, 2)
    sampled = F.grid_sample(features[None].float(), grid.float(), align_corners=False)
    return sampled[0].view(channels, n, size, size).transpose(0, 1)
