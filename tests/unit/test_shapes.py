"""Shapes of cells are those of scikit-image."""

from __future__ import annotations

import anndata
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from skimage.measure import label, regionprops_table

import cellsam_core as cc
from cellsam_core.labels.shapes import measure_shapes
from cellsam_core.labels.tiles import LabelArray, LabelTiles, measure_cells

PROPERTIES = {
    "perimeter_px": "perimeter",
    "major_axis_px": "axis_major_length",
    "minor_axis_px": "axis_minor_length",
    "equivalent_diameter_px": "equivalent_diameter_area",
    "eccentricity": "eccentricity",
}


def cells() -> np.ndarray:
    """Label image of blobs, combs and single pixels, some at the border."""
    blobs = gaussian_filter(np.random.default_rng(0).normal(size=(200, 260)), 4) > 0.01
    labels = label(blobs).astype(np.uint32)
    labels[10:60:2, 200:250] = 0
    labels[100, 130] = 9999
    return labels


def test_shapes_equal_those_of_scikit_image_whatever_the_tiles():
    labels = cells()
    measured = measure_cells(LabelArray(labels))
    found = measure_shapes(LabelArray(labels), measured)
    tiles = LabelTiles(lambda rows, columns: labels[rows, columns], labels.shape, tile_px=64)
    pd.testing.assert_frame_equal(found, measure_shapes(tiles, measured), rtol=1e-9)
    expected = regionprops_table(labels, properties=(*PROPERTIES.values(), "orientation"))
    for name, other in PROPERTIES.items():
        np.testing.assert_allclose(found[name], expected[other], rtol=1e-6, atol=1e-9)
    # Of a circle or a pixel any angle is right.
    is_long = found["eccentricity"] > 1e-3
    angle = found["orientation_rad"][is_long]
    np.testing.assert_allclose(angle, expected["orientation"][is_long], rtol=1e-6, atol=1e-9)


def test_tables_have_the_shapes_of_their_cells(tmp_path):
    labels = cells()
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"x_px": rng.uniform(0, 259, 500), "y_px": rng.uniform(0, 199, 500)})
    table = cc.assign(rows.assign(gene="Gad1"), labels, pixel_size_um=0.5, output=tmp_path)
    assert anndata.read_h5ad(tmp_path / "cells.h5ad").obs.shape == table.obs.shape
    expected = regionprops_table(labels, properties=("perimeter", "solidity"))
    np.testing.assert_allclose(table.obs["perimeter_um"], 0.5 * expected["perimeter"])
    # The hull is that of the outline here, that of pixel centres and edges there.
    assert np.abs(table.obs["solidity"] - expected["solidity"]).median() < 0.03
    tracks = cc.track(np.stack([labels, labels]), cc.TrackOptions(division="none"))
    tracks.write(tmp_path / "tracks")
    objects = pd.read_parquet(tmp_path / "tracks/objects.parquet")
    first = objects[objects["frame"] == 0].sort_values("label")
    np.testing.assert_allclose(first["perimeter_px"], expected["perimeter"])
