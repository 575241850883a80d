"""Tables of tracks that a user has changed: brought to their order and types, or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.tables import plain_numbers, refuse_missing, refuse_repeated
from cellsam_core.tracking.columns import OBJECTS

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.tracking.tracks import Tracks

TRACK_COLUMNS = ("track_id", "lineage_id", "parent_id", "first_frame", "last_frame")
OBJECT_COLUMNS = ("frame", "label", "track_id")
OF_ONE_RUN = "give both tables of one run of `cellsam-core track`, filtered alike"


def plain_objects(objects: pd.DataFrame, tracks: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sort the objects by frame and label and number the rows; refuse objects without a track.

    Parameters
    ----------
    objects, tracks
        Tables of :class:`cellsam_core.tracking.tracks.Tracks`, in any order, with any index.

    Returns
    -------
    objects, tracks
        The same rows.

    Raises
    ------
    InputError
        A table lacks a column, has a row twice or a number that is not whole, or the objects
        name a track that the other table lacks.
    """
    refuse_missing("objects", objects, OBJECT_COLUMNS)
    refuse_missing("tracks", tracks, TRACK_COLUMNS)
    objects = plain_numbers("objects", objects, OBJECT_COLUMNS)
    tracks = plain_numbers("tracks", tracks, TRACK_COLUMNS)
    objects = objects.sort_values(["frame", "label"], kind="stable", ignore_index=True)
    refuse_repeated("tracks", tracks["track_id"], "track", OF_ONE_RUN)
    twice = objects[objects.duplicated(["frame", "label"])]
    if len(twice):
        raise InputError(
            "objects",
            found=f"label {twice['label'].iloc[0]} twice in frame {twice['frame'].iloc[0]}",
            expected="one row for each object",
            remedy="leave one of the rows out",
        )
    _refuse_unknown("objects", objects["track_id"], tracks)
    return objects, tracks


def consistent(tracks: Tracks) -> Tracks:
    """Bring changed tables of tracks to the order and types in which they are written.

    Parameters
    ----------
    tracks
        Tracks, of which a user may have filtered or sorted the tables.

    Returns
    -------
    Tracks
        The same tracks.

    Raises
    ------
    InputError
        The tables contradict each other.
    """
    objects, table = plain_objects(tracks.objects, tracks.tracks)
    table = table.sort_values("track_id", kind="stable", ignore_index=True)
    _refuse_unknown("tracks", table["parent_id"], table)
    kinds = {"text": "object"}
    declared = {c.name: kinds.get(c.type, c.type) for c in OBJECTS.columns if c.name in objects}
    objects = objects.astype(declared)
    divisions = tracks.divisions.reset_index(drop=True)
    _refuse_unknown("divisions", divisions["parent_id"], table)
    daughters = divisions["daughter_ids"].astype(str).str.split(";").explode()
    _refuse_unknown("divisions", daughters[daughters != ""].astype("int64"), table)
    return replace(tracks, objects=objects, tracks=table, divisions=divisions)


def _refuse_unknown(where: str, ids: pd.Series[int], tracks: pd.DataFrame) -> None:
    """Refuse tracks that the table of tracks lacks; 0 is none."""
    unknown = ids[(ids != 0) & ~ids.isin(tracks["track_id"])]
    if len(unknown):
        raise InputError(
            where,
            found=f"track {unknown.iloc[0]}, which the table of tracks lacks",
            expected="a row in the table of tracks for every track",
            remedy="filter objects, tracks and divisions alike, and set parent_id to 0 where the"
            " parent is left out",
        )
