"""Reader of the user's table of corrections, which checks every row."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, get_args

from cellsam_core.errors import InputError
from cellsam_core.files.tables import read_table
from cellsam_core.tracking.corrections import ON_MASKS, Correction, Operation

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("operation", "frame", "label", "other_frame", "other_label")
ALONE = ("unlink", "delete")


def read_corrections(path: str | Path) -> list[Correction]:
    """Read ``corrections.csv``; empty rows and additional columns, such as notes, are ignored.

    Parameters
    ----------
    path
        Table with the columns operation, frame, label, other_frame and other_label; see
        :class:`cellsam_core.tracking.corrections.Correction`.

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
    table = read_table(path, COLUMNS, dtype=str, keep_default_na=False, skip_blank_lines=False)
    corrections = []
    for number, row in enumerate(table[list(COLUMNS)].itertuples(index=False, name=None), start=2):
        cells = [str(cell).strip() for cell in row]
        if any(cells):
            corrections.append(_parse(f"{path}, row {number}", cells))
    _refuse_contradictions(corrections)
    return corrections


def _parse(where: str, cells: list[str]) -> Correction:
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
    return Correction(where, cast("Operation", operation), frame, label, *other)


def _number(where: str, column: str, text: str) -> int:
    smallest = 1 if column.endswith("label") else 0
    if not (text.isascii() and text.isdecimal()) or int(text) < smallest:
        raise _error(where, f"{column} {text!r}", f"a whole number from {smallest} on")
    return int(text)


def _refuse_contradictions(corrections: list[Correction]) -> None:
    """Refuse rows that give an object two pasts or two successors, or use it after its removal."""
    decided: dict[tuple[str, tuple[int, int]], Correction] = {}
    for one in corrections:
        own, other = (one.frame, one.label), one.other
        claims = [("past", own)] if one.operation not in ON_MASKS else [("gone", other or own)]
        if one.operation == "link" and other is not None:
            claims.append(("next", other))
        for claim in claims:
            if decided.setdefault(claim, one) is not one:
                raise _second(one, claim[1], decided[claim])
    for one in corrections:
        for key in filter(None, ((one.frame, one.label), one.other)):
            gone = decided.get(("gone", key), one)
            if gone is not one:
                raise _second(one, key, gone)


def _second(one: Correction, key: tuple[int, int], first: Correction) -> InputError:
    return InputError(
        one.where,
        found=f"{one.operation} of label {key[1]} in frame {key[0]}",
        expected=f"no contradiction to {first.operation} of the same ({first.where})",
        remedy="remove one of the two rows",
    )


def _error(where: str, found: str, expected: str) -> InputError:
    return InputError(where, found=found, expected=expected, remedy="correct the row")
