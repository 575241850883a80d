"""Tables of corrections on disk: rows are read, added and removed; all other bytes stay.

The tables belong to the user. A page and a person may write one in turn, so that everything that
the program did not write itself is kept byte for byte: order of the columns, empty lines, and
comments, which are lines that begin with ``#``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.tables import table_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Check = Callable[[Path], object]

SERIAL_OF_REMOVED = re.compile(r"# serial (\d+) was used")


@dataclass(frozen=True)
class Row:
    """One row of a table of corrections.

    Attributes
    ----------
    where
        File and row, for error messages.
    number
        Number of the row; the header is row 1.
    values
        Text of each column, without spaces around it.
    text
        The row as it stands in the file, with its line end.
    """

    where: str
    number: int
    values: dict[str, str]
    text: str

    def __getitem__(self, column: str) -> str:
        return self.values.get(column, "")


@dataclass(frozen=True)
class Table:
    """A table of corrections.

    Attributes
    ----------
    columns
        Names of the columns in the order of the file.
    rows
        Rows that are not empty.
    pieces
        Header and all rows, comments and empty lines, each as text with its line end.
    checksum
        SHA-256 of the file; empty without a file.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    pieces: tuple[str, ...]
    checksum: str

    @property
    def ids(self) -> set[str]:
        """Ids of all rows that have one."""
        return {row["id"] for row in self.rows} - {""}

    def next_serial(self) -> int:
        """Return a number for a new cell that no row has or had."""
        used = [int(row["serial"]) for row in self.rows if row["serial"].isdecimal()]
        used += [int(m[1]) for p in self.pieces if (m := SERIAL_OF_REMOVED.match(p))]
        return max(used, default=-1) + 1


