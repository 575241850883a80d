"""Cell-scale autopilot: measure how large the cells of an image are."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.segment.cellfinder import REFERENCE_PX

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.segment.instances import Instance
    from cellsam_core.segment.predict import Segmenter

log = logging.getLogger(__name__)

CANDIDATES_PX = (10.0, 20.0, 40.0, 80.0, 160.0)
REGION_PX = 768
REGION_DIAMETERS = 32
"""At most so much of an image, and so many cells along it, is looked at: the cost is bounded."""

STEPS_PER_OCTAVE = 8


def estimate_diameter_px(segmenter: Segmenter, samples: Sequence[NDArray[np.float32]]) -> float:
    """Try a ladder of scales on sample regions and keep the one that explains most, best.

    A scale explains the share of pixels that lie in the cells found with it, each cell weighted
    by score and predicted IoU: too fine a scale finds unsure fragments, too coarse a one
    merges or misses.
    The estimate is then the median diameter found at that scale.

    Parameters
    ----------
    segmenter
        The model.
    samples
        Images ``(2, y, x)`` in [0, 1]; their middle is looked at.

    Returns
    -------
    float
        Diameter in pixels, on a grid of 8 steps an octave so that it does not depend on
        rounding. The model's own scale if no cell is found at any scale.
    """
    best, best_value = REFERENCE_PX, 0.0
    for candidate in CANDIDATES_PX:
        side = round(min(REGION_PX, REGION_DIAMETERS * candidate))
        regions = [central_region(sample, side) for sample in samples]
        found = [i for region in regions for i in segmenter.segment(region, candidate)]
        explained = sum(
            i.score * i.predicted_iou * _fit(i, candidate) * float(i.mask.sum()) for i in found
        )
        value = explained / sum(region[0].size for region in regions)
        log.info("cells of %g px: %d found, evidence %.3f", candidate, len(found), value)
        if value > best_value:
            best, best_value = _median_diameter(found), value
    step = round(np.log2(best) * STEPS_PER_OCTAVE)
    return float(2 ** (step / STEPS_PER_OCTAVE))


def central_region(sample: NDArray[np.float32], side_px: int) -> NDArray[np.float32]:
    """Cut the middle of an image, at most `side_px` square."""
    _, height, width = sample.shape
    y, x = max(0, (height - side_px) // 2), max(0, (width - side_px) // 2)
    return sample[:, y : y + side_px, x : x + side_px]


def _diameter(instance: Instance) -> float:
    return float(np.sqrt(4 * instance.mask.sum() / np.pi))


def _fit(instance: Instance, candidate: float) -> float:
    """Weight of a cell whose size is not the one that was looked for."""
    return float(np.exp(-0.5 * (np.log(_diameter(instance) / candidate) / np.log(2)) ** 2))


def _median_diameter(found: list[Instance]) -> float:
    return float(np.median([_diameter(i) for i in found]))
