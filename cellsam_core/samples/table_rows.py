"""Rows of transcript tables of any size: a stream of the columns that are asked for."""

from __future__ import annotations

import csv
import gzip
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import natural_key
from cellsam_core.files.parquet import open_parquet
from cellsam_core.files.tables import READ_ERRORS
from cellsam_core.samples.unreadable import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


RESOLVE_SUFFIX = "_results.txt"  # Resolve's tables: tabs, no header.

RESOLVE_COLUMNS = ("x_px", "y_px", "z", "gene")

TABLE_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", RESOLVE_SUFFIX)

BLOCK_BYTES = 16 << 20

BUFFER_BYTES = 1 << 20

CHUNK_ROWS = 1_000_000

DECIMAL_COMMA = re.compile(r"\s*[-+]?\d*,\d+(?:[eE][-+]?\d+)?\s*")


class TableInMemory(str):
    """Name of a table in memory, taken wherever the path of a table is; errors begin with it.

    Parameters
    ----------
    name
        Name of the table.
    table
        The table, with columns as in a file.
    """

    table: pa.Table

    def __new__(cls, name: str, table: pa.Table) -> Self:
        """Name a table."""
        made = super().__new__(cls, name)
        made.table = table
        return made


def iter_columns(
    path: str | Path,
    floats: Sequence[str],
    strings: Sequence[str],
    chunk_rows: int = CHUNK_ROWS,
    ids: Sequence[str] = (),
    keep: tuple[str, float] | None = None,
    *,
    may_be_missing: Sequence[str] = (),
) -> Iterator[pa.RecordBatch]:
    """Stream some columns of a csv or parquet table; see :func:`iter_transcripts` for errors.

    Parameters
    ----------
    path
        The table.
    floats, strings
        Columns where every row must have a value.
    chunk_rows
        Rows of a batch, before rows are left out.
    ids
        Columns of text or whole numbers, as text with all digits; values may be missing.
    keep
        Column, and the number in it of the rows to keep, or True; None keeps all.
    may_be_missing
        Columns of numbers that some rows may lack.
    """
    held = path.table if isinstance(path, TableInMemory) else None
    path = Path(path)
    is_truth = keep is not None and keep[1] is True
    floats = [*floats, keep[0]] if keep and not is_truth and keep[0] not in floats else floats
    types = {name: pa.float64() for name in [*floats, *may_be_missing]}
    types |= {keep[0]: pa.bool_()} if keep and is_truth else {}
    types |= {name: pa.dictionary(pa.int32(), pa.string()) for name in [*strings, *ids]}
    _refuse_floats(path, ids)
    first_row = 1
    try:
        batches = _open(path, types, chunk_rows) if held is None else _slice(held, types)
        for batch in _rechunk(batches, types, chunk_rows):
            _check(path, batch, floats, strings, first_row)
            first_row += batch.num_rows
            yield batch.filter(pc.equal(batch[keep[0]], keep[1])) if keep else batch
    except pa.ArrowInvalid as error:
        row = _first_unparsable_row(path, floats) if held is None else None
        if row is None:
            raise unreadable(path, error) from error
        raise _bad_row(path, *row) from error
    except InputError:
        raise
    except READ_ERRORS as error:
        raise unreadable(path, error) from error


def column_names(path: str | Path) -> list[str]:
    """Names of the columns of a transcript table.

    Raises
    ------
    InputError
        It can't be read.
    """
    if isinstance(path, TableInMemory):
        return list(path.table.column_names)
    path = Path(path)
    if path.is_dir() and not parquet_parts(path):
        raise InputError(
            path,
            found="a folder without parquet files",
            expected="a transcript table, or a folder of its parts",
            remedy="give the table itself",
        )
    if not path.exists():
        raise InputError(
            path, found="no file", expected="a transcript table", remedy="check the path"
        )
    if not path.is_dir() and not path.name.endswith(TABLE_SUFFIXES):
        raise InputError(
            path,
            found="an unknown kind of table",
            expected=f"a name that ends in {', '.join(TABLE_SUFFIXES)}",
            remedy="convert the table or correct its name",
        )
    try:
        if parts := parquet_parts(path):
            return list(pq.read_schema(parts[0]).names)
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            first = next(csv.reader(file, delimiter=_delimiter(path)), [])
    except READ_ERRORS as error:
        raise unreadable(path, error) from error
    if path.name.endswith(RESOLVE_SUFFIX):
        more = [f"column_{i + 1}" for i in range(len(RESOLVE_COLUMNS), len(first))]
        return [*RESOLVE_COLUMNS, *more]
    return first


