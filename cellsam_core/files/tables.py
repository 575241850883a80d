"""Small tables that a stage or the user left: parquet, csv or tsv."""

from __future__ import annotations

import csv
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.parquet import open_parquet

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


# What readers of csv, gzip, Parquet and HDF5 raise on damaged files.
READ_ERRORS = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, OverflowError),
    *(csv.Error, zlib.error, pa.ArrowException),
)
LARGEST_WHOLE = 2.0**53
"""Largest whole number that floating point holds with all its digits."""


@contextmanager
def table_errors(path: str | Path) -> Iterator[None]:
    """Turn what readers of tables raise on missing and damaged files into InputError."""
    try:
        yield
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(
            path,
            found=f"no table that can be read ({first_line(error)})",
            expected="a complete table",
            remedy="check the path, or make the file again",
        ) from error


def read_table(
    path: str | Path, columns: Sequence[str] = (), *, only: bool = False, **options: Any
) -> pd.DataFrame:
    """Read a whole table; its suffix .parquet, .tsv or anything else (csv) tells how.

    Parameters
    ----------
    path
        The file.
    columns
        Names that it must have; it may have more.
    only
        Leave its other columns unread.
    options
        For pandas' reader of text; a Parquet file has types, so with options it is not read.

    Raises
    ------
    InputError
        It can't be read, or lacks a column.
    """
    path = Path(path)
    with table_errors(path):
        if path.suffix == ".parquet" and not options:
            with open_parquet(path) as file:
                wanted = [n for n in file.schema_arrow.names if n in columns] if only else None
                table: pd.DataFrame = file.read(columns=wanted).to_pandas()
        else:
            sep = "\t" if path.suffix == ".tsv" else ","
            if only:
                options["usecols"] = lambda name: name in columns
            table = pd.DataFrame(pd.read_csv(path, **{"sep": sep} | options))
    refuse_missing(path, table, columns)
    return table


def with_sample(table: pd.DataFrame, sample: str) -> pd.DataFrame:
    """Add the name of the sample as the last column, of type text also without rows."""
    return table.assign(sample=pd.Series(sample, index=table.index, dtype=object))


def refuse_missing(path: str | Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a table that lacks a column.

    Raises
    ------
    InputError
        The message names the columns that the table has and those that it lacks.
    """
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError(
            path,
            found=f"the columns {', '.join(map(str, table.columns))}",
            expected=f"also {', '.join(missing)}",
            remedy="add them, or give the right table",
        )


def refuse_repeated(path: str | Path, ids: pd.Series[Any], what: str, remedy: str) -> None:
    """Refuse a table of one row for each `what` in which an id stands twice.

    Raises
    ------
    InputError
        It names the first such id.
    """
    twice = ids[ids.duplicated()]
    if len(twice):
        raise InputError(
            path,
            found=f"{what} {twice.iloc[0]} more than once",
            expected=f"one row a {what}",
            remedy=remedy,
        )


def plain_numbers(
    path: str | Path, table: pd.DataFrame, whole: Sequence[str], real: Sequence[str] = ()
) -> pd.DataFrame:
    """Give a table rows numbered from 0, and numbers of the types of NumPy.

    A user's table may have any index, and numbers as text, as floats or in types that know missing
    values.

    Parameters
    ----------
    path
        Path or name of the table, for the message.
    table
        The table; it is not changed.
    whole
        Columns of whole numbers, none missing.
    real
        Columns of numbers, which may be missing.

    Returns
    -------
    DataFrame
        The same rows and columns.

    Raises
    ------
    InputError
        A value is no number, or not whole.
    """
    columns: dict[str, Any] = {}
    for name in [*whole, *real]:
        dtype = table[name].dtype
        kinds = "iu" if name in whole else "iuf"
        if isinstance(dtype, np.dtype) and dtype.isnative and dtype.kind in kinds:
            continue
        numbers = pd.to_numeric(table[name], errors="coerce")
        values = numbers.to_numpy(np.float64, na_value=np.nan)
        if name in whole:
            wrong = (values % 1 != 0) | (np.abs(values) > LARGEST_WHOLE)
        else:
            wrong = np.isnan(values) & table[name].notna()
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise InputError(
                path,
                found=f"{table[name].iloc[row]} in column {name!r}, row {row + 1}",
                expected="a whole number" if name in whole else "a number",
                remedy="correct the value",
            )
        columns[name] = values.astype(np.int64) if name in whole else values
    return table.reset_index(drop=True).assign(**columns)
