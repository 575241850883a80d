"""Commands that the page starts: fixed ones, one at a time, each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.training.regions import VALIDATION
from cellsam_core.viewer.prompts import FINETUNED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

KEPT_LINES = 200
SHOWN_LINES = 6
ENDS_WITHIN_S = 10.0
SHARE = re.compile(r"\b(\d{1,7}) of (\d{1,7})\b")
"""Progress in the lines of ``snakemake`` and of ``finetune``."""
TRAINING = "training"


@dataclass
class Job:
    """A job that runs or has ended.

    Attributes
    ----------
    name
        ``workflow`` or ``finetune``.
    commands
        Commands that run one after another, as lists of words.
    scores
        File of the scores that the job writes; None for a job without scores.
    id
        Random id, by which the page ends the job.
    state
        ``running``, ``done``, ``failed`` or ``ended`` (by the user).
    share
        Part that is done, 0 to 1.
    """

    name: str
    commands: list[list[str]]
    scores: Path | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(4))
    state: str = "running"
    share: float = 0.0
    began_s: float = field(default_factory=time.monotonic)
    took_s: float = 0.0
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT_LINES))

    def say(self, line: str) -> None:
        """Take a line of the output."""
        text = line.rstrip()
        if not text:
            return
        self.lines.append(text[:500])
        if (found := SHARE.search(text)) and int(found[2]):
            self.share = min(1.0, int(found[1]) / int(found[2]))

    def described(self) -> dict[str, Any]:
        """Describe the job for the page."""
        seconds = self.took_s or time.monotonic() - self.began_s
        said: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "share": round(self.share, 3),
            "seconds": round(seconds),
            "lines": list(self.lines)[-SHOWN_LINES:],
        }
        if self.scores is not None and self.state == "done":
            said["scores"] = json.loads(self.scores.read_text())
        return said


class Jobs:
    """The jobs of a page.

    Parameters
    ----------
    folder
        Folder of the run, in which the commands start.
    results
        Folder of results.
    corrections
        Folder of the tables of corrections; None for those that the run reads.
    command
        Command that makes the results anew, such as ``snakemake --cores 2``; it is split into
        words and runs without a shell. Without it, the page starts nothing.
    steps
        Optimiser steps of fine-tuning.

    Raises
    ------
    InputError
        The command can't be split, or its program is not there.
    """

    def __init__(
        self,
        folder: Path,
        results: Path,
        corrections: Path | None,
        *,
        command: str | None,
        steps: int,
    ) -> None:
        self._folder = folder
        self._results, self._corrections = results.resolve(), corrections
        self._workflow = _words(command) if command else []
        self._steps = steps
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._job: Job | None = None
        self._tuned: Job | None = None

    @property
    def is_allowed(self) -> bool:
        """True if the page may start commands."""
        return bool(self._workflow)

    def tuned_weights(self) -> Path | None:
        """Return the weights that the last fine-tuning wrote; None before it."""
        done = self._tuned
        return done.scores.with_suffix(".safetensors") if done and done.scores else None

    def described(self, weights: str) -> dict[str, Any]:
        """Describe what may run and what runs, for the page.

        Parameters
        ----------
        weights
            Weights that fine-tuning would start from.
        """
        typed = {
            "workflow": shlex.join(self._workflow) or "snakemake --cores 2",
            "finetune": " && ".join(
                shlex.join(["cellsam-core", *words[3:]]) for words in self._tuning(weights, "", 1)
            ),
        }
        job = self._job.described() if self._job else None
        return {"allowed": self.is_allowed, "commands": typed, "job": job}

    def run_workflow(self) -> Job:
        """Start the command that makes the results anew."""
        return self._start(Job("workflow", [self._workflow]))

    def finetune(self, weights: str, stain: str) -> Job:
        """Collect the corrected regions and adapt weights to them.

        Parameters
        ----------
        weights
            Weights to start from.
        stain
            ``nuclear`` if the images show nuclei alone; empty otherwise.
        """
        number = self._next_number()
        scores = self._folder / FINETUNED / f"weights_{number}.json"
        return self._start(Job("finetune", self._tuning(weights, stain, number), scores))

    def _next_number(self) -> int:
        """Return the number of the next weights, so that none are overwritten."""
        names = (path.stem for path in (self._folder / FINETUNED).glob("weights_*.safetensors"))
        numbers = (name.removeprefix("weights_") for name in names)
        return 1 + max((int(n) for n in numbers if n.isascii() and n.isdecimal()), default=0)

    def _tuning(self, weights: str, stain: str, number: int) -> list[list[str]]:
        program = [sys.executable, "-m", "cellsam_core"]
        tables = self._corrections
        given = [] if tables is None else ["--corrections", self._short(tables.resolve())]
        tuned = f"{FINETUNED}/weights_{number}"
        more = ["--weights", weights, "--steps", str(self._steps)]
        more += ["--stain", stain] if stain else []
        return [
            [*program, "collect", self._short(self._results), *given, "-o", TRAINING],
            [
                *(*program, "finetune", TRAINING, "-o", f"{tuned}.safetensors"),
                *("--scores", f"{tuned}.json", *more),
            ],
        ]

    def _short(self, path: Path) -> str:
        is_below = path.is_relative_to(self._folder)
        return str(path.relative_to(self._folder) if is_below else path)

    def _start(self, job: Job) -> Job:
        with self._lock:
            if self._job is not None and self._job.state == "running":
                raise InputError(
                    "the page",
                    found=f"that the job `{self._job.name}` runs",
                    expected="one job at a time",
                    remedy="wait until it has ended, or end it",
                )
            self._job = job
        threading.Thread(target=self._run, args=(job,), daemon=True).start()
        return job

    def _run(self, job: Job) -> None:
        """Run the commands of a job one after another, until one fails."""
        state = "done"
        for words in job.commands:
            try:
                code = self._run_one(job, _with_validation(words, self._folder))
            except OSError as error:
                job.say(f"{words[0]}: {error.strerror}")
                code = 1
            if code:
                state = "failed"
                break
        job.took_s = time.monotonic() - job.began_s
        with self._lock:
            self._process = None
            if job.state == "running":
                job.state = state
            if job.scores is not None and job.state == "done":
                self._tuned = job

    def _run_one(self, job: Job, words: Sequence[str]) -> int:
        with self._lock:
            if job.state != "running":
                return 1
            process = self._process = subprocess.Popen(
                words,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # so that its own children can be ended, too
            )
        assert process.stdout is not None
        for line in process.stdout:
            job.say(line)
        return process.wait()

    def end(self, key: str) -> bool:
        """End a job as Ctrl+C does; return False if it does not run."""
        job = self._job
        with self._lock:
            if job is None or job.id != key or job.state != "running":
                return False
            job.state = "ended"
            process = self._process
        if process is not None:
            threading.Thread(target=_end, args=(process,), daemon=True).start()
        return True

    def close(self) -> None:
        """End what runs."""
        process = self._process
        if self._job is not None:
            self._job.state = "ended" if self._job.state == "running" else self._job.state
        if process is not None:
            _end(process)


def _with_validation(words: Sequence[str], folder: Path) -> list[str]:
    """Add the images that are held out to `finetune`, if `collect` found any."""
    held = f"{TRAINING}/{VALIDATION}"
    if "finetune" not in words[:4] or not (folder / held).is_dir():
        return list(words)
    return [*words, "--validation", held]


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise _refused(command, str(error)) from error
    if not words or shutil.which(words[0]) is None:
        raise _refused(command, f"no program {words[0] if words else ''}")
    return words


def _refused(command: str, found: str) -> InputError:
    return InputError(
        f"option `run-command` ({command})",
        found=found,
        expected="a command such as `snakemake --cores 2`",
        remedy="correct it, or leave it out and type the command yourself",
    )


def _end(process: subprocess.Popen[str]) -> None:
    """Interrupt a process and its children; kill them if they do not end."""
    for kind in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, kind)
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDS_WITHIN_S)
            return
