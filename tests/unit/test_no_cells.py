"""Images without cells, with one cell or with one frame are valid data and give valid tables."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tifffile

from cellsam_core.cli import main
from cellsam_core.files import omezarr
from cellsam_core.segmentation.batch_files import BatchWriter
from cellsam_core.segmentation.instances import Instance
from cellsam_core.segmentation.weights import FOLDER

SIZE, BACKGROUND = 96, 100
DISC = np.hypot(*(np.mgrid[:25, :25] - 12)) < 12
SETTINGS = {"weights": "tiny", "sha256": "0" * 64, "device": "cpu", "cell_diameter_px": 24.0}
CELL_COLUMNS = {
    "frame": "int32",
    "label": "uint32",
    "y": "float64",
    "x": "float64",
    "area_px": "int64",
    "bbox_y0": "int32",
    "bbox_x0": "int32",
    "bbox_y1": "int32",
    "bbox_x1": "int32",
    "score": "float32",
    "predicted_iou": "float32",
    "touches_border": "bool",
}
TRACK_FILES = ("objects.parquet", "tracks.csv", "divisions.csv", "traces.parquet")


def run(*arguments: object) -> None:
    assert main([str(word) for word in arguments]) == 0


def write_batches(folder: Path, frames: list[list[Instance]]) -> list[Path]:
    """Two batches as `segment-batch` writes them, the second one with the later frames."""
    half = (len(frames) + 1) // 2
    paths = [folder / f"{k}-of-2.parquet" for k in (1, 2)]
    folder.mkdir()
    for path, part in zip(paths, (range(half), range(half, len(frames))), strict=True):
        with BatchWriter(path, SETTINGS) as writer:
            for frame in part:
                writer.add(frame, frames[frame])
    return paths


def movie_results(root: Path, n_frames: int, n_cells: int, byteorder: str = "<") -> Path:
    """Run a movie with a disc of known signal through every stage but the segmentation."""
    raw, results = root / "raw", root / "results"
    raw.mkdir(parents=True)
    found = []
    for t in range(n_frames):
        image = np.full((2, SIZE, SIZE), BACKGROUND, np.uint16)
        cells = [Instance(30, 30 + 2 * t, DISC, 0.9, 0.9)] * n_cells
        for cell in cells:
            window = np.s_[cell.y0 : cell.y1, cell.x0 : cell.x1]
            image[0][window][DISC] += 600
            image[1][window][DISC] += 300
        for name, plane in zip(("YFP", "CFP"), image, strict=True):
            path = raw / f"{name}_t{t:02}.tif"
            tifffile.imwrite(path, plane, byteorder=byteorder)
            assert tifffile.TiffFile(path).byteorder == byteorder
        found.append(cells)
    manifest = results / "0_manifest.json"
    run("inspect", raw, "--sample", "s", "--assay", "movie", "--pixel-size-um", 0.5, "-o", manifest)
    frames = results / "1_preprocessed/frames.zarr"
    run("preprocess", manifest, "--cell-channel", "YFP", "-o", frames)
    masks, cells_path = results / "2_masks/masks.zarr", results / "2_masks/cells.parquet"
    batches = write_batches(root / "batches", found)
    run("stitch", frames, *batches, "--masks", masks, "--cells", cells_path)
    tracks = results / "3_tracks"
    run("track", masks, "-o", tracks)
    names = ("--objects", tracks / "objects.parquet", "--tracks", tracks / "tracks.csv")
    run("traces", manifest, "--masks", masks, *names, "--ratio", "YFP/CFP", "-o", tracks)
    report = ("-o", results / "4_report/report.html", "--provenance", results / "provenance.json")
    run("report", results, *report)
    return results


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


@pytest.fixture(scope="module")
def one_cell(tmp_path_factory) -> Path:
    return movie_results(tmp_path_factory.mktemp("one"), n_frames=4, n_cells=1)


@pytest.mark.parametrize("n_frames", [1, 3])
def test_movie_without_cells(tmp_path, one_cell, n_frames):
    results = movie_results(tmp_path, n_frames=n_frames, n_cells=0)
    masks = omezarr.open_(results / "2_masks/masks.zarr")
    assert (masks.axes, masks.array.shape) == ("tyx", (n_frames, SIZE, SIZE))
    assert not masks.array[:].any()
    cells = read(results / "2_masks/cells.parquet")
    assert len(cells) == 0
    dtypes = cells.dtypes.astype(str).to_dict()
    assert {name: dtypes[name] for name in CELL_COLUMNS} == CELL_COLUMNS
    for name in ("2_masks/cells.parquet", *(f"3_tracks/{file}" for file in TRACK_FILES)):
        empty, full = read(results / name), read(one_cell / name)
        assert len(empty) == 0, name
        assert empty.columns.tolist() == full.columns.tolist(), name
    for name in ("2_masks/cells.parquet", "3_tracks/objects.parquet", "3_tracks/traces.parquet"):
        schemas = [pq.read_schema(folder / name) for folder in (results, one_cell)]
        assert schemas[0].equals(schemas[1]), name
    wide = read(results / "3_tracks/traces_wide.csv")
    assert wide.columns.tolist() == ["track_id", *map(str, range(n_frames))]
    assert len(wide) == 0
    assert (results / "3_tracks/ctc/res_track.txt").read_text() == ""
    assert len(list((results / "3_tracks/ctc").glob("mask*.tif"))) == n_frames
    assert "</html>" in (results / "4_report/report.html").read_text()
    assert json.loads((results / "provenance.json").read_text())


@pytest.mark.parametrize(
    ("n_frames", "byteorder"), [(1, "<"), (4, ">")], ids=["one frame", "big-endian"]
)
def test_one_cell_is_measured_as_drawn(tmp_path, n_frames, byteorder):
    results = movie_results(tmp_path, n_frames, n_cells=1, byteorder=byteorder)
    tracks = read(results / "3_tracks/tracks.csv")
    assert tracks[["track_id", "first_frame", "last_frame", "n_obs"]].to_numpy().tolist() == [
        [1, 0, n_frames - 1, n_frames]
    ]
    cells = read(results / "2_masks/cells.parquet")
    assert cells["area_px"].tolist() == [DISC.sum()] * n_frames
    np.testing.assert_allclose(cells["x_um"], (42 + 2 * np.arange(n_frames)) * 0.5)
    traces = read(results / "3_tracks/traces.parquet")
    assert traces["frame"].tolist() == list(range(n_frames))
    np.testing.assert_allclose(traces["YFP_background"], BACKGROUND)
    # Whether a mean has the background in it or not, the disc is 600 above it, not 600 * 256.
    assert set((traces["ratio"] / 2).round(9)) == {1.0}
    assert set(traces["r_over_r0"].round(9)) == {1.0}
    assert len(read(results / "3_tracks/divisions.csv")) == 0


def test_tissue_without_cells(tmp_path):
    raw, results = tmp_path / "raw", tmp_path / "results"
    run("simulate", "merfish", "-o", raw, "--size-px", 128, "--cells", 6, "--transcripts", 200)
    manifest = results / "0_manifest.json"
    run("inspect", raw, "--sample", "s", "--assay", "merfish", "-o", manifest)
    frames = results / "1_preprocessed/frames.zarr"
    run("preprocess", manifest, "-o", frames)
    masks, cells = results / "2_masks/masks.zarr", results / "2_masks/cells.parquet"
    batches = write_batches(tmp_path / "batches", [[]])
    run("stitch", frames, *batches, "--masks", masks, "--cells", cells)
    assert read(cells).dtypes.astype(str).to_dict().items() >= CELL_COLUMNS.items()
    out = results / "3_cells"
    run("assign", "--labels", masks, "--manifest", manifest, "--cells", cells, "-o", out)
    rows = read(out / "transcripts.parquet")
    assert len(rows) == 200
    assert rows["cell_id"].dtype == np.uint32
    assert not rows["cell_id"].any()
    table = anndata.read_h5ad(out / "cells.h5ad")
    genes = rows.loc[rows["feature_type"] == "gene", "feature"].unique()
    assert table.shape == (0, len(genes)) != (0, 0)
    assert table.X.dtype == np.int32
    assert table.obs["cell_id"].dtype == np.uint32
    assert table.obsm["spatial"].shape == (0, 2)
    assert {"area_um2", "n_transcripts", "n_genes", "score"} <= set(table.obs.columns)
    boundaries = pq.read_table(out / "boundaries.parquet")
    assert len(boundaries) == 0
    assert b"geo" in boundaries.schema.metadata
    report = ("-o", results / "4_report/report.html", "--provenance", results / "provenance.json")
    run("report", results, *report)
    assert "</html>" in (results / "4_report/report.html").read_text()


@pytest.mark.skipif(not (FOLDER / "tiny.safetensors").is_file(), reason="no weights are shipped")
def test_black_image_and_image_of_discs_are_segmented(tmp_path):
    """The one test here that runs the model: nothing in black, most bright discs."""
    black, discs = np.zeros((2, 128, 128), np.uint16)
    centres = [(y, x) for y in (22, 64, 106) for x in (22, 64, 106)]
    for y, x in centres:
        discs[y - 12 : y + 13, x - 12 : x + 13][DISC] = 3000
    tifffile.imwrite(tmp_path / "black.tif", black)
    tifffile.imwrite(tmp_path / "discs.tif", discs)
    out = tmp_path / "out"
    run("segment", tmp_path / "black.tif", tmp_path / "discs.tif", "-o", out)
    assert tifffile.imread(out / "black.tif").dtype == np.uint32
    assert not tifffile.imread(out / "black.tif").any()
    cells = read(out / "black_cells.csv")
    assert len(cells) == 0
    assert cells.columns.tolist()[: len(CELL_COLUMNS)] == list(CELL_COLUMNS)
    labels = tifffile.imread(out / "discs.tif")
    assert len(read(out / "discs_cells.csv")) == len(np.unique(labels)) - 1
    assert len({int(labels[centre]) for centre in centres} - {0}) > len(centres) / 2


def test_a_raw_image_is_not_overwritten_by_its_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((32, 32), np.uint16))
    before = path.read_bytes()
    assert main(["segment", str(path), "-o", str(tmp_path)]) == 1
    assert "a.tif, which the labels of a.tif would replace" in capsys.readouterr().err
    assert path.read_bytes() == before
