"""Outcome of a run, sample by sample: finished, failed with its sentence, or not run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

State = Literal["finished", "failed", "stopped", "not run"]

REFUSAL = re.compile(r"^cellsam-core [a-z-]+: (?P<sentence>.+)", re.MULTILINE)
"""Line that a command prints for data that it can't use."""

INTERRUPTED = ("KeyboardInterrupt", "SystemExit")
KILLED = (
    "the job ended without a message: it was killed, or it took more memory or time than it may"
)
N_SHOWN = 20


@dataclass(frozen=True)
class Job:
    """One job of a sample.

    Attributes
    ----------
    stage
        Name of the stage, which is the name of the command.
    log
        Log file of the job.
    outputs
        Files and folders that exist once the job is finished. Any of several groups is enough:
        the temporary files of a batch, or the files of the later job that needed them.
    """

    stage: str
    log: Path
    outputs: tuple[tuple[Path, ...], ...]

    def is_finished(self) -> bool:
        """Tell if all files of one group of outputs exist."""
        return any(all(path.exists() for path in group) for group in self.outputs)


@dataclass(frozen=True)
class Outcome:
    """Outcome of one sample.

    Attributes
    ----------
    sample
        Name of the sample.
    state
        ``finished``; ``failed`` at a stage; ``stopped`` by the user at a stage; ``not run``.
    stage, sentence
        Stage that failed, and the reason in one sentence; empty for other states.
    log
        Log file of the job that failed; None for other states.
    """

    sample: str
    state: State
    stage: str = ""
    sentence: str = ""
    log: Path | None = None


def outcome_of(sample: str, jobs: Iterable[Job]) -> Outcome:
    """Find the first job of a sample that is not finished, and the reason in its log.

    Parameters
    ----------
    sample
        Name of the sample.
    jobs
        Jobs of the sample in the order of the workflow.

    Returns
    -------
    Outcome
        ``finished`` if every job has left its files.
    """
    for job in jobs:
        if job.is_finished():
            continue
        if not job.log.exists():
            return Outcome(sample, "not run")
        sentence = reason_in(job.log)
        if sentence in INTERRUPTED:
            return Outcome(sample, "stopped", job.stage, "the run was stopped", job.log)
        return Outcome(sample, "failed", job.stage, sentence, job.log)
    return Outcome(sample, "finished")


def reason_in(log: Path) -> str:
    """Return the sentence with which the job of a log ended.

    That is the refusal of the command, or the last line of a traceback.

    Parameters
    ----------
    log
        Log file of the job.
    """
    text = log.read_text(encoding="utf-8", errors="replace")
    refusals = REFUSAL.findall(text)
    if refusals:
        return str(refusals[-1])
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines and "Traceback (most recent call last)" in text else KILLED


def outcome_table(outcomes: Sequence[Outcome], reports: Sequence[Path]) -> str:
    """Write the end of a run as text: what failed, with its sentence, and the reports.

    Parameters
    ----------
    outcomes
        Outcome of each sample.
    reports
        Pages that were written.

    Returns
    -------
    str
        One line for each sample that is not finished, then the pages, at most 20 of each.

    Examples
    --------
    >>> failed = Outcome("b", "failed", "inspect", "no images.", Path("logs/b/inspect.log"))
    >>> print(outcome_table([Outcome("a", "finished"), failed], [Path("results/a/report.html")]))
    1 of 2 samples finished.
    sample | stage | reason | log
    b | inspect | no images. | logs/b/inspect.log
    Reports:
      results/a/report.html
    """
    n_finished = sum(outcome.state == "finished" for outcome in outcomes)
    lines = [f"{n_finished} of {len(outcomes)} samples finished."]
    wrong = [outcome for outcome in outcomes if outcome.stage]
    if wrong:
        lines.append("sample | stage | reason | log")
        lines += _first(
            [f"{o.sample} | {o.stage} | {o.sentence} | {o.log}" for o in wrong], "samples"
        )
    waiting = [outcome.sample for outcome in outcomes if outcome.state == "not run"]
    if waiting:
        shown = ", ".join(waiting[:N_SHOWN]) + (", ..." if len(waiting) > N_SHOWN else "")
        lines.append(f"Not run to the end: {shown}.")
    if reports:
        lines += ["Reports:", *_first([f"  {path}" for path in reports], "reports")]
    return "\n".join(lines)


def _first(lines: list[str], what: str) -> list[str]:
    more = len(lines) - N_SHOWN
    return lines[:N_SHOWN] + ([f"  ... and {more} more {what}"] if more > 0 else [])
