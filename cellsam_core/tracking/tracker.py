"""Steps of tracking, from label images to tables."""

from __future__ import annotations

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
from cellsam_core.tracking.link_frames import link_frames
from cellsam_core.tracking.options import TrackOptions
from cellsam_core.tracking.third_daughter import add_third_daughters
from cellsam_core.tracking.tracks import Tracks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cellsam_core.tracking.corrections import Correction
    from cellsam_core.tracking.graph import Event, LinkGraph
    from cellsam_core.tracking.overlap import Labels


def track_labels(
    frames: Iterable[Labels],
    options: TrackOptions | None = None,
    corrections: Sequence[Correction] = (),
) -> Tracks:
    """Track the cells of a movie of label images that are read once.

    Cells of consecutive frames are linked by overlap in a linear assignment (IoU tracker of
    Bochinski et al. 2017, solved globally as in Jaqaman et al. 2008) after correction for stage
    jumps. Then divisions are found, gaps are closed and divisions that do not last are undone, or
    buds are assigned to mothers. The result does not depend on the label values.

    Parameters
    ----------
    frames
        ``(y, x)`` integer label images, 0 = background, in order of time. Each is read once, and
        only the few frames that gap closing looks back at are held in memory.
    options
        Options of tracking; None takes the defaults.
    corrections
        Corrections of the user, in the order of their table.

    Raises
    ------
    InputError
        Frames differ in size or are not label images, or a correction names an object that does
        not exist.
    """
    graph, found = find_tracks(correct_frames(frames, corrections), options or TrackOptions())
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


def find_tracks(frames: Iterable[Labels], options: TrackOptions) -> tuple[LinkGraph, list[Event]]:
    """Link cells and find their divisions or buds, with scores that are not probabilities yet."""
    graph = link_frames(frames, options)
    events: list[Event] = []
    if options.division == "mitosis":
        events = find_divisions(graph, options)
    close_gaps(graph, options)
    if options.division == "mitosis":
        events = undo_flicker(graph, events, options)
        add_third_daughters(graph, events, options)
    elif options.division == "budding":
        events = find_buds(graph, options)
    return graph, events
