"""Reporter traces: intensity, local background, ratio and R/R0 of every cell in every frame.

The ratio is that of background-subtracted means, ``(num - num_bg) / (den - den_bg)``, as in the
analysis of the ExRai AMPKAR reporter (Schmitt et al. 2022, Nat. Commun. 13:3856), because ratios of
single pixels become very large at cell edges, where the denominator is small. The ratio of a kinase
translocation reporter is that of the medians of one channel in the cytoplasm and in the
nucleus (Regot et al. 2014, Cell 157:1724). ``R0`` is a cell's mean ratio over the first frames of
the movie, before the drug. The decay of the ratio by bleaching, if it was measured on control
cells, is divided out.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from cellsam_core.traces.intensities import measure_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy.typing as npt

    from cellsam_core.traces.settings import TraceSettings

    IntArray = npt.NDArray[np.int64]
    Plane = npt.NDArray[Any]
    Frame = tuple[Plane, Plane, pd.DataFrame] | tuple[Plane, Plane, pd.DataFrame, Plane]

MIN_SNR = 3.0
ABSENT = "_not_imaged"
"""Ends the name of a column of a channel that this frame does not have; left out of the table."""

COLUMNS: dict[str, str] = {
    "track_id": "int64",
    "lineage_id": "int64",
    "frame": "int64",
    "time_s": "float64",
    "compartment": "object",
}
CHANNEL_COLUMNS: dict[str, str] = {
    "mean": "float64",
    "background": "float64",
    "median": "float64",
    "background_sd": "float64",
    "n_saturated": "int64",
}
RESULT_COLUMNS: dict[str, str] = {
    "ratio": "float64",
    "bleach_factor": "float64",
    "r0": "float64",
    "r_over_r0": "float64",
    "dr_r0": "float64",
    "valid": "bool",
    "invalid_reason": "object",
    "r0_track_id": "int64",
    "label": "int64",
    "n_px": "int64",
    "touches_border": "bool",
    "background_source": "object",
    "sample": "object",
}


def add_ratio(
    table: pd.DataFrame, settings: TraceSettings, near_division: npt.NDArray[np.bool_]
) -> pd.DataFrame:
    """Add the columns ratio and invalid_reason (joined by ``;``) to rows of :func:`measure_frame`.

    Parameters
    ----------
    table
        Rows of one frame.
    settings
        Resolved options, with the reporter and the channels of its ratio.
    near_division
        One value per row, True if the cell divides, or was born, within the division window.

    Returns
    -------
    pandas.DataFrame
        A copy with the two columns. The ratio of a KTR is taken between two compartments and is
        the same in all rows of a cell. Signals below 3 standard deviations of the background
        pixels are flagged as low. The ratio is NaN where the denominator does not exceed its
        background; for all other reasons it is kept and only flagged.
    """
    table = table.copy()
    if settings.pair is None:
        return table.assign(ratio=np.nan, invalid_reason="no ratio")
    cytoplasm = "cytoplasm" if settings.has_nuclei else "ring"
    num, den = (
        _side(table, settings.options.reporter, compartment, channel)
        for compartment, channel in zip((cytoplasm, "nucleus"), settings.pair, strict=True)
    )
    imaged = ~(num.not_imaged | den.not_imaged)
    reasons = {
        "channel not imaged": ~imaged,
        "no pixels": num.empty | den.empty,
        "no background": imaged & (num.no_background | den.no_background),
        "not finite": ~(np.isfinite(num.signal) & np.isfinite(den.signal))
        & ~(num.empty | den.empty | num.no_background | den.no_background)
        & imaged,
        "low denominator": den.weak,
        "low numerator": num.weak,  # R0 near 0 would make R/R0 noise
        "saturated": num.saturated | den.saturated,
        "touches border": table["touches_border"].to_numpy(),
        "division window": near_division,
    }
    table["ratio"] = np.divide(
        num.signal, den.signal, out=np.full(len(table), np.nan), where=den.signal > 0
    )
    table["invalid_reason"] = _join_reasons(reasons, len(table))
    return table


class _Side(NamedTuple):
    """One side of the ratio for each row: signal above background, and reasons against it."""

    signal: npt.NDArray[np.float64]
    empty: npt.NDArray[np.bool_]
    no_background: npt.NDArray[np.bool_]
    weak: npt.NDArray[np.bool_]
    saturated: npt.NDArray[np.bool_]
    not_imaged: npt.NDArray[np.bool_]


def _side(table: pd.DataFrame, reporter: str, compartment: str, channel: str) -> _Side:
    """Measure one side: for a KTR the median of a compartment, as a ring can leave a thin cell."""
    rows, statistic = table, "mean"
    if reporter == "ktr":
        rows = table[table["compartment"] == compartment].set_index("label").loc[table["label"]]
        statistic = "median"
    background = rows[f"{channel}_background"].to_numpy()
    signal = rows[f"{channel}_{statistic}"].to_numpy() - background
    noise = rows[f"{channel}_background_sd"].to_numpy()
    return _Side(
        signal,
        rows["n_px"].to_numpy() == 0,
        np.isnan(background),
        (signal <= 0) | (signal < MIN_SNR * noise),
        rows[f"{channel}_n_saturated"].to_numpy() > 0,
        np.full(len(rows), f"{channel}{ABSENT}" in rows),
    )


def _join_reasons(reasons: dict[str, npt.NDArray[np.bool_]], n_rows: int) -> list[str]:
    names = list(reasons)
    flags = np.column_stack(list(reasons.values())) if n_rows else np.zeros((0, len(names)), bool)
    return [";".join(names[i] for i in np.flatnonzero(row)) for row in flags]


def division_windows(tracks: pd.DataFrame, window_frames: int) -> pd.DataFrame:
    """Find the frames of each track near a mitosis, where cell rounding changes the ratio.

    A division masks the last `window_frames` frames of the parent and as many first frames of
    each daughter; 0 masks none. In budding the mother lives on and does not round up: neither
    mother nor bud is masked.

    Parameters
    ----------
    tracks
        track_id, parent_id (0 for none), first_frame, last_frame.
    window_frames
        Number of masked frames on either side of a division.

    Returns
    -------
    pandas.DataFrame
        Index track_id; born_until (last masked frame after birth; before the first frame of the
        movie for none) and divides_from (first masked frame before the division; after the last
        frame of the movie for none).
    """
    tracks = tracks.set_index("track_id")
    never = int(tracks["last_frame"].max()) + 1 if len(tracks) else 0
    windows = pd.DataFrame({"born_until": -1, "divides_from": never}, index=tracks.index)
    daughters = tracks[tracks["parent_id"].isin(tracks.index)]
    parent_ends = tracks["last_frame"].reindex(daughters["parent_id"]).to_numpy()
    daughters = daughters[parent_ends < daughters["first_frame"].to_numpy()]
    windows.loc[daughters.index, "born_until"] = daughters["first_frame"] + window_frames - 1
    parents = daughters["parent_id"].unique()
    windows.loc[parents, "divides_from"] = tracks.loc[parents, "last_frame"] + 1 - window_frames
    return windows


def near_division(
    frame: int, track_ids: IntArray | pd.Series[int], windows: pd.DataFrame
) -> npt.NDArray[np.bool_]:
    """Return True for tracks that are within a window of :func:`division_windows` at `frame`."""
    rows = windows.reindex(track_ids)
    return np.asarray((frame <= rows["born_until"]) | (frame >= rows["divides_from"]), dtype=bool)


def baseline_ratios(baseline: pd.DataFrame, tracks: pd.DataFrame) -> pd.DataFrame:
    """Find R0 of every track: its own, or that of its nearest ancestor with a baseline.

    Parameters
    ----------
    baseline
        Rows of the baseline frames with track_id, compartment, ratio, invalid_reason; rows with
        a reason are left out of the mean.
    tracks
        track_id, parent_id (0 for none).

    Returns
    -------
    pandas.DataFrame
        Index (track_id, compartment); r0 and r0_track_id, the track on which R0 was measured.
        Tracks without R0 are absent.
    """
    usable = baseline[baseline["invalid_reason"] == ""]
    own = usable.groupby(["compartment", "track_id"])["ratio"].mean()
    parents = dict(zip(tracks["track_id"], tracks["parent_id"], strict=True))
    rows = []
    for compartment in sorted(own.index.unique("compartment")):
        measured: dict[int, float] = own.loc[compartment].to_dict()
        for track_id in tracks["track_id"]:
            source, visited = track_id, set()
            while source in parents and source not in measured and source not in visited:
                visited.add(source)
                source = parents[source]
            if source in measured:
                rows.append((track_id, compartment, measured[source], source))
    table = pd.DataFrame(rows, columns=["track_id", "compartment", "r0", "r0_track_id"])
    table = table.astype({"r0": "float64", "r0_track_id": "float64"})
    return table.set_index(["track_id", "compartment"])


def normalise(table: pd.DataFrame, baselines: pd.DataFrame) -> pd.DataFrame:
    """Add r0, r0_track_id (0 for none), r_over_r0, dr_r0 and valid; complete invalid_reason."""
    keys = pd.MultiIndex.from_frame(table[["track_id", "compartment"]])
    rows = baselines.reindex(keys).reset_index(drop=True)
    table = table.reset_index(drop=True)
    table["r0"] = rows["r0"].astype("float64")
    table["r0_track_id"] = rows["r0_track_id"].fillna(0).astype(np.int64)
    table["r_over_r0"] = table["ratio"] / table["r0"]
    table["dr_r0"] = table["r_over_r0"] - 1
    reason = table["invalid_reason"]
    no_baseline = table["r0"].isna() & (reason != "no ratio")
    table["invalid_reason"] = [
        ";".join(filter(None, (text, "no baseline"))) if missing else text
        for text, missing in zip(reason, no_baseline, strict=True)
    ]
    table["valid"] = table["invalid_reason"] == ""
    return table


def columns_of(channels: Sequence[str]) -> dict[str, str]:
    """Return the columns of the trace table, in order, with their dtypes."""
    measured = {f"{c}_{name}": t for c in channels for name, t in CHANNEL_COLUMNS.items()}
    return COLUMNS | measured | RESULT_COLUMNS


def trace_frames(
    frames: Iterable[Frame],
    channels: Sequence[str],
    tracks: pd.DataFrame,
    settings: TraceSettings,
    frame_interval_s: float | None,
    *,
    times_s: Sequence[float] | None = None,
    ceilings: Sequence[float | None] | None = None,
    sample: str = "",
) -> Iterator[pd.DataFrame]:
    """Trace a movie frame by frame; only the rows of the baseline frames are held in memory.

    Parameters
    ----------
    frames
        For each frame its ``(c, y, x)`` image, ``(y, x)`` labels, the objects, a table with
        label and track_id, and the ``(y, x)`` labels of the nuclei if they are known. Labels
        without an object are not reported, but are excluded from the background like cells.
    channels
        Names along ``c``.
    tracks
        track_id, lineage_id, parent_id (0 for none), first_frame, last_frame.
    settings
        Options, resolved for this movie.
    frame_interval_s
        Time between frames in seconds; None leaves time_s empty, unless `times_s` has it.
    times_s
        Seconds of each frame, even or not; the interval tells them if None.
    ceilings
        Saturation value of each channel, as for :func:`.intensities.measure_frame`.
    sample
        Name of the sample.

    Yields
    ------
    pandas.DataFrame
        The rows of one frame, by compartment and track_id, with the columns of
        :func:`columns_of`.
    """
    windows = division_windows(tracks, settings.options.division_margin_frames)
    measured = (
        _trace_frame(index, frame, channels, settings, windows, ceilings)
        for index, frame in enumerate(frames)
    )
    n_baseline = settings.options.baseline_frames
    first = [table for _, table in zip(range(n_baseline), measured, strict=False)]
    if not first:
        return
    baselines = baseline_ratios(pd.concat(first, ignore_index=True), tracks)
    lineages = tracks.set_index("track_id")["lineage_id"]
    dtypes = columns_of(channels)
    for table in chain(first, measured):
        result = normalise(table, baselines)
        result["sample"] = sample
        result["lineage_id"] = lineages.reindex(result["track_id"]).to_numpy()
        if times_s is None:
            result["time_s"] = result["frame"] * (frame_interval_s or np.nan)
        else:
            result["time_s"] = np.asarray(times_s, np.float64)[result["frame"]]
        yield result[list(dtypes)].astype(dtypes)


def _trace_frame(
    index: int,
    frame: Frame,
    channels: Sequence[str],
    settings: TraceSettings,
    windows: pd.DataFrame,
    ceilings: Sequence[float | None] | None,
) -> pd.DataFrame:
    """Measure the ratios of one frame, which are not normalised yet."""
    image, labels, objects, *more = frame
    nuclei = more[0] if more else None
    table = measure_frame(image, labels, channels, settings.options, ceilings, nuclei)
    for channel, plane in zip(channels, image, strict=True):
        if plane.size and not np.isfinite(plane).any():
            table[f"{channel}{ABSENT}"] = True
    table = table.merge(objects[["label", "track_id"]].astype(np.int64), on="label")
    table = table.sort_values(["compartment", "track_id"], ignore_index=True)
    dividing = near_division(index, table["track_id"], windows)
    table = add_ratio(table, settings, dividing)
    factor = float(np.exp(-settings.bleach_rate * index))
    return table.assign(frame=index, bleach_factor=factor, ratio=table["ratio"] / factor)
