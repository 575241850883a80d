"""Masks of the user take the place of a segmentation, whatever their kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import roifile
import shapely
import tifffile
from disc_movies import division_movie, draw
from scipy import ndimage

import cellsam_core as cc
from cellsam_core.cli import main
from cellsam_core.labels.outline import outlines as outlines_of_masks

N_FRAMES = 6
HALF_UM = cc.InspectOptions(pixel_size_um=0.5)


def outlines(labels):
    """Corners of each cell's outline, counted from the corner of a pixel, in order of labels."""
    rings = []
    for label in np.unique(labels[labels > 0]):
        polygon = next(outlines_of_masks([(labels == label, 0, 0)]))
        rings.append(np.rint(shapely.get_coordinates(polygon) + 0.5).astype(int))
    return rings


def write_rois(path, frames):
    rois = [
        roifile.ImagejRoi.frompoints(ring[:-1], t=t, name=f"{t}-{i}")
        for t, labels in enumerate(frames)
        for i, ring in enumerate(outlines(labels))
    ]
    roifile.roiwrite(path, rois)


def write_geojson(path, labels):
    features = [
        {
            "type": "Feature",
            "id": f"cell {i:03d}",
            "properties": {"objectType": "cell"},
            "geometry": {"type": "Polygon", "coordinates": [ring.tolist()]},
        }
        for i, ring in enumerate(outlines(labels))
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))


@pytest.fixture(scope="module")
def movie(tmp_path_factory):
    folder = tmp_path_factory.mktemp("movie")
    labels = division_movie()[2 : 2 + N_FRAMES]
    images = np.array([100 + 900 * (frame > 0) for frame in labels], np.uint16)
    tifffile.imwrite(
        folder / "movie.tif",
        images,
        imagej=True,
        metadata={"axes": "TYX"},
        photometric="minisblack",
    )
    manifest = cc.inspect(folder / "movie.tif", assay="movie", options=HALF_UM)
    (folder / "0_manifest.json").write_text(manifest.to_json())
    cc.preprocess(manifest, folder / "frames.zarr")
    (folder / "tif").mkdir()
    (folder / "seg").mkdir()
    for t, frame in enumerate(labels):
        tifffile.imwrite(folder / f"tif/mask{t:03d}.tif", frame, photometric="minisblack")
        np.save(folder / f"seg/t{t:03d}_seg.npy", {"masks": frame}, allow_pickle=True)
        write_geojson(folder / f"geojson/t{t:03d}.geojson", frame)
    write_rois(folder / "rois.zip", labels)
    return folder, labels


@pytest.mark.parametrize("kind", ["tif", "seg", "geojson", "rois.zip"])
def test_a_movie_is_tracked_from_masks_of_any_kind(movie, tmp_path, kind):
    """Labels of label images stay; outlines are numbered anew, and all else is the same."""
    folder, labels = movie
    masks = cc.import_masks(
        folder / kind, folder / "0_manifest.json", folder / "frames.zarr", tmp_path
    )
    for t, frame in enumerate(labels):
        found = masks.frame(t)
        expected = frame if kind in ("tif", "seg") else _numbered(frame)
        np.testing.assert_array_equal(found, expected)
    assert masks.pixel_size_um == 0.5
    expected, found = cc.track(np.array(labels)), cc.track(tmp_path / "masks.zarr")
    pd.testing.assert_frame_equal(found.tracks, expected.tracks)
    columns = expected.objects.columns.drop("label")
    pd.testing.assert_frame_equal(
        found.objects[columns].sort_values(["frame", "y"], ignore_index=True),
        expected.objects[columns].sort_values(["frame", "y"], ignore_index=True),
    )
    cells = pd.read_parquet(tmp_path / "cells.parquet")
    assert cells["area_px"].tolist() == [
        n for frame in labels for n in np.bincount(frame[frame > 0]) if n
    ]
    assert cells["score"].isna().all()
    assert "source_id" not in cells


def _numbered(labels):
    return np.searchsorted(np.unique(labels), labels)


