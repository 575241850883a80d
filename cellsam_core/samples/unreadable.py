"""Refusal of a table that can't be read: damaged, compressed, or in another encoding."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError, first_line

if TYPE_CHECKING:
    from pathlib import Path

GZIP_MARK = b"\x1f\x8b"


def unreadable(path: Path, error: BaseException) -> InputError:
    """Make the error for a table of transcripts that a library could not read.

    Parameters
    ----------
    path
        The table.
    error
        What the library raised.
    """
    head = _head(path)
    if head == GZIP_MARK and not path.name.endswith(".gz"):
        return InputError(
            path,
            found="a file compressed with gzip",
            expected="a name that ends in .csv.gz",
            remedy=f"rename it, for example to {path.name.partition('.')[0]}.csv.gz",
        )
    if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return InputError(
            path,
            found="text in UTF-16",
            expected="a table of text in UTF-8",
            remedy='save it as UTF-8, in Excel as "CSV UTF-8"',
        )
    return InputError(
        path,
        found=f"a table that can't be read ({first_line(error)})",
        expected="a complete csv, tsv or parquet table",
        remedy="check that the file is whole and copy or export it again",
    )


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(2)
    except OSError:
        return b""
