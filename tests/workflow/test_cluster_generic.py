"""The profile for clusters with a submit command; the test command runs the script at once."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from harness import ROOT, digests, run_snakemake, same_samples

pytestmark = pytest.mark.workflow
pytest.importorskip("snakemake_executor_plugin_cluster_generic")


def test_each_job_is_submitted_with_its_resources(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    work = same_samples(finished, tmp_path / "run")
    commands = tmp_path / "bin"
    commands.mkdir()
    qsub = commands / "qsub"
    submitted = tmp_path / "submitted.txt"
    # Prints a job's number, as PBS does; the script is the last word.
    qsub.write_text(
        f'#!/bin/bash\necho "$@" >> {shlex.quote(str(submitted))}\n'
        'bash "${@: -1}" > /dev/null 2>&1\necho $$.cluster\n'
    )
    qsub.chmod(0o755)
    monkeypatch.setenv("PATH", str(commands), prepend=":")
    target = "results/movie/1_preprocessed/frames.zarr"
    profile = ROOT / "profiles" / "cluster-generic"
    options = ["--latency-wait", "5", "--seconds-between-status-checks", "1"]
    result = run_snakemake(work, target, "--workflow-profile", profile, *options)
    assert result.returncode == 0, result.stdout
    inspect, preprocess = (line.split() for line in submitted.read_text().splitlines())
    assert "select=1:ncpus=1:mem=2000mb:ngpus=0" in inspect
    assert "select=1:ncpus=2:mem=8000mb:ngpus=0" in preprocess
    assert "walltime=240:00" in preprocess
    assert digests(work / target) == digests(finished / target) != {}


def test_a_path_that_can_t_be_handed_on_is_refused(tmp_path: Path):
    (tmp_path / "it's").mkdir()
    (tmp_path / "sheet.tsv").write_text("sample\tassay\tpath\na\tmovie\tit's\n")
    options = ["--workflow-profile", ROOT / "profiles" / "cluster-generic"]
    result = run_snakemake(tmp_path, *options, "--config", "samples=sheet.tsv")
    assert result.returncode == 1
    assert "without single quote and backslash" in result.stdout
    assert not (tmp_path / "results").exists()
