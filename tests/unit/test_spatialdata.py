from __future__ import annotations

import shutil
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile

from cellsam_core.cli import main
from cellsam_core.files import omezarr

MISSING = "the optional package spatialdata is not installed"
PIXEL_SIZE_UM = 0.5


@pytest.fixture
def results(tmp_path):
    """Results of a tissue with two cells, as the workflow leaves them."""
    raw = tmp_path / "raw"
    raw.mkdir()
    tifffile.imwrite(raw / "dapi_F001.tif", np.zeros((60, 80), np.uint16))
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 79, 400), rng.uniform(0, 59, 400)
    gene = rng.choice(["NANOG", "NEGR1", "Blank-1"], 400)
    vendor = np.where(x < 40, "2667026000000000003", "0")
    table = {"fov": 1, "x_local_px": x, "y_local_px": y, "z": 1, "target": gene, "cell_ID": vendor}
    pd.DataFrame(table).to_csv(raw / "slide_tx_file.csv", index=False)
    out = tmp_path / "results"
    labels = np.zeros((60, 80), np.uint32)
    labels[10:30, 20:40], labels[40:55, 5:70] = 3, 70_000
    for name, axes, pixels in (
        ("1_preprocessed/frames.zarr", "cyx", labels[None] > 0),
        ("2_masks/masks.zarr", "yx", labels),
    ):
        (out / name).parent.mkdir(parents=True)
        dtype = "uint16" if axes == "cyx" else "uint32"
        image = omezarr.create(
            out / name,
            shape=pixels.shape,
            axes=axes,
            dtype=dtype,
            channels=("nuclear",) if axes == "cyx" else (),
            pixel_size_um=PIXEL_SIZE_UM,
        )
        image.array[:] = pixels.astype(dtype)
    inspect = f"inspect {raw} --sample s --assay merfish --pixel-size-um {PIXEL_SIZE_UM}"
    assert main([*inspect.split(), "-o", str(out / "0_manifest.json")]) == 0
    return out


def assign(results, *options: str) -> None:
    files = ["--manifest", results / "0_manifest.json", "--labels", results / "2_masks/masks.zarr"]
    words = ["assign", *files, *options, "-o", results / "3_cells"]
    assert main([str(word) for word in words]) == 0


@pytest.mark.parametrize("options", [(), ("--expand-um", "1.5")])
def test_labels_shapes_points_and_table_are_of_the_same_cells(results, options):
    spatialdata = pytest.importorskip("spatialdata", reason=MISSING)
    from spatialdata.transformations import get_transformation

    assign(results, *options)
    path = results / "3_cells/spatialdata.zarr"
    assert main(["spatialdata", str(results), *options, "-o", str(path)]) == 0
    sample = spatialdata.read_zarr(path)
    table = sample.tables["counts"]
    shapes = sample.shapes["cell_boundaries"]
    labels = np.asarray(sample.labels["cells"])
    assert table.obs["cell_id"].tolist() == shapes.index.tolist() == [3, 70_000]
    assert set(np.unique(labels)) == {0, 3, 70_000}
    areas = [(labels == cell).sum() * PIXEL_SIZE_UM**2 for cell in (3, 70_000)]
    np.testing.assert_allclose(shapes.geometry.area, areas)
    np.testing.assert_allclose(table.obs["area_um2"], areas)
    points = sample.points["transcripts"].compute()
    assert len(points) == 400
    is_vendors = points["vendor_cell_id"] == "2667026000000000003"
    assert (is_vendors.fillna(False) == (points["x"] < 20)).all()
    assert points["vendor_cell_id"].isna().sum() == (points["x"] >= 20).sum()
    genes = points[points["feature_type"] == "gene"]
    assert (
        genes["cell_id"].value_counts().drop(0).sort_index().tolist()
        == table.obs["n_transcripts"].tolist()
    )
    # In micrometres, the pixel under a transcript has the label that the transcript has.
    to_um = get_transformation(sample.labels["cells"]).to_affine_matrix(("x", "y"), ("x", "y"))
    corner = np.linalg.inv(to_um) @ np.stack([points["x"], points["y"], np.ones(400)])
    column, row = np.floor(corner[:2]).astype(int)
    np.testing.assert_array_equal(labels[row, column], points["cell_id"])
    matched, _ = spatialdata.match_element_to_table(sample, "cells", "counts")
    assert list(matched) == ["cells"]
    assert list(sample.images["stains"].coords["c"].to_numpy()) == ["nuclear"]


def test_a_missing_package_is_one_sentence(results, monkeypatch, capsys):
    assign(results)
    monkeypatch.setitem(sys.modules, "spatialdata", None)
    path = results / "3_cells/spatialdata.zarr"
    assert main(["spatialdata", str(results), "-o", str(path)]) == 1
    assert "pip install spatialdata" in capsys.readouterr().err
    assert not path.exists()


def test_a_tissue_without_cells_has_its_images_and_transcripts(results):
    spatialdata = pytest.importorskip("spatialdata", reason=MISSING)
    shutil.rmtree(results / "2_masks/masks.zarr")
    masks = omezarr.create(
        results / "2_masks/masks.zarr", shape=(60, 80), axes="yx", dtype="uint32", channels=()
    )
    masks.array[:] = 0
    assign(results)
    assert main(["spatialdata", str(results), "-o", str(results / "sample.zarr")]) == 0
    sample = spatialdata.read_zarr(results / "sample.zarr")
    assert len(sample.points["transcripts"]) == 400
    assert not sample.shapes
    assert not sample.tables
