"""Strips of three frames about an event of the tracks: before, at and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellsam_core.reporting.pictures.crops import (
    Place,
    crop_side,
    outlined,
    picture,
    side_by_side,
    window_at,
    with_bar,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.reporting.page import Picture
    from cellsam_core.reporting.results import Results

MAX_STRIPS = 12
ROW_ANCHOR = "row"


def strip_anchor(number: int) -> str:
    """Return the id of a strip in the page, by the number of its row from 0."""
    return f"strip-{number}"


def event_strips(results: Results, events: pd.DataFrame) -> list[Picture]:
    """Draw the first events of ``review.csv``, three frames each.

    Parameters
    ----------
    results
        Results of the sample.
    events
        Rows with frame, y, x, event_kind, track_ids (joined by ``;``) and probability.
    """
    image, masks = results.image(), results.masks()
    objects = results.table("3_tracks/objects.parquet", ["frame", "label", "track_id", "area_px"])
    if image is None or masks is None or objects is None or objects.empty or masks.n_frames < 2:
        return []
    side = max(48, 2 * crop_side(objects) // 3)
    return [
        _strip(results, (image, masks), objects, side, (number, event))
        for number, event in enumerate(events.head(MAX_STRIPS).to_dict("records"))
    ]


def _strip(
    results: Results,
    stores: tuple[OmeZarr, OmeZarr],
    objects: pd.DataFrame,
    side_px: int,
    numbered: tuple[int, dict[Any, Any]],
) -> Picture:
    number, event = numbered
    image, masks = stores
    frame = int(event["frame"])
    tracks = [int(name) for name in str(event["track_ids"]).split(";")]
    place = Place("", frame, float(event["y"]), float(event["x"]))
    window = window_at(place, masks.shape_yx, side_px)
    shown = [t for t in (frame - 1, frame, frame + 1) if 0 <= t < masks.n_frames]
    parts = [outlined(image, masks, t, window, labels_of(objects, t, tracks)) for t in shown]
    drawn, bar = with_bar(side_by_side(parts), window, len(parts), results.units)
    frames = ", ".join(map(str, shown))
    caption = (
        f"Row {number + 1}, {event['event_kind']} of {tracks_words(tracks)}, probability "
        f"{event['probability']:.2f}: frames {frames}. White: these tracks; amber: other cells. "
        f"Bar: {bar}."
    )
    return picture(drawn, caption, strip_anchor(number), f"{ROW_ANCHOR}-{number}")


def labels_of(objects: pd.DataFrame, frame: int, tracks: Sequence[int]) -> list[int]:
    """Return the labels of some tracks in a frame."""
    here = objects[(objects["frame"] == frame) & objects["track_id"].isin(list(tracks))]
    return [int(label) for label in here["label"]]


def tracks_words(tracks: Sequence[int]) -> str:
    """Name tracks, such as ``track 4`` or ``tracks 4, 5, 6``."""
    return f"track{'s' if len(tracks) > 1 else ''} {', '.join(map(str, tracks))}"
