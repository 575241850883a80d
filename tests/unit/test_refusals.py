"""Every refusal has a remedy and an entry in docs/refusals.md."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL = runpy.run_path(str(ROOT / "tools" / "make_refusals_table.py"))


def test_every_refusal_has_an_entry():
    """`make config-table` renews the page."""
    text = (ROOT / "docs" / "refusals.md").read_text(encoding="utf-8")
    shown = TOOL["cell_text"]
    missing = [
        refusal.key
        for refusal in TOOL["refusals"]()
        if f"| {shown(refusal.expected)} | {shown(refusal.remedy)} |" not in text
    ]
    assert not missing, "run `make config-table`"


def test_remedies_are_something_to_do():
    """None is empty, and none says to remove a file of the user or to look at our code."""
    for refusal in TOOL["refusals"]():
        assert refusal.remedy.strip(), refusal
        assert "remove the file" not in refusal.remedy, refusal
        assert not refusal.remedy.endswith("."), refusal  # the sentence ends with one
