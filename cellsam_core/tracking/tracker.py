"""Label images in, tracks out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cellsam_core.tracking.bud import find_buds
from cellsam_core.tracking.confidence import judge_events, link_probability
from cellsam_core.tracking.corrections import correct_frames, correct_tracks
from cellsam_core.tracking.divide import find_divisions, undo_flicker
from cellsam_core.tracking.frame_interval import drift_table, intervals_table
from cellsam_core.tracking.gaps import close_gaps
from cellsam_core.tracking.lineage import (
    divisions_table,
    objects_table,
    track_ids,
    tracks_table,
)
from cellsam_core.tracking.observe import observe
from cellsam_core.tracking.parameters import TrackParameters

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from cellsam_core.tracking.corrections import Correction
    from cellsam_core.tracking.graph import Event, LinkGraph
    from cellsam_core.tracking.overlap import Labels


@dataclass(frozen=True)
class Tracks:
    """The tracks of a movie.

    Attributes
    ----------
    objects
        One row an object: frame, label, track_id, y, x, area_px, bounding box,
        touches_border, link_kind (start, link, rescue, gap, division, bud), link_iou,
        link_cost, link_margin, link_probability (that the link to the object before is right, or
        the birth of a daughter or bud; NaN at a start and for a link of a correction), flags
        (words joined by ``;``), merged_labels (of the masks, that a user has merged into it,
        joined by ``;``).
    tracks
        One row a track: track_id, lineage_id, parent_id and sister_id (0 = none), generation,
        birth_kind (movie_start, division, bud, border, appeared), first_frame, last_frame,
        n_obs, n_gaps, end_kind (division, movie_end, border, lost), mean_iou, min_margin,
        quality (mean IoU of the links times the fraction of frames in which the cell was
        found; 0 without a link).
    divisions
        One row an event: event_id, kind (mitosis, bud), frame (first of a daughter),
        parent_id, daughter_ids (``a;b``), score (probability that parent and daughters are
        right, at most one frame off; 0 without a parent), area_ratio, symmetry, overlap,
        runner_up_parent, status (auto, ambiguous: a score below 2/3, or corrected: score 1).
    n_frames
        Length of the movie.
    intervals
        One row an interval: what :func:`.frame_interval.intervals_table` returns.
    drift
        One row a frame: frame, y_px, x_px, the place of the stage.
    """

    objects: pd.DataFrame
    tracks: pd.DataFrame
    divisions: pd.DataFrame
    n_frames: int
    intervals: pd.DataFrame
    drift: pd.DataFrame


def track_labels(
    frames: Iterable[Labels],
    parameters: TrackParameters | None = None,
    corrections: Sequence[Correction] = (),
) -> Tracks:
    """Track the cells of a movie of label images.

    Cells of consecutive frames are linked by overlap in a linear assignment (IoU tracker of
    Bochinski et al. 2017, globally as Jaqaman et al. 2008), stage jumps being corrected;
    then divisions are found, gaps closed, and divisions that do not last undone, or buds are
    given to mothers. The result does not depend on the label values.

    Parameters
    ----------
    frames
        ``(y, x)`` integer label images, 0 = background, in order of time; read once, and only
        the few frames that gap closing looks back at are held.
    parameters
        Default: :class:`TrackParameters` with mitosis.
    corrections
        The user's, in the order of :func:`.corrections_table.read_corrections`.

    Raises
    ------
    InputError
        Frames differ in size or are not label images; a correction names what is not there.
    """
    graph, found = find_tracks(correct_frames(frames, corrections), parameters or TrackParameters())
    events = correct_tracks(graph, judge_events(found), corrections)
    identities = track_ids(graph)
    return Tracks(
        objects_table(graph, identities, link_probability(graph, events)),
        tracks_table(graph, identities, events),
        divisions_table(graph, identities, events),
        graph.n_frames,
        intervals_table(graph, identities),
        drift_table(graph),
    )


def find_tracks(
    frames: Iterable[Labels], parameters: TrackParameters
) -> tuple[LinkGraph, list[Event]]:
    """Link cells and find their divisions or buds, whose scores are no probabilities yet."""
    graph = observe(frames, parameters)
    events: list[Event] = []
    if parameters.division == "mitosis":
        events = find_divisions(graph, parameters)
    close_gaps(graph, parameters)
    if parameters.division == "mitosis":
        events = undo_flicker(graph, events, parameters)
    elif parameters.division == "budding":
        events = find_buds(graph, parameters)
    return graph, events
