"""Table and page of all samples: verdicts of the finished, reasons of the failed."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import cellsam_core as cc
from cellsam_core.cli import main
from cellsam_core.run_plan.outcome import Outcome


def finished(results: Path, sample: str, colour: str) -> None:
    folder = results / sample / "4_report"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("report")
    (results / sample / "0_manifest.json").write_text("{}")
    checks = [{"name": "cells", "colour": colour}, {"name": "size", "colour": "amber"}]
    record = {"assay": "movie", "colour": colour, "checks": checks, "numbers": {"cells": 1234}}
    (folder / "verdict.json").write_text(json.dumps(record))


@pytest.fixture
def run(tmp_path) -> Path:
    finished(tmp_path / "results", "a", "amber")
    finished(tmp_path / "results", "b & <c>", "red")
    (tmp_path / "logs/d/segment").mkdir(parents=True)
    (tmp_path / "logs/d/inspect.log").write_text("12:00:00 INFO all is well\n")
    log = "cellsam-core segment-batch: frames.zarr: found 3 chunks, expected 4; run it again\n"
    (tmp_path / "logs/d/segment/1-of-2.log").write_text(log)
    return tmp_path


def test_each_sample_has_a_row_with_its_verdict_or_its_failure(run):
    table = cc.overview(run / "results", logs=run / "logs").set_index("sample")
    assert table["state"].to_dict() == {"a": "finished", "b & <c>": "finished", "d": "failed"}
    assert table.loc["b & <c>", ["verdict", "red", "amber"]].tolist() == ["red", "cells", "size"]
    assert table.loc["a", "cells"] == 1234
    assert table.loc["d", ["stage", "reason"]].tolist() == [
        "segment",
        "frames.zarr: found 3 chunks, expected 4; run it again",
    ]
    written = pd.read_csv(run / "results/summary.tsv", sep="\t", index_col="sample")
    assert written["cells"].dropna().tolist() == [1234, 1234]
    assert written.columns.tolist() == table.columns.tolist()


def test_the_page_names_failures_first_and_links_the_reports(run):
    cc.overview(run / "results", logs=run / "logs")
    page = (run / "results/index.html").read_text()
    assert "2 of 3 samples are finished" in page
    assert page.index("found 3 chunks, expected 4") < page.index("b &amp; &lt;c&gt;")
    assert page.index("b &amp; &lt;c&gt;") < page.index(">a</a>")
    assert 'href="b%20%26%20%3Cc%3E/4_report/report.html"' in page
    assert "1\u202f234" in page


def test_the_workflow_gives_the_outcomes(run):
    outcomes = [Outcome("z", "not run"), Outcome("a", "failed", "track", "no.", Path("l.log"))]
    table = cc.overview(run / "results", outcomes=outcomes, write=False)
    assert table["sample"].tolist() == ["z", "a"]
    assert table["verdict"].isna().all()
    assert not (run / "results/index.html").exists()


def test_command(run, capsys):
    assert main(["overview", str(run / "results"), "--logs", str(run / "logs")]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("a\tfinished\tamber")
    assert main(["overview", str(run / "absent")]) == 1
    assert "found no such folder" in capsys.readouterr().err
