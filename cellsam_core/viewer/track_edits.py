"""Actions on tracks, written as rows of the table of corrections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.viewer.places import mask_of

if TYPE_CHECKING:
    from cellsam_core.viewer.samples import Sample
    from cellsam_core.viewer.tables import MovieTables

COLUMNS = (
    *("operation", "frame", "label", "other_frame", "other_label", "note", "id", "group"),
    *("y", "x", "area_px", "other_y", "other_x", "other_area_px", "masks", "time", "source"),
)
TWO = ("link", "set-parent", "set-mother", "merge", "swap")
ONE = ("unlink", "delete", "confirm")
Object = tuple[int, int]
Row = dict[str, Any]


def rows_of(sample: Sample, action: str, objects: list[Object], source: str) -> list[Row]:
    """Translate an action of the page into rows.

    Parameters
    ----------
    sample
        A movie.
    action
        An operation of the table, ``swap`` or ``confirm``.
    objects
        Frame and label of one or two objects.
    source
        ``image``, ``queue`` or ``lineage``.

    Raises
    ------
    InputError
        The action needs other objects; the message says which.
    """
    movie = sample.movie
    if movie is None or movie.objects is None:
        raise _refused("a sample without tracks", "a movie that was tracked")
    wanted = 2 if action in TWO else 1
    if len(objects) != wanted:
        what = "two cells" if wanted == 2 else "one cell"
        raise _refused(f"{len(objects)} chosen", f"{what} for `{action}`")
    for one in objects:
        if movie.cell(*one) is None:
            raise _refused(f"no cell {one[1]} in frame {one[0]}", "a cell of the tracked masks")
    pairs = _pairs(movie, action, objects)
    return [_row(sample, name, one, other, source=source) for name, one, other in pairs]


def _pairs(
    movie: MovieTables, action: str, objects: list[Object]
) -> list[tuple[str, Object, Object | None]]:
    if action == "confirm":
        return _confirmed(movie, objects[0])
    if action in ("unlink", "delete"):
        return [(action, objects[0], None)]
    early, late = sorted(objects)
    if action == "swap":
        return _swapped(movie, early, late)
    if action == "merge":
        if early[0] != late[0]:
            raise _refused("cells of two frames", "two cells of one frame")
        areas = [float(_cell(movie, o)["area_px"]) for o in (early, late)]
        large, small = (early, late) if areas[0] >= areas[1] else (late, early)
        return [(action, large, small)]
    if early[0] == late[0]:
        raise _refused("two cells of one frame", "cells of two frames")
    return [(action, late, early)]


def _swapped(
    movie: MovieTables, one: Object, two: Object
) -> list[tuple[str, Object, Object | None]]:
    """Give each of two cells of a frame the other's future."""
    if one[0] != two[0]:
        raise _refused("cells of two frames", "two cells of one frame")
    after = [_neighbour(movie, o, forward=True) for o in (one, two)]
    parents = {int(d["parent_id"]) for d in movie.division_rows() if d["kind"] != "bud"}
    for following, o in zip(after, (one, two), strict=True):
        if following is None and int(_cell(movie, o)["track_id"]) in parents:
            raise _refused("a cell that divides next", "cells that go on without a division")
    rows: list[tuple[str, Object, Object | None]] = []
    for following, owner in zip(after, (two, one), strict=True):
        if following is not None:
            rows.append(("link", following, owner))
    if not rows:
        raise _refused("two cells that both end here", "cells that go on")
    return rows


def _confirmed(movie: MovieTables, one: Object) -> list[tuple[str, Object, Object | None]]:
    """Repeat what the tracker found: a link, or the division or bud that an object comes from."""
    before = _neighbour(movie, one, forward=False)
    if before is not None:
        return [("link", one, before)]
    track = int(_cell(movie, one)["track_id"])
    divisions = movie.division_rows()
    for division in divisions:
        daughters = [int(d) for d in str(division["daughter_ids"]).split(";")]
        if track in daughters and int(division["parent_id"]):
            operation = "set-mother" if division["kind"] == "bud" else "set-parent"
            firsts = [movie.ends(d)[0] for d in daughters]
            parent = _parent_object(movie, int(division["parent_id"]), firsts[0][0])
            return [(operation, first, parent) for first in firsts]
    raise _refused("a cell that begins here", "a link or a division to confirm")


def _parent_object(movie: MovieTables, parent: int, frame: int) -> Object:
    """Return the last object of a parent before its daughter's frame."""
    rows = movie.track_objects(parent)
    early = [(f, n) for f, n in zip(rows["frame"], rows["label"], strict=True) if f < frame]
    if not early:
        raise _refused("no object of the parent before the daughter", "a parent that was there")
    return max(early)


def _neighbour(movie: MovieTables, one: Object, *, forward: bool) -> Object | None:
    """Return the object of the same track after or before an object."""
    track = int(_cell(movie, one)["track_id"])
    rows = movie.track_objects(track)
    others = list(zip(rows["frame"], rows["label"], strict=True))
    if forward:
        return min((o for o in others if o[0] > one[0]), default=None)
    return max((o for o in others if o[0] < one[0]), default=None)


def _cell(movie: MovieTables, one: Object) -> dict[str, Any]:
    found = movie.cell(*one)
    assert found is not None
    return found


def _row(sample: Sample, operation: str, one: Object, other: Object | None, *, source: str) -> Row:
    row: Row = {"operation": operation, "frame": one[0], "label": one[1], "source": source}
    row["y"], row["x"], row["area_px"] = anchor(sample, one)
    row["masks"] = sample.masks_checksum
    if other is not None:
        row["other_frame"], row["other_label"] = other
        row["other_y"], row["other_x"], row["other_area_px"] = anchor(sample, other)
    return row


def anchor(sample: Sample, one: Object) -> tuple[int, int, int]:
    """Return a pixel (y, x) inside an object, and its area in pixels.

    The pixel is that of the object nearest to its centroid, which itself may lie outside.
    """
    movie, labels = sample.movie, sample.labels
    assert movie is not None
    assert labels is not None
    cell = _cell(movie, one)
    mask, (top, left) = mask_of(labels, one[0], one[1], cell)
    rows, columns = np.nonzero(mask)
    k = int(np.hypot(rows + top - cell["y"], columns + left - cell["x"]).argmin())
    return int(rows[k]) + top, int(columns[k]) + left, int(cell["area_px"])


def _refused(found: str, expected: str) -> InputError:
    return InputError(
        "corrections", found=found, expected=expected, remedy="choose them and repeat"
    )
