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
STEPS_PER_OCTAVE = 8


def estimate_diameter_px(segmenter: Segmenter, samples: Sequence[NDArray[np.float32]]) -> float:
    """Try a ladder of scales on sample regions and keep the one that explains most, best.

    A scale explains the pixels of the cells found with it, each weighted by score and
    predicted IoU: too fine a scale finds unsure fragments, too coarse a one merges or misses.
    The estimate is then the median diameter found at that scale.

    Parameters
    ----------
    segmenter
        The model.
    samples
        Images ``(2, y, x)`` in [0, 1]; at most 768 px of each side are looked at.

    Returns
    -------
    float
        Diameter in pixels, on a grid of 8 steps an octave so that it does not depend on
        rounding. The model's own scale if no cell is found at any scale.
    """
    regions = [central_region(sample) for sample in samples]
    best, best_value = REFERENCE_PX, 0.0
    for candidate in CANDIDATES_PX:
        found = [i for region in regions for i in segmenter.segment(region, candidate)]
        value = sum(i.score * i.predicted_iou * _fit(i, candidate) * i.mask.sum() for i in found)
        log.info("cells of %g px: %d found, evidence %.0f", candidate, len(found), value)
        if value > best_value:
            best, best_value = _median_diameter(found), value
    step = round(np.log2(best) * STEPS_PER_OCTAVE)
    return float(2 ** (step / STEPS_PER_OCTAVE))


def central_region(sample: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut the middle of an image."""
    _, height, width = sample.shape
    y = max(0, (height - REGION_PX) // 2)
    x = max(0, (width - REGION_PX) // 2)
    return sample[:, y : y + REGION_PX, x : x + REGION_PX]


def _diameter(instance: Instance) -> float:
    return float(np.sqrt(4 * instance.mask.sum() / np.pi))


def _fit(instance: Instance, candidate: float) -> float:
    """Weight of a cell whose size is not the one that was looked for."""
    return float(np.exp(-0.5 * (np.log(_diameter(instance) / candidate) / np.log(2)) ** 2))


def _median_diameter(found: list[Instance]) -> float:
    return float(np.median([_diameter(i) for i in found]))
