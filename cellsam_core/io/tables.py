"""Small tables that a stage or the user left: parquet, csv or tsv."""

from __future__ import annotations

import csv
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cellsam_core.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


# What readers of csv, gzip, Parquet and HDF5 raise on damaged files.
READ_ERRORS = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, OverflowError),
    *(csv.Error, zlib.error, pa.ArrowException),
)
CHECKED: dict[str, Any] = {"page_checksum_verification": True}
"""For readers of Parquet: damage in a page that has a checksum is an error."""


def parquet_writer(
    path: Path, schema: pa.Schema, *, dictionaries: bool | list[str] = True
) -> pq.ParquetWriter:
    """Open a Parquet file for writing, inside an ``atomic_path``; each page has a checksum.

    `dictionaries` are the columns in which values repeat; True: all are tried.
    """
    return pq.ParquetWriter(
        path, schema, compression="zstd", write_page_checksum=True, use_dictionary=dictionaries
    )


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
        For pandas' reader.

    Raises
    ------
    InputError
        It can't be read, or lacks a column.
    """
    path = Path(path)
    with table_errors(path):
        if path.suffix == ".parquet":
            if only:
                present = pq.read_schema(path).names
                options["columns"] = [name for name in columns if name in present]
            table: pd.DataFrame = pd.read_parquet(path, **CHECKED | options)
        else:
            sep = "\t" if path.suffix == ".tsv" else ","
            if only:
                options["usecols"] = lambda name: name in columns
            table = pd.DataFrame(pd.read_csv(path, **{"sep": sep} | options))
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise InputError(
            path,
            found=f"the columns {', '.join(map(str, table.columns))}",
            expected=f"also {', '.join(missing)}",
            remedy="add them, or give the right table",
        )
    return table
