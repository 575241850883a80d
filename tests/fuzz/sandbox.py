"""Runs a function in a forked process with limits of time and memory; start-up is paid once."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

LIMIT_S = 60
LIMIT_BYTES = 2 << 30
CRASHED = 70


@dataclass(frozen=True)
class Outcome:
    """What became of a command.

    Attributes
    ----------
    status
        Exit status; negative: the signal that ended it.
    seconds, peak_bytes
        Of processor time and of resident memory, what was shared with the parent included.
    text
        Standard output and standard error together.
    """

    status: int
    seconds: float
    peak_bytes: int
    text: str


def run(function: Callable[[], int]) -> Outcome:
    """Call `function` in a child; it may take 60 s and 2 GB more than the parent has."""
    with tempfile.TemporaryFile() as output:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            _be_child(function, output.fileno())
        status, usage = _wait(child)
        output.seek(0)
        text = output.read().decode(errors="replace")
    seconds = usage.ru_utime + usage.ru_stime
    return Outcome(status, seconds, usage.ru_maxrss * 1024, text)


def _wait(child: int) -> tuple[int, resource.struct_rusage]:
    """Wait for a child; one that sleeps for ever is killed (busy machines get four times 60 s)."""
    deadline = time.monotonic() + 4 * LIMIT_S
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), usage
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)


def _be_child(function: Callable[[], int], output: int) -> None:
    status = CRASHED
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
            own = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (own + LIMIT_BYTES, own + LIMIT_BYTES))
        status = function()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:  # noqa: BLE001 what a user would see is what is judged
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
