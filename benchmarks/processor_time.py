"""Time of the processor that a program took, with all its children, also those that have ended."""

from __future__ import annotations

import psutil


def busy_s() -> float:
    """Return the time of the processor so far, of this process and all that it started, seconds.

    A child that has ended is counted by its parent, so that the number never falls.
    """
    own = psutil.Process()
    total = 0.0
    for process in (own, *own.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # ended since the list was made: now in its parent's sum
            return busy_s()
        ended = getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        total += times.user + times.system + ended
    return total
