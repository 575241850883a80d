"""Cell-scale autopilot: measure how large the cells of an image are."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.segment.tiles import REFERENCE_PX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.segment.instances import Instance
    from cellsam_core.segment.segmenter import TileSegmenter

log = logging.getLogger(__name__)

CANDIDATES_PX = (10.0, 20.0, 40.0, 80.0, 160.0)
REGION_PX = 2048
REGION_DIAMETERS = 32
"""At most so much of an image, and so many cells along it, is looked at: the cost is bounded."""

STEPS_PER_OCTAVE = 8
N_SUREST = 8


def estimate_diameter_px(
    segmenter: TileSegmenter,
    samples: Sequence[NDArray[np.float32]],
    limits_px: tuple[float, float] | None = None,
) -> float:
    """Try a ladder of scales on sample regions and keep the one at which the model is surest.

    The model was trained with cells brought to one size, so its scores fall off on either side
    of the right scale. A scale's evidence is the sum over the surest few cells of each sample
    of score times predicted IoU, less for cells of another size than was looked for. Only a few
    count, or many small fragments would outweigh few large cells.
    The estimate is then the median diameter found at that scale.

    Parameters
    ----------
    segmenter
        The model.
    samples
        Images ``(2, y, x)`` in [0, 1]; their middle is looked at.
    limits_px
        Least and greatest diameter that is possible; None: what the weights are for.

    Returns
    -------
    float
        Diameter in pixels, on a grid of 8 steps an octave so that it does not depend on
        rounding. The model's own scale if no cell is found at any scale.
    """
    limits_px = limits_px or segmenter.diameter_limits_px
    if limits_px[0] == limits_px[1]:
        return limits_px[0]
    best, best_value = REFERENCE_PX, 0.0
    for candidate in candidates_px(limits_px):
        side = round(min(REGION_PX, REGION_DIAMETERS * candidate))
        found = [segmenter.segment(central_region(s, side), candidate) for s in samples]
        value = sum(_evidence(cells, candidate) for cells in found)
        sizes = [_diameter(cell) for cells in found for cell in cells]
        log.info("cells of %g px: %d found, evidence %.2f", candidate, len(sizes), value)
        if value > best_value:
            best, best_value = float(np.median(sizes)), value
    step = round(np.log2(np.clip(best, *limits_px)) * STEPS_PER_OCTAVE)
    return float(2 ** (step / STEPS_PER_OCTAVE))


def candidates_px(limits_px: tuple[float, float]) -> list[float]:
    """Choose the steps of the ladder inside the limits, or else the middle of the limits."""
    low, high = limits_px
    inside = [c for c in CANDIDATES_PX if low <= c <= high]
    return inside or [float(np.sqrt(max(low, 1.0) * high))]


def central_region(sample: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    """Cut the middle of an image, at most `side_px` square."""
    _, height, width = sample.shape
    y, x = max(0, (height - side_px) // 2), max(0, (width - side_px) // 2)
    return sample[:, y : y + side_px, x : x + side_px]


def _diameter(instance: Instance) -> float:
    return float(np.sqrt(4 * instance.mask.sum() / np.pi))


def _evidence(cells: list[Instance], candidate_px: float) -> float:
    octaves = [np.log2(_diameter(i) / candidate_px) for i in cells]
    sure = [
        i.score * i.predicted_iou * np.exp(-(octave**2) / 2)
        for i, octave in zip(cells, octaves, strict=True)
    ]
    return float(sum(sorted(sure)[-N_SUREST:]))
