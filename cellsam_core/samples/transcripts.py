"""Transcript tables of any size: columns by name, rows as a stream, coordinates in um and px."""

from __future__ import annotations

import csv
import gzip
import math
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from cellsam_core.errors import InputError
from cellsam_core.features import PLACEHOLDERS
from cellsam_core.files.filenames import natural_key
from cellsam_core.files.parquet import open_parquet
from cellsam_core.files.tables import READ_ERRORS
from cellsam_core.samples.fields import onto_image
from cellsam_core.samples.unreadable import unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cellsam_core.samples.manifest import TranscriptSource

RESOLVE_SUFFIX = "_results.txt"  # Resolve's tables: tabs, no header.
RESOLVE_COLUMNS = ("x_px", "y_px", "z", "gene")
TABLE_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", RESOLVE_SUFFIX)
# In order of preference. MERSCOPE's own `x`, `y` are pixels of one field of view; its
# `global_x`, `global_y` are what can be placed, so they go first.
UM_COLUMNS = (("x_um", "y_um"), ("global_x", "global_y"), ("x_location", "y_location"))
PX_COLUMNS = (("x_px", "y_px"),)
LOCAL_COLUMNS = (("x_local_px", "y_local_px"),)  # Of one field of view: CosMx.
UNITLESS_COLUMNS = ("x", "y")
GENE_COLUMNS = ("gene", "target", "feature_name", "feature", "name")
Z_COLUMNS = ("z", "global_z", "z_location")
TYPE_COLUMN = "feature_type"
QUALITY_COLUMN = "qv"  # Xenium
# What programs write for a transcript in no cell.
NO_CELL = ("", "0", *sorted(PLACEHOLDERS))
BLOCK_BYTES = 16 << 20
BUFFER_BYTES = 1 << 20
CHUNK_ROWS = 1_000_000


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


@dataclass(frozen=True)
class TranscriptColumns:
    """Columns of a transcript table, found by name; None where there is none.

    Attributes
    ----------
    um, px
        ``(x, y)`` columns whose name gives their unit.
    unitless
        Columns named plainly ``("x", "y")``.
    gene, z, feature_type
        Feature name, z plane, and class of the feature (gene or a kind of control).
    cell
        The vendor's id of the cell; only looked for by readers of vendors' folders.
    qv
        Quality of the transcript.
    """

    um: tuple[str, str] | None
    px: tuple[str, str] | None
    unitless: tuple[str, str] | None
    gene: str
    z: str | None
    feature_type: str | None
    cell: str | None = None
    qv: str | None = None


def find_columns(
    path: str | Path, *, of_one_field: bool = False, cell: Sequence[str] = ()
) -> TranscriptColumns:
    """Find the columns of a transcript table.

    Parameters
    ----------
    path
        The table.
    of_one_field
        The rows of one field of view will be kept, whose local coordinates are wanted; else
        coordinates on the whole image are.
    cell
        Names that the vendor gives to the column of cell ids, the first that is there is taken.

    Raises
    ------
    InputError
        The table can't be read, has no feature column, no coordinates, or the same column twice.
    """
    names = column_names(path)
    present = set(names)
    gene = next((name for name in GENE_COLUMNS if name in present), None)
    listed = ", ".join(repr(name) for name in names[:20])
    _refuse_separator(path, names)
    if gene is None:
        raise InputError(
            path,
            found=f"the columns {listed}" if names else "an empty file",
            expected=f"the gene of each transcript in a column named {' or '.join(GENE_COLUMNS)}",
            remedy="rename the column",
        )
    um_pairs, px_pairs = ((), LOCAL_COLUMNS) if of_one_field else (UM_COLUMNS, PX_COLUMNS)
    px = next((pair for pair in px_pairs if present.issuperset(pair)), None)
    is_unitless = present.issuperset(UNITLESS_COLUMNS) and not (of_one_field and px)
    columns = TranscriptColumns(
        um=next((pair for pair in um_pairs if present.issuperset(pair)), None),
        px=px,
        unitless=UNITLESS_COLUMNS if is_unitless else None,
        gene=gene,
        z=next((name for name in Z_COLUMNS if name in present and not _is_void(path, name)), None),
        feature_type=TYPE_COLUMN if TYPE_COLUMN in present else None,
        cell=next((name for name in cell if name in present), None),
        qv=QUALITY_COLUMN if QUALITY_COLUMN in present else None,
    )
    if columns.um is columns.px is columns.unitless is None:
        raise InputError(
            path,
            found=f"the columns {listed}",
            expected="coordinates named x_um, y_um or x_px, y_px",
            remedy="rename the columns",
        )
    if columns.um is columns.px is None and "fov" in present and not of_one_field:
        raise InputError(
            path,
            found="plain columns x, y beside fov, which may be local to a field of view",
            expected="coordinates on the whole image, named x_um, y_um or x_px, y_px",
            remedy="add the place of each field of view, or rename the columns if that is done",
        )
    used = [*(columns.um or ()), *(columns.px or ()), *(columns.unitless or ()), gene, columns.z]
    twice = [name for name, n in Counter(names).items() if n > 1 and name in used]
    if twice:
        raise InputError(
            path,
            found=f"{twice[0]!r} as the name of more than one column",
            expected="one column of each name",
            remedy="remove or rename the others",
        )
    return columns


