"""Every refusal has a remedy, an entry in docs/refusals.md, and nearly every one a test."""

from __future__ import annotations

from collections import Counter

import pytest
from make_refusals_table import FOLLOWED, MET, ROOT, cell_text, read_record, reason, refusals
from refusals import RECORDER, follow

from cellsam_core.files.names.pattern import compile_pattern
from cellsam_core.samples.movie_files import error

MOST_OPEN = 0.02
"""Share of refusals that no test meets, or whose remedy no test follows: it may only fall."""


def test_every_refusal_has_an_entry():
    """`make config-table` renews the page."""
    text = (ROOT / "docs" / "refusals.md").read_text(encoding="utf-8")
    missing = [
        refusal.key
        for refusal in refusals()
        if f"| {cell_text(refusal.expected)} | {cell_text(refusal.remedy)} |" not in text
    ]
    assert not missing, "run `make config-table`"


def test_remedies_are_something_to_do():
    """None is empty, and none says to remove a file of the user or to look at our code."""
    for refusal in refusals():
        assert refusal.remedy.strip(), refusal
        assert "remove the file" not in refusal.remedy, refusal
        assert not refusal.remedy.endswith("."), refusal  # the sentence ends with one


def test_nearly_every_remedy_is_followed_by_a_test_or_says_why_not():
    places = Counter(refusal.place for refusal in refusals())
    assert max(places.values()) == 1
    assert {kind for _, _, kind in read_record()} <= {MET, FOLLOWED}
    for kind in (MET, FOLLOWED):
        done = {place for place, _, seen in read_record() if seen == kind}
        lacking = [r.place for r in refusals() if r.place not in done and reason(r) == "-"]
        assert len(lacking) <= MOST_OPEN * len(places), lacking


def test_the_place_of_a_refusal_is_recorded_and_so_is_its_remedy():
    follow(
        lambda: compile_pattern("{tiem}"),
        "column `pattern`",
        None,
        lambda: compile_pattern("{time}"),
    )
    seen = RECORDER.seen[RECORDER.test]
    place = "files/names/pattern.py:compile_pattern:1"
    assert {(place, MET), (place, FOLLOWED)} <= seen
    assert error("a", "b", "c", "d").place is None  # this file is no part of the package
    with pytest.raises(AssertionError, match="not 'nothing'"):
        follow(lambda: compile_pattern("a"), "nothing")