def parquet_parts(path: str | Path) -> list[Path]:
    """List the files of a parquet table, which may be a folder of parts; none for another kind."""
    path = Path(path)
    if path.is_dir():
        return sorted(path.glob("*.parquet"), key=lambda part: natural_key(part.name))
    return [path] if path.suffix == ".parquet" else []


def is_void(path: str | Path, name: str) -> bool:
    """Tell whether a column has rows and no value: our own z of two-dimensional data."""
    if isinstance(path, TableInMemory):
        return bool(0 < path.table.num_rows == path.table[name].null_count)
    if not parquet_parts(path):
        return _is_void_text(Path(path), name)
    n_rows = n_void = 0
    for part in parquet_parts(path):
        metadata = pq.read_metadata(part)
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        chunks = [group.column(i) for group in groups for i in range(metadata.num_columns)]
        statistics = [chunk.statistics for chunk in chunks if chunk.path_in_schema == name]
        n_void += sum(int(s.null_count) for s in statistics if s is not None and s.has_null_count)
        n_rows += int(metadata.num_rows)
    return 0 < n_rows == n_void


def _is_void_text(path: Path, name: str) -> bool:
    """Tell whether all fields of a column of text are empty; ends at the first that is not."""
    n_rows = 0
    try:
        for batch in _open(path, {name: pa.string()}, CHUNK_ROWS):
            n_rows += batch.num_rows
            if pc.any(pc.not_equal(batch[name], "")).as_py():
                return False
    except READ_ERRORS:
        return False  # told when the rows are read
    return n_rows > 0


def _delimiter(path: Path) -> str:
    is_tabbed = path.name.removesuffix(".gz").endswith((".tsv", RESOLVE_SUFFIX))
    return "\t" if is_tabbed else ","


def _refuse_floats(path: Path, ids: Sequence[str]) -> None:
    """Ids in a parquet column of floats have lost their last digits."""
    schemas = [pq.read_schema(part) for part in parquet_parts(path)] if ids else []
    for name in ids:
        if any(pa.types.is_floating(schema.field(name).type) for schema in schemas):
            raise InputError(
                path,
                found=f"ids of cells in column {name!r} stored as floating point",
                expected="whole numbers or text: floats have lost the last digits",
                remedy="remove the column, or store the ids as text",
            )


def _open(path: Path, types: dict[str, pa.DataType], chunk_rows: int) -> Iterator[pa.RecordBatch]:
    parts = parquet_parts(path)
    for part in parts:
        yield from _open_part(part, types, chunk_rows)
    if parts:
        return
    # Only empty fields are missing features: "NA" and "nan" are names like any other.
    convert = pa_csv.ConvertOptions(
        include_columns=list(types), column_types=types, strings_can_be_null=False
    )
    names = column_names(path) if path.name.endswith(RESOLVE_SUFFIX) else None
    with pa_csv.open_csv(
        path,
        read_options=pa_csv.ReadOptions(block_size=BLOCK_BYTES, column_names=names),
        parse_options=pa_csv.ParseOptions(delimiter=_delimiter(path)),
        convert_options=convert,
    ) as reader:
        yield from reader


