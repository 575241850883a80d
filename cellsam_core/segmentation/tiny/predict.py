"""Cells of one tile, found and drawn by the tiny model."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from cellsam_core.models import FITS_TILES
from cellsam_core.segmentation.diameter import NO_LIMITS_PX, measure_diameter_px
from cellsam_core.segmentation.instances import Instance, clean_mask, crop, suppress_duplicates
from cellsam_core.segmentation.lean_imports import nms
from cellsam_core.segmentation.options import SegmentOptions
from cellsam_core.segmentation.segmenter import Features
from cellsam_core.segmentation.tiles import REFERENCE_PX
from cellsam_core.segmentation.tiny.masks import mask_windows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from cellsam_core.segmentation.tiny.model import CellSAM

DIVISOR = 16
BOX_NMS_IOU = 0.85
"""Loose: boxes of parallel rods overlap a lot. Masks decide on duplicates."""

DECODER_BATCH = 64

DEFAULTS = SegmentOptions()


class Segmenter:
    """A loaded model with thresholds.

    Parameters
    ----------
    model
        Network in inference mode, on `device`.
    device
        ``cpu`` or ``cuda``.
    options
        Options of segmentation, of which the three thresholds are used.
    diameter_limits_px
        Smallest and largest cell diameter, in pixels, that the weights are made for.
    """

    fits_tiles = FITS_TILES["tiny"]

    def __init__(
        self,
        model: CellSAM,
        device: str,
        options: SegmentOptions = DEFAULTS,
        diameter_limits_px: tuple[float, float] = NO_LIMITS_PX,
    ) -> None:
        self.model = model
        self.device = device
        self.options = options
        self.diameter_limits_px = diameter_limits_px

    @torch.inference_mode()
    def segment(self, pixels: NDArray[np.float32], diameter_px: float) -> list[Instance]:
        """Find and draw all cells of a tile.

        Parameters
        ----------
        pixels
            Nuclear and whole-cell channel ``(2, y, x)`` in [0, 1]; an absent one is 0.
        diameter_px
            Typical cell diameter in these pixels; the tile is resampled to the model's scale.

        Returns
        -------
        list of Instance
            Cells in the tile's pixels, without duplicates.
        """
        image, scale = self._scaled(pixels, diameter_px)
        p8, p4 = self.model.encoder(image)
        boxes, scores = self._boxes(p8)
        least_iou = self.options.iou_threshold
        return self._draw(p4[0], boxes, scores, scale, pixels.shape[1:], least_iou=least_iou)

    def measure_diameter_px(
        self,
        samples: Sequence[NDArray[np.float32]],
        limits_px: tuple[float, float] | None = None,
    ) -> float:
        """Measure the cell diameter; see :mod:`cellsam_core.segmentation.diameter`.

        Parameters
        ----------
        samples
            Images ``(2, y, x)`` in [0, 1].
        limits_px
            Smallest and largest diameter; without them, those that the weights are made for.
        """
        return measure_diameter_px(samples, limits_px or self.diameter_limits_px)

    @torch.inference_mode()
    def prompt(
        self, pixels: NDArray[np.float32], diameter_px: float, boxes: NDArray[np.float32]
    ) -> list[Instance]:
        """Draw the cells in boxes ``(n, 4)`` x0, y0, x1, y1, px; none is dropped as unsure."""
        return self.draw_boxes(self.features(pixels, diameter_px), boxes)

    @torch.inference_mode()
    def features(self, pixels: NDArray[np.float32], diameter_px: float) -> Features:
        """Return the features of a tile, for :meth:`draw_boxes`; see :meth:`segment`."""
        image, scale = self._scaled(pixels, diameter_px)
        _, p4 = self.model.encoder(image)
        return Features(p4[0], (pixels.shape[1], pixels.shape[2]), scale)

    @torch.inference_mode()
    def draw_boxes(self, features: Features, boxes: NDArray[np.float32]) -> list[Instance]:
        """Draw the cells in boxes ``(n, 4)`` x0, y0, x1, y1, px; none is dropped as unsure."""
        scale = features.scale_yx
        scaled = torch.from_numpy(boxes.astype(np.float32)).to(self.device) * torch.tensor(
            [scale[1], scale[0]] * 2, device=self.device
        )
        ones = torch.ones(len(boxes), device=self.device)
        shape = features.shape_yx
        return self._draw(features.tensor, scaled, ones, scale, shape, least_iou=-np.inf)

    def _boxes(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Find boxes (model px) and scores above the threshold, without repeats, surest first."""
        _, refined = self.model.cellfinder(features)
        boxes, scores = refined[-1].boxes[0], refined[-1].logits[0].sigmoid()
        keep = scores > self.options.score_threshold
        boxes, scores = boxes[keep], scores[keep]
        keep = nms(boxes, scores, BOX_NMS_IOU)
        return boxes[keep], scores[keep]

    def _scaled(
        self, pixels: NDArray[np.float32], diameter_px: float
    ) -> tuple[Tensor, tuple[float, float]]:
        """Resample to the model's cell scale and pad; return model px per image px (y, x)."""
        _, height, width = pixels.shape
        wanted = REFERENCE_PX / diameter_px
        h, w = max(1, round(height * wanted)), max(1, round(width * wanted))
        image = torch.zeros((1, 3, height, width))
        image[0, 1:] = torch.from_numpy(pixels)
        if (h, w) != (height, width):
            image = F.interpolate(image, (h, w), mode="bilinear", antialias=True)
        image = F.pad(image, (0, -w % DIVISOR, 0, -h % DIVISOR))
        placed = image.to(self.device).contiguous(memory_format=torch.channels_last)
        return placed, (h / height, w / width)

    def _draw(
        self,
        features: Tensor,
        boxes: Tensor,
        scores: Tensor,
        scale: tuple[float, float],
        shape_yx: tuple[int, ...],
        *,
        least_iou: float,
    ) -> list[Instance]:
        """Decode boxes (model px) to masks (image px), without those of a lower predicted IoU."""
        drawings: list[_Drawing] = []
        for start in range(0, len(boxes), DECODER_BATCH):
            part = boxes[start : start + DECODER_BATCH]
            logits, sure = self.model.decoder(features, part)
            windows = mask_windows(part).cpu().numpy() / np.tile(scale[::-1], 2)
            score = scores[start : start + DECODER_BATCH]
            drawings += [
                drawing
                for row in zip(
                    logits.cpu().numpy(), windows, score.tolist(), sure.tolist(), strict=True
                )
                if row[3] >= least_iou and (drawing := _resample(*row, shape_yx))
            ]
        return self._resolve_overlaps(drawings, shape_yx)

    def _resolve_overlaps(
        self, drawings: list[_Drawing], shape_yx: tuple[int, ...]
    ) -> list[Instance]:
        """Remove repeated cells, then let the remaining ones compete for pixels."""
        probability = self.options.mask_threshold
        cut = np.float32(np.log(probability / (1 - probability)))
        drawings = [d for d in drawings if (d.logits > cut).any()]
        whole = [Instance(*crop(d.y0, d.x0, d.logits > cut), d.score, d.iou) for d in drawings]
        chosen = suppress_duplicates(whole)
        best = np.full(shape_yx, cut, np.float32)
        owner = np.zeros(shape_yx, np.int32)
        for k in chosen:
            region = drawings[k].region
            wins = drawings[k].logits > best[region]
            best[region][wins] = drawings[k].logits[wins]
            owner[region][wins] = k + 1
        result = []
        for k in chosen:
            mask = clean_mask(owner[drawings[k].region] == k + 1)
            if mask.any():
                d = drawings[k]
                result.append(Instance(*crop(d.y0, d.x0, mask), d.score, d.iou))
        return result


