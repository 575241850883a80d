"""The example on a real SLURM with `profiles/slurm`; the test starts and stops the SLURM."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm
from harness import ROOT, Result, digests, run_snakemake, same_samples

pytestmark = pytest.mark.workflow
pytest.importorskip("snakemake_executor_plugin_slurm")
# Without accounting only squeue knows how a job ended; no waiting for slow file systems.
HERE = ["--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "1"]
HERE += ["--seconds-between-status-checks", "1", "--latency-wait", "5", "--cores", "8"]
# Enough for the second attempt alone: Snakemake and pandas are more than 150 MB.
TOO_LITTLE = ["--set-resources", "track:mem_mb=150 * 4 ** (attempt - 1)"]
STAGES = ["movie/1_preprocessed", "movie/2_masks", "movie/3_tracks"]
STAGES += ["merfish/1_preprocessed", "merfish/2_masks", "merfish/3_cells"]
# All but the reports and manifests, which name the working directory.
TARGETS = ["results/movie/3_tracks/traces.parquet", "results/merfish/3_cells/cells.h5ad"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[slurm.Slurm]:
    """A running SLURM."""
    reason = slurm.why_not()
    if reason:
        pytest.skip(reason)
    # Sockets need a short path.
    with tempfile.TemporaryDirectory(prefix="slurm", ignore_cleanup_errors=True) as folder:
        try:
            with slurm.start(Path(folder)) as running:
                yield running
        except slurm.CannotStartError as error:
            pytest.skip(str(error))


def submit(cluster: slurm.Slurm, directory: Path, *arguments: str) -> Result:
    profile = str(ROOT / "profiles" / "slurm")
    return run_snakemake(
        directory, "--workflow-profile", profile, *HERE, *arguments, environment=cluster.environment
    )


@pytest.fixture(scope="module")
def done(cluster: slurm.Slurm, finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Working directory of a run through SLURM that succeeded."""
    directory = same_samples(finished, tmp_path_factory.mktemp("slurm") / "run")
    result = submit(cluster, directory, *TARGETS, *TOO_LITTLE)
    assert result.returncode == 0, result.stdout
    (directory / "said.txt").write_text(result.stdout)
    return directory


def test_files_are_those_of_the_local_run(done: Path, finished: Path):
    for stage in STAGES:
        assert digests(done / "results" / stage) == digests(finished / "results" / stage) != {}


def test_no_gpu_is_shared(cluster: slurm.Slurm, done: Path):
    uses = cluster.gpu_uses()
    assert len(uses) == len(list(done.glob("benchmarks/*/segment/*.tsv"))) == 3
    assert all(len(use.gpus) == 1 for use in uses)
    assert set().union(*(use.gpus for use in uses)) == {"0", "1"}
    for one, other in itertools.combinations(uses, 2):
        apart = one.end_s <= other.start_s or other.end_s <= one.start_s
        assert apart or not one.gpus & other.gpus


def test_a_job_killed_for_memory_succeeds_with_more(cluster: slurm.Slurm, done: Path):
    jobs = [job for job in cluster.jobs() if "rule_track" in job.get("Comment", "")]
    assert [(job["JobState"], job["MinMemoryNode"]) for job in jobs] == [
        ("FAILED", "150M"),
        ("COMPLETED", "600M"),
    ]
    assert "Trying to restart" in (done / "said.txt").read_text()


def test_a_failing_job_ends_the_run_and_names_its_log(cluster: slurm.Slurm, done: Path):
    (done / "empty").mkdir()
    sheet = done / "config" / "samples.tsv"
    sheet.write_text(sheet.read_text() + "empty\tmovie\t../empty\tauto\t\t\n")
    result = submit(cluster, done, "--retries", "0", "results/empty/0_manifest.json")
    assert result.returncode == 1
    assert "logs/empty/inspect.log" in result.stdout
    assert "cellsam-core inspect: " in result.stdout
    assert "Traceback" not in result.stdout