def _refuse_separator(path: str | Path, names: list[str]) -> None:
    """Refuse a table whose columns are not separated as its suffix says."""
    if len(names) == 1 and (separator := re.search("[;\t]", names[0])):
        raise InputError(
            path,
            found=f"{'semicolons' if separator[0] == ';' else 'tabs'} between the columns",
            expected="commas in a csv file, tabs in a tsv file",
            remedy="save it with commas between the columns and points in the numbers"
            + (", or rename it to end in .tsv" if separator[0] == "\t" else ""),
        )


def iter_transcripts(
    source: TranscriptSource, chunk_rows: int = CHUNK_ROWS
) -> Iterator[pa.RecordBatch]:
    """Stream a table, in its own order, in memory that does not depend on its length.

    Yields
    ------
    pyarrow.RecordBatch
        At most `chunk_rows` rows with ``x_um``, ``y_um``, ``x_px``, ``y_px`` (float64, finite),
        ``z`` (float64, null for two-dimensional tables), ``feature`` (string dictionary) and,
        where the table has them, ``feature_type`` and ``vendor_cell_id`` (string dictionaries;
        null for a transcript that the vendor gave to no cell), ``fov`` (int32) of a sample of
        several fields, and ``qv`` (float32).

    Raises
    ------
    InputError
        A coordinate is missing, not a number or not finite, or a feature has no name; the
        message gives the row (the first row under the header is row 1).
    """
    floats = [source.x, source.y] + ([source.z] if source.z else [])
    strings = [source.gene] + ([source.feature_type] if source.feature_type else [])
    ids = [source.cell] if source.cell else []
    fields = source.fields
    floats += [fields.column] if fields else []
    um_to_px = np.asarray(source.um_to_px, dtype=np.float64)
    px_to_um = np.linalg.inv(um_to_px)
    names = ["x_um", "y_um", "x_px", "y_px", "z", "feature"]
    names += ["feature_type"] * (len(strings) - 1) + ["vendor_cell_id"] * len(ids)
    names += ["fov"] if fields else []
    names += ["qv"] if source.qv else []
    extra = [source.qv] if source.qv else []
    for batch in iter_columns(
        source.path, floats, strings, chunk_rows, ids, source.keep, may_be_missing=extra
    ):
        batch = good_enough(source, batch)
        xy = as_shown(source, np.stack([batch[source.x].to_numpy(), batch[source.y].to_numpy()]))
        if fields is not None:
            batch, xy = onto_image(source.path, fields, batch, xy)
        um = xy if source.unit == "um" else apply_affine(px_to_um, xy)
        px = xy if source.unit == "px" else apply_affine(um_to_px, xy)
        z = batch[source.z] if source.z else pa.nulls(batch.num_rows, pa.float64())
        arrays = [pa.array(um[0]), pa.array(um[1]), pa.array(px[0]), pa.array(px[1]), z]
        arrays += [batch[name] for name in strings] + [_null_if_none(batch[name]) for name in ids]
        arrays += [batch[fields.column].cast(pa.int32())] if fields else []
        arrays += [batch[name].cast(pa.float32()) for name in extra]
        rows = pa.RecordBatch.from_arrays(arrays, names=names)
        yield rows if source.crop is None else rows.filter(pa.array(is_inside(px, source.crop)))


