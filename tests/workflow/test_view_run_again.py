"""Corrections of the page, carried out by the command that the page starts."""

from __future__ import annotations

import re
import shutil
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from corrected_labels import correct_labels
from harness import ROOT, digests, lasting

from cellsam_core.corrections.cells_table import read_cell_corrections
from cellsam_core.corrections.stage import correct
from cellsam_core.files import omezarr
from cellsam_core.viewer.options import ViewOptions
from cellsam_core.viewer.stage import view

pytestmark = pytest.mark.workflow
REPORT = "results/movie/4_report/report.html"


def test_run_again_carries_out_what_was_corrected_and_nothing_more(finished: Path, tmp_path: Path):
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    words = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores", "2"]
    command = " ".join(f"'{word}'" for word in [*words, REPORT])
    masks = folder / "results/movie/2_masks"
    before, logs = digests(masks / "masks.zarr"), set((folder / ".snakemake/log").iterdir())
    page = view(folder / "results", ViewOptions(run_command=command, no_model=True))
    try:
        with httpx.Client(base_url=page.url + "api/", timeout=60) as client:
            version = version_of(client)
            correct_two_cells(client)
            job = run_again(client)
            assert job["state"] == "done", job["lines"]
            assert version_of(client) != version  # the page reloads what it shows
            rows = client.get("movie/corrections").json()["rows"]["cells"]
            assert [(row["lost"], row["waiting"]) for row in rows] == [("", False)] * 2
            assert run_again(client)["lines"][-1].startswith("Nothing to be done")
    finally:
        page.close()
    first = sorted(set((folder / ".snakemake/log").iterdir()) - logs)[0].read_text()
    table = first.partition("Job stats:")[2].partition("\n\n")[0]
    ran = dict(re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE))
    assert ran.keys() == {"correct", "track", "traces", "report", "total"}
    assert digests(masks / "masks.zarr") == before
    rows = folder / "corrections/movie.cells.csv"
    automatic = omezarr.open_(masks / "masks.zarr").frame(1)
    wanted, _ = correct_labels(automatic, read_cell_corrections(rows))
    found = omezarr.open_(masks / "corrected/masks.zarr").frame(1)
    np.testing.assert_array_equal(found, wanted)
    correct(masks / "masks.zarr", masks / "cells.parquet", rows, tmp_path / "again")
    assert lasting(digests(tmp_path / "again")) == lasting(digests(masks / "corrected"))


def version_of(client: httpx.Client) -> str:
    samples = client.get("state").json()["samples"]
    return next(s["version"] for s in samples if s["name"] == "movie")


def correct_two_cells(client: httpx.Client) -> None:
    """Delete a cell, and draw another one where it was."""
    seen = ""
    corners = [[2, 2], [14, 2], [14, 14], [2, 14]]
    for action in ({"operation": "delete", "label": 1}, {"operation": "add", "outline": corners}):
        body = {"seen": seen, "frame": 1, **action}
        answer = client.post("movie/corrections/cells", json=body)
        assert answer.status_code == 200, answer.text
        seen = answer.json()["seen"]["cells"]


def run_again(client: httpx.Client) -> dict:
    client.post("jobs", json={"job": "workflow", "sample": "movie"}).raise_for_status()
    while (job := client.get("jobs").json()["job"])["state"] == "running":
        time.sleep(0.2)
    return job
