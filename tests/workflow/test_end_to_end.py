"""The shipped config and sample sheet on a small simulated example, from raw folders to reports."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import anndata
import pandas as pd
import pytest
from declared_outputs import faults_of
from harness import Result, Snakemake, digests, jobs, lasting, run_snakemake, snakemake_command

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
TREE += [f"merfish/6_vendor/{name}" for name in ("vendor.html", "compare.json", "genes.tsv")]
TREE += [f"merfish/2_masks/nuclei/{name}" for name in ("masks.zarr", "nuclei.parquet")]
AFTER_TRACES = {"traces": 1, "report": 1, "conditions": 1, "all": 1}
AFTER_TRACKING = AFTER_TRACES | {"track": 1}


def test_every_file_of_the_contract_is_there(finished: Path):
    assert [name for name in TREE if not (finished / "results" / name).exists()] == []


@pytest.mark.parametrize("sample", ["movie", "merfish"])
def test_every_file_and_column_is_declared(finished: Path, sample: str):
    assert faults_of(finished / "results" / sample) == []


def test_every_job_left_a_log_and_its_run_time(finished: Path):
    logs = {
        p.relative_to(finished / "logs").with_suffix("") for p in finished.glob("logs/**/*.log")
    }
    times = finished / "benchmarks"
    assert {p.relative_to(times).with_suffix("") for p in times.glob("**/*.tsv")} == logs
    assert len(logs) == 19


def test_the_samples_hold_cells_and_every_transcript(finished: Path):
    results = finished / "results"
    transcripts = pd.read_parquet(results / "merfish/3_cells/transcripts.parquet")
    assert len(transcripts) == 500
    cells = anndata.read_h5ad(results / "merfish/3_cells/cells.h5ad")
    assert len(cells) == len(pd.read_parquet(results / "merfish/2_masks/cells.parquet")) > 0
    layers = cells.layers["nucleus"] + cells.layers["cytoplasm"]
    assert (layers != cells.X).nnz == 0
    nuclei = pd.read_parquet(results / "merfish/2_masks/nuclei/nuclei.parquet")
    assert (nuclei["cell_id"] > 0).mean() > 0.5
    compared = json.loads((results / "merfish/6_vendor/compare.json").read_text())
    assert compared["vendor_file"] == "cell_boundaries.parquet"
    assert compared["ours"]["n_cells"] == len(cells)
    assert compared["matches"][0]["matched"] > 0
    objects = pd.read_parquet(results / "movie/3_tracks/objects.parquet")
    assert set(objects["frame"]) == {0, 1, 2, 3}
    assert len(objects) == len(pd.read_parquet(results / "movie/2_masks/cells.parquet"))


def test_no_job_asks_for_the_network(finished: Path):
    assert (finished / "guard" / "imported").exists()
    assert not (finished / "guard" / "used").exists()


def test_a_second_run_does_nothing(finished: Path):
    assert "Nothing to be done" in run_snakemake(finished).stdout


def test_a_page_that_a_killed_run_did_not_write_is_written_by_the_next(finished: Path):
    files = [finished / "results" / name for name in ("index.html", "summary.tsv")]
    before = [file.read_bytes() for file in files]
    for file in files:
        file.unlink()
    assert "page of all samples, log in" in run_snakemake(finished).stdout
    assert [file.read_bytes() for file in files] == before
    assert "Nothing to be done" in run_snakemake(finished).stdout


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("track={sigma_iou: 0.3}", AFTER_TRACKING),
        ("traces={baseline_frames: 2}", AFTER_TRACES),
        ("assign={expand_um: 1}", {"assign": 1, "vendor": 1, "report": 1, "all": 1}),
    ],
)
def test_a_changed_key_runs_only_what_depends_on_it(
    finished: Path, changed: str, expected: dict[str, int]
):
    assert jobs(run_snakemake(finished, "-n", "--config", changed)) == expected


def test_a_deleted_table_is_made_again_with_what_depends_on_it(finished: Path):
    table = finished / "results/movie/3_tracks/tracks.csv"
    before = table.read_bytes()
    table.unlink()
    result = run_snakemake(finished)
    assert jobs(result) == AFTER_TRACKING
    assert table.read_bytes() == before


def test_a_damaged_intermediate_and_a_kill_change_no_result(finished: Path):
    before = lasting(digests(finished / "results"))
    chunk = finished / "results/movie/2_masks/masks.zarr/0/c/1/0/0"
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    (finished / "results/movie/3_tracks/tracks.csv").unlink()
    refused = run_snakemake(finished)
    assert refused.returncode == 1
    assert "masks.zarr: found a damaged chunk" in refused.stdout
    assert "Traceback" not in refused.stdout
    chunk.write_bytes(whole)
    kill_during(finished, "track")
    locked = run_snakemake(finished)
    assert locked.returncode == 1
    assert "--unlock" in locked.stdout
    assert run_snakemake(finished, "--unlock").returncode == 0
    assert run_snakemake(finished).returncode == 0
    assert lasting(digests(finished / "results")) == before  # and nothing else is there


def kill_during(finished: Path, stage: str) -> None:
    """Start a run and kill all of its processes once a stage has begun to write its log."""
    log = finished / f"logs/movie/{stage}.log"
    log.unlink(missing_ok=True)
    command = snakemake_command(finished)
    with subprocess.Popen(
        command, cwd=finished, stderr=subprocess.DEVNULL, start_new_session=True
    ) as run:
        while not log.exists() and run.poll() is None:
            time.sleep(0.05)
        time.sleep(1)
        assert run.poll() is None
        os.killpg(run.pid, signal.SIGKILL)


def test_one_failed_sample_holds_nothing_back(finished: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    shutil.rmtree(run / "results" / "conditions")
    (run / "empty").mkdir()
    sheet = run / "config" / "samples.tsv"
    row = "empty\tmovie\t../empty\tauto\tAMPKAR_480/AMPKAR_405\tdrug\n"
    sheet.write_text(sheet.read_text() + row)
    result = run_snakemake(run)
    assert result.returncode == 1
    said = result.stdout.partition("2 of 3 samples finished.")[2]
    assert re.search(r"empty \| inspect \| .*empty: found no images.* \| logs/empty/inspect", said)
    assert "  results/movie/4_report/report.html" in said
    assert "The comparisons were made without empty." in said
    summary = pd.read_csv(run / "results/conditions/condition_summary.csv")
    assert set(summary["condition"]) == {"simulated"}
    dry = run_snakemake(run, "-n", "--config", "without=empty")
    assert "Nothing to be done" in dry.stdout


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
