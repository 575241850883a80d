"""Transcripts streamed once: each gets its owner, is written and counted."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from cellsam_core.assignment.columns import TRANSCRIPTS
from cellsam_core.assignment.coordinates import coordinate_metadata
from cellsam_core.assignment.counts import (
    CountTable,
    FeatureIndex,
    assignment_quality,
    number_features,
)
from cellsam_core.assignment.uncertainty import CellMeans
from cellsam_core.errors import InputError
from cellsam_core.features import GENE, UNDECODED, doubtful
from cellsam_core.files.parquet import parquet_writer
from cellsam_core.samples.affine import pixel_size_of
from cellsam_core.samples.panel import read_panel, unmeasured_in
from cellsam_core.samples.transcripts import iter_transcripts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import scipy.sparse

    from cellsam_core.assignment.cells import Cells, Owners
    from cellsam_core.samples.manifest import TranscriptSource

log = logging.getLogger(__name__)

TEXT = pa.dictionary(pa.int32(), pa.string())
COLUMNS = {
    **dict.fromkeys(("x_um", "y_um", "z"), pa.float64()),
    **dict.fromkeys(("feature", "feature_type"), TEXT),
    "cell_id": pa.uint32(),
    **dict.fromkeys(("x_image_um", "y_image_um"), pa.float32()),
}
OF_THE_INPUT = ("fov", "vendor_cell_id", "qv")  # kept as they are, where the sample has them
MAX_NAMED = 10
REPEATED = ["feature", "feature_type", "cell_id", "sample"]  # no coordinate is worth a dictionary


@dataclass(frozen=True)
class Assigned:
    """Counts of a sample.

    Attributes
    ----------
    cells
        One row a cell, for the AnnData.
    features
        One row a feature, sorted by name: ``name``, ``feature_type``, ``n_transcripts``; and maybe
        ``is_measured``, whether blanks measure its errors.
    counts, nuclear_counts
        ``(cells, features)`` int32: of all transcripts, and of those in nuclei; None where nuclei
        are not known.
    quality
        Figures for the report.
    um_to_px
        3x3 affine from the slide to pixels of the image; None if there is no image.
    """

    cells: pd.DataFrame
    features: pd.DataFrame
    counts: scipy.sparse.csr_matrix
    nuclear_counts: scipy.sparse.csr_matrix | None
    quality: dict[str, Any]
    um_to_px: npt.NDArray[np.float64] | None = None


def assign_transcripts(
    source: TranscriptSource,
    cells: Cells,
    path: Path | None,
    localisation_error_um: float = 0.0,
    *,
    outside: str = "refuse",
    panel: Sequence[str | Path] = (),
    sample: str = "",
) -> Assigned:
    """Assign, write and count the transcripts of a sample, in memory that their number is not in.

    Parameters
    ----------
    source, cells
        What is assigned, and to what.
    path
        Parquet file to write: every row of the table, in its order; None writes none.
    localisation_error_um
        Above 0, the chance of each owner is written too, and its mean goes into the cell table.
    outside
        ``"drop"`` where outlines and transcripts need not be of the same place, but one may be a
        part of the other; ``"refuse"`` refuses that.
    panel
        More files that name features of the panel, beside those of `source`; see
        :func:`~cellsam_core.samples.panel.read_panel`. Features that no transcript is of are
        counted, too: sections of one panel have the same genes.
    sample
        Name of the sample.

    Raises
    ------
    InputError
        The table has changed since it was inspected, labels are missing in the cell table, or
        cells and transcripts do not belong together.
    """
    panel = [*panel, *source.panel]
    index, table, nuclear = FeatureIndex(read_panel(panel)), CountTable(), CountTable()
    cell_id = cells.table["cell_id"].to_numpy()
    means = CellMeans(cell_id) if localisation_error_um > 0 else None
    schema = _schema(source, cells.has_nuclei, means is not None, cells.um_to_px)
    fit = cells.fit_check()
    n_outside = n_contested = n_done = 0
    with (
        nullcontext() if path is None else parquet_writer(path, schema, dictionaries=REPEATED)
    ) as writer:
        for batch in iter_transcripts(source):
            feature = number_features(source.path, index, batch)
            owners = _without_undecoded(cells.owners(batch), feature, index)
            fit.add(batch, owners.cell_id)
            table.add(owners.cell_id, feature)
            more: list[Any] = [batch[name] for name in schema.names if name in OF_THE_INPUT]
            if owners.in_nucleus is not None:
                nuclear.add(np.where(owners.in_nucleus, owners.cell_id, np.uint32(0)), feature)
                more.append(owners.in_nucleus)
            if means is not None:
                more.append(cells.owner_probability(batch, owners, localisation_error_um))
                means.add(owners.cell_id, more[-1])
            if writer is not None:
                more = [*image_um(batch, cells.um_to_px), *more, _repeat(sample, batch.num_rows)]
                writer.write_batch(_output_batch(batch, feature, index, owners, more, schema))
            n_outside += owners.n_outside
            n_contested += owners.n_contested
            n_done += batch.num_rows
            log.info("%d of %d transcripts", n_done, source.n_rows)
    _check(source, n_done, np.setdiff1d(table.cell_id, cell_id))
    warnings = [*cells.warnings, *fit.finish(source, may_differ=outside == "drop")]
    if index.names and GENE not in index.types:
        raise InputError(
            source.path,
            found=f"no gene, features are {', '.join(sorted(set(index.types)))}",
            expected="genes among the features",
            remedy="write `gene` into the column feature_type, or correct the features' names",
        )
    features, order = _features(index, unmeasured_in(panel))
    n_features = len(index.names)
    counts = _matrix(table.matrix(cell_id, n_features), order)
    quality = assignment_quality(features, counts, n_outside, n_contested)
    n_undecoded = sum(_undecoded(index).values())
    return Assigned(
        cells.table if means is None else cells.table.assign(owner_probability=means.means),
        features,
        counts,
        _matrix(nuclear.matrix(cell_id, n_features), order) if cells.has_nuclei else None,
        quality | {"n_undecoded": n_undecoded, "warnings": [*warnings, *_told(index)]},
        cells.um_to_px,
    )


def image_um(
    batch: pa.RecordBatch, um_to_px: npt.NDArray[np.float64] | None
) -> tuple[pa.Array, pa.Array]:
    """Return x and y of transcripts in the image, in um; null if there is no image."""
    if um_to_px is None:
        empty = pa.nulls(batch.num_rows, pa.float32())
        return empty, empty
    size = pixel_size_of(um_to_px)
    x, y = (batch[name].to_numpy() * size for name in ("x_px", "y_px"))
    return pa.array(x.astype(np.float32)), pa.array(y.astype(np.float32))


def _repeat(text: str, n: int) -> pa.Array:
    indices = pa.array(np.zeros(n, dtype=np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array([text], pa.string()))


def _without_undecoded(
    owners: Owners, feature: npt.NDArray[np.int32], index: FeatureIndex
) -> Owners:
    """Take the cell from what decoded to nothing: it is no transcript."""
    if UNDECODED not in index.types:
        return owners
    is_undecoded = np.array([kind == UNDECODED for kind in index.types])[feature]
    return replace(owners, cell_id=np.where(is_undecoded, np.uint32(0), owners.cell_id))


def _features(
    index: FeatureIndex, unmeasured: set[str]
) -> tuple[pd.DataFrame, npt.NDArray[np.integer[Any]]]:
    """Tabulate genes and controls by name; also give the number of each in the index."""
    features = pd.DataFrame(
        {"name": index.names, "feature_type": index.types, "n_transcripts": index.counts}
    )
    features["is_measured"] = ~features["name"].isin(unmeasured)
    order = features["name"].argsort(kind="stable").to_numpy()
    order = order[(features["feature_type"] != UNDECODED).to_numpy()[order]]
    return features.iloc[order].reset_index(drop=True), order


def _undecoded(index: FeatureIndex) -> dict[str, int]:
    """Count what stands in the place of a gene where none was decoded."""
    counts = zip(index.names, index.types, index.counts.tolist(), strict=True)
    return {name: n for name, kind, n in counts if kind == UNDECODED and n}


def _told(index: FeatureIndex) -> list[str]:
    warnings = []
    if undecoded := _undecoded(index):
        n, total = sum(undecoded.values()), int(index.counts.sum())
        warnings.append(
            f"{n} of {total} transcripts ({n / total:.1%}) have {', '.join(sorted(undecoded))} in "
            "the place of a gene, as programs write where nothing was decoded: they are in no cell "
            "and no count. If it is a gene, write `gene` into a column feature_type."
        )
    if index.stripped:
        listed = ", ".join(repr(name) for name in sorted(index.stripped)[:MAX_NAMED])
        warnings.append(f"Spaces around the names of {listed} are not part of them.")
    kinds = zip(index.names, index.types, strict=True)
    return warnings + doubtful(n for n, kind in kinds if kind == GENE and n in index.by_name)


def _matrix(
    counted: scipy.sparse.csr_matrix, order: npt.NDArray[np.integer[Any]]
) -> scipy.sparse.csr_matrix:
    """Put the columns of all features into the order of the names; what decoded to nothing goes."""
    matrix = counted[:, order]
    matrix.sort_indices()
    return matrix


def _schema(
    source: TranscriptSource,
    has_nuclei: bool,
    has_probability: bool,
    um_to_px: npt.NDArray[np.float64] | None,
) -> pa.Schema:
    columns = dict(COLUMNS)
    if source.fields is not None:
        columns["fov"] = pa.int32()
    if source.cell is not None:
        columns["vendor_cell_id"] = TEXT
    if source.qv is not None:
        columns["qv"] = pa.float32()
    if has_nuclei:
        columns["in_nucleus"] = pa.bool_()
    if has_probability:
        columns["owner_probability"] = pa.float32()
    columns["sample"] = TEXT
    plain = pa.schema(columns, coordinate_metadata(um_to_px))
    return TRANSCRIPTS.described(plain)


def _check(source: TranscriptSource, n_done: int, unknown: npt.NDArray[np.uint32]) -> None:
    if len(unknown):
        raise InputError(
            "--cells",
            found=f"no cell {unknown[0]}, which the labels have",
            expected="every label in the cell table",
            remedy="give the cell table that was written with these labels",
        )
    if n_done != source.n_rows:
        raise InputError(
            source.path,
            found=f"{n_done} transcripts",
            expected=f"{source.n_rows}, as when the sample was inspected",
            remedy="run `cellsam-core inspect` again, the table has changed since",
        )


def _output_batch(
    batch: pa.RecordBatch,
    feature: npt.NDArray[np.int32],
    index: FeatureIndex,
    owners: Owners,
    more: list[Any],
    schema: pa.Schema,
) -> pa.RecordBatch:
    kinds = sorted(set(index.types))
    kind_of = np.array([kinds.index(kind) for kind in index.types], dtype=np.int32)
    text = pa.DictionaryArray.from_arrays
    arrays = [
        *(batch[name] for name in ("x_um", "y_um", "z")),
        text(pa.array(feature), pa.array(index.names, pa.string())),
        text(pa.array(kind_of[feature]), pa.array(kinds, pa.string())),
        pa.array(owners.cell_id),
        *(column if isinstance(column, pa.Array) else pa.array(column) for column in more),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)
