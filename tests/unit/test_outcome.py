"""End of a run: the stage, the sentence and the log of a sample that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellsam_core.run_plan.outcome import KILLED, Job, outcome_of, outcome_table

REFUSED = "20:00:01 INFO read\ncellsam-core track: masks.zarr: found nothing, expected it; run.\n"
CRASHED = "Traceback (most recent call last):\n  File x\nMemoryError: 8 GB\n"
STOPPED = "Traceback (most recent call last):\n  File x\nKeyboardInterrupt\n"


@pytest.mark.parametrize(
    ("log", "state", "sentence"),
    [
        (REFUSED, "failed", "masks.zarr: found nothing, expected it; run."),
        (CRASHED, "failed", "MemoryError: 8 GB"),
        ("20:00:01 INFO preprocessed 40 %\n", "failed", KILLED),
        (STOPPED, "stopped", "the run was stopped"),
    ],
)
def test_the_first_job_without_its_files_is_named(
    tmp_path: Path, log: str, state: str, sentence: str
):
    (tmp_path / "done").touch()
    (tmp_path / "track.log").write_text(log)
    jobs = [
        Job("segment", tmp_path / "no.log", ((tmp_path / "temp",), (tmp_path / "done",))),
        Job("track", tmp_path / "track.log", ((tmp_path / "tracks",),)),
        Job("report", tmp_path / "report.log", ((tmp_path / "done",),)),
    ]
    outcome = outcome_of("s", jobs)
    assert (outcome.state, outcome.stage, outcome.sentence) == (state, "track", sentence)
    assert outcome.log == tmp_path / "track.log"
    (tmp_path / "track.log").unlink()
    assert outcome_of("s", jobs).state == "not run"
    (tmp_path / "tracks").touch()
    assert outcome_of("s", jobs).state == "finished"


def test_long_lists_are_cut(tmp_path: Path):
    (tmp_path / "log").write_text(REFUSED)
    jobs = [Job("track", tmp_path / "log", ((tmp_path / "tracks",),))]
    text = outcome_table([outcome_of(f"s{i}", jobs) for i in range(30)], [])
    assert "0 of 30 samples finished." in text
    assert "... and 10 more samples" in text