@pytest.fixture(scope="module")
def tissue(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tissue")
    labels = draw([(3, 20, 20, 9), (7, 50, 60, 12), (8, 60, 100, 10)])
    (folder / "raw").mkdir()
    tifffile.imwrite(folder / "raw/DAPI.tif", np.uint16(100 + 900 * (labels > 0)))
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.uniform(0, (127, 95), (400, 2)) * 0.5, columns=["x_um", "y_um"])
    table["gene"] = rng.choice(["A", "B", "C"], len(table))
    table.to_csv(folder / "raw/transcripts.csv", index=False)
    manifest = cc.inspect(folder / "raw", assay="merfish", options=HALF_UM)
    (folder / "0_manifest.json").write_text(manifest.to_json())
    cc.preprocess(manifest, folder / "frames.zarr")
    tifffile.imwrite(folder / "labels.tif", labels)
    np.save(folder / "labels.npy", labels)
    write_geojson(folder / "px.geojson", labels)
    rows = [
        (f"c{i}", x * 0.5, y * 0.5)
        for i, ring in enumerate(outlines(labels))
        for x, y in ring - 0.5
    ]
    pd.DataFrame(rows, columns=["cell_id", "vertex_x", "vertex_y"]).to_csv(
        folder / "um.csv", index=False
    )
    return folder


@pytest.mark.parametrize(
    ("kind", "unit"),
    [("labels.tif", None), ("labels.npy", None), ("px.geojson", "px"), ("um.csv", None)],
)
def test_a_tissue_is_counted_from_masks_of_any_kind(tissue, tmp_path, kind, unit):
    manifest, options = tissue / "0_manifest.json", cc.GivenMasksOptions(masks_unit=unit)
    cc.import_masks(tissue / kind, manifest, tissue / "frames.zarr", tmp_path, options)
    cells = pd.read_parquet(tmp_path / "cells.parquet")
    found = cc.assign(manifest, tmp_path / "masks.zarr", cells=tmp_path / "cells.parquet")
    expected = cc.assign(manifest, tissue / "labels.tif")
    np.testing.assert_array_equal(found.X.toarray(), expected.X.toarray())
    for name in ("area_um2", "n_transcripts", "touches_border"):
        assert found.obs[name].tolist() == expected.obs[name].tolist()
    if kind.startswith("labels"):
        assert found.obs_names.tolist() == expected.obs_names.tolist()
    else:
        assert cells["source_id"].str[-1].tolist() == ["0", "1", "2"]


def test_check_reads_nuclei_in_which_transcripts_are_counted(tissue, tmp_path):
    """Outlines and masks of nuclei were refused by the check, though the run takes them."""
    labels = tifffile.imread(tissue / "labels.tif")
    tifffile.imwrite(tmp_path / "mask.tif", np.uint8(255) * (labels > 0))
    tifffile.imwrite(tmp_path / "small.tif", labels[:-1])
    (tmp_path / "config").mkdir()
    header = "sample,assay,path,masks,nuclei,nuclei_unit,pixel_size_um"
    start = f"t,merfish,{tissue / 'raw'},{tissue / 'labels.tif'}"

    def check(nuclei: Path, unit: str = "") -> Any:
        row = f"{start},{nuclei},{unit},0.5"
        (tmp_path / "config/samples.tsv").write_text(f"{header}\n{row}\n")
        return cc.check(folder=tmp_path).samples[0]

    for name, unit in (("mask.tif", ""), ("px.geojson", "px"), ("labels.tif", "")):
        path = (tmp_path if name == "mask.tif" else tissue) / name
        told = f"nuclei are those of {name} (transcripts in them are counted"
        assert told in check(path, unit).line
    assert "1 label image(s)" in check(tmp_path / "small.tif").problem
    assert "`nuclei_unit` for nuclei, empty" in check(tmp_path / "mask.tif", "px").problem


