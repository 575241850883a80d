"""The tiny CellSAM: image encoder, CellFinder and mask decoder put together."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cellsam_core.segmentation.tiny.cellfinder import Boxes, CellFinder
from cellsam_core.segmentation.tiny.encoder import ImageEncoder
from cellsam_core.segmentation.tiny.masks import WindowMaskDecoder


class CellSAM(nn.Module):
    """Image encoder, CellFinder and mask decoder sharing one set of features.

    Parameters
    ----------
    width
        Channels of the shared features.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.encoder = ImageEncoder(width)
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
