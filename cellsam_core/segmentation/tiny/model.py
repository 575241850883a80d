"""The tiny CellSAM: image encoder, CellFinder and mask decoder put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cellsam_core.segmentation.tiny.cellfinder import Boxes, CellFinder
from cellsam_core.segmentation.tiny.encoder import ImageEncoder
from cellsam_core.segmentation.tiny.lite import LiteEncoder
from cellsam_core.segmentation.tiny.masks import WindowMaskDecoder

if TYPE_CHECKING:
    from collections.abc import Iterable


HYBRID = "hybrid"
ENCODERS: dict[str, type[ImageEncoder | LiteEncoder]] = {
    HYBRID: ImageEncoder,
    "lite0": LiteEncoder,
}
"""By the name that a weights file has for them."""


def encoder_of(state: Iterable[str]) -> str:
    """Tell the encoder of weights by the names of their tensors."""
    return "lite0" if any(name.startswith("encoder.blocks.") for name in state) else HYBRID


class CellSAM(nn.Module):
    """Image encoder, CellFinder and mask decoder sharing one set of features.

    Parameters
    ----------
    width
        Channels of the shared features.
    encoder
        One of `ENCODERS`.
    """

    def __init__(self, width: int = 128, encoder: str = HYBRID) -> None:
        super().__init__()
        self.encoder = ENCODERS[encoder](width)
        self.cellfinder = CellFinder(width)
        self.decoder = WindowMaskDecoder(width)

    def forward(self, image: Tensor, n_queries: int) -> tuple[Boxes, list[Boxes], Tensor]:
        """Encode ``(n, 3, h, w)`` and find boxes; return the features for the mask decoder too."""
        p8, p4 = self.encoder(image)
        dense, refined = self.cellfinder(p8, n_queries)
        return dense, refined, p4


def fold_batch_norm(model: nn.Module) -> None:
    """Merge every batch norm into the convolution before it, which saves time.

    Parameters
    ----------
    model
        Network in inference mode; it is changed in place and can no longer be trained.
    """
    for chain in [m for m in model.modules() if isinstance(m, nn.Sequential)]:
        for k in range(len(chain) - 1):
            convolution, norm = chain[k], chain[k + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                chain[k] = fuse_conv_bn_eval(convolution, norm)
                chain[k + 1] = nn.Identity()
