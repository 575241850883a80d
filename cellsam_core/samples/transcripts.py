"""Transcript tables of any size: columns by name, rows as a stream, coordinates in um and px."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cellsam_core.errors import InputError
from cellsam_core.features import PLACEHOLDERS
from cellsam_core.samples.affine import apply_affine, is_inside
from cellsam_core.samples.fields import onto_image
from cellsam_core.samples.table_rows import CHUNK_ROWS, column_names, is_void, iter_columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from cellsam_core.samples.manifest import TranscriptSource

# In order of preference. MERSCOPE's own `x`, `y` are pixels of one field of view; its
# `global_x`, `global_y` are what can be placed, so they go first.
UM_COLUMNS = (("x_um", "y_um"), ("global_x", "global_y"), ("x_location", "y_location"))
PX_COLUMNS = (("x_px", "y_px"),)
LOCAL_COLUMNS = (("x_local_px", "y_local_px"),)  # Of one field of view: CosMx.
UNITLESS_COLUMNS = ("x", "y")
# Vizgen, CosMx, Xenium; pciSeq and STARmap; Allen; EEL FISH.
SURE_GENE_COLUMNS = (
    *("gene", "target", "feature_name", "Gene", "gene_name"),
    *("target_molecule_name", "decoded_genes"),
)
BARCODE_COLUMN = "barcode_id"  # MERlin, whose codebook has the gene of each
GENE_COLUMNS = (*SURE_GENE_COLUMNS, "feature", "name")
TOLD_COLUMNS = ("gene", "target", "feature_name", "feature", "name")
Z_COLUMNS = ("z", "global_z", "z_location")
TYPE_COLUMN = "feature_type"
QUALITY_COLUMN = "qv"  # Xenium
PASSED_COLUMN = "passes_thresholds"  # starfish
# What programs write for a transcript in no cell.
NO_CELL = ("", "0", *sorted(PLACEHOLDERS))


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
    passed
        True for spots that starfish has not rejected.
    """

    um: tuple[str, str] | None
    px: tuple[str, str] | None
    unitless: tuple[str, str] | None
    gene: str
    z: str | None
    feature_type: str | None
    cell: str | None = None
    qv: str | None = None
    passed: str | None = None


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
        similar = next((f" {n!r} to gene" for n in names if re.search("gene|feature", n, re.I)), "")
        raise InputError(
            path,
            found=f"the columns {listed}" if names else "an empty file",
            expected=f"the gene of each transcript in a column named {' or '.join(TOLD_COLUMNS)}",
            remedy="rename the column of the genes to gene or, if there is none, add it by the "
            f"codebook, for each {BARCODE_COLUMN}"
            if BARCODE_COLUMN in present and not similar
            else f"rename the column{similar}",
        )
    um_pairs, px_pairs = ((), LOCAL_COLUMNS) if of_one_field else (UM_COLUMNS, PX_COLUMNS)
    px = next((pair for pair in px_pairs if present.issuperset(pair)), None)
    is_unitless = present.issuperset(UNITLESS_COLUMNS) and not (of_one_field and px)
    columns = TranscriptColumns(
        um=next((pair for pair in um_pairs if present.issuperset(pair)), None),
        px=px,
        unitless=UNITLESS_COLUMNS if is_unitless else None,
        gene=gene,
        z=next((name for name in Z_COLUMNS if name in present and not is_void(path, name)), None),
        feature_type=TYPE_COLUMN if TYPE_COLUMN in present else None,
        cell=next((name for name in cell if name in present), None),
        qv=QUALITY_COLUMN if QUALITY_COLUMN in present else None,
        passed=PASSED_COLUMN if PASSED_COLUMN in present else None,
    )
    if columns.um is columns.px is columns.unitless is None:
        raise InputError(
            path,
            found=f"the columns {listed}",
            expected="coordinates named x_um, y_um or x_px, y_px",
            remedy=f"rename the columns{_similar_to_xy(names)}",
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


def has_coordinates(names: Iterable[str]) -> bool:
    """Tell whether some columns are coordinates, or look like them."""
    pairs = (*UM_COLUMNS, *PX_COLUMNS, *LOCAL_COLUMNS, UNITLESS_COLUMNS)
    present = set(names)
    return any(present.issuperset(pair) for pair in pairs) or _xy_like(present) is not None


def _similar_to_xy(names: list[str]) -> str:
    """Say how columns are renamed that look like coordinates."""
    pair = _xy_like(names)
    if pair is None:
        return ""
    x, y = pair
    return f" {x!r}, {y!r} to x_um, y_um (micrometres) or x_px, y_px (pixels)"


def _xy_like(names: Iterable[str]) -> tuple[str, str] | None:
    """Find ``centre_x``, ``spotX``, ``col`` or ``c_px_stitched``, and its fellow."""
    lower = {name.lower(): name for name in sorted(names)}
    for key, x in lower.items():
        plain = re.sub(r"(?<![a-z])x(?![a-z])", "y", key)
        camel = re.sub(r"(?<=[a-z])X(?![a-z])", "Y", x).lower()
        column = re.sub(r"^c(?=_px)", "r", re.sub(r"^col(?:umn)?(?![a-z])", "row", key))
        for other in (plain, camel, column):
            if other != key and other in lower:
                return x, lower[other]
    return None


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


def _null_if_none(ids: pa.Array) -> pa.Array:
    # Other programs write whole numbers beside missing ones as floats.
    text = pc.replace_substring_regex(ids.cast(pa.string()), r"^(-?\d+)\.0*$", r"\1")
    is_none = pc.is_in(text, pa.array(NO_CELL))
    return pc.if_else(is_none, pa.scalar(None, pa.string()), text).dictionary_encode()
