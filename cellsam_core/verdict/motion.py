"""Checks of a movie's tracks: interruptions, doubtful links, drift of the stage, traces."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.verdict import limits
from cellsam_core.verdict.cells import MIN_CELLS, NO_CELLS
from cellsam_core.verdict.checks import Check, Measure

if TYPE_CHECKING:
    import pandas as pd

BORN_INSIDE, BUD, ENDED_INSIDE = "appeared", "bud", "lost"
NO_TRACKS = "There are no tracks."
SINGLE = "The movie has a single frame."
MIN_CELLS_OF_STAGE = 5
FEW_CELLS = (
    f"There are fewer than {MIN_CELLS_OF_STAGE} cells: their own movement can't be told from that "
    "of the stage."
)
SMALL_SHARE, MIN_SMALL = 0.5, 10
"""Area, in that of the typical cell, up to which a new cell may be a bud, and fewest of them."""


def track_check(objects: pd.DataFrame | None, tracks: pd.DataFrame | None, n_frames: int) -> Check:
    """Judge how often tracks begin or end inside the field, without a division."""
    measures = interruptions(objects, tracks, n_frames), area_change(objects)
    return Check("tracks", "Tracks", "tracks", measures)


def interruptions(
    objects: pd.DataFrame | None, tracks: pd.DataFrame | None, n_frames: int
) -> Measure:
    """Count beginnings and ends inside the field for each 100 cells that could be linked."""
    if objects is None or tracks is None:
        return Measure(limits.INTERRUPTED, None, NO_TRACKS)
    if n_frames == 1 or objects.empty:
        return Measure(limits.INTERRUPTED, None, SINGLE if n_frames == 1 else NO_CELLS)
    born = int((tracks["birth_kind"] == BORN_INSIDE).sum())
    ended = int((tracks["end_kind"] == ENDED_INSIDE).sum())
    rate = 100 * (born + ended) / 2 / len(objects)
    whole = int((tracks["last_frame"] - tracks["first_frame"] + 1 == n_frames).sum())
    said = (
        f"{born} tracks begin and {ended} end inside the field without a division, in "
        f"{len(objects)} masks; {whole} of {len(tracks)} tracks span the movie."
    )
    n_small = _small_beginnings(objects, tracks)
    if n_small >= max(MIN_SMALL, born / 2):
        said += (
            f" {n_small} of the tracks that begin are of cells of less than half the usual area: "
            "if they are buds, such as those of yeast, set `division` to budding."
        )
    return Measure(limits.INTERRUPTED, rate, said)


def _small_beginnings(objects: pd.DataFrame, tracks: pd.DataFrame) -> int:
    """Count the tracks that begin inside the field as cells of less than half the usual area."""
    if (tracks["birth_kind"] == BUD).any():
        return 0  # buds were looked for
    begun = tracks[tracks["birth_kind"] == BORN_INSIDE]
    first = begun[["track_id", "first_frame"]].rename(columns={"first_frame": "frame"})
    area = first.merge(objects, on=["track_id", "frame"])["area_px"]
    return int((area < SMALL_SHARE * objects["area_px"].median()).sum())


def area_change(objects: pd.DataFrame | None) -> Measure:
    """Measure the change of the area of a cell from frame to frame."""
    if objects is None:
        return Measure(limits.CHANGE, None, NO_TRACKS)
    ordered = objects.sort_values(["track_id", "frame"], kind="stable")
    track = ordered["track_id"].to_numpy(np.int64)
    area = ordered["area_px"].to_numpy(np.float64)
    same = track[1:] == track[:-1]
    if int(same.sum()) < MIN_CELLS:
        return Measure(limits.CHANGE, None, f"There are fewer than {MIN_CELLS} links.")
    change = 100 * float(np.median(np.abs(np.diff(area)[same]) / area[:-1][same]))
    return Measure(limits.CHANGE, change, f"A cell's area changes by {change:.1f} % a frame.")


def link_check(
    objects: pd.DataFrame | None, divisions: pd.DataFrame | None, frame_interval_s: float | None
) -> Check:
    """Judge how many links and divisions are in doubt, and whether cells divide too often."""
    measures = [doubtful_links(objects), doubtful_divisions(divisions)]
    if frame_interval_s is not None and objects is not None and divisions is not None:
        measures += doubling_time(len(objects), len(divisions), frame_interval_s)
    return Check("links", "Links and divisions", "what-to-check", tuple(measures))


def doubtful_links(objects: pd.DataFrame | None) -> Measure:
    """Measure the expected share of wrong links, by their own probabilities."""
    if objects is None or "link_probability" not in objects:
        return Measure(limits.WRONG_LINKS, None, NO_TRACKS)
    probability = objects["link_probability"].dropna()
    if probability.empty:
        return Measure(limits.WRONG_LINKS, None, "No link was made.")
    wrong = float((1 - probability).sum())
    said = f"About {wrong:.1f} of {len(probability)} links are expected to be wrong."
    return Measure(limits.WRONG_LINKS, 100 * wrong / len(probability), said)


def doubtful_divisions(divisions: pd.DataFrame | None) -> Measure:
    """Measure the share of divisions with a probability below 2/3."""
    if divisions is None or divisions.empty:
        said = NO_TRACKS if divisions is None else "No division was found."
        return Measure(limits.WRONG_DIVISIONS, None, said)
    n = int((divisions["status"] == "ambiguous").sum())
    said = f"{n} of {len(divisions)} divisions are in doubt."
    if len(divisions) < limits.MIN_DIVISIONS:
        few = f"{said} They are too few to judge."
        return Measure(limits.WRONG_DIVISIONS, None, few)
    return Measure(limits.WRONG_DIVISIONS, 100 * n / len(divisions), said)


def doubling_time(n_masks: int, n_divisions: int, frame_interval_s: float) -> list[Measure]:
    """Measure the time in which cells double; nothing with too few divisions."""
    if n_divisions < limits.MIN_DIVISIONS:
        return []
    hours = n_masks * frame_interval_s / 3600
    doubling_h = float(np.log(2) * hours / n_divisions)
    said = (
        f"{n_divisions} divisions in {hours:.3g} hours of all cells together, at"
        f" {frame_interval_s:g} s a frame: cells double in {doubling_h:.2g} h."
    )
    return [Measure(limits.DOUBLING, doubling_h, said)]


def drift_check(drift: pd.DataFrame | None, diameter_px: float | None) -> Check:
    """Judge the largest step of the stage between two frames."""
    return Check(
        "drift",
        "Drift of the stage",
        "frame-interval-and-drift",
        (largest_step(drift, diameter_px),),
    )


def largest_step(drift: pd.DataFrame | None, diameter_px: float | None) -> Measure:
    """Measure the largest step in cell diameters."""
    if drift is None or len(drift) < 2 or not diameter_px:
        return Measure(limits.DRIFT, None, "There are no two frames with cells.")
    steps = np.hypot(np.diff(drift["y_px"], prepend=0.0), np.diff(drift["x_px"], prepend=0.0))
    if "n_cells" in drift:
        is_known = (drift["n_cells"].rolling(2).min() >= MIN_CELLS_OF_STAGE).to_numpy()
        if not is_known.any():
            return Measure(limits.DRIFT, None, FEW_CELLS)
        steps = np.where(is_known, steps, 0.0)
    step = float(steps.max())
    frame = int(steps.argmax())
    said = f"Largest step {step:.0f} px" + (f", before frame {frame}." if step >= 1 else ".")
    return Measure(limits.DRIFT, step / diameter_px, said)


def trace_check(traces: pd.DataFrame | None, ratio: object) -> Check:
    """Judge the share of valid values of the ratio, and name the chief reason for invalid ones."""
    return Check("traces", "Valid trace values", "reporter-traces", (valid_values(traces, ratio),))


def valid_values(traces: pd.DataFrame | None, ratio: object) -> Measure:
    """Measure the share of valid values among those of whole cells.

    Parameters
    ----------
    traces
        Rows of ``traces.parquet`` on whole cells, or None.
    ratio
        Channels of the ratio; None where none was asked for.
    """
    if traces is None or ratio is None:
        said = "There are no traces." if traces is None else "No ratio was asked for."
        return Measure(limits.VALID_VALUES, None, said)
    if len(traces) < MIN_CELLS:
        return Measure(limits.VALID_VALUES, None, f"There are fewer than {MIN_CELLS} values.")
    valid = traces["valid"].astype(bool)
    said = f"{int(valid.sum())} of {len(traces)} values are valid."
    reasons = traces.loc[~valid, "invalid_reason"].astype(str).str.split(";").explode()
    if len(reasons):
        counts = reasons.value_counts().sort_index().sort_values(ascending=False, kind="stable")
        said += f' Chief reason for the others: "{counts.index[0]}" ({int(counts.iloc[0])} values).'
    return Measure(limits.VALID_VALUES, 100 * float(valid.mean()), said)