def checksum_of(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits; empty without a file."""
    path = Path(path)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def refuse_changed(path: str | Path, checksum: str) -> None:
    """Refuse to end a job whose table was changed while it ran.

    Its outputs would be newer than the table, so that nothing would carry out the new rows.

    Parameters
    ----------
    path
        Table of corrections.
    checksum
        That of the table that was read, see :func:`checksum_of`.

    Raises
    ------
    InputError
        The table has another checksum now.
    """
    if checksum_of(path) != checksum:
        raise InputError(
            Path(path),
            found="other rows than when the job began",
            expected="a table that nobody changes while its corrections are carried out",
            remedy="run the workflow again",
        )


def read_rows(path: str | Path, columns: Sequence[str]) -> Table:
    """Read a table of corrections; it may have more columns.

    Parameters
    ----------
    path
        Table as csv, or as tsv with that suffix. Without a file the table is empty.
    columns
        Columns that it must have.

    Raises
    ------
    InputError
        It can't be read, lacks a column, or a row has more cells than the header.
    """
    path = Path(path)
    if not path.exists():
        return Table((), (), (), "")
    with table_errors(path):
        content = path.read_bytes()
        pieces = tuple(_records(content.decode("utf-8")))
    found: tuple[str, ...] = ()
    rows = []
    for number, piece in enumerate(pieces, start=1):
        if piece.lstrip("\ufeff").startswith("#") or not piece.strip():
            continue
        with table_errors(path):
            line = io.StringIO(piece.removeprefix("\ufeff"), newline="")
            cells = [c.strip() for c in next(csv.reader(line, delimiter=_separator(path)))]
        if not found:
            found = tuple(cells)
            _refuse_lacking(path, found, columns)
        elif any(cells):
            rows.append(_row(path, number, dict(zip(found, cells, strict=False)), piece))
            if any(cells[len(found) :]):
                raise InputError(
                    rows[-1].where,
                    found=f"{len(cells)} cells",
                    expected=f"{len(found)}, one for each column",
                    remedy="quote a text that has a comma, or name the column",
                )
    if not found and columns:
        _refuse_lacking(path, found, columns)
    return Table(found, tuple(rows), pieces, hashlib.sha256(content).hexdigest())


def _row(path: Path, number: int, values: dict[str, str], text: str) -> Row:
    return Row(f"{path}, row {number}", number, values, text)


def _separator(path: Path) -> str:
    return "\t" if path.suffix == ".tsv" else ","


def _records(text: str) -> Iterator[str]:
    """Split a table into records, each of which may have line ends inside of quotes."""
    held = ""
    for line in io.StringIO(text, newline=""):
        held += line
        if held.startswith("#") or held.count('"') % 2 == 0:
            yield held
            held = ""
    if held:
        raise ValueError("a quote that is not closed")


def _refuse_lacking(path: Path, found: Sequence[str], columns: Sequence[str]) -> None:
    lacking = [name for name in columns if name not in found]
    if lacking:
        raise InputError(
            path,
            found=f"the columns {', '.join(found) or 'of an empty file'}",
            expected=f"also {', '.join(lacking)}",
            remedy="add them, or give the right table",
        )


def append_rows(
    path: str | Path,
    columns: Sequence[str],
    rows: Sequence[dict[str, str]],
    *,
    seen: str,
    check: Check,
) -> tuple[list[str], str]:
    """Add rows at the end of a table, which is made if need be.

    Parameters
    ----------
    path
        Table of corrections.
    columns
        Columns of a new table; those that an old one lacks are added at the right.
    rows
        Text of each column. A row without ``id`` is given one of eight hexadecimal digits.
    seen
        Checksum of the table that the user looked at, empty if there was none.
    check
        Function of the path of the new table, which raises if it can't be used. It then does not
        replace the old one.

    Returns
    -------
    ids : list of str
        Ids of the new rows.
    checksum : str
        Checksum of the new table.

    Raises
    ------
    InputError
        The table was changed by someone else, another process writes it, or `check` refused it.
    """
    path = Path(path)
    with atomic_path(path) as temporary:
        table = _unchanged(path, seen)
        header = [*table.columns, *(c for c in columns if c not in table.columns)]
        ids = _new_ids(table, rows)
        end = "\r\n" if table.pieces and table.pieces[0].endswith("\r\n") else "\n"
        pieces = _with_header(path, table, header, end)
        for own, row in zip(ids, rows, strict=True):
            values = {"id": own} | row
            pieces.append(_as_line(path, [values.get(name, "") for name in header], end))
        return ids, _write(path, temporary, pieces, check)


def _new_ids(table: Table, rows: Sequence[dict[str, str]]) -> list[str]:
    taken, ids = set(table.ids), []
    for row in rows:
        own = row.get("id") or secrets.token_hex(4)
        while own in taken and not row.get("id"):
            own = secrets.token_hex(4)
        taken.add(own)
        ids.append(own)
    return ids


def _with_header(path: Path, table: Table, header: list[str], end: str) -> list[str]:
    """Return the pieces of a table, of which the header has the columns `header`."""
    pieces = list(table.pieces)
    if pieces and not pieces[-1].endswith(("\n", "\r")):
        pieces[-1] += end
    if tuple(header) == table.columns:
        return pieces
    more = _as_line(path, header[len(table.columns) :], "")
    if not table.columns:
        return [*pieces, more + end]
    at = next(i for i, p in enumerate(pieces) if p.strip() and not p.startswith("#"))
    line = pieces[at].rstrip("\r\n")
    pieces[at] = line + _separator(path) + more + pieces[at][len(line) :]
    return pieces


def _as_line(path: Path, cells: Sequence[str], end: str) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream, delimiter=_separator(path), lineterminator=end).writerow(cells)
    return stream.getvalue()


def remove_rows(path: str | Path, ids: Sequence[str], *, seen: str, check: Check) -> str:
    """Remove rows by their ids; rows without an id, which a person wrote, can't be removed.

    Parameters
    ----------
    path
        Table of corrections.
    ids
        Ids of the rows.
    seen
        Checksum of the table that the user looked at.
    check
        Function of the path of the new table, which raises if it can't be used.

    Returns
    -------
    str
        Checksum of the new table.

    Raises
    ------
    InputError
        The table was changed by someone else, has no such row, another process writes it, or
        `check` refused it.
    """
    path = Path(path)
    with atomic_path(path) as temporary:
        table = _unchanged(path, seen)
        missing = [one for one in ids if one not in table.ids]
        if missing or "" in ids:
            raise InputError(
                path,
                found=f"no row with the id {missing[0]!r}" if missing else "a row without an id",
                expected="rows that were added by the program",
                remedy="reload the page, or remove the row by hand",
            )
        pieces = list(table.pieces)
        removed = [row for row in table.rows if row["id"] in ids]
        used = [int(row["serial"]) for row in removed if row["serial"].isdecimal()]
        last = removed[0].number - 1
        for row in removed:
            pieces[row.number - 1] = ""
        if used and max(used) == table.next_serial() - 1:
            # The number of a cell is never given again, so that no other row can mean it.
            pieces[last] = f"# serial {max(used)} was used\n"
        return _write(path, temporary, pieces, check)


def _unchanged(path: Path, seen: str) -> Table:
    table = read_rows(path, ())
    if table.checksum != seen:
        raise InputError(
            path,
            found="a table that was changed outside",
            expected="the table that is shown",
            remedy="reload it and repeat the correction",
        )
    return table


def _write(path: Path, temporary: Path, pieces: list[str], check: Check) -> str:
    with temporary.open("wb") as file:
        file.write("".join(pieces).encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
    try:
        check(temporary)
    except InputError as error:
        # The user knows the table by its own name.
        error.args = (str(error).replace(str(temporary), str(path)),)
        raise
    return checksum_of(temporary)
