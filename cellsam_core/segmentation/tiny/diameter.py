"""Network that tells the diameter of the cells in an image."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cellsam_core.segmentation.tiny.encoder import CoarseEncoder

REDUCTIONS = (1, 2, 4)
"""Each view shows the image this many times smaller."""

VIEW_PX = 128
"""Side of a view. The largest region that is seen is 512 px, the smallest 128 px."""

STEP = 0.25
LOG2_DIAMETERS = (1.0, 8.5)
"""Grid of diameters, in octaves: from 2 to 362 px of the image."""

N_POOLINGS = 4
HIDDEN = 64


class DiameterHead(nn.Module):
    """Probability of cell diameters, from the encoder's features of three views of an image.

    The features of a view are pooled with learnt weights of the positions (attention pooling,
    Ilse et al. 2018), beside their means, spreads and largest values. Each view votes for
    diameters in its own pixels. The votes are moved to pixels of the image and multiplied, each
    to the power of how much the view is trusted.

    Parameters
    ----------
    width
        Channels of the features.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.Linear(width, N_POOLINGS)
        self.norm_pooled = nn.LayerNorm(3 * width)
        self.hidden = nn.Linear((N_POOLINGS + 3) * width, HIDDEN)
        self.drop = nn.Dropout(0.2)
        self.vote = nn.Linear(HIDDEN, len(grid()))
        self.trust = nn.Linear(HIDDEN, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Return log probabilities ``(n, diameters)``, see :func:`grid`.

        Parameters
        ----------
        features
            Features of the views, ``(n, views, positions, width)``.
        """
        tokens = self.norm(features)
        weights = self.attention(tokens).softmax(-2)
        attended = torch.einsum("nvpk,nvpc->nvkc", weights, tokens).flatten(2)
        plain = torch.cat((features.mean(-2), features.std(-2), features.amax(-2)), -1)
        pooled = torch.cat((attended, self.norm_pooled(plain)), -1)
        hidden = self.drop(F.gelu(self.hidden(self.drop(pooled))))
        votes = self.vote(hidden).log_softmax(-1)
        trust = F.softplus(self.trust(hidden))
        total = sum(
            trust[:, k] * _moved(votes[:, k], reduction) for k, reduction in enumerate(REDUCTIONS)
        )
        assert isinstance(total, Tensor)
        return total.log_softmax(-1)


class Ruler(nn.Module):
    """Encoder and head together.

    The encoder is that of some weights of the tiny model; only the head is trained for diameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.encoder = CoarseEncoder()
        self.head = DiameterHead()

    def features(self, views: Tensor) -> Tensor:
        """Return features ``(views, positions, width)`` of views ``(views, 3, y, x)``."""
        coarse, _ = self.encoder.coarse(views)
        return F.avg_pool2d(coarse.float(), 2).flatten(2).transpose(1, 2)


def _moved(votes: Tensor, reduction: int) -> Tensor:
    """Move votes for diameters in pixels of a view to those in pixels of the image."""
    steps = round((reduction.bit_length() - 1) / STEP)
    least = -12.0
    return F.pad(votes, (steps, 0), value=least)[:, : votes.shape[-1]]


def grid() -> Tensor:
    """Return the logarithms to base 2 of the diameters, in pixels, that the head tells apart."""
    low, high = LOG2_DIAMETERS
    return torch.arange(low, high + STEP / 2, STEP)
