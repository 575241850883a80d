"""Reader of the user's table of corrections, which checks every row."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from cellsam_core.corrections.table import read_rows
from cellsam_core.errors import InputError
from cellsam_core.files.tables import table_errors
from cellsam_core.tracking.corrections import ON_MASKS, Anchor, Correction, Operation

if TYPE_CHECKING:
    from cellsam_core.corrections.table import Row

COLUMNS = ("operation", "frame", "label", "other_frame", "other_label")
ANCHOR_COLUMNS = ("y", "x", "area_px")
"""Place of an object; with the prefix ``other_``, of the other object."""
ALONE = ("unlink", "delete")


def read_corrections(path: str | Path) -> list[Correction]:
    """Read ``corrections.csv``; empty rows, comments and notes are ignored.

    Parameters
    ----------
    path
        Table with the columns operation, frame, label, other_frame and other_label; see
        :class:`cellsam_core.tracking.corrections.Correction`. It may have the places of the
        objects (y, x, area_px, other_y, other_x, other_area_px), and masks, the checksum of the
        table of cells that they were taken from.

    Returns
    -------
    list of Correction
        Corrections in the order of the rows.

    Raises
    ------
    InputError
        An operation is unknown, a frame or label is not a number, an object is missing or
        superfluous, frames are in the wrong order, or two rows contradict each other.
    """
    with table_errors(path):
        Path(path).open("rb").close()  # a table that was named must be there
    rows = [row for row in read_rows(path, COLUMNS).rows if any(row[name] for name in COLUMNS)]
    corrections = [_parse(row) for row in rows]
    for masks in {one.masks for one in corrections}:
        # The same number is another cell in other masks.
        refuse_contradictions([one for one in corrections if one.masks == masks])
    return corrections


def _parse(row: Row) -> Correction:
    where, cells = row.where, [row[name] for name in COLUMNS]
    operation = cells[0]
    if operation not in get_args(Operation):
        raise _error(where, f"operation {operation!r}", "one of " + ", ".join(get_args(Operation)))
    if operation in ALONE and any(cells[3:]):
        raise _error(where, f"{operation} of two objects", "nothing in other_frame and other_label")
    used = 3 if operation in ALONE else 5
    frame, label, *other = (
        _number(where, column, text)
        for column, text in zip(COLUMNS[1:used], cells[1:used], strict=True)
    )
    if operation == "merge" and not (other[0] == frame and other[1] != label):
        raise _error(where, f"label {other[1]} in frame {other[0]}", f"another of frame {frame}")
    if operation in ("link", "set-parent") and other[0] >= frame:
        raise _error(where, f"other_frame {other[0]}", f"a frame before frame {frame}")
    other_frame, other_label = other or (None, None)
    frames = [frame, *other[:1]]
    prefixes = ("", "other_")[: len(frames)]
    anchors = [_anchor(row, f, prefix) for f, prefix in zip(frames, prefixes, strict=True)]
    return Correction(
        where,
        cast("Operation", operation),
        frame,
        label,
        other_frame,
        other_label,
        id=row["id"],
        number=row.number,
        anchors=tuple(filter(None, anchors)) if all(anchors) else (),
        masks=row["masks"],
    )


def _anchor(row: Row, frame: int, prefix: str) -> Anchor | None:
    """Read the place of an object; None if the row has none."""
    names = [f"{prefix}{name}" for name in ANCHOR_COLUMNS]
    if not any(row[name] for name in names):
        return None
    try:
        y, x = (float(row[name]) for name in names[:2])
    except ValueError:
        y = x = math.nan
    if not (math.isfinite(y) and math.isfinite(x)):
        found = f"{names[0]} {row[names[0]]!r} and {names[1]} {row[names[1]]!r}"
        raise _error(row.where, found, "two numbers, in pixels")
    return Anchor(frame, y, x, _number(row.where, names[2], row[names[2]]))


def _number(where: str, column: str, text: str) -> int:
    smallest = 1 if column.endswith("label") else 0
    if not (text.isascii() and text.isdecimal()) or int(text) < smallest:
        raise _error(where, f"{column} {text!r}", f"a whole number from {smallest} on")
    return int(text)


def refuse_contradictions(corrections: list[Correction]) -> None:
    """Refuse rows that give an object two pasts or futures, or use it after its removal.

    Parameters
    ----------
    corrections
        Rows for the same masks, in the order of their table.

    Raises
    ------
    InputError
        Two rows contradict each other.
    """
    decided: dict[tuple[str, tuple[int, int]], Correction] = {}
    for one in corrections:
        own, other = (one.frame, one.label), one.other
        claims = [("past", own)] if one.operation not in ON_MASKS else [("gone", other or own)]
        if one.operation == "link" and other is not None:
            claims.append(("next", other))
        for claim in claims:
            if decided.setdefault(claim, one) is not one:
                raise _second(one, claim[1], decided[claim])
        if one.operation == "set-parent" and other is not None:
            # Below a link there is no contradiction: the cell that goes on is a daughter, too.
            decided.setdefault(("next", other), one)
    for one in corrections:
        for key in filter(None, ((one.frame, one.label), one.other)):
            gone = decided.get(("gone", key), one)
            if gone is not one:
                raise _second(one, key, gone)


def _second(one: Correction, key: tuple[int, int], first: Correction) -> InputError:
    return InputError(
        one.where,
        found=f"{one.operation} of label {key[1]} in frame {key[0]}",
        expected=f"one correction of this cell ({first.where} is {first.operation})",
        remedy="remove one of the two rows",
    )


def _error(where: str, found: str, expected: str) -> InputError:
    return InputError(where, found=found, expected=expected, remedy="correct the row")
