"""SAM's ViT-B image encoder (Kirillov et al. 2023; Li et al. 2022, ViTDet), made for inference.

Modules and their names are those of segment-anything (Apache-2.0), so that its weights load;
the computation is exact but arranged otherwise: attention never holds all 4096 x 4096 weights
of a head, and tokens that only pad a window are not projected.

Linear layers may be in bfloat16; norms, the residual stream and the neck stay in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellsam_core.segmentation.lean_imports import LayerNorm2d, MLPBlock
from cellsam_core.segmentation.vit_b import products

if TYPE_CHECKING:
    from collections.abc import Callable

GRID = 64
"""Number of tokens along each side of the image."""
INPUT_PX = 1024
PATCH_PX = 16
WIDTH = 768
DEPTH = 12
N_HEADS = 12
HEAD_WIDTH = WIDTH // N_HEADS
WINDOW = 14
GLOBAL_BLOCKS = (2, 5, 8, 11)
NECK_WIDTH = 256

LANES = 32
"""Multiple that widths of attention are rounded up to, because matrix units need it."""


class PatchEmbed(nn.Module):
    """Convolution that turns an image to tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, WIDTH, PATCH_PX, PATCH_PX)

    def forward(self, image: Tensor) -> Tensor:
        """Turn images ``(n, 3, 1024, 1024)`` to tokens ``(n, 64, 64, 768)``."""
        tokens: Tensor = self.proj(image.to(self.proj.weight.dtype)).permute(0, 2, 3, 1)
        # The sums of all blocks keep this order, and norms would copy any other.
        return tokens.contiguous()


