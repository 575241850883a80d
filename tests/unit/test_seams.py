"""The shipped weights find the same cells whatever the tiles; figures: `benchmarks/seams.py`."""

from __future__ import annotations

import numpy as np
import pytest

from cellsam_core.evaluation.segmentation import match_image
from cellsam_core.preprocessing.contrast import preprocess_plane
from cellsam_core.segmentation.image import segment_image
from cellsam_core.segmentation.instances import paint
from cellsam_core.segmentation.segmenter import Thresholds
from cellsam_core.segmentation.tiny.predict import Segmenter
from cellsam_core.segmentation.weights import load_model
from cellsam_core.simulation.cells import render_field


def test_tiles_change_hardly_any_cell():
    shape = (400, 460)
    field = render_field(np.random.default_rng(4), shape, style="fluo", diameter_px=24, density=0.5)
    pixels = np.stack([preprocess_plane(plane) for plane in field.image])
    segmenter = Segmenter(load_model("tiny", "cpu"), "cpu", Thresholds())
    whole, tiled = (
        paint(
            segment_image(segmenter, pixels, diameter_px=24, tile_px=tile_px, min_area_px=25),
            0,
            *shape,
        )
        for tile_px in (512, 256)
    )
    assert whole.max() > 50
    assert match_image(tiled, whole).f1_50 >= 0.98
    scores = [match_image(labels, field.labels).f1_50 for labels in (whole, tiled)]
    assert scores[1] == pytest.approx(scores[0], abs=0.02)
