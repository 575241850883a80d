"""Cells of one tile, found and drawn by the published CellSAM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy import ndimage

from cellsam_core.models import FITS_TILES
from cellsam_core.segmentation.instances import Instance, crop, fill_holes
from cellsam_core.segmentation.options import SegmentOptions
from cellsam_core.segmentation.segmenter import Features
from cellsam_core.segmentation.tiles import REFERENCE_PX
from cellsam_core.segmentation.vit_b.encoder import INPUT_PX
from cellsam_core.segmentation.vit_b.inputs import detector_input, encoder_input, to_square
from cellsam_core.segmentation.vit_b.resample import make_axis

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from cellsam_core.segmentation.vit_b.checkpoint import VitB
    from cellsam_core.segmentation.vit_b.mask_decoder import Decoded


@dataclass(frozen=True)
class Preset:
    """One way to run the published weights.

    Attributes
    ----------
    thresholds
        Smallest score (before it is adapted to the image), predicted IoU and mask probability.
        Other options of segmentation are not taken from here.
    min_area_px
        Smallest area of a drawn cell; smaller ones are removed and the holes of the others are
        filled. 0 leaves both out.
    bfloat16
        True for large layers in bfloat16, see :func:`checkpoint.lower`; the layers that decide
        stay in float32.
    """

    thresholds: SegmentOptions
    min_area_px: int
    bfloat16: bool = False


def _thresholds(score: float, iou: float, mask: float) -> SegmentOptions:
    return SegmentOptions(score_threshold=score, iou_threshold=iou, mask_threshold=mask)


PRESETS = {
    "official": Preset(_thresholds(score=0.4, iou=0.5, mask=0.4), 25),
    "paper": Preset(_thresholds(score=0.4, iou=0.4, mask=0.5), 0),
    "fast": Preset(_thresholds(score=0.4, iou=0.5, mask=0.4), 25, bfloat16=True),
}


class Mask(NamedTuple):
    """Mask of one box before overlaps are resolved, in image pixels."""

    y0: int
    x0: int
    mask: NDArray[np.bool_]
    score: float
    predicted_iou: float


class VitBSegmenter:
    """The published CellSAM as a :class:`cellsam_core.segmentation.segmenter.TileSegmenter`.

    As in the authors' code, a tile is stretched to 1024 x 1024 px whatever its aspect, and where
    masks overlap the box with the lower score is on top. Other than there, all of an image
    without cells is an empty list instead of an exception, boxes are decoded in batches, and the
    two clusters of scores that adapt the threshold are the best ones, not those of a random
    start. The authors' contrast step (clip at the 99.9th percentile, CLAHE) is the command
    ``preprocess`` with these weights; in ``paper``, their evaluation, without CLAHE.

    Parameters
    ----------
    model
        Networks, as :func:`checkpoint.load` returns them, on `device`; in bfloat16 if the preset
        asks for it.
    device
        ``cpu`` or ``cuda``.
    preset
        Thresholds and precision, see :data:`PRESETS`.
    """

    fits_tiles = FITS_TILES["published"]

    def __init__(self, model: VitB, device: str, preset: Preset) -> None:
        self.model = model
        self.device = device
        self.preset = preset

    @torch.inference_mode()
    def measure_diameter_px(
        self,
        samples: Sequence[NDArray[np.float32]],
        limits_px: tuple[float, float] | None = None,
    ) -> float:
        """Give the diameter at which images are not rescaled: these weights know all sizes."""
        return REFERENCE_PX

    def segment(self, pixels: NDArray[np.float32], diameter_px: float) -> list[Instance]:
        """Find and draw all cells of a tile.

        Parameters
        ----------
        pixels
            Tile ``(c, y, x)`` in [0, 1]: 1 channel (whole cell), 2 (nuclear, whole cell) or 3.
        diameter_px
            Typical cell diameter. It has no effect here: a tile is stretched whole, so that its
            size, which follows from the diameter, decides on the scale.

        Returns
        -------
        list of Instance
            Disjoint cells, best score first; score and predicted IoU are those of its box.
        """
        square = to_square(torch.from_numpy(pixels).float())
        boxes, scores = self.detect(square)
        if len(boxes) == 0:
            return []
        masks = self.draw(self.encode(square), boxes, scores, pixels.shape[1:])
        return self.rasterize(masks, pixels.shape[1:])

    @torch.inference_mode()
    def prompt(
        self, pixels: NDArray[np.float32], diameter_px: float, boxes: NDArray[np.float32]
    ) -> list[Instance]:
        """Draw the cells in boxes ``(n, 4)`` x0, y0, x1, y1, px; none is dropped as unsure.

        For `pixels` and `diameter_px` see :meth:`segment`.
        """
        return self.draw_boxes(self.features(pixels, diameter_px), boxes)

    @torch.inference_mode()
    def features(self, pixels: NDArray[np.float32], diameter_px: float) -> Features:
        """Return the features of a tile, for :meth:`draw_boxes`; see :meth:`segment`."""
        height, width = pixels.shape[1:]
        tensor = self.encode(to_square(torch.from_numpy(pixels).float()))
        return Features(tensor, (height, width), (INPUT_PX / height, INPUT_PX / width))

    @torch.inference_mode()
    def draw_boxes(self, features: Features, boxes: NDArray[np.float32]) -> list[Instance]:
        """Draw the cells in boxes ``(n, 4)`` x0, y0, x1, y1, px; none is dropped as unsure."""
        scale = np.array([features.scale_yx[1], features.scale_yx[0]] * 2)
        placed = torch.from_numpy((boxes * scale).astype(np.float32)).to(self.device)
        ones = torch.ones(len(boxes))
        masks = self.draw(features.tensor, placed, ones, features.shape_yx, -np.inf)
        return self.rasterize(masks, features.shape_yx)

    def detect(self, square: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (px of the 1024 px square) and scores above the adapted threshold."""
        image = detector_input(square, stretched=self.model.stretched)
        with self.model.in_memory(self.model.detector.backbone.body) as encoder:
            features = encoder(image.to(self.device))
        boxes, scores = self.model.detector(features)
        keep = scores > adapted_threshold(
            scores.cpu().numpy(), self.preset.thresholds.score_threshold
        )
        return boxes[keep], scores[keep]

    def encode(self, square: Tensor) -> Tensor:
        """Return the features ``(256, 64, 64)`` that masks are decoded from."""
        image = encoder_input(square, stretched=self.model.stretched)
        with self.model.in_memory(self.model.encoder) as encoder:
            features: Tensor = encoder(image.to(self.device))[0]
        return features

    def draw(
        self,
        features: Tensor,
        boxes: Tensor,
        scores: Tensor,
        shape_yx: tuple[int, ...],
        least_iou: float | None = None,
    ) -> Iterator[Mask]:
        """Decode boxes one after the other; those below the least predicted IoU are dropped."""
        least = self.preset.thresholds.iou_threshold if least_iou is None else least_iou
        artist = _Artist(self, shape_yx)
        for score, one in zip(
            scores.tolist(), self.model.decoder.decode(features, boxes), strict=True
        ):
            drawn = None if one.iou < least else artist.draw(one)
            if drawn is not None:
                yield Mask(*drawn, score, one.iou)

    def rasterize(self, masks: Iterable[Mask], shape_yx: tuple[int, ...]) -> list[Instance]:
        """Draw masks one over the other, clean the result and split it into cells."""
        canvas = np.zeros(shape_yx, np.int32)
        drawn = []
        for label, m in enumerate(masks, start=1):
            height, width = m.mask.shape
            canvas[m.y0 : m.y0 + height, m.x0 : m.x0 + width][m.mask] = label
            drawn.append((m.score, m.predicted_iou))
        if self.preset.min_area_px > 0:
            clean(canvas, self.preset.min_area_px)
        result = []
        for label, window in enumerate(ndimage.find_objects(canvas), start=1):
            if window is not None:
                rows, columns = window
                mask = canvas[window] == label
                result.append(Instance(rows.start, columns.start, mask, *drawn[label - 1]))
        return result


