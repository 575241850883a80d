"""Files of reporter traces: writers of the long and the wide table, and readers of the long one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cellsam_core.errors import InputError
from cellsam_core.files.parquet import parquet_writer
from cellsam_core.files.tables import plain_numbers, read_table
from cellsam_core.traces.columns import TRACES
from cellsam_core.traces.ratios import columns_of
from cellsam_core.traces.summaries import summarise_tracks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy.typing as npt

METADATA = b"cellsam_traces"
MOST_FRAMES = 1_000_000
"""Frames that no movie reaches: a table of tracks x frames must fit into memory."""
RATIO_COLUMNS = ("track_id", "frame", "time_s", "r_over_r0", "valid")


def write_traces(
    path: Path,
    tables: Iterator[pd.DataFrame],
    channels: Sequence[str],
    record: dict[str, Any],
) -> None:
    """Write the tables as one Parquet file, one row group per table.

    Parameters
    ----------
    path
        File to write.
    tables
        Rows of one frame each.
    channels
        Names of the channels, which name the columns.
    record
        Options and frame interval, or times of uneven frames, stored in the metadata, so that a
        table without rows also has them.
    """
    arrow = {
        "int64": pa.int64(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
        "object": pa.string(),
    }
    plain = pa.schema(
        [(name, arrow.get(dtype, pa.float64())) for name, dtype in columns_of(channels).items()],
        metadata={METADATA: json.dumps(record, sort_keys=True)},
    )
    schema = TRACES.described(plain)
    with parquet_writer(path, schema) as writer:
        for table in tables:
            if len(table):
                writer.write_table(pa.Table.from_pandas(table, schema=schema, preserve_index=False))


def read_ratios(path: Path) -> pd.DataFrame:
    """Read R/R0 of whole cells: track_id, frame, time_s, r_over_r0, valid.

    Raises
    ------
    InputError
        The table can't be read or lacks a column.
    """
    columns = [*RATIO_COLUMNS, "compartment"]
    rows = read_table(path, columns, only=True)
    rows = rows[rows["compartment"] == "cell"].drop(columns="compartment")
    rows = plain_numbers(path, rows, whole=("track_id", "frame"), real=("time_s", "r_over_r0"))
    outside = rows.loc[~rows["frame"].between(0, MOST_FRAMES - 1), "frame"]
    if len(outside):
        raise InputError(
            path,
            found=f"frame {outside.iloc[0]}",
            expected=f"frames from 0 on, fewer than {MOST_FRAMES}",
            remedy="correct the column frame",
        )
    return rows


def ratios_of(table: pd.DataFrame) -> pd.DataFrame:
    """Take R/R0 of whole cells from a long table, with the columns of :func:`read_ratios`."""
    return table.loc[table["compartment"] == "cell", list(RATIO_COLUMNS)]


def wide_table(ratios: pd.DataFrame, track_ids: pd.Series[int], n_frames: int) -> pd.DataFrame:
    """Arrange R/R0 of :func:`read_ratios` by track and frame.

    Parameters
    ----------
    ratios
        R/R0 of whole cells.
    track_ids
        Tracks, each of which gets a row.
    n_frames
        Number of frames, each of which gets a column.

    Returns
    -------
    DataFrame
        R/R0, index track_id. Values that the long table flags as invalid are kept; missing ones
        are NaN.
    """
    ids = np.sort(track_ids.to_numpy())
    values = np.full((len(ids), n_frames), np.nan)
    values[np.searchsorted(ids, ratios["track_id"]), ratios["frame"]] = ratios["r_over_r0"]
    return pd.DataFrame(values, index=pd.Index(ids, name="track_id"))


def write_wide(path: Path, ratios: pd.DataFrame, track_ids: pd.Series[int], n_frames: int) -> None:
    """Write R/R0 of :func:`read_ratios` as text: one row per track, one column per frame.

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
    """Read the options that `traces` recorded in its table; empty for a foreign table."""
    metadata = pq.read_schema(path).metadata or {}
    options: dict[str, Any] = json.loads(metadata.get(METADATA, b"{}"))
    return options


def drug_frame_of(options: dict[str, Any]) -> int:
    """Return the first frame after the drug from the options of :func:`read_options`."""
    frame = options.get("drug_frame")
    return int(options.get("baseline_frames", 0) if frame is None else frame)


