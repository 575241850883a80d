"""Cell-scale autopilot: measure how large the cells of an image are."""

from __future__ import annotations

import logging
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage

from cellsam_core.segmentation.tiles import REFERENCE_PX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Boxes = tuple[NDArray[np.float32], NDArray[np.float32]]
    Finder = Callable[[NDArray[np.float32], float], Boxes]

log = logging.getLogger(__name__)

CANDIDATES_PX = (10.0, 20.0, 40.0, 80.0, 160.0)
REGION_DIAMETERS = 10
"""Side of a region in cells; it bounds the cost."""

REGION_PX = round(REGION_DIAMETERS * CANDIDATES_PX[-1])
"""Side of the largest region in pixels."""

STEPS_PER_OCTAVE = 8
N_SUREST = 8
SURE = 0.25


def estimate_diameter_px(
    find: Finder,
    samples: Sequence[NDArray[np.float32]],
    limits_px: tuple[float, float],
) -> float:
    """Try several scales on sample regions and keep the one at which the model is surest.

    The scales are an octave apart; beside the best of them, the half steps are tried.

    The model was trained with cells of one size, so its scores are lower on either side of the
    right scale. Boxes are sufficient; no mask is drawn. The evidence for a scale is the sum of
    the scores of the surest few boxes of each sample, weighted down for boxes of another size
    than was searched for. Only a few boxes count, because many small fragments would outweigh a
    few large cells. The sum is multiplied by the fourth root of the fraction of the region that
    all boxes cover, because debris would outweigh cells. The estimate is the median diameter
    found at the best scale.

    Parameters
    ----------
    find
        Function of an image ``(2, y, x)`` and of the cell diameter to search for, in pixels; it
        returns boxes ``(n, 4)`` x0, y0, x1, y1 in pixels and their scores ``(n,)``.
    samples
        Images ``(2, y, x)`` in [0, 1]; the busiest region of each is used.
    limits_px
        Smallest and largest possible diameter.

    Returns
    -------
    float
        Diameter in pixels, on a grid of 8 steps an octave so that it does not depend on
        rounding. The model's own scale if no cell is found at any scale.
    """
    coarse = [_try_scale(find, samples, candidate) for candidate in candidates_px(limits_px)]
    best = max(coarse, key=attrgetter("value"))
    fine = [_try_scale(find, samples, c) for c in between_px(best.candidate_px, limits_px)]
    best = max([best, *fine], key=attrgetter("value"))
    diameter_px = best.diameter_px if best.value > 0 else REFERENCE_PX
    step = round(np.log2(np.clip(diameter_px, *limits_px)) * STEPS_PER_OCTAVE)
    return float(2 ** (step / STEPS_PER_OCTAVE))


class ScaleTrial(NamedTuple):
    """Result of searching for cells of one size; `value` is its evidence."""

    candidate_px: float
    diameter_px: float
    value: float


def _try_scale(
    find: Finder, samples: Sequence[NDArray[np.float32]], candidate_px: float
) -> ScaleTrial:
    value, diameters = 0.0, np.zeros(0, np.float32)
    for sample in samples:
        region = busiest_region(sample, round(min(REGION_PX, REGION_DIAMETERS * candidate_px)))
        boxes, scores = find(region, candidate_px)
        sizes = _diameters(boxes)
        value += _evidence(sizes, scores, candidate_px, region.shape[1:])
        diameters = np.concatenate((diameters, sizes[scores > SURE]))
    log.info("cells of %.3g px: %d found, evidence %.2f", candidate_px, len(diameters), value)
    if not len(diameters):
        return ScaleTrial(candidate_px, candidate_px, 0.0)
    return ScaleTrial(candidate_px, float(np.median(diameters)), value)


def between_px(candidate_px: float, limits_px: tuple[float, float]) -> list[float]:
    """Choose the half steps beside a step of the ladder, inside its ends and the limits."""
    low, high = max(limits_px[0], CANDIDATES_PX[0]), min(limits_px[1], CANDIDATES_PX[-1])
    return [c for c in (candidate_px / 2**0.5, candidate_px * 2**0.5) if low <= c <= high]


def candidates_px(limits_px: tuple[float, float]) -> list[float]:
    """Choose the steps of the ladder inside the limits, or else the middle of the limits."""
    low, high = limits_px
    inside = [c for c in CANDIDATES_PX if low <= c <= high]
    return inside or [float(np.sqrt(max(low, 1.0) * high))]


def busiest_region(sample: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    """Cut the window, at most `side_px` square, whose pixels differ most from the background.

    Parameters
    ----------
    sample
        Image ``(c, y, x)``; the background of a channel is its median.
    side_px
        Largest side of the window in pixels.
    """
    _, height, width = sample.shape
    h, w = min(side_px, height), min(side_px, width)
    contrast = (sample - np.median(sample, axis=(1, 2), keepdims=True)) ** 2
    activity = ndimage.uniform_filter(contrast.sum(0), (h, w), mode="constant")
    # Only those windows of the filter that lie inside the image.
    inside = activity[h // 2 : h // 2 + height - h + 1, w // 2 : w // 2 + width - w + 1]
    y, x = np.unravel_index(np.argmax(inside), inside.shape)
    return sample[:, y : y + h, x : x + w]


def _diameters(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return diameters of discs with the areas of the ellipses that fill the boxes."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    diameters: NDArray[np.float32] = np.sqrt(np.maximum(width * height, 1))
    return diameters


def _evidence(
    diameters: NDArray[np.float32],
    scores: NDArray[np.float32],
    candidate_px: float,
    shape_yx: tuple[int, ...],
) -> float:
    octaves = np.log2(diameters / candidate_px)
    evidence = scores * np.exp(-(octaves**2) / 2)
    covered = float((evidence * np.pi / 4 * diameters**2).sum()) / (shape_yx[0] * shape_yx[1])
    return float(np.sort(evidence)[-N_SUREST:].sum() * min(1.0, covered) ** 0.25)
