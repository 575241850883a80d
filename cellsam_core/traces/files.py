"""The files of reporter traces: the long table, the wide one, and what is read back of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cellsam_core.errors import InputError
from cellsam_core.files.parquet import parquet_writer
from cellsam_core.files.tables import read_table
from cellsam_core.traces.ratios import columns_of
from cellsam_core.traces.summaries import summarise_tracks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cellsam_core.traces.intensities import TraceOptions

METADATA = b"cellsam_traces"


def write_traces(
    path: Path,
    tables: Iterator[pd.DataFrame],
    channels: Sequence[str],
    options: TraceOptions,
    frame_interval_s: float | None,
) -> None:
    """Write the tables as one Parquet file, one row group each.

    Options and frame interval go to its metadata: a table without rows has them, too.
    """
    said = asdict(options) | {"frame_interval_s": frame_interval_s}
    arrow = {
        "int64": pa.int64(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
        "object": pa.string(),
    }
    schema = pa.schema(
        [(name, arrow.get(dtype, pa.float64())) for name, dtype in columns_of(channels).items()],
        metadata={METADATA: json.dumps(said, sort_keys=True)},
    )
    with parquet_writer(path, schema) as writer:
        for table in tables:
            if len(table):
                writer.write_table(pa.Table.from_pandas(table, schema=schema, preserve_index=False))


def read_ratios(path: Path) -> pd.DataFrame:
    """Read what R/R0 of whole cells needs: track_id, frame, time_s, r_over_r0, valid.

    Raises
    ------
    InputError
        It can't be read or lacks a column.
    """
    columns = ["track_id", "frame", "time_s", "compartment", "r_over_r0", "valid"]
    rows = read_table(path, columns, only=True)
    return rows[rows["compartment"] == "cell"].drop(columns="compartment")


def write_wide(path: Path, ratios: pd.DataFrame, track_ids: pd.Series[int], n_frames: int) -> None:
    """Write R/R0 of :func:`read_ratios`: one row a track, one column a frame.

    Values that the long table flags as invalid are kept; missing ones are empty.
    """
    long = ratios[["track_id", "frame", "r_over_r0"]].dropna().sort_values(["track_id", "frame"])
    frames, values = long["frame"].to_numpy(), long["r_over_r0"].to_numpy()
    ids = np.sort(track_ids.to_numpy())
    starts = np.searchsorted(long["track_id"].to_numpy(), ids)
    stops = np.searchsorted(long["track_id"].to_numpy(), ids, side="right")
    with path.open("w", encoding="utf-8", newline="\n") as file:
        print("track_id", *range(n_frames), sep=",", file=file)
        for track_id, start, stop in zip(ids, starts, stops, strict=True):
            row = [""] * n_frames
            for frame, value in zip(frames[start:stop], values[start:stop], strict=True):
                row[frame] = f"{value:.6g}"
            print(track_id, *row, sep=",", file=file)


def read_options(path: Path) -> dict[str, Any]:
    """Read the options that `traces` recorded in its table; empty for a table from elsewhere."""
    metadata = pq.read_schema(path).metadata or {}
    options: dict[str, Any] = json.loads(metadata.get(METADATA, b"{}"))
    return options


def drug_frame_of(options: dict[str, Any]) -> int:
    """First frame after the drug, as :func:`read_options` has it."""
    frame = options.get("drug_frame")
    return int(options.get("baseline_frames", 0) if frame is None else frame)


class Responses(NamedTuple):
    """R/R0 of a sample's cells and what it amounts to.

    Attributes
    ----------
    matrix
        Valid R/R0, one row a track, one column a frame; NaN where there is none.
    unit
        Of time: ``s``, or ``frames`` where the frame interval is not known.
    interval, drug_time
        Between two frames, and of the drug's addition.
    table
        See :func:`.summaries.summarise_tracks`.
    """

    matrix: pd.DataFrame
    unit: str
    interval: float
    drug_time: float
    table: pd.DataFrame


def read_responses(path: Path) -> Responses:
    """Read a table of traces and sum up its cells.

    Raises
    ------
    InputError
        It can't be read or lacks a column.
    """
    return responses_of(read_ratios(path), read_options(path))


def responses_of(ratios: pd.DataFrame, options: dict[str, Any]) -> Responses:
    """Sum up the cells of :func:`read_ratios`, with the options of :func:`read_options`."""
    n_frames = int(ratios["frame"].max()) + 1 if len(ratios) else 0
    ids, row = np.unique(ratios["track_id"], return_inverse=True)
    values = np.full((len(ids), n_frames), np.nan)
    values[row, ratios["frame"]] = ratios["r_over_r0"].where(ratios["valid"])
    matrix = pd.DataFrame(values, index=pd.Index(ids, name="track_id"))
    interval_s = _interval_s(ratios, options)
    unit, interval = ("frames", 1.0) if interval_s is None else ("s", interval_s)
    times = np.arange(n_frames, dtype=np.float64) * interval
    drug_time = drug_frame_of(options) * interval
    table = summarise_tracks(matrix, times, drug_time, unit)
    return Responses(matrix, unit, interval, drug_time, table)


def _interval_s(rows: pd.DataFrame, options: dict[str, Any]) -> float | None:
    """Frame interval of a long table; None if not known."""
    interval = options.get("frame_interval_s")
    if interval is None:  # a table of an earlier version tells by its times
        intervals = (rows["time_s"] / rows["frame"]).dropna()
        interval = intervals.median() if len(intervals) else None
    return None if interval is None else round(float(interval), 6)


def read_control(
    path: Path, ratio: tuple[str, str] | None, frame_interval_s: float | None
) -> pd.DataFrame:
    """Read the valid ratios of control cells: track_id, frame, ratio.

    Raises
    ------
    InputError
        The control's ratio or frame interval is another one, or its own bleaching is divided out.
    """
    columns = ["track_id", "frame", "time_s", "compartment", "ratio", "valid"]
    rows = read_table(path, columns, only=True)
    options = read_options(path)
    expected = {
        "ratio": (list(ratio or ()), list(options.get("ratio") or ())),
        "bleaching rate": (0.0, options.get("bleach_rate", 0.0)),
        "frame interval in s": (
            frame_interval_s and round(frame_interval_s, 6),
            _interval_s(rows, options),
        ),
    }
    for name, (here, there) in expected.items():
        if here != there:
            raise InputError(
                path,
                found=f"{name} {there}",
                expected=f"{here}, that of the sample to correct",
                remedy="name a control that was imaged and traced in the same way, itself without"
                " a control",
            )
    return rows.loc[rows["valid"] & (rows["compartment"] == "cell"), ["track_id", "frame", "ratio"]]
