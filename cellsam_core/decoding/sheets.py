"""Tables of raw rounds as spreadsheets and programs write them: separators, spaces, numbers."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.files.tables import read_table, refuse_missing, table_errors

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

OTHER_SUFFIXES = (".xlsx", ".xls", ".ods", ".numbers", ".tsv", ".txt")
SEPARATORS = (";", "\t", ",")


def separator_of(path: Path) -> str:
    """Tell what parts the values of a table, by its first line that is not empty.

    Raises
    ------
    InputError
        The file can't be read.
    """
    with table_errors(path), path.open(encoding="utf-8-sig") as file:
        line = next((line.strip() for line in file if line.strip()), "")
    spaces = r"\s+" if re.search(r"\S\s+\S", line) else ","
    return next((each for each in SEPARATORS if each in line), spaces)


def read_sheet(path: Path, columns: Sequence[str] = (), **options: Any) -> pd.DataFrame:
    """Read a table as text without spaces around it; empty rows are left out.

    Parameters
    ----------
    path
        The file; commas, semicolons, tabs or spaces part its values.
    columns
        Names that it must have; it may have more.
    options
        For pandas' reader of text.

    Raises
    ------
    InputError
        It can't be read, or lacks a column.
    """
    said: dict[str, Any] = {"dtype": str, "keep_default_na": False, "encoding": "utf-8-sig"}
    table: pd.DataFrame = read_table(path, sep=separator_of(path), **said, **options).fillna("")
    table = table.rename(columns=lambda name: str(name).strip())
    table = table.apply(lambda column: column.str.strip())
    refuse_missing(path, table, columns)
    return table[(table != "").any(axis=1)]


def as_number(text: str) -> float:
    """Read a number, whose decimal point may be a comma.

    Raises
    ------
    ValueError
        It is none.
    """
    number = float(text.replace(",", "."))
    if not isfinite(number):
        raise ValueError(f"{text!r} is no number")
    return number


def as_whole(text: str) -> int:
    """Read a whole number, which a spreadsheet may have written as ``3.0``.

    Raises
    ------
    ValueError
        It is none, or below -1, which stands for images of no round.

    Examples
    --------
    >>> as_whole("3.0"), as_whole("-1")
    (3, -1)
    """
    if not re.fullmatch(r"-1(\.0*)?|\+?\d+(\.0*)?", text):
        raise ValueError(f"{text!r} is no whole number")
    return int(float(text))


def refuse_spreadsheet(folder: Path, pattern: re.Pattern[str]) -> None:
    """Refuse a table that lies in a folder as another kind of file than csv.

    Parameters
    ----------
    folder
        Folder of the raw rounds.
    pattern
        Expression of the table's name.

    Raises
    ------
    InputError
        There is one; the message names it.
    """
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.suffix.lower() in OTHER_SUFFIXES and pattern.search(file.stem):
            raise InputError(
                folder,
                found=f"the table {file.name}",
                expected="a csv",
                remedy=f"save it as {file.stem}.csv",
            )