def is_inside(px: np.ndarray[Any, Any], shape_yx: Sequence[int]) -> np.ndarray[Any, Any]:
    """Tell which points ``(2, n)`` in pixels ``(x, y)`` are on an image."""
    height, width = shape_yx
    inside = (px >= -0.5) & (px < np.array([[width - 0.5], [height - 0.5]]))
    return np.asarray(inside.all(axis=0))


def good_enough(source: TranscriptSource, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Leave out the rows of too low a quality; one of unknown quality stays."""
    if source.qv is None or source.min_qv is None:
        return batch
    is_low = batch[source.qv].to_numpy(zero_copy_only=False) < source.min_qv
    return batch.filter(pa.array(~is_low)) if is_low.any() else batch


def as_shown(source: TranscriptSource, xy: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Turn coordinates as their image is turned."""
    for axis, total in enumerate(source.mirror):
        if total is not None:
            xy[axis] = total - xy[axis]
    return xy


def apply_affine(matrix: np.ndarray[Any, Any], xy: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Map points ``(2, n)`` through a 3x3 affine."""
    mapped: np.ndarray[Any, Any] = matrix[:2, :2] @ xy
    mapped += matrix[:2, 2:]
    return mapped


def pixel_size_of(um_to_px: np.ndarray[Any, Any]) -> float:
    """Side of the square with the area of a pixel, in micrometres."""
    return float(1.0 / math.sqrt(abs(np.linalg.det(um_to_px[:2, :2]))))


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
        Column, and the number in it of the rows to keep; None keeps all.
    may_be_missing
        Columns of numbers that some rows may lack.
    """
    held = path.table if isinstance(path, TableInMemory) else None
    path = Path(path)
    floats = [*floats, keep[0]] if keep and keep[0] not in floats else floats
    types = {name: pa.float64() for name in [*floats, *may_be_missing]}
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


def _is_void(path: str | Path, name: str) -> bool:
    """Tell whether a parquet column has rows and no value: our own z of two-dimensional data."""
    if isinstance(path, TableInMemory):
        return bool(0 < path.table.num_rows == path.table[name].null_count)
    n_rows = n_void = 0
    for part in parquet_parts(path):
        metadata = pq.read_metadata(part)
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        chunks = [group.column(i) for group in groups for i in range(metadata.num_columns)]
        statistics = [chunk.statistics for chunk in chunks if chunk.path_in_schema == name]
        n_void += sum(int(s.null_count) for s in statistics if s is not None and s.has_null_count)
        n_rows += int(metadata.num_rows)
    return 0 < n_rows == n_void


def _null_if_none(ids: pa.Array) -> pa.Array:
    # Other programs write whole numbers beside missing ones as floats.
    text = pc.replace_substring_regex(ids.cast(pa.string()), r"^(-?\d+)\.0*$", r"\1")
    is_none = pc.is_in(text, pa.array(NO_CELL))
    return pc.if_else(is_none, pa.scalar(None, pa.string()), text).dictionary_encode()


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
    return InputError(
        path,
        found=f"{value!r} in column {column!r}, row {row}"
        if value is not None
        else f"no number in column {column!r}, row {row}",
        expected="a finite number",
        remedy="correct or remove the row (row 1 is the first under the header)",
    )