class Responses(NamedTuple):
    """R/R0 of the cells of a sample, and their responses to the drug.

    Attributes
    ----------
    matrix
        Valid R/R0, one row per track and one column per frame; NaN where there is none.
    unit
        Unit of time: ``s``, or ``frames`` where the frame interval is not known.
    interval
        Time between two frames, in `unit`.
    drug_time
        Time at which the drug was added, in `unit` from the first frame.
    table
        Response of each track, as :func:`.summaries.summarise_tracks` returns it.
    times
        Time of each frame, in `unit`.
    is_even
        True if all intervals are the same; else `interval` is their median.
    """

    matrix: pd.DataFrame
    unit: str
    interval: float
    drug_time: float
    table: pd.DataFrame
    times: npt.NDArray[np.float64]
    is_even: bool = True

    def frames_at(self, times: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Positions of times among the frames, with fractions; outside of the movie beyond it."""
        if self.is_even:
            return np.asarray(times / self.interval)
        frames = np.arange(len(self.times), dtype=np.float64)
        inside = np.interp(times, self.times, frames)
        slack = 1e-3 * self.interval
        before, after = times < self.times[0] - slack, times > self.times[-1] + slack
        return np.asarray(np.where(before, -1.0, np.where(after, len(frames), inside)))


def read_responses(path: Path) -> Responses:
    """Read a table of traces and measure the responses of its cells.

    Raises
    ------
    InputError
        The table can't be read or lacks a column.
    """
    return responses_of(read_ratios(path), read_options(path))


def responses_of(ratios: pd.DataFrame, options: dict[str, Any]) -> Responses:
    """Measure the responses of the cells of :func:`read_ratios`.

    Parameters
    ----------
    ratios
        R/R0 of whole cells.
    options
        Options and frame interval, as :func:`read_options` returns them.
    """
    n_frames = int(ratios["frame"].max()) + 1 if len(ratios) else 0
    ids, row = np.unique(ratios["track_id"], return_inverse=True)
    values = np.full((len(ids), n_frames), np.nan)
    values[row, ratios["frame"]] = ratios["r_over_r0"].where(ratios["valid"])
    matrix = pd.DataFrame(values, index=pd.Index(ids, name="track_id"))
    unit, interval, all_times = _clock(ratios, options, n_frames)
    drug_frame = drug_frame_of(options)
    drug_time = drug_frame * interval
    if len(all_times) > drug_frame:
        drug_time = float(all_times[drug_frame])
    times = all_times[:n_frames]
    table = summarise_tracks(matrix, times, drug_time, unit)
    is_even = not options.get("frame_times_s")
    return Responses(matrix, unit, interval, drug_time, table, times, is_even)


def summary_table(responses: Responses) -> pd.DataFrame:
    """Tabulate responses with times in s and in frames, whatever is known of the interval.

    Returns
    -------
    DataFrame
        Index track_id; the columns of :func:`.summaries.summarise_tracks` with times in ``s``,
        NaN where the frame interval is not known, and then again in ``frames``.
    """
    table, matrix = responses.table, responses.matrix
    if responses.unit == "frames":
        names = [str(name) for name in table.columns[2:]]
        in_s = [f"{name.removesuffix('frames')}s" for name in names]
        table = table.assign(**dict.fromkeys(in_s, np.nan))
        return table[["n_valid", "peak", *in_s, *names]]
    frames = np.arange(matrix.shape[1], dtype=np.float64)
    after = responses.times >= responses.drug_time
    drug_frame = float(np.argmax(after)) if after.any() else float(len(frames))
    in_frames = summarise_tracks(matrix, frames, drug_frame, "frames")
    return table.join(in_frames.drop(columns=["n_valid", "peak"]))


def _clock(
    ratios: pd.DataFrame, options: dict[str, Any], n_frames: int
) -> tuple[str, float, npt.NDArray[np.float64]]:
    """Return unit of time, interval (the median of uneven ones) and time of each frame."""
    if options.get("frame_times_s"):
        times = np.asarray(options["frame_times_s"], np.float64)
        return "s", float(np.median(np.diff(times))), times
    interval_s = _interval_s(ratios, options)
    unit, interval = ("frames", 1.0) if interval_s is None else ("s", interval_s)
    return unit, interval, np.arange(n_frames, dtype=np.float64) * interval


def _interval_s(rows: pd.DataFrame, options: dict[str, Any]) -> float | None:
    """Return the frame interval of a long table in seconds; None if not known."""
    interval = options.get("frame_interval_s")
    if options.get("frame_times_s"):
        return None
    if interval is None:  # a foreign table has times only
        intervals = (rows["time_s"] / rows["frame"]).dropna()
        interval = intervals.median() if len(intervals) else None
    return None if interval is None else round(float(interval), 6)


def read_control(
    path: Path, ratio: tuple[str, str] | None, frame_interval_s: float | None
) -> pd.DataFrame:
    """Read the valid ratios of control cells: track_id, frame, ratio.

    Parameters
    ----------
    path
        Table of traces of the control.
    ratio, frame_interval_s
        Channels of the ratio, and time between frames in seconds, of the sample to correct.

    Raises
    ------
    InputError
        The table can't be read, or contradicts the sample; see :func:`control_ratios`.
    """
    columns = ["track_id", "frame", "time_s", "compartment", "ratio", "valid"]
    rows = read_table(path, columns, only=True)
    return control_ratios(path, rows, read_options(path), ratio, frame_interval_s)


def control_ratios(
    where: Path,
    rows: pd.DataFrame,
    options: dict[str, Any],
    ratio: tuple[str, str] | None,
    frame_interval_s: float | None,
) -> pd.DataFrame:
    """Select the valid ratios of control cells: track_id, frame, ratio.

    Parameters
    ----------
    where
        File of the control, or its name, for error messages.
    rows
        Long table of the control.
    options
        Options and frame interval of the control, as :func:`read_options` returns them.
    ratio, frame_interval_s
        Channels of the ratio, and time between frames in seconds, of the sample to correct.

    Raises
    ------
    InputError
        The control has another ratio or frame interval, or its own bleaching is divided out.
    """
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
                where,
                found=f"{name} {there}",
                expected=f"{here}, that of the sample to correct",
                remedy="name a control that was imaged and traced in the same way, itself without"
                " a control",
            )
    return rows.loc[rows["valid"] & (rows["compartment"] == "cell"), ["track_id", "frame", "ratio"]]
