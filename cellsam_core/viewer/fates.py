"""Comparison of a table of corrections with what the last run has made of its rows."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    Row = dict[str, str]


def compared(
    rows: Sequence[Row], outcomes: Sequence[Row], by_hand: Sequence[str]
) -> tuple[list[dict[str, Any]], list[Row]]:
    """Compare a user's table with the outcomes that the last run has listed.

    Parameters
    ----------
    rows
        Rows of the table.
    outcomes
        Rows of ``corrections.csv`` in the results.
    by_hand
        Columns that tell a row without an id.

    Returns
    -------
    fates : list of dict
        For each row: ``waiting``, true until a run has seen the row; ``lost``, the reason why it
        was not carried out; ``found_anyway``, true if the segmentation finds the added cell, too.
    taken_back : list of dict
        Outcomes of rows that were carried out and are no longer in the table. The results have
        them until the next run.

    Examples
    --------
    >>> done = [{"id": "a", "operation": "delete", "frame": "3", "found": "yes"}]
    >>> row = {"id": "b", "operation": "delete", "frame": "3"}
    >>> fates, taken_back = compared([row], done, ("operation", "frame"))
    >>> fates[0]["waiting"], [outcome["id"] for outcome in taken_back]
    (True, ['a'])
    """
    left: defaultdict[tuple[str, ...], list[Row]] = defaultdict(list)
    for outcome in outcomes:
        left[_key(outcome, by_hand)].append(outcome)
    fates = [_fate(row, left[_key(row, by_hand)]) for row in rows]
    gone = [outcome for alike in left.values() for outcome in alike]
    return fates, [outcome for outcome in gone if outcome["found"] == "yes"]


def _key(row: Row, by_hand: Sequence[str]) -> tuple[str, ...]:
    if row.get("id"):
        return (row["id"],)
    cells = [row.get(name, "") for name in by_hand]
    return tuple(str(int(text)) if text.isdecimal() else text for text in cells)


def _fate(row: Row, alike: list[Row]) -> dict[str, Any]:
    """Tell what became of a row, and take its outcome from those of rows like it."""
    if not alike:
        # A row with nothing but a note is none.
        return {"waiting": bool(row.get("operation")), "lost": "", "found_anyway": False}
    outcome = alike.pop(0)
    is_found = outcome["found"] == "yes"
    is_added = outcome["operation"] == "add" and is_found
    return {
        "waiting": False,
        "lost": "" if is_found else outcome.get("reason") or "not found",
        "found_anyway": is_added and outcome.get("iou", "") != "",
    }
