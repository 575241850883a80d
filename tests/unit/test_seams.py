"""The shipped weights find the same cells with any tiles; `benchmarks/seams.py` has figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellsam_core.cli import main
from cellsam_core.evaluation.segmentation import match_image
from cellsam_core.files import omezarr
from cellsam_core.preprocessing.contrast import preprocess_plane
from cellsam_core.segmentation import image
from cellsam_core.segmentation.image import segment_image
from cellsam_core.segmentation.instances import draw_labels
from cellsam_core.segmentation.tiny.predict import Segmenter
from cellsam_core.segmentation.weights import load_network
from cellsam_core.simulation.cells import render_field


def test_tiles_change_hardly_any_cell():
    shape = (400, 460)
    field = render_field(np.random.default_rng(4), shape, style="fluo", diameter_px=24, density=0.5)
    pixels = np.stack([preprocess_plane(plane) for plane in field.image])
    segmenter = Segmenter(load_network("tiny", "cpu"), "cpu")
    whole, tiled = (
        draw_labels(
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


def run(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


def workflow(path: Path, folder: Path, *options: object) -> np.ndarray:
    """Segment an image by the commands of the workflow, as a movie of one frame."""
    named = ("--sample", "s", "--assay", "movie", "--channels", "DAPI, YFP")
    run("inspect", path, *named, "-o", folder / "m.json")
    run("preprocess", folder / "m.json", "-o", folder / "frames.zarr", *CHANNELS)
    batch = folder / "1-of-1.parquet"
    run("segment-batch", folder / "frames.zarr", "--batch", batch.stem, "-o", batch, *options)
    out = ("--masks", folder / "masks.zarr", "--cells", folder / "cells.parquet")
    run("stitch", folder / "frames.zarr", batch, *out)
    return omezarr.open_(folder / "masks.zarr").read((0,))


CHANNELS = ("--nuclear-channel", "DAPI", "--cell-channel", "YFP")


def test_an_image_by_hand_and_in_the_workflow_has_the_same_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The diameter is measured in the middle, where cells are small: elsewhere more happens.
    monkeypatch.setattr(image, "REGION_PX", 128)
    rng = np.random.default_rng(7)
    small = render_field(rng, (128, 128), style="fluo", diameter_px=16, density=0.5).image
    pixels = render_field(rng, (256, 320), style="fluo", diameter_px=40, density=0.6).image
    pixels = np.rint(40_000 * pixels / pixels.max())
    pixels[:, 64:192, 96:224] = np.rint(20_000 * small / small.max())
    pixels[:, 100:104, 120:124] = 0
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels.astype(np.uint16), imagej=True, metadata={"axes": "CYX"})
    options = ("--tile-px", 128, "--device", "cpu")
    run("segment", path, "-o", tmp_path / "out", "--channels", "DAPI, YFP", *CHANNELS, *options)
    by_hand = tifffile.imread(tmp_path / "out" / "a.tif")
    assert by_hand.max() > 20
    np.testing.assert_array_equal(by_hand, workflow(path, tmp_path, *options))