def test_nuclei_of_the_user_are_paired_with_the_masks_of_the_user(movie, tmp_path):
    folder, labels = movie
    (tmp_path / "nuclei").mkdir()
    drawn = []
    for t, frame in enumerate(labels):
        # Nuclei have numbers of their own; one lies outside of all cells.
        nuclei = np.where(ndimage.binary_erosion(frame > 0, iterations=3), frame, 0)
        nuclei = np.where(nuclei > 0, 100 - nuclei.astype(int), 0)
        drawn.append(nuclei > 0)
        nuclei[:4, :4] = 7
        tifffile.imwrite(tmp_path / f"nuclei/n{t}.tif", nuclei.astype(np.uint16))
    (tmp_path / "config").mkdir()
    header = "sample,assay,path,masks,nuclei,targets,pixel_size_um"
    row = f'm,movie,{folder / "movie.tif"},{folder / "tif"},../nuclei,"nucleus,cell",0.5'
    (tmp_path / "config/samples.tsv").write_text(f"{header}\n{row}\n")
    checked = cc.check(folder=tmp_path)
    assert checked.is_ready
    assert (
        "cells are those of your masks tif, nuclei are those of nuclei (paired with the cells)"
        in str(checked)
    )
    files = folder / "0_manifest.json", folder / "frames.zarr"
    cc.import_masks(folder / "tif", *files, tmp_path / "cells")
    cc.import_masks(tmp_path / "nuclei", *files, tmp_path / "found")
    paths = tmp_path / "cells/masks.zarr", tmp_path / "found/masks.zarr", tmp_path / "out"
    paired, nuclei, cells = cc.pair_nuclei(*paths)
    for t, frame in enumerate(labels):
        np.testing.assert_array_equal(paired.frame(t), np.where(drawn[t], frame, 0))
    assert nuclei["state"].value_counts()["in no cell"] == N_FRAMES
    assert (cells["nucleus_state"] == "one").all()


@pytest.mark.parametrize(
    ("kind", "unit", "message"),
    [
        ("tif", "px", "a unit for outlines only"),
        ("gone.tif", None, "no such file or folder.*the column `masks` or `nuclei`"),
        ("movie.tif", None, r"number|masks|label"),
        ("geojson/t000.geojson", None, "one file of outlines for 6 frames"),
    ],
)
def test_masks_that_do_not_fit_a_movie(movie, tmp_path, kind, unit, message):
    folder, _ = movie
    options = cc.GivenMasksOptions(masks_unit=unit)
    with pytest.raises(cc.InputError, match=message):
        cc.import_masks(
            folder / kind, folder / "0_manifest.json", folder / "frames.zarr", tmp_path, options
        )
    assert not list(tmp_path.iterdir())


def test_outlines_in_the_wrong_unit_name_the_column(tissue, tmp_path, capsys):
    files = {"--manifest": tissue / "0_manifest.json", "--frames": tissue / "frames.zarr"}
    files |= {"--masks": tmp_path / "masks.zarr", "--cells": tmp_path / "cells.parquet"}
    arguments = [
        "import-masks",
        str(tissue / "px.geojson"),
        *(str(x) for p in files.items() for x in p),
    ]
    assert main(arguments) == 1
    assert (
        "set the column `masks_unit`, or `nuclei_unit` for nuclei, to px" in capsys.readouterr().err
    )
    assert not list(tmp_path.iterdir())
    assert main([*arguments, "--masks-unit", "px"]) == 0


def test_rois_need_a_frame_and_an_area(movie, tmp_path):
    folder, _ = movie
    square = np.array([[5, 5], [5, 20], [20, 20], [20, 5]])
    roifile.roiwrite(tmp_path / "a.zip", [roifile.ImagejRoi.frompoints(square, name="one")])
    files = folder / "0_manifest.json", folder / "frames.zarr", tmp_path / "out"
    with pytest.raises(cc.InputError, match="ROI 'one' without a frame"):
        cc.import_masks(tmp_path / "a.zip", *files)
    line = roifile.ImagejRoi.frompoints(square[:2])
    line.roitype = roifile.ROI_TYPE.POLYLINE
    roifile.roiwrite(tmp_path / "b.zip", [line])
    with pytest.raises(cc.InputError, match="1 ROIs, none of which encloses an area"):
        cc.import_masks(tmp_path / "b.zip", *files)
    (tmp_path / "c.zip").write_bytes((folder / "rois.zip").read_bytes()[:300])
    with pytest.raises(cc.InputError, match="ROIs that can't be read"):
        cc.import_masks(tmp_path / "c.zip", *files)
