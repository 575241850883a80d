"""The shipped config and sample sheet on a small simulated example, from raw folders to reports."""

from __future__ import annotations

from pathlib import Path

import anndata
import pandas as pd
import pytest
from harness import Result, Snakemake, jobs, run_snakemake

pytestmark = pytest.mark.workflow
COMMON = ["0_manifest.json", "1_preprocessed/frames.zarr", "2_masks/masks.zarr"]
COMMON += ["2_masks/cells.parquet", "4_report/report.html", "provenance.json"]
MOVIE = ["objects.parquet", "tracks.csv", "divisions.csv", "traces.parquet"]
MOVIE += ["traces_wide.csv", "trace_summary.csv"]
MOVIE += ["ctc/res_track.txt", "ctc/mask000.tif", "tracks.geff"]
SPATIAL = ["transcripts.parquet", "cells.h5ad", "boundaries.parquet"]
TREE = [f"{sample}/{name}" for sample in ("movie", "merfish") for name in COMMON]
TREE += [f"movie/3_tracks/{name}" for name in MOVIE]
TREE += ["conditions/conditions.png", "conditions/condition_traces.csv"]
TREE += [f"merfish/3_cells/{name}" for name in SPATIAL]
AFTER_TRACKING = {"track": 1, "traces": 1, "report": 1, "conditions": 1, "all": 1}


def test_every_file_of_the_contract_is_there(finished: Path):
    assert [name for name in TREE if not (finished / "results" / name).exists()] == []


def test_every_job_left_a_log_and_its_run_time(finished: Path):
    logs = {
        p.relative_to(finished / "logs").with_suffix("") for p in finished.glob("logs/**/*.log")
    }
    times = finished / "benchmarks"
    assert {p.relative_to(times).with_suffix("") for p in times.glob("**/*.tsv")} == logs
    assert len(logs) == 15


def test_the_samples_hold_cells_and_every_transcript(finished: Path):
    results = finished / "results"
    transcripts = pd.read_parquet(results / "merfish/3_cells/transcripts.parquet")
    assert len(transcripts) == 500
    cells = anndata.read_h5ad(results / "merfish/3_cells/cells.h5ad")
    assert len(cells) == len(pd.read_parquet(results / "merfish/2_masks/cells.parquet")) > 0
    objects = pd.read_parquet(results / "movie/3_tracks/objects.parquet")
    assert set(objects["frame"]) == {0, 1, 2, 3}
    assert len(objects) == len(pd.read_parquet(results / "movie/2_masks/cells.parquet"))


def test_a_second_run_does_nothing(finished: Path):
    assert "Nothing to be done" in run_snakemake(finished).stdout


def test_a_changed_key_runs_only_what_depends_on_it(finished: Path):
    result = run_snakemake(finished, "-n", "--config", "track={sigma_iou: 0.3}")
    assert jobs(result) == AFTER_TRACKING


def test_a_deleted_table_is_made_again_with_what_depends_on_it(finished: Path):
    table = finished / "results/movie/3_tracks/tracks.csv"
    before = table.read_bytes()
    table.unlink()
    result = run_snakemake(finished)
    assert jobs(result) == AFTER_TRACKING
    assert table.read_bytes() == before


def test_a_refused_folder_is_one_sentence_in_the_terminal(snakemake: Snakemake, tmp_path: Path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "config.yaml").write_text("samples: sheet.tsv\n")
    (tmp_path / "sheet.tsv").write_text("sample\tassay\tpath\nempty\tmovie\tnothing here\n")
    (tmp_path / "nothing here").mkdir()
    result: Result = snakemake()
    assert result.returncode == 1
    assert "cellsam-core inspect: " in result.stdout
    assert "nothing here: found " in result.stdout
    assert "Traceback" not in result.stdout
    assert not (tmp_path / "results/empty/0_manifest.json").exists()
