"""Score a model on labelled images, modality by modality."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

import numpy as np

from cellsam_core.evaluate.segmentation import evaluate_segmentation
from cellsam_core.segment.autoscale import estimate_diameter_px
from cellsam_core.segment.image import segment_image
from cellsam_core.segment.instances import paint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cellsam_core.segment.labelled import LabelledImage
    from cellsam_core.segment.predict import Segmenter

log = logging.getLogger(__name__)


def score_by_modality(
    segmenter: Segmenter,
    images: Iterable[LabelledImage],
    *,
    diameter_px: float | Literal["truth"] | None,
    tile_px: int,
    min_area_px: int,
) -> dict[str, dict[str, float | int | None]]:
    """Segment every image and score it against its labels.

    Parameters
    ----------
    segmenter
        The model.
    images
        Of one split; their CLAHE channels are segmented, as the pipeline does.
    diameter_px
        Of the cells; None lets the autopilot measure it, ``truth`` takes the labels' median.
    tile_px, min_area_px
        As in segmentation.

    Returns
    -------
    dict
        Modality to the scores of :func:`cellsam_core.evaluate.segmentation.evaluate_segmentation`.
    """
    pairs: dict[str, list[tuple[NDArray[np.integer], NDArray[np.integer]]]] = {}
    for image in images:
        pixels = np.asarray(image.channels / np.float32(255), np.float32)
        diameter = image.diameter_px if diameter_px == "truth" else diameter_px
        diameter = diameter or estimate_diameter_px(segmenter, [pixels])
        cells = segment_image(
            segmenter, pixels, diameter_px=diameter, tile_px=tile_px, min_area_px=min_area_px
        )
        labels = paint(cells, 0, *image.labels.shape)
        pairs.setdefault(image.modality, []).append((labels, image.labels))
        log.info("%s: %d cells of %.3g px", image.name, len(cells), diameter)
    return {modality: evaluate_segmentation(found) for modality, found in sorted(pairs.items())}