class _Drawing(NamedTuple):
    """Mask logits of one box on the pixels of the image."""

    y0: int
    x0: int
    logits: NDArray[np.float32]
    score: float
    iou: float

    @property
    def region(self) -> tuple[slice, slice]:
        height, width = self.logits.shape
        return slice(self.y0, self.y0 + height), slice(self.x0, self.x0 + width)


def _resample(
    logits: NDArray[np.float32],
    window: NDArray[np.float32],
    score: float,
    iou: float,
    shape_yx: tuple[int, ...],
) -> _Drawing | None:
    """Interpolate a decoder's mask at the image's pixel centres; None if it lies outside."""
    x0, y0 = (max(0, int(np.ceil(v - 0.5))) for v in window[:2])
    x1 = min(shape_yx[1], int(np.ceil(window[2] - 0.5)))
    y1 = min(shape_yx[0], int(np.ceil(window[3] - 0.5)))
    if x0 >= x1 or y0 >= y1:
        return None
    rows = _interpolation(np.arange(y0, y1), window[1], window[3], logits.shape[0])
    columns = _interpolation(np.arange(x0, x1), window[0], window[2], logits.shape[1])
    drawn = np.asarray(rows @ logits @ columns.T, np.float32)
    return _Drawing(y0, x0, drawn, score, iou)


def _interpolation(
    pixels: NDArray[np.int_], low: float, high: float, size: int
) -> NDArray[np.float32]:
    """Return the matrix ``(pixels, size)`` of linear interpolation between cell centres."""
    position = np.clip((pixels + 0.5 - low) / (high - low) * size - 0.5, 0, size - 1)
    distance = np.abs(position[:, None] - np.arange(size))
    weight: NDArray[np.float32] = np.maximum(0, 1 - distance).astype(np.float32)
    return weight
