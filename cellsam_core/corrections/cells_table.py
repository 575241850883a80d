"""Reader of the table of corrections of cells, which checks every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, cast, get_args

from cellsam_core.corrections.outlines import parse_points
from cellsam_core.corrections.table import read_rows
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.corrections.outlines import Points
    from cellsam_core.corrections.table import Row

CellOperation = Literal["add", "delete", "merge", "split", "redraw", "complete"]
CELL_COLUMNS: Final = (
    *("id", "group", "time", "source", "note"),
    *("operation", "frame", "outline", "anchor", "other", "box", "serial", "masks", "weights"),
)
"""Columns of ``<sample>.cells.csv``."""

NEEDED: Final = ("operation", "frame")
OUTLINES: dict[str, tuple[str, ...]] = {
    "add": ("outline",),
    "delete": ("anchor",),
    "merge": ("anchor", "other"),
    "split": ("anchor", "other"),
    "redraw": ("anchor", "outline"),
    "complete": ("outline",),
}
"""Columns with corners that each operation needs."""
WITH_NEW_CELL = ("add", "split")


@dataclass(frozen=True)
class CellCorrection:
    """One correction of cells.

    Attributes
    ----------
    where
        File and row, for error messages.
    number
        Number of the row; the header is row 1.
    id
        Id of the row; empty if a person wrote it.
    operation
        ``add``: a new cell. ``delete``: the cell is none. ``merge``: two cells are one. ``split``:
        a cut divides a cell. ``redraw``: the cell has another outline. ``complete``: every cell of
        a region is right; no pixel changes.
    frame
        Frame, counted from 0; 0 in tissues.
    outline
        New outline of the cell (``add``, ``redraw``), or the region (``complete``), ``(n, 2)``
        corners ``x, y`` in pixels; None for the other operations.
    anchor
        Outline of the cell that is meant, as it was; None for ``add`` and ``complete``.
    other
        ``merge``: outline of the second cell. ``split``: corners of the cut. None for the others.
    serial
        Number of the new cell among those of the table (``add``, ``split``); None for the others.
    masks
        Checksum of the automatic table of cells that the user looked at; empty if not known.
    """

    where: str
    number: int
    id: str
    operation: CellOperation
    frame: int
    outline: Points | None = None
    anchor: Points | None = None
    other: Points | None = None
    serial: int | None = None
    masks: str = ""


def read_cell_corrections(path: str | Path) -> list[CellCorrection]:
    """Read ``<sample>.cells.csv``; empty rows, comments and additional columns are ignored.

    Parameters
    ----------
    path
        Table with the columns :data:`CELL_COLUMNS`; without a file there is no correction.

    Returns
    -------
    list of CellCorrection
        Corrections in the order of the rows.

    Raises
    ------
    InputError
        An operation is unknown, a frame is not a number, an outline is missing, superfluous or
        broken, or two new cells have the same number.
    """
    found = [_parse(row) for row in read_rows(path, NEEDED).rows]
    serials: dict[int, CellCorrection] = {}
    for one in found:
        if one.serial is not None and serials.setdefault(one.serial, one) is not one:
            raise _error(
                one.where, f"the serial {one.serial} of row {serials[one.serial].number}", "another"
            )
    return found


def _parse(row: Row) -> CellCorrection:
    operation = row["operation"]
    if operation not in get_args(CellOperation):
        known = ", ".join(get_args(CellOperation))
        raise _error(row.where, f"operation {operation!r}", f"one of {known}")
    needed = OUTLINES[operation]
    for column in ("outline", "anchor", "other"):
        if bool(row[column]) != (column in needed):
            found = f"no {column}" if column in needed else f"the {column} of a cell"
            wanted = " and ".join(needed)
            raise _error(row.where, f"{found} for {operation}", f"{wanted} only")
    corners = {
        column: parse_points(
            row[column], row.where, column, at_least=2 if _is_cut(operation, column) else 3
        )
        for column in needed
    }
    return CellCorrection(
        where=row.where,
        number=row.number,
        id=row["id"],
        operation=cast("CellOperation", operation),
        frame=_number(row, "frame"),
        serial=_number(row, "serial") if operation in WITH_NEW_CELL else None,
        masks=row["masks"],
        **corners,
    )


def _is_cut(operation: str, column: str) -> bool:
    return operation == "split" and column == "other"


def _number(row: Row, column: str) -> int:
    text = row[column]
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise _error(row.where, f"{column} {text!r}", "a whole number from 0 on")
    return int(text)


def _error(where: str, found: str, expected: str) -> InputError:
    return InputError(where, found=found, expected=expected, remedy="correct or remove the row")
