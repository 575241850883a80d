"""The cell table of corrected masks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa

from cellsam_core.corrections.columns import CELLS, SOURCE
from cellsam_core.files.parquet import open_parquet, parquet_writer
from cellsam_core.files.tables import refuse_missing, table_errors
from cellsam_core.outputs import SAMPLE
from cellsam_core.segmentation.cell_table import DTYPES, cell_table
from cellsam_core.segmentation.instances import Instance

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from cellsam_core.corrections.plane import LabelPlane
    from cellsam_core.files.facts import Facts

PLACES = ("frame", "label", "area_px", "bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1")
SCORES = ("score", "predicted_iou")
AUTO, USER = "auto", "user"


def read_places(path: Path, frames: Collection[int]) -> dict[int, pd.DataFrame]:
    """Read labels, areas and bounding boxes of the cells of some frames.

    Raises
    ------
    InputError
        The table can't be read or lacks a column.
    """
    found: dict[int, list[pd.DataFrame]] = {frame: [] for frame in frames}
    with table_errors(path), open_parquet(path) as file:
        names = file.schema_arrow.names
        refuse_missing(path, pd.DataFrame(columns=names), PLACES)
        for index in range(file.num_row_groups):
            rows = file.read_row_group(index, columns=list(PLACES)).to_pandas()
            for frame in found:
                found[frame].append(rows[rows["frame"] == frame])
    empty = pd.DataFrame({name: np.empty(0, np.int64) for name in PLACES})
    return {frame: pd.concat(parts or [empty]) for frame, parts in found.items()}


@dataclass(frozen=True)
class Scale:
    """Size of a pixel in micrometres, None if unknown, and facts of the sample."""

    pixel_size_um: float | None
    facts: Facts


def write_cells(source: Path, target: Path, planes: dict[int, LabelPlane], scale: Scale) -> None:
    """Write the cell table of corrected masks, with the column ``source``: auto or user.

    Parameters
    ----------
    source, target
        Cell table of the automatic masks, and the file to write.
    planes
        Corrected frames.
    scale
        Size of a pixel and facts of the sample.
    """
    with open_parquet(source) as file:
        schema = file.schema_arrow.remove_metadata()
        at = len(schema) - (schema.names[-1] == SAMPLE.name)
        schema = CELLS.described(schema.insert(at, pa.field(SOURCE.name, pa.string())))
        with parquet_writer(target, schema) as writer:
            for rows in _corrected(file, planes, scale):
                writer.write_table(pa.Table.from_pandas(rows, schema, preserve_index=False))


def _corrected(file: Any, planes: dict[int, LabelPlane], scale: Scale) -> Iterator[pd.DataFrame]:
    """Yield the rows frame by frame; only one corrected frame is held in memory."""
    waiting = sorted(planes)
    empty = file.schema_arrow.empty_table().to_pandas(ignore_metadata=True)
    for frame, parts in groupby(_parts(file), key=lambda part: part[0]):
        while waiting and waiting[0] < frame:
            number = waiting.pop(0)
            yield _update(number, empty, planes[number], scale)
        if frame in planes:
            waiting.remove(frame)
            rows = pd.concat([rows for _, rows in parts])
            yield _update(frame, rows, planes[frame], scale)
        else:
            for _, rows in parts:
                yield rows.assign(source=AUTO)
    for frame in waiting:
        yield _update(frame, empty, planes[frame], scale)


def _parts(file: Any) -> Iterator[tuple[int, pd.DataFrame]]:
    for index in range(file.num_row_groups):
        rows = file.read_row_group(index).to_pandas(ignore_metadata=True)
        for frame, part in rows.groupby("frame", sort=True):
            yield int(frame), part


def _update(frame: int, rows: pd.DataFrame, plane: LabelPlane, scale: Scale) -> pd.DataFrame:
    """Measure the changed cells of a frame anew; a cell that a user drew has no scores."""
    is_changed = rows["label"].isin(plane.changed)
    kept, old = rows[~is_changed].assign(source=AUTO), rows[is_changed].set_index("label")
    labels = sorted(plane.changed & set(plane.areas))
    if not labels:
        return kept
    new = pd.concat([_measure(frame, label, plane, scale) for label in labels])
    new["source"] = [USER if label in plane.drawn else AUTO for label in labels]
    others = [name for name in rows.columns if name not in new.columns or name in SCORES]
    before = old.reindex(labels)
    for name in others:
        values = before[name].to_numpy()
        new[name] = pd.Series(values, index=new.index).where(new["source"] == AUTO)
    new = new.reindex(columns=kept.columns)
    table = pd.concat([kept, new] if len(kept) else [new])
    return table.sort_values("label", kind="stable", ignore_index=True)


def _measure(frame: int, label: int, plane: LabelPlane, scale: Scale) -> pd.DataFrame:
    cell = plane.cell(label)
    instance = Instance(cell.y0, cell.x0, cell.mask, np.nan, np.nan)
    row = cell_table(frame, [instance], plane.shape_yx, scale.pixel_size_um, scale.facts)
    row["label"] = np.array([label], DTYPES["label"])
    return row