class _Artist:
    """Draws decoded boxes on the pixels of one image."""

    def __init__(self, segmenter: VitBSegmenter, shape_yx: tuple[int, ...]) -> None:
        self.decoder = segmenter.model.decoder
        probability = segmenter.preset.thresholds.mask_threshold
        self.cut = float(np.log(probability / (1 - probability)))
        self.rows, self.columns = (make_axis(n, segmenter.device) for n in shape_yx)

    def draw(self, decoded: Decoded) -> tuple[int, int, NDArray[np.bool_]] | None:
        """Return corner and mask of a box, None if it is empty."""
        logits = self.decoder.draw(decoded)
        above = (logits > self.cut).cpu().numpy()
        if not above.any():
            return None
        # An interpolated pixel is above the cut only if one of its neighbours is.
        y0, x0, inside = crop(0, 0, above)
        y, v = self.rows.near(y0, y0 + inside.shape[0] - 1)
        x, u = self.columns.near(x0, x0 + inside.shape[1] - 1)
        drawn = self.rows.matrix[y, v] @ logits[v, u] @ self.columns.matrix[x, u].T
        mask = (drawn > self.cut).cpu().numpy()
        return crop(y.start, x.start, mask) if mask.any() else None


def adapted_threshold(scores: NDArray[np.float32], threshold: float) -> float:
    """Move the score threshold towards the gap between cells and background of this image.

    The authors' rule: 0.66 times the given threshold plus 0.33 times the mean of the centres of
    two clusters of all 3500 scores. The clusters are those of least squared distance (k-means,
    found exactly by trying every cut of the sorted scores).
    """
    ordered = np.sort(scores.astype(np.float64))
    if len(ordered) < 2 or ordered[0] == ordered[-1]:
        return threshold
    count = np.arange(1, len(ordered))
    total = np.cumsum(ordered)
    below, above = total[:-1], total[-1] - total[:-1]
    between = below**2 / count + above**2 / (len(ordered) - count)
    cut = int(between.argmax())
    centres = below[cut] / count[cut], above[cut] / (len(ordered) - count[cut])
    return 0.66 * threshold + 0.33 * float(np.mean(centres))


def clean(canvas: NDArray[np.int32], min_area_px: int) -> None:
    """Remove small cells and fill the holes of the others, in label order, in place.

    As in the authors' code, a cell inside a hole is filled over, and the area counts before.
    """
    for label, window in enumerate(ndimage.find_objects(canvas), start=1):
        if window is None:
            continue
        mask = canvas[window] == label
        if mask.sum() < min_area_px:
            canvas[window][mask] = 0
        else:
            canvas[window][fill_holes(mask)] = label