def _slice(table: pa.Table, types: dict[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
    for batch in table.select(list(types)).to_batches():
        arrays = [_convert(batch[name], type_) for name, type_ in types.items()]
        yield pa.RecordBatch.from_arrays(arrays, names=list(types))


def _open_part(
    path: Path, types: dict[str, pa.DataType], chunk_rows: int
) -> Iterator[pa.RecordBatch]:
    text = [name for name, type_ in types.items() if pa.types.is_dictionary(type_)]
    # Buffering ahead would keep all that was read until the end, the whole file at last.
    with open_parquet(
        path, pre_buffer=False, buffer_size=BUFFER_BYTES, read_dictionary=text
    ) as file:
        for batch in file.iter_batches(batch_size=chunk_rows, columns=list(types)):
            arrays = [_convert(batch[name], type_) for name, type_ in types.items()]
            yield pa.RecordBatch.from_arrays(arrays, names=list(types))


def _convert(column: pa.Array, type_: pa.DataType) -> pa.Array:
    """Cast a parquet column; features may be strings, dictionaries or bytes."""
    if not pa.types.is_dictionary(type_):
        return column.cast(type_)
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    return pa.DictionaryArray.from_arrays(
        coded.indices.cast(type_.index_type), coded.dictionary.cast(type_.value_type)
    )


def _rechunk(
    batches: Iterator[pa.RecordBatch], types: dict[str, pa.DataType], chunk_rows: int
) -> Iterator[pa.RecordBatch]:
    """Merge small batches and split large ones, so that chunks have `chunk_rows` rows."""
    waiting: list[pa.RecordBatch] = []
    n_waiting = 0
    for batch in batches:
        waiting.append(batch)
        n_waiting += batch.num_rows
        if n_waiting < chunk_rows:
            continue
        merged = _merge(waiting)
        whole = n_waiting - n_waiting % chunk_rows
        for start in range(0, whole, chunk_rows):
            yield merged.slice(start, chunk_rows)
        waiting, n_waiting = [merged.slice(whole)], n_waiting - whole
    if n_waiting:
        yield _merge(waiting)


def _merge(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    table = pa.Table.from_batches(batches).unify_dictionaries().combine_chunks()
    return table.to_batches()[0]


def _check(
    path: Path, batch: pa.RecordBatch, floats: Sequence[str], strings: Sequence[str], first_row: int
) -> None:
    for name in floats:
        bad = np.flatnonzero(~np.isfinite(batch[name].to_numpy(zero_copy_only=False)))
        if len(bad):
            raise _bad_row(path, first_row + int(bad[0]), name, batch[name][int(bad[0])].as_py())
    for name in strings:
        column = batch[name]
        _refuse_zeros(path, name, column)
        if column.null_count == 0 and not {None, ""}.intersection(column.dictionary.to_pylist()):
            continue
        is_empty = pc.or_kleene(pc.is_null(column), pc.equal(column.cast(pa.string()), ""))
        bad = np.flatnonzero(is_empty.to_numpy(zero_copy_only=False).astype(bool))
        if len(bad):
            raise InputError(
                path,
                found=f"no value for {name!r} in row {first_row + int(bad[0])}",
                expected="a name for every transcript",
                remedy="correct or remove the row (row 1 is the first under the header)",
            )


def _refuse_zeros(path: Path, name: str, column: pa.DictionaryArray) -> None:
    """Refuse names with a byte 0, which HDF5 and so AnnData can't hold."""
    bad = [text for text in column.dictionary.to_pylist() if text and "\0" in text]
    if bad:
        raise InputError(
            path,
            found=f"the byte 0 in {bad[0]!r} in column {name!r}",
            expected="names without it; a file that was not copied whole may have it",
            remedy="copy the table again, or remove these bytes",
        )


def _first_unparsable_row(path: Path, floats: Sequence[str]) -> tuple[int, str, str] | None:
    """Find the row that made a conversion fail: Arrow's own message doesn't say."""
    if parquet_parts(path):
        return None
    first_row = 1
    try:
        for batch in _open(path, dict.fromkeys(floats, pa.string()), CHUNK_ROWS):
            for name in floats:
                for offset, text in enumerate(batch[name].to_pylist()):
                    if not _is_number(text):
                        return first_row + offset, name, text
            first_row += batch.num_rows
    except pa.ArrowInvalid:
        pass  # The table is malformed beyond a single field: report that instead.
    return None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _bad_row(path: Path, row: int, column: str, value: Any) -> InputError:
    if isinstance(value, str) and DECIMAL_COMMA.fullmatch(value):
        return InputError(
            path,
            found=f"{value!r}, a number with a comma, in column {column!r}, row {row}",
            expected="points in numbers, such as 3.14",
            remedy="replace the commas in the numbers of the table by points",
        )
    return InputError(
        path,
        found=f"{value!r} in column {column!r}, row {row}"
        if value is not None
        else f"no number in column {column!r}, row {row}",
        expected="a finite number",
        remedy="correct or remove the row (row 1 is the first under the header)",
    )
