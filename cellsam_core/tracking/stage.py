"""The stage `track`: label images to tracks, divisions and lineages."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.corrections.table import checksum_of, refuse_changed
from cellsam_core.errors import InputError
from cellsam_core.labels.movie import open_label_movie
from cellsam_core.options import options_of
from cellsam_core.tracking.anchors import find_again, outcome_table
from cellsam_core.tracking.corrections import Correction
from cellsam_core.tracking.corrections_table import read_corrections
from cellsam_core.tracking.options import CalibrationOptions, TrackOptions
from cellsam_core.tracking.tracker import track_labels
from cellsam_core.tracking.tracks import Tracks, frames_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from cellsam_core.labels.movie import LabelFrames
    from cellsam_core.labels.source import LabelSource

log = logging.getLogger(__name__)
DEFAULTS = TrackOptions()
CELLS_FILE = "cells.parquet"
"""Table of cells beside ``masks.zarr``; its checksum names the masks."""


def track(
    labels: str | Path | LabelSource | LabelFrames | NDArray[Any] | Iterable[NDArray[Any]],
    options: TrackOptions = DEFAULTS,
    *,
    corrections: str | Path | Sequence[Correction] | None = None,
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
) -> Tracks:
    """Track the cells of a movie of label images.

    Cells of consecutive frames are linked by overlap in a linear assignment (IoU tracker of
    Bochinski et al. 2017, solved globally as in Jaqaman et al. 2008) after correction for stage
    jumps. Then divisions are found, gaps are closed and divisions that do not last are undone, or
    buds are assigned to mothers. The result does not depend on the label values.

    Parameters
    ----------
    labels
        Label images in order of time, 0 = background: a ``(t, y, x)`` integer array, a sequence of
        ``(y, x)`` arrays, or the path of a folder of TIFFs, of a multi-page TIFF or of a
        ``masks.zarr``. Files are read frame by frame; a generator is read into memory.
    options
        Options of tracking.
    corrections
        Manual corrections: path of a table of corrections, or a list of
        :class:`~cellsam_core.tracking.corrections.Correction`. Rows with a place are found again
        after the masks have changed; ``tracks.outcomes`` lists those that are not.
    pixel_size_um
        Side of a pixel in micrometres; None takes the value of the files, if they have one.
    frame_interval_s
        Time between frames in seconds; None takes the value of the files, if they have one.

    Returns
    -------
    Tracks
        Tables of objects, tracks and divisions; ``tracks.write("3_tracks")`` writes all files.

    Raises
    ------
    InputError
        Frames differ in size or are not label images, a value is outside its limits, or a
        correction names an object that does not exist.

    Examples
    --------
    Two cells of three frames, of which one moves by two pixels per frame:

    >>> import numpy as np
    >>> import cellsam_core as cc
    >>> labels = np.zeros((3, 32, 32), np.uint16)
    >>> for frame in range(3):
    ...     labels[frame, 4:10, 4 + 2 * frame : 12 + 2 * frame] = 7
    ...     labels[frame, 20:28, 20:28] = frame + 1
    >>> tracks = cc.track(labels, cc.TrackOptions(division="none"), pixel_size_um=0.65)
    >>> tracks.tracks[["track_id", "first_frame", "last_frame", "n_obs"]].to_numpy().tolist()
    [[1, 0, 2, 3], [2, 0, 2, 3]]
    """
    options = options_of(TrackOptions, options)
    calibration = CalibrationOptions(pixel_size_um=pixel_size_um, frame_interval_s=frame_interval_s)
    table, read = None, ""
    if isinstance(corrections, str | Path):
        table, read = corrections, checksum_of(corrections)
        corrections = read_corrections(corrections)
    corrections = () if corrections is None else tuple(corrections)
    if not all(isinstance(one, Correction) for one in corrections):
        raise InputError(
            "argument `corrections`",
            found="other objects than corrections",
            expected="the path of a table of corrections, or a list of Correction",
            remedy="write the table as csv, and give its path",
        )
    movie = open_label_movie(
        labels,
        pixel_size_um=calibration.pixel_size_um,
        frame_interval_s=calibration.frame_interval_s,
    )
    log.info("tracking %d frames of %d x %d px", movie.n_frames, *movie.shape_yx)
    outcomes = find_again(corrections, movie, checksum_of(movie.path.parent / CELLS_FILE))
    kept = tuple(o.correction for o in outcomes if not o.reason)
    for lost in (o for o in outcomes if o.reason):
        log.warning("%s is not carried out: %s", lost.correction.where, lost.reason)
    tracks = track_labels(frames_of(movie, "linked"), options, kept)
    if table is not None:
        refuse_changed(table, read)
    return replace(tracks, labels=movie, corrections=kept, outcomes=outcome_table(outcomes))
