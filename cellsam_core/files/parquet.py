"""Parquet files that notice damage: pages have checksums, and so has the footer.

The format protects pages alone. A flipped bit in the footer can change a column's type or the
place of a page in silence, so the footer carries the CRC-32 of itself as a key and value.
"""

from __future__ import annotations

import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    import pandas as pd

    from cellsam_core.outputs import Output

FOOTER_KEY = b"cellsam_core:footer_crc32"
BLANK = b"00000000"
TAIL_BYTES = 8
"""Length of the footer, little-endian, and the magic ``PAR1``."""


@contextmanager
def parquet_writer(
    path: Path, schema: pa.Schema, *, dictionaries: bool | list[str] = True
) -> Iterator[pq.ParquetWriter]:
    """Open a Parquet file for writing, inside an ``atomic_path``; seal it at the end.

    `dictionaries` are the columns in which values repeat; True: all are tried.
    """
    with pq.ParquetWriter(
        path, schema, compression="zstd", use_dictionary=dictionaries, write_page_checksum=True
    ) as writer:
        yield writer
        writer.add_key_value_metadata({FOOTER_KEY: BLANK})
    with path.open("r+b") as file:
        start, footer = _read_footer(file)
        at = _value_at(footer)
        file.seek(start + at)
        file.write(_checksum(footer, at))


def described_table(table: pd.DataFrame, output: Output) -> pa.Table:
    """Make a table for a file whose columns are declared, with the meaning of each column."""
    found = pa.Schema.from_pandas(table, preserve_index=False)
    # Without rows a column of text has no type.
    fields = [
        item.with_type(pa.string()) if pa.types.is_null(item.type) else item for item in found
    ]
    schema = output.described(pa.schema(fields, found.metadata))
    return pa.Table.from_pandas(table, schema, preserve_index=False)


def write_described(path: Path, table: pd.DataFrame, output: Output) -> None:
    """Write a table whose columns are declared into a file that :mod:`.atomic` moves in place."""
    rows = described_table(table, output)
    with atomic_path(path) as temporary, parquet_writer(temporary, rows.schema) as writer:
        writer.write_table(rows)


def open_parquet(path: str | Path, **options: Any) -> pq.ParquetFile:
    """Open a Parquet file; damage that its checksums show is an error, here or on reading.

    Files of other programs may have no checksums.

    Raises
    ------
    InputError
        The footer is not what it was when it was written.
    OSError, pyarrow.ArrowException
        It can't be read.
    """
    with Path(path).open("rb") as file:
        _, footer = _read_footer(file)
    at = _value_at(footer)
    if at >= len(BLANK) and footer[at : at + len(BLANK)] != _checksum(footer, at):
        raise InputError(
            path,
            found="a footer that has changed since it was written",
            expected="the file as it was written",
            remedy="make the file again",
        )
    return pq.ParquetFile(path, page_checksum_verification=True, **options)


def _read_footer(file: BinaryIO) -> tuple[int, bytes]:
    """Read the footer and where it begins; empty if the file says that it is longer than itself."""
    size = file.seek(0, 2)
    file.seek(max(0, size - TAIL_BYTES))
    length = int.from_bytes(file.read(4), "little")
    start = size - TAIL_BYTES - length
    if start < 0:
        return 0, b""
    file.seek(start)
    return start, file.read(length)


def _value_at(footer: bytes) -> int:
    """Find the checksum: behind its key, the type of the next field and its length, a byte each."""
    at = footer.rfind(FOOTER_KEY)
    return -1 if at < 0 else at + len(FOOTER_KEY) + 2


def _checksum(footer: bytes, at: int) -> bytes:
    blank = footer[:at] + BLANK + footer[at + len(BLANK) :]
    return f"{zlib.crc32(blank):08x}".encode()
