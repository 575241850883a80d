"""Exports are read back by the readers of their programs: ids, areas and counts are the same."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import shapely
import tifffile
import zarr
from fake_results import write_movie
from refusals import follow
from zarr.storage import ZipStore

import cellsam_core as cc
from cellsam_core.assignment.geojson import read_geojson
from cellsam_core.exports.outlines import rings_of
from cellsam_core.files import omezarr
from cellsam_core.samples.manifest import Manifest

SHAPE = (60, 90)
SIZE_UM = 0.5
ORIGIN_UM = np.array([40.0, -7.0])


@pytest.fixture(scope="module")
def tissue(tmp_path_factory) -> Path:
    """Results of a tissue of three cells, one with a hole, in three z planes."""
    raw = tmp_path_factory.mktemp("raw") / "region"
    (raw / "images").mkdir(parents=True)
    labels = np.zeros(SHAPE, np.uint32)
    labels[5:20, 4:30], labels[30:50, 40:70], labels[8:18, 60:85] = 3, 4, 70_000
    labels[10:14, 10:15] = 0
    tifffile.imwrite(raw / "images/mosaic_DAPI_z0.tif", (labels > 0).astype(np.uint16) * 500)
    matrix = np.diag([1 / SIZE_UM, 1 / SIZE_UM, 1.0])
    matrix[:2, 2] = -ORIGIN_UM / SIZE_UM
    text = "".join(" ".join(map(repr, row)) + "\n" for row in matrix.tolist())
    (raw / "images/micron_to_mosaic_pixel_transform.csv").write_text(text)
    rng = np.random.default_rng(1)
    table = pd.DataFrame(
        {
            "global_x": rng.uniform(0, 44, 800) + ORIGIN_UM[0],
            "global_y": rng.uniform(0, 29, 800) + ORIGIN_UM[1],
            "global_z": rng.integers(0, 3, 800).astype(float),
            "gene": rng.choice(["Gad1", "Actb", "Blank-1"], 800),
        }
    )
    table.to_csv(raw / "detected_transcripts.csv")
    results = tmp_path_factory.mktemp("results") / "cortex"
    cc.inspect(raw, sample="cortex", assay="merfish").save(results / "0_manifest.json")
    (results / "2_masks").mkdir()
    path = results / "2_masks/masks.zarr"
    omezarr.create(path, shape=SHAPE, axes="yx", dtype="uint32", pixel_size_um=SIZE_UM)
    zarr.open_group(path)["0"][:] = labels
    cc.assign(results / "0_manifest.json", path, sample="cortex", output=results / "3_cells")
    options = cc.ExportOptions(programs="qupath, imagej,vpt,xenium_ranger")
    made = cc.export(results, options=options)
    assert all(path.exists() for path in made.values())
    return results


def cells_of(results: Path) -> anndata.AnnData:
    return anndata.read_h5ad(results / "3_cells/cells.h5ad")


def labels_of(results: Path) -> np.ndarray:
    return np.asarray(zarr.open_group(results / "2_masks/masks.zarr")["0"])


def areas_px(results: Path) -> dict[int, int]:
    ids, counts = np.unique(labels_of(results), return_counts=True)
    return dict(zip(ids[1:].tolist(), counts[1:].tolist(), strict=True))


def test_qupath_reads_cells_with_their_measurements(tissue):
    path = tissue / "5_export/cortex.geojson"
    content = json.loads(path.read_text())
    table, areas = cells_of(tissue), areas_px(tissue)
    assert content["type"] == "FeatureCollection"
    assert len(content["features"]) == table.n_obs == 3
    for feature in content["features"]:
        properties = feature["properties"]
        cell_id = int(properties["metadata"]["cell_id"])
        row = table.obs[table.obs["cell_id"] == cell_id].iloc[0]
        assert properties["objectType"] == "cell"
        assert properties["measurements"]["n_transcripts"] == row["n_transcripts"]
        mean = table.obsm["intensities"].loc[row.name, "DAPI"]
        assert properties["measurements"]["DAPI mean"] == pytest.approx(mean)
        assert "score" not in properties["measurements"]  # unknown: JSON has no NaN
        shape = shapely.from_geojson(json.dumps(feature["geometry"]))
        assert shape.is_valid
        assert shape.area == pytest.approx(areas[cell_id])
    # Corners are whole numbers; the first cell begins in row 5, column 4.
    assert shapely.from_geojson(json.dumps(content["features"][0]["geometry"])).bounds == (
        4,
        5,
        30,
        20,
    )
    ids, _ = read_geojson(path)
    assert len(set(ids)) == 3


def test_imagej_reads_the_same_outlines(tissue):
    roifile = pytest.importorskip("roifile", reason="roifile is not installed")
    rois = roifile.roiread(tissue / "5_export/cortex_rois.zip")
    found = {int(roi.name.split("_")[1]): roi for roi in rois}
    assert sorted(found) == [3, 4, 70_000]
    for cell_id, roi in found.items():
        x, y = roi.coordinates().T.astype(float)
        area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
        assert area == pytest.approx(areas_px(tissue)[cell_id])
        assert roi.roitype == roifile.ROI_TYPE.POLYGON
    assert (found[3].left, found[3].top) == (4, 5)


def test_a_ring_with_a_hole_has_the_area_of_the_cell():
    outer, inner = shapely.box(0, 0, 10, 8), shapely.box(2, 3, 4, 6)
    shape = shapely.union(outer.difference(inner), shapely.box(20, 0, 21, 1))
    rings = rings_of(shape)
    assert len(rings) == 2
    areas = [shapely.Polygon(ring) for ring in rings]
    x, y = rings[int(np.argmax([len(ring) for ring in rings]))].T
    assert abs(np.dot(x[:-1], y[1:]) - np.dot(y[:-1], x[1:])) / 2 == 80 - 6
    assert min(shape.area for shape in areas) == 1


def test_vpt_reads_outlines_of_every_plane_and_the_counts(tissue):
    geopandas = pytest.importorskip("geopandas", reason="geopandas is not installed")
    folder = tissue / "5_export/vpt"
    frame = geopandas.read_parquet(folder / "cell_boundaries.parquet")
    columns = ["ID", "EntityID", "Name", "Type", "ParentID", "ParentType", "ZLevel", "ZIndex"]
    assert list(frame.columns) == [*columns, "Geometry"]
    assert frame["ID"].tolist() == list(range(9))
    assert frame.groupby("ZIndex")["EntityID"].apply(list).tolist() == 3 * [[3, 4, 70_000]]
    assert frame["ZLevel"].unique().tolist() == [1.5, 3.0, 4.5]
    assert set(frame.geometry.geom_type) == {"MultiPolygon"}
    areas = np.array([*areas_px(tissue).values()]) * SIZE_UM**2
    np.testing.assert_allclose(frame.geometry.area, np.tile(areas, 3))
    np.testing.assert_allclose(
        frame.geometry[0].bounds[:2], ORIGIN_UM + (np.array([4, 5]) - 0.5) * SIZE_UM
    )
    table = cells_of(tissue)
    counts = pd.read_csv(folder / "cell_by_gene.csv", index_col="cell")
    assert counts.index.tolist() == table.obs["cell_id"].tolist()
    np.testing.assert_array_equal(counts[table.var_names], table.X.toarray())
    np.testing.assert_array_equal(counts[["Blank-1"]], table.obsm["controls"])
    metadata = pd.read_csv(folder / "cell_metadata.csv", index_col="EntityID")
    np.testing.assert_allclose(metadata[["center_x", "center_y"]], table.obsm["spatial"])
    np.testing.assert_array_equal(metadata["transcript_count"], counts.sum(axis=1))
    assert metadata["solidity"].between(0, 1).all()


def test_xenium_ranger_gets_masks_of_32_bits(tissue, tmp_path):
    folder = tissue / "5_export/xenium_ranger"
    cells = tifffile.imread(folder / "cells.tif")
    assert cells.dtype == np.uint32
    np.testing.assert_array_equal(cells, labels_of(tissue))
    # The script runs the program with the files beside it.
    program = tmp_path / "xeniumranger"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    done = subprocess.run(
        [folder / "import.sh"], env=environment, capture_output=True, text=True, check=True
    )
    words = done.stdout.splitlines()
    assert words[:2] == ["import-segmentation", "--id=cortex"]
    assert f"--cells={folder}/cells.tif" in words


def test_a_movie_has_rois_at_its_frames(tmp_path):
    roifile = pytest.importorskip("roifile", reason="roifile is not installed")
    results = write_movie(tmp_path / "results", n_frames=2, with_ratio=False)
    cells = pd.read_parquet(results / "2_masks/cells.parquet")
    boxes = []
    labels = np.asarray(zarr.open_group(results / "2_masks/masks.zarr")["0"])
    for frame, label in cells[["frame", "label"]].itertuples(index=False):
        y, x = np.nonzero(labels[frame] == label)
        boxes.append((y.min(), x.min(), y.max() + 1, x.max() + 1))
    cells[["bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"]] = boxes
    cells.to_parquet(results / "2_masks/cells.parquet")
    made = cc.export(results, options=cc.ExportOptions(programs="imagej"))
    rois = roifile.roiread(made["imagej"])
    assert [roi.t_position for roi in rois] == (cells["frame"] + 1).tolist()
    with pytest.raises(cc.InputError, match="expected imagej, for a movie"):
        cc.export(results, options=cc.ExportOptions(programs="qupath"))


@pytest.mark.parametrize("programs", ["fiji", "qupath,qupath", ""])
def test_a_program_that_is_not_known_is_refused(programs):
    with pytest.raises(cc.InputError, match="option `programs`"):
        cc.ExportOptions(programs=programs)


def test_the_same_results_give_the_same_bytes(tissue, tmp_path):
    options = cc.ExportOptions(programs="qupath,imagej,vpt,xenium_ranger")
    cc.export(tissue, tmp_path / "again", options)
    for path in sorted((tmp_path / "again").rglob("*.*")):
        if path.is_file():
            first = tissue / "5_export" / path.relative_to(tmp_path / "again")
            assert path.read_bytes() == first.read_bytes(), path.name


def test_xenium_explorer_is_written_by_sopa(tissue, tmp_path):
    pytest.importorskip("sopa", reason="the optional package sopa is not installed")
    manifest = Manifest.load(tissue / "0_manifest.json")
    cc.preprocess(manifest, tissue / "1_preprocessed/frames.zarr")
    options = cc.ExportOptions(programs="xenium_explorer")
    folder = cc.export(tissue, tmp_path / "out", options=options)["xenium_explorer"]
    ids = pd.read_csv(folder / "cell_ids.csv")
    assert ids["cell_id"].tolist() == [3, 4, 70_000]
    experiment = json.loads((folder / "experiment.xenium").read_text())
    assert experiment["num_cells"] == 3
    assert experiment["pixel_size"] == SIZE_UM
    table = anndata.read_h5ad(tissue / "3_cells/cells.h5ad")
    matrix = zarr.open_group(ZipStore(folder / "cell_feature_matrix.zarr.zip"), mode="r")
    features = matrix["cell_features"]
    parts = [features[name][:] for name in ("data", "indices", "indptr")]
    n_features = len(parts[2]) - 1
    counts = scipy.sparse.csr_matrix(tuple(parts), shape=(n_features, 3)).toarray()
    counted = pd.DataFrame(counts, features.attrs["feature_keys"][:n_features])
    for gene in table.var_names:
        assert counted.loc[gene].tolist() == table[:, gene].X.toarray().ravel().tolist()
    assert features["cell_id"][:, 0].tolist() == ids["cell_id"].tolist()
    cells = zarr.open_group(ZipStore(folder / "cells.zarr.zip"), mode="r")
    assert cells["cell_id"][:, 0].tolist() == ids["cell_id"].tolist()
    assert tifffile.imread(folder / "morphology.ome.tif").shape[-2:] == SHAPE


def test_xenium_explorer_needs_sopa(tissue, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sopa.io.explorer", None)
    options = cc.ExportOptions(programs="xenium_explorer")
    with pytest.raises(cc.InputError, match=r"cellsam-core\[explorer\]"):
        cc.export(tissue, tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()


def test_masks_are_as_large_as_the_cells_of_the_table(tissue, tmp_path):
    results = tmp_path / "cortex"
    shutil.copytree(tissue, results)
    manifest, masks = results / "0_manifest.json", results / "2_masks/masks.zarr"
    grow = cc.AssignOptions(expand_um=2.0)
    cc.assign(manifest, masks, grow, sample="cortex", output=results / "3_cells")
    options = cc.ExportOptions(programs="xenium_ranger")
    made = cc.export(results, tmp_path / "out", options)
    labels = tifffile.imread(made["xenium_ranger"] / "cells.tif")
    table = cells_of(results).obs
    area = np.bincount(labels.ravel())[table["cell_id"].to_numpy(int)] * SIZE_UM**2
    np.testing.assert_allclose(area, table["area_um2"])
    follow(
        lambda: cc.export(results, tmp_path / "out", options, assignment=cc.AssignOptions()),
        "--expand-um 2, or run `assign` again",
        then=lambda: cc.export(results, tmp_path / "out", options, assignment=grow),
    )
