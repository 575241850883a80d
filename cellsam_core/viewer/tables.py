"""Objects, tracks, traces and the list of doubts of a movie."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellsam_core.viewer.columns import as_columns, as_list, binary, read_cells

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.reporting.results import Results

OBJECT_COLUMNS = ["frame", "label", "track_id", "y", "x", "area_px", "link_kind"]
OBJECT_COLUMNS += ["link_probability", "flags", "merged_labels"]
TRACE_COLUMNS = ["time_s", "frame", "ratio", "r_over_r0", "dr_r0", "valid", "invalid_reason"]
DOUBTFUL = 0.9
FITTING = 0.95
"""Share of the objects that must be cells of the masks; corrections of tracks change a few."""


class MovieTables:
    """Tables of one movie.

    Parameters
    ----------
    results
        Results of the sample.
    masks
        Folder with the ``cells.parquet`` of the masks that were tracked.
    """

    def __init__(self, results: Results, masks: Path) -> None:
        self._results = results
        self._cells_path = masks / "cells.parquet"

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Segmented cells, by frame and label; those of tracked masks with their tracks."""
        cells = read_cells(self._cells_path)
        objects = self.objects
        if objects is None or not self.fits:
            return cells.assign(track_id=0).sort_values("frame", kind="stable")
        score = cells[["frame", "label", "score"]].astype({"label": "int64"})
        return objects.merge(score, on=["frame", "label"], how="left")

    @cached_property
    def objects(self) -> pd.DataFrame | None:
        """Tracked objects, by frame; None where they are not tracked yet."""
        table = self._results.table("3_tracks/objects.parquet", OBJECT_COLUMNS)
        return None if table is None else table.sort_values(["frame", "label"], ignore_index=True)

    @cached_property
    def fits(self) -> bool:
        """True unless the tracks belong to other masks than those that are shown."""
        objects = self.objects
        if objects is None:
            return True
        if "merged_labels" in objects:
            # What a user has merged has the area of all its masks.
            objects = objects[objects["merged_labels"] == ""]
        key = ["frame", "label", "area_px"]
        cells = read_cells(self._cells_path)[key].astype("int64")
        same = objects[key].astype("int64").merge(cells, on=key)
        return len(same) >= FITTING * len(objects)

    def frame_of_cells(self, frame: int) -> bytes:
        """Pack label, track, position, area and score of the cells of a frame."""
        rows = self.rows(frame, frame)
        probability = rows.get("link_probability", pd.Series(np.nan, index=rows.index))
        return binary(
            {
                "label": rows["label"].to_numpy(),
                "track": rows["track_id"].to_numpy(),
                "y": rows["y"].to_numpy(np.float32),
                "x": rows["x"].to_numpy(np.float32),
                "area": rows["area_px"].to_numpy(np.float32),
                "score": rows["score"].to_numpy(np.float32),
                "probability": probability.to_numpy(np.float32),
            }
        )

    def rows(self, first: int, last: int) -> pd.DataFrame:
        """Return the cells of some frames."""
        frames = self.cells["frame"].to_numpy()
        low, high = np.searchsorted(frames, [first, last + 1])
        return self.cells.iloc[low:high]

    def paths(self, frame: int, length: int) -> bytes:
        """Pack the positions of all tracks in a frame and in those before it, for the tails."""
        rows = self.rows(max(0, frame - length), frame).sort_values(
            ["track_id", "frame"], kind="stable"
        )
        return binary(
            {
                "track": rows["track_id"].to_numpy(),
                "frame": rows["frame"].to_numpy(),
                "y": rows["y"].to_numpy(np.float32),
                "x": rows["x"].to_numpy(np.float32),
            }
        )

    def cell(self, frame: int, label: int) -> dict[str, Any] | None:
        """Describe one cell; None if there is no such cell."""
        rows = self.rows(frame, frame)
        found = rows[rows["label"] == label]
        return None if found.empty else {k: v[0] for k, v in as_columns(found).items()}

    def track_objects(self, track: int) -> dict[str, list[Any]]:
        """List frame, label and position of a track's objects."""
        rows = self.cells[self.cells["track_id"] == track]
        names = ["frame", "label", "y", "x", "area_px", "link_kind", "link_probability", "flags"]
        return as_columns(rows[[name for name in names if name in rows]])

    @cached_property
    def tracks(self) -> dict[str, Any]:
        """Columns of ``tracks.csv``; empty where it is not made yet."""
        table = self._results.table("3_tracks/tracks.csv")
        return {} if table is None else as_columns(table)

    @cached_property
    def divisions(self) -> dict[str, Any]:
        """Columns of ``divisions.csv``; empty where it is not made yet."""
        table = self._results.table("3_tracks/divisions.csv")
        return {} if table is None else as_columns(table)

    def division_rows(self) -> list[dict[str, Any]]:
        """Return the rows of ``divisions.csv``."""
        names = list(self.divisions)
        lists = self.divisions.values()
        return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]

    def ends(self, track: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return frame and label of the first and the last object of a track."""
        rows = self.track_objects(track)
        objects = list(zip(rows["frame"], rows["label"], strict=True))
        return min(objects), max(objects)

    @cached_property
    def review(self) -> dict[str, Any]:
        """Columns of ``review.csv``; empty where it is not made yet."""
        table = self._results.table("3_tracks/review.csv")
        return {} if table is None else as_columns(table)

    @cached_property
    def _traces(self) -> pd.DataFrame | None:
        table = self._results.table("3_tracks/traces.parquet")
        return None if table is None else table.sort_values(["track_id", "frame"], kind="stable")

    def trace(self, track: int) -> dict[str, Any]:
        """Columns of the trace of a track, by compartment; empty where there is none."""
        table = self._traces
        if table is None:
            return {}
        ids = table["track_id"].to_numpy()
        low, high = np.searchsorted(ids, [track, track + 1])
        rows = table.iloc[low:high]
        means = [name for name in rows if str(name).endswith("_mean")]
        names = [name for name in (*TRACE_COLUMNS, *means) if name in rows]
        return {
            str(compartment): {str(name): as_list(part[name]) for name in names}
            for compartment, part in rows.groupby("compartment", observed=True, sort=True)
        }

    def candidates(self, frame: int, label: int, n: int = 4) -> list[dict[str, Any]]:
        """List the cells that an object could be the same as, nearest first.

        They are those of the frame before, or of the last frame of its track before a gap.
        """
        own = self.rows(frame, frame)
        own = own[own["label"] == label]
        earlier = self.rows(0, frame - 1)
        same = earlier[earlier["track_id"].isin(own["track_id"]) & (earlier["track_id"] > 0)]
        last = frame - 1 if same.empty else int(same["frame"].iloc[-1])
        before = self.rows(last, last)
        if own.empty or before.empty:
            return []
        y, x = float(own["y"].iloc[0]), float(own["x"].iloc[0])
        reach = 3 * float(np.sqrt(max(own["area_px"].iloc[0], 1)))
        distance = np.hypot(before["y"] - y, before["x"] - x)
        near = before.assign(distance=distance).sort_values("distance", kind="stable").head(n)
        near = near[near["distance"] <= reach]
        names = ["frame", "label", "track_id", "y", "x", "distance"]
        lists = [as_list(near[name]) for name in names]
        return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)]
