"""Files hold the columns that the stages declare, whatever is known of a sample."""

from __future__ import annotations

import runpy
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from declared_outputs import faults_of

import cellsam_core as cc
from cellsam_core.comparison.conditions import compare_conditions
from cellsam_core.comparison.samples import compare_samples
from cellsam_core.outputs import Column, Output
from cellsam_core.reporting.outputs import OUTPUTS

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_of_the_outputs_is_up_to_date():
    tool = runpy.run_path(str(ROOT / "tools" / "make_outputs_table.py"))
    assert (ROOT / "docs" / "outputs.md").read_text(encoding="utf-8") == tool["page"]()


def test_every_declared_column_is_explained_once():
    places = [(output.path, output.part) for output in OUTPUTS]
    assert len(places) == len(set(places))
    for output in OUTPUTS:
        names = [column.name for column in output.columns]
        assert len(names) == len(set(names)), output.path
        assert all(column.text and not column.text.endswith(".") for column in output.columns)


def test_a_difference_is_named():
    columns = (Column("a", "int32", "A"), Column("<channel>_mean", "float64", "Mean"))
    output = Output("t.parquet", "movie", "Table.", columns)
    assert output.faults(["a", "DAPI_mean", "Cy5_max"]) == [
        "t.parquet: Cy5_max is not declared",
    ]
    assert output.faults(["DAPI_mean"]) == ["t.parquet: a is missing"]


def movie(n_frames: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Images (t, c, y, x) and labels of a cell that moves, and of one that divides."""
    labels = np.zeros((n_frames, 64, 64), np.uint16)
    for t in range(n_frames):
        labels[t, 4:16, 4 + t : 16 + t] = 1
    labels[:2, 36:50, 30:44] = 2
    labels[2:, 34:42, 30:44], labels[2:, 44:52, 30:44] = 3, 4
    rng = np.random.default_rng(0)
    images = rng.normal(100, 3, (n_frames, 2, 64, 64))
    return images + 300 * (labels[:, None] > 0), labels


@pytest.mark.parametrize(("pixel_size_um", "interval_s"), [(0.5, 30.0), (None, None)])
def test_files_of_a_movie_do_not_depend_on_what_is_known(tmp_path, pixel_size_um, interval_s):
    images, labels = movie()
    folder = tmp_path / "3_tracks"
    tracks = cc.track(labels, pixel_size_um=pixel_size_um, frame_interval_s=interval_s)
    tracks.write(folder)
    options = cc.TraceOptions(ratio="CFP/YFP", baseline_frames=2)
    known = {"channels": ["CFP", "YFP"], "frame_interval_s": interval_s}
    cc.trace(images, labels, tracks, options, **known).write(folder)
    compare_conditions({"drug": [folder / "traces.parquet"]}).write(tmp_path / "conditions")
    assert faults_of(tmp_path) == []
    summary = pd.read_csv(folder / "trace_summary.csv")
    assert summary["peak_time_s"].isna().all() == (interval_s is None)
    assert summary.loc[0, "peak_time_frames"] in (0, 1)
    curves = pd.read_csv(tmp_path / "conditions/condition_traces.csv")
    assert curves["time_frames"].tolist() == [0, 1, 2, 3]
    assert curves["time_s"].isna().all() == (interval_s is None)


def tissue(folder: Path, sample: str = "cortex", **options) -> anndata.AnnData:
    """Write the files of a tissue of two cells; return its table as it was read."""
    labels = np.zeros((40, 60), np.uint32)
    labels[5:15, 5:20], labels[20:32, 30:48] = 1, 7
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"x_um": rng.uniform(0, 29, 400), "y_um": rng.uniform(0, 19, 400)})
    table["gene"] = rng.choice(["Gad1", "Actb", "Blank-1"], 400)
    cc.assign(table, labels, pixel_size_um=0.5, sample=sample, output=folder, **options)
    return anndata.read_h5ad(folder / "cells.h5ad")


def test_files_of_a_tissue_hold_what_is_declared(tmp_path):
    one = tissue(tmp_path / "3_cells")
    options = cc.AssignOptions(expand_um=1, localisation_error_um=0.2)
    two = tissue(tmp_path / "other/3_cells", "liver", options=options)
    compare_samples({"cortex": one, "liver": two}).write(tmp_path / "replicates")
    assert faults_of(tmp_path / "other") == []
    (tmp_path / "other").rename(tmp_path.with_name("moved"))
    assert faults_of(tmp_path) == []
    described = pq.read_schema(tmp_path / "3_cells/transcripts.parquet").field("x_um").metadata
    assert described == {b"description": b"x in the frame `slide`", b"unit": b"um"}
    assert one.uns["columns"].loc["obs.area_um2", "unit"] == "um2"


def test_both_frames_are_in_the_files_and_the_transform_joins_them(tmp_path):
    found = tissue(tmp_path)
    obs, matrix = found.obs, found.uns["coordinates"]["slide_um_to_px"]
    slide = np.column_stack([found.obsm["spatial"], np.ones(len(obs))])
    np.testing.assert_allclose(slide @ matrix[:2].T, obs[["x_px", "y_px"]])
    np.testing.assert_allclose(obs[["x_image_um", "y_image_um"]], 0.5 * obs[["x_px", "y_px"]])
    np.testing.assert_allclose(found.obsm["spatial"], obs[["x_um", "y_um"]])
    assert obs["sample"].tolist() == ["cortex", "cortex"]
    assert found.uns["spatialdata_attrs"]["region"] == "cortex" == obs["region"].iloc[0]
    assert set(pd.read_parquet(tmp_path / "boundaries.parquet")["sample"]) == {"cortex"}