class Attention(nn.Module):
    """Multi-head attention with decomposed relative positions, inside windows or global.

    Parameters
    ----------
    size
        Number of tokens along each side of the attended square: 14 in windows, else 64.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * size - 1, HEAD_WIDTH))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * size - 1, HEAD_WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """Attend from tokens ``(n, 64, 64, 768)``; same shape, in the type of the weights."""
        x = x.to(self.qkv.weight.dtype)
        return self._global(x) if self.size == GRID else _by_bands(self._windowed, x)

    def _global(self, x: Tensor) -> Tensor:
        n = x.shape[0]
        q, k, v = self.qkv(x).view(n, GRID * GRID, 3, N_HEADS, HEAD_WIDTH).permute(2, 0, 3, 1, 4)
        # In float32 the kernel is slower, too, and widened it needs more operations.
        by_products = x.dtype == torch.float32 or products.are_faster(x)
        attend = self._by_products if by_products else self._widened
        attended = attend(q, k, v).transpose(1, 2).reshape(n, GRID, GRID, WIDTH)
        projected: Tensor = self.proj(attended)
        return projected

    def _windowed(self, x: Tensor) -> Tensor:
        """Attend inside the windows of some whole rows of windows, ``(n, h, 64, 768)``."""
        n, height = x.shape[:2]
        down, across = -(-height // WINDOW), -(-GRID // WINDOW)
        # A padding token is zero before the projection, so its query, key and value are
        # the bias; it takes part in the softmax as in ViTDet.
        padded = self.qkv.bias.expand(n, down * WINDOW, across * WINDOW, -1).clone()
        padded[:, :height, :GRID] = self.qkv(x)
        windows = padded.view(n, down, WINDOW, across, WINDOW, 3, N_HEADS, HEAD_WIDTH)
        q, k, v = windows.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(
            3, n * down * across, N_HEADS, WINDOW * WINDOW, HEAD_WIDTH
        )
        attend = self._by_products if products.are_faster(x) else self._widened
        out = attend(q, k, v).view(n, down, across, N_HEADS, WINDOW, WINDOW, HEAD_WIDTH)
        whole = out.permute(0, 1, 4, 2, 5, 3, 6).reshape(n, down * WINDOW, across * WINDOW, WIDTH)
        # Of what is not contiguous, a linear layer would copy its weights for every row.
        projected: Tensor = self.proj(whole[:, :height, :GRID].contiguous())
        return projected

    def _widened(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Add the relative positions in the product of queries and keys.

        A query is widened by its bias for each row and column of keys, a key by its own row and
        column as ones among zeros, so that no bias is held. `q`, `k`, `v` and the result are
        ``(n, 12, size * size, 64)``.
        """
        rest = -2 * self.size % LANES
        one = torch.eye(self.size, dtype=q.dtype, device=q.device)
        place = torch.cat((one.repeat_interleave(self.size, 0), one.repeat(self.size, 1)), 1)
        nothing = q.new_zeros(()).expand(*q.shape[:3], rest)
        queries = torch.cat((q * HEAD_WIDTH**-0.5, *self._relative(q), nothing), -1)
        keys = torch.cat((k, F.pad(place, (0, rest)).expand(*k.shape[:3], -1)), -1)
        values = F.pad(v, (0, 2 * self.size + rest))
        return F.scaled_dot_product_attention(queries, keys, values, scale=1.0)[..., :HEAD_WIDTH]

    def _by_products(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Add the relative positions to the logits; shapes are those of :meth:`_widened`."""
        by_row, by_column = self._relative(q)
        places = by_row.flatten(0, 1), by_column.flatten(0, 1)
        attended = products.attend(q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1), places)
        return attended.view_as(q)

    def _relative(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """Return the bias that each query adds to the logits of every key row and key column.

        Both are ``(n, heads, size * size, size)`` for `q` ``(n, heads, size * size, 64)``.
        """
        steps = torch.arange(self.size, device=q.device)
        distance = steps[:, None] - steps + self.size - 1
        q = q.view(*q.shape[:2], self.size, self.size, HEAD_WIDTH)
        shape = (*q.shape[:-1], self.size)
        by_row = (q @ self.rel_pos_h.T).gather(-1, distance[:, None].expand(shape))
        by_column = (q @ self.rel_pos_w.T).gather(-1, distance.expand(shape))
        return by_row.flatten(2, 3), by_column.flatten(2, 3)


def _by_bands(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a function to rows of windows, on a CPU one by one, to stay in its cache."""
    rows = WINDOW if x.device.type == "cpu" else GRID
    return torch.cat([function(band) for band in torch.split(x, rows, dim=1)], dim=1)


class Block(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.attn = Attention(size)
        self.norm2 = nn.LayerNorm(WIDTH, eps=1e-6)
        self.mlp = MLPBlock(WIDTH, 4 * WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """Transform tokens ``(n, 64, 64, 768)``, float32, keeping shape and type."""
        # Converted first: a sum of two dtypes is slow.
        x = x + self.attn(self.norm1(x)).to(x.dtype)
        return _by_bands(self._feed_forward, x)

    def _feed_forward(self, x: Tensor) -> Tensor:
        inner = self.norm2(x).to(self.mlp.lin1.weight.dtype)
        out: Tensor = x + self.mlp(inner).to(x.dtype)
        return out


class ImageEncoder(nn.Module):
    """Vision transformer (ViT-B) over a 1024 x 1024 px image.

    Parameters
    ----------
    neck
        True adds the convolutions to 256 channels that the mask decoder needs; CellFinder's own
        encoder has none.
    """

    def __init__(self, *, neck: bool) -> None:
        super().__init__()
        self.patch_embed = PatchEmbed()
        self.pos_embed = nn.Parameter(torch.zeros(1, GRID, GRID, WIDTH))
        self.blocks = nn.ModuleList(
            Block(GRID if k in GLOBAL_BLOCKS else WINDOW) for k in range(DEPTH)
        )
        if neck:
            self.neck = nn.Sequential(
                nn.Conv2d(WIDTH, NECK_WIDTH, 1, bias=False),
                LayerNorm2d(NECK_WIDTH),
                nn.Conv2d(NECK_WIDTH, NECK_WIDTH, 3, padding=1, bias=False),
                LayerNorm2d(NECK_WIDTH),
            )

    def forward(self, image: Tensor) -> Tensor:
        """Turn images ``(n, 3, 1024, 1024)`` to features ``(n, 256 or 768, 64, 64)``."""
        x = self.patch_embed(image) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        features: Tensor = x.permute(0, 3, 1, 2)
        if hasattr(self, "neck"):
            features = self.neck(features)
        return features
