"""Cells of a sample sheet: text separated by tabs, semicolons or commas, or an Excel file."""

from __future__ import annotations

import csv
import io
import itertools
from typing import TYPE_CHECKING
from zipfile import BadZipFile

from cellsam_core.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

DELIMITERS = ("\t", ";", ",")
EXCEL_SUFFIXES = (".xlsx", ".xlsm")
COMMENT = "#"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_cells(path: Path, known: Collection[str]) -> list[tuple[int, dict[str, str]]]:
    """Read the filled cells of each row of a sheet.

    Parameters
    ----------
    path
        Text whose header is separated by tabs, semicolons or commas, or a file of Excel, of which
        the first sheet is read.
    known
        Names of columns in small letters; a header with capitals is taken as one of them.

    Returns
    -------
    list of (int, dict)
        Number of the row, as a spreadsheet counts it (the header is row 1), and column to text.
        Empty rows are left out, and rows that begin with the sign #.

    Raises
    ------
    InputError
        The file can't be read, or a row has more cells than the header.
    """
    is_excel = path.suffix.lower() in EXCEL_SUFFIXES
    rows = _excel_rows(path) if is_excel else _text_rows(path)
    filled = [(n, cells) for n, cells in rows if any(cells) and cells[0][:1] != COMMENT]
    if not filled:
        return []
    header = [_column_name(name, known) for name in filled[0][1]]
    _refuse_repeated(path, header)
    return [(number, _named(path, number, header, cells)) for number, cells in filled[1:]]


def _column_name(name: str, known: Collection[str]) -> str:
    return name.lower() if name.lower() in known else name


def _refuse_repeated(path: Path, header: list[str]) -> None:
    twice = [name for name in header if name and header.count(name) > 1]
    if twice:
        raise InputError(
            f"{path}, row 1",
            found=f"the column {twice[0]!r} twice",
            expected="each column once",
            remedy="remove or rename one of the two columns",
        )


def _named(path: Path, number: int, header: list[str], cells: list[str]) -> dict[str, str]:
    """Give the filled cells of a row the names of their columns."""
    row = {}
    for name, cell in itertools.zip_longest(header, cells, fillvalue=""):
        if cell and not name:
            raise InputError(
                f"{path}, row {number}",
                found=f"more cells than columns, {cell!r} among them",
                expected="a name over every column",
                remedy="remove the additional cells, name their columns, or put quotes around a"
                " cell that contains the separator",
            )
        if cell:
            row[name] = cell
    return row


def _text_rows(path: Path) -> list[tuple[int, list[str]]]:
    text = _decode(path)
    lines = (line for line in text.splitlines() if line.strip() and line[0] != COMMENT)
    first = next(lines, "")
    delimiter = next((sign for sign in DELIMITERS if sign in first), None)
    if delimiter is None and len(first.split()) > 1:
        raise InputError(
            f"{path}, row 1",
            found=f"{first.strip()[:60]!r} without a tab, semicolon or comma",
            expected="names of columns separated by one of these signs",
            remedy="save the sheet as csv, or put one tab between two columns",
        )
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or "\t", strict=True)
    try:
        return [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:  # a quote that is never closed would swallow the rows below it
        raise InputError(
            path,
            found=str(error),
            expected="a table of text",
            remedy="look for a quote that is not closed",
        ) from error


def _decode(path: Path) -> str:
    raw = path.read_bytes()
    if raw.startswith(b"PK\x03\x04"):
        raise InputError(
            path,
            found="a file of Excel",
            expected="text, or a name that ends in .xlsx",
            remedy="rename the file, or save it as csv",
        )
    try:
        return raw.decode("utf-16" if raw.startswith(UTF16_MARKS) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            path,
            found="bytes that are not UTF-8 text",
            expected="a table of text in UTF-8",
            remedy='save it in Excel as "CSV UTF-8", or as .xlsx',
        ) from error


def _excel_rows(path: Path) -> list[tuple[int, list[str]]]:
    import pandas as pd  # takes a second to load

    try:
        table = pd.read_excel(path, header=None, dtype=str, keep_default_na=False)
    except ImportError as error:
        raise InputError(
            path,
            found="a file of Excel, and no package openpyxl to read it",
            expected="text, or the package openpyxl",
            remedy="save the sheet as csv, or type: pip install openpyxl",
        ) from error
    except (OSError, ValueError, LookupError, SyntaxError, TypeError, BadZipFile) as error:
        raise InputError(
            path,
            found=f"no sheet that can be read ({first_line(error)})",
            expected="a complete file of Excel",
            remedy="open it in Excel and save it again, or save it as csv",
        ) from error
    words = {"True": "true", "False": "false", "nan": ""}
    return [
        (number, [words.get(str(cell), str(cell)).strip() for cell in row])
        for number, row in enumerate(table.itertuples(index=False, name=None), start=1)
    ]
