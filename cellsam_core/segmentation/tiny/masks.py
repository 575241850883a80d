"""SAM's prompt encoder and mask decoder, applied in a window around each box.

The layers are segment-anything's own (Kirillov et al. 2023). Official SAM lets every box attend
to the whole 64 x 64 feature map; a cell is small in its image, so here each box attends to a
16 x 16 grid sampled around it. Cost per box then depends neither on the image nor on
the cell size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cellsam_core.segmentation.lean_imports import (
    MaskDecoder,
    PromptEncoder,
    TwoWayTransformer,
)
from cellsam_core.segmentation.tiny.boxes import to_centre, to_corners
from cellsam_core.segmentation.tiny.encoder import sample_windows

STRIDE = 4
TOKENS = 16
MASK_PX = 4 * TOKENS
"""Side, in pixels, of the mask that the decoder draws in a window."""

MARGIN = 1.4
MIN_WINDOW_PX = 16.0


class WindowMaskDecoder(nn.Module):
    """Network that predicts mask logits in windows around boxes, and their IoU.

    Parameters
    ----------
    width
        Number of channels of the features.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.prompt_encoder = PromptEncoder(
            embed_dim=width,
            image_embedding_size=(TOKENS, TOKENS),
            input_image_size=(MASK_PX, MASK_PX),
            mask_in_chans=16,
        )
        self.mask_decoder = MaskDecoder(
            transformer_dim=width,
            transformer=TwoWayTransformer(
                depth=2, embedding_dim=width, num_heads=4, mlp_dim=2 * width
            ),
            num_multimask_outputs=1,
            iou_head_hidden_dim=width,
        )

    def forward(self, features: Tensor, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Decode the boxes of one image.

        Parameters
        ----------
        features
            Features ``(width, h, w)`` at stride 4.
        boxes
            Boxes ``(n, 4)`` in pixels.

        Returns
        -------
        tuple
            Logits ``(n, 64, 64)`` over :func:`mask_windows`, predicted IoU ``(n,)``.
        """
        windows = mask_windows(boxes)
        return self.decode(sample_windows(features, windows, TOKENS, STRIDE), boxes, windows)

    def decode(self, sampled: Tensor, boxes: Tensor, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Decode features ``(n, width, 16, 16)`` that were already sampled in the windows."""
        low, size = windows[:, :2], windows[:, 2:] - windows[:, :2]
        prompt = (boxes.view(-1, 2, 2) - low[:, None]) / size[:, None] * MASK_PX - 0.5
        sparse, dense = self.prompt_encoder(points=None, boxes=prompt.view(-1, 4), masks=None)
        decoder = self.mask_decoder
        output = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat((output[None].expand(len(boxes), -1, -1), sparse), 1)
        source = sampled + dense
        position = self.prompt_encoder.get_dense_pe().expand(len(boxes), -1, -1, -1)
        hidden, source = decoder.transformer(source, position, tokens)
        n, _, c = source.shape
        upscaled = decoder.output_upscaling(source.transpose(1, 2).reshape(n, c, TOKENS, TOKENS))
        weights = decoder.output_hypernetworks_mlps[0](hidden[:, 1])
        logits = torch.einsum("nc,nchw->nhw", weights, upscaled)
        return logits.float(), decoder.iou_prediction_head(hidden[:, 0]).float()[:, 0]


def mask_windows(boxes: Tensor) -> Tensor:
    """Return the window ``(n, 4)`` in which each box is decoded: wider, and never very thin."""
    centre = to_centre(boxes)
    size = centre[:, 2:]
    side = MARGIN * torch.maximum(size, size.flip(-1) / 2)
    return to_corners(torch.cat((centre[:, :2], side.clamp(min=MIN_WINDOW_PX)), -1))
