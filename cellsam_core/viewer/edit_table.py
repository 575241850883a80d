"""A table of corrections on disk: rows are appended and removed, all other bytes stay."""

from __future__ import annotations

import csv
import hashlib
import io
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

FORMULA = ("=", "+", "-", "@")
"""Beginnings of a note that a spreadsheet would take for a formula."""
_LOCK = threading.Lock()

Row = dict[str, str]


@dataclass(frozen=True)
class Record:
    """One row of the table.

    Attributes
    ----------
    values
        Column to text.
    first, last
        Its lines in the file, counted from 0; `last` is not among them.
    """

    values: Row
    first: int
    last: int


class EditTable:
    """Table that the user may also write by hand.

    Parameters
    ----------
    path
        CSV file; it is made with the first row.
    columns
        Columns of a new table; those that an older table lacks are added to its header.
    check
        Function that reads the table as the workflow does and raises InputError if it can't be
        used; called with the path of the table before it is renamed to its own name.
    """

    def __init__(self, path: Path, columns: Sequence[str], check: Callable[[Path], object]) -> None:
        self.path = path
        self._columns = columns
        self._check = check

    def checksum(self) -> str:
        """Return the checksum of the file; empty if there is none."""
        return hashlib.sha256(self._text().encode()).hexdigest()[:16] if self.path.exists() else ""

    def _text(self) -> str:
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                return file.read()
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                self.path,
                found="a table that can't be read",
                expected="a CSV file in UTF-8",
                remedy="repair it, or move it away",
            ) from error

    def records(self) -> list[Record]:
        """Return all rows with an operation."""
        return _records(self._text())

    def append(self, seen: str, rows: Sequence[Mapping[str, object]]) -> list[Row]:
        """Write rows of one action below all others.

        Parameters
        ----------
        seen
            Checksum of the table that the page shows.
        rows
            Column to value; id, group and time are added where they are not given.

        Returns
        -------
        list of dict
            The rows as they were written.

        Raises
        ------
        InputError
            The table was changed in the meantime, can't be written, or would not be usable.
        """
        group = secrets.token_hex(4)
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        written = []
        for row in rows:
            own = {"id": secrets.token_hex(4), "group": group, "time": now}
            written.append(own | {name: _as_text(value) for name, value in row.items()})
        self._change(seen, lambda text: self._with_rows(text, written))
        return written

    def _with_rows(self, text: str, rows: Sequence[Row]) -> str:
        lines = text.splitlines(keepends=True)
        end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
        if not lines:
            lines = [",".join(self._columns) + end]
        if not lines[-1].endswith(("\n", "\r")):
            lines[-1] += end
        header = next(csv.reader([lines[0]]))
        missing = [name for name in self._columns if name not in header]
        if missing:
            lines[0] = lines[0].rstrip("\r\n") + "," + ",".join(missing) + end
            header += missing
        out = io.StringIO()
        writer = csv.DictWriter(out, header, extrasaction="ignore", lineterminator=end)
        writer.writerows(rows)
        return "".join(lines) + out.getvalue()

    def remove(self, seen: str, key: str) -> list[Row]:
        """Remove a row, and those of the same action.

        Returns
        -------
        list of dict
            The rows that were removed.

        Raises
        ------
        InputError
            There is no such row, the table was changed in the meantime, or it could not be used
            without the row.
        """
        removed: list[Row] = []

        def without(text: str) -> str:
            records = _records(text)
            own = next((r for r in records if r.values.get("id") == key), None)
            if own is None:
                raise InputError(
                    self.path,
                    found=f"no row {key}",
                    expected="a row that the page wrote",
                    remedy="reload the page",
                )
            group = own.values.get("group")
            gone = [r for r in records if r is own or (group and r.values.get("group") == group)]
            removed.extend(r.values for r in gone)
            lines = text.splitlines(keepends=True)
            numbers = {k for r in gone for k in range(r.first, r.last)}
            return "".join(line for k, line in enumerate(lines) if k not in numbers)

        self._change(seen, without)
        return removed

    def _change(self, seen: str, change: Callable[[str], str]) -> None:
        with _LOCK, atomic_path(self.path) as temporary:
            if self.checksum() != seen:
                raise InputError(
                    self.path,
                    found="that the table was changed outside of this page",
                    expected="the table that the page shows",
                    remedy="the page has loaded it again, please repeat",
                )
            text = change(self._text())
            with temporary.open("w", encoding="utf-8", newline="") as file:
                file.write(text)
            try:
                self._check(temporary)
            except InputError as error:
                sentence = str(error).replace(str(temporary), self.path.name)
                raise Unusable(sentence) from error


class Unusable(InputError):
    """Error of a correction that the workflow would refuse."""

    def __init__(self, sentence: str) -> None:
        ValueError.__init__(self, sentence)
        self.where = ""


def _records(text: str) -> list[Record]:
    reader = csv.reader(io.StringIO(text, newline=""))
    header = next(reader, None)
    if header is None:
        return []
    names = [name.strip() for name in header]
    found, first = [], reader.line_num
    for cells in reader:
        if any(cell.strip() for cell in cells):
            values = dict(zip(names, (cell.strip() for cell in cells), strict=False))
            found.append(Record(values, first, reader.line_num))
        first = reader.line_num
    return found


def _as_text(value: object) -> str:
    """Write a value so that no spreadsheet runs it and no line breaks."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:g}"
    text = " ".join(str(value).split())
    is_number = isinstance(value, int)
    return f"'{text}" if text.startswith(FORMULA) and not is_number else text
