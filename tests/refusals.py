"""Which test meets which refusal, and follows its remedy: recorded while the tests run.

`tests/refusals.tsv` holds the record, from which docs/refusals.md is made. A place is module,
function and number in the function, so that other words need no new record. After a run in which
a test does not meet what the record says of it, pytest ends with an error.
"""

from __future__ import annotations

import functools
import re
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from make_refusals_table import FOLLOWED, MET, calls_in, read_record, refusals, write_record

from cellsam_core import errors
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path(errors.__file__).parent
HELPER = ("movie_files.py", "error")
"""Makes an error for its caller."""


class Recorder:
    """Places that were reached by each test.

    Attributes
    ----------
    test
        File and function of the test that runs.
    seen
        Test -> places, with ``met`` or ``followed``.
    passed, failed, skipped
        Tests by their outcome; one with several sets of parameters may have several.
    """

    def __init__(self) -> None:
        self.test = ""
        self.seen: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self.passed: set[str] = set()
        self.failed: set[str] = set()
        self.skipped: set[str] = set()

    def note(self, place: str | None, kind: str) -> None:
        if place and self.test:
            self.seen[self.test].add((place, kind))


RECORDER = Recorder()


@functools.cache
def _calls(path: Path) -> list[Any]:
    return calls_in(path)


def _place(frame: Any) -> str | None:
    """Name the place of the code that made an error; None outside of the package."""
    path = Path(frame.f_code.co_filename)
    if (path.name, frame.f_code.co_name) == HELPER:
        frame = frame.f_back
        path = Path(frame.f_code.co_filename)
    if not path.is_relative_to(PACKAGE):
        return None
    around = [c for c in _calls(path) if c.first_line <= frame.f_lineno <= c.last_line]
    return max(around, key=lambda c: c.first_line).place if around else None


def watch() -> None:
    """Let every error note where it was made, and keep its remedy."""
    make = InputError.__init__

    def init(self: Any, where: Any, *, found: str, expected: str, remedy: str) -> None:
        make(self, where, found=found, expected=expected, remedy=remedy)
        self.place, self.remedy = _place(sys._getframe(1)), remedy
        RECORDER.note(self.place, MET)

    InputError.__init__ = init  # type: ignore[method-assign]


def follow(
    attempt: Callable[[], Any],
    remedy: str,
    mend: Callable[[], Any] | None = None,
    then: Callable[[], Any] | None = None,
) -> Any:
    """See that an attempt is refused, do what the remedy says, and see that it works then.

    Parameters
    ----------
    attempt
        What is refused.
    remedy
        Expression that the remedy, not the whole sentence, must contain.
    mend
        Does what the remedy says to files; nothing if it is about options.
    then
        The attempt with other options; None repeats the attempt.

    Returns
    -------
    Any
        Result of the last call.
    """
    with pytest.raises(InputError) as caught:
        attempt()
    error: Any = caught.value
    while not hasattr(error, "place"):  # the same, with the sample's name before it
        error = error.__cause__
    assert re.search(remedy, error.remedy), f"{error}\nnot {remedy!r}"
    if mend is not None:
        mend()
    result = (then or attempt)()
    RECORDER.note(error.place, FOLLOWED)
    return result


def finish(config: pytest.Config) -> list[str]:
    """Compare with the record, or renew it; return what does not fit."""
    recorded = read_record()
    done = RECORDER.passed - RECORDER.failed
    # With some sets of its parameters only, a test need not meet all.
    chosen = config.option.keyword or config.option.markexpr or any("::" in a for a in config.args)
    if config.getoption("record_refusals"):
        kept = {line for line in recorded if chosen or line[1] not in done}
        new = {(place, test, kind) for test in done for place, kind in RECORDER.seen[test]}
        write_record(kept | new)
        return []
    if chosen or RECORDER.failed:
        return []
    lacking = [
        line
        for line in recorded
        if line[1] in done - RECORDER.skipped and (line[0], line[2]) not in RECORDER.seen[line[1]]
    ]
    places = {refusal.place for refusal in refusals()} if lacking else set()
    return sorted(
        f"{test} no longer {'follows' if kind == FOLLOWED else 'meets'} the refusal {place}"
        for place, test, kind in lacking
        if place in places  # one that is gone needs no test
    )
