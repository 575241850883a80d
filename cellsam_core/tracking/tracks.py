"""Tracks of a movie, and the files of ``3_tracks`` that they are written to."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.files.facts import read_facts
from cellsam_core.files.kept import keep_inputs
from cellsam_core.files.tables import with_sample
from cellsam_core.tracking.anchors import outcome_table
from cellsam_core.tracking.columns import OBJECTS
from cellsam_core.tracking.review import advice, estimate_lineages, review_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pandas as pd
    from numpy.typing import NDArray

    from cellsam_core.labels.source import LabelSource
    from cellsam_core.tracking.corrections import Correction

log = logging.getLogger(__name__)
PROGRESS_EVERY = 50
OBJECTS_FILE, TRACKS_FILE = "objects.parquet", "tracks.csv"
TRACE_FILES = ("traces.parquet", "traces_wide.csv", "trace_summary.csv")
"""Files beside the tracks that the reporter traces are written to."""
TABLES = ("tracks", "divisions", "intervals", "drift", "review", "corrections")
WRITTEN = (OBJECTS_FILE, *(f"{name}.csv" for name in TABLES), "ctc", "tracks.geff", *TRACE_FILES)
"""Files and folders that are written or removed."""


@dataclass(frozen=True)
class Tracks:
    """The tracks of a movie.

    Attributes
    ----------
    objects
        One row per object: frame, label, track_id, y, x, area_px, bounding box,
        touches_border, link_kind (start, link, rescue, gap, division, bud), link_iou,
        link_cost, link_margin, link_probability (probability that the link to the object before,
        or the birth of a daughter or bud, is correct; NaN at a start and for a corrected link),
        flags (words joined by ``;``), merged_labels (labels of the masks that a user has merged
        into the object, joined by ``;``).
    tracks
        One row per track: track_id, lineage_id, parent_id, sister_id (0 for none, and for three
        daughters of one parent), generation,
        birth_kind (movie_start, division, bud, border, appeared), first_frame, last_frame,
        n_obs, n_gaps, end_kind (division, movie_end, border, lost), mean_iou, min_margin,
        quality (mean IoU of the links times the fraction of frames in which the cell was
        found; 0 without a link).
    divisions
        One row per event: event_id, kind (mitosis, bud), frame (first frame of a daughter),
        parent_id, daughter_ids (``a;b``, rarely ``a;b;c``), score (probability that parent and
        daughters are correct, at most one frame off; 0 without a parent), area_ratio, symmetry,
        overlap, runner_up_parent, status (auto, ambiguous for a score below 2/3 or three
        daughters, or corrected with a score of 1).
    n_frames
        Number of frames of the movie.
    intervals
        One row per interval, as :func:`.frame_interval.intervals_table` returns it.
    drift
        One row per frame: frame, y_px, x_px, the position of the stage in pixels.
    labels
        Label images that were tracked, with pixel size and frame interval; None if unknown.
    corrections
        Corrections of the user that were applied.
    outcomes
        One row for each correction: id, row, operation, frame, found (yes or no), the labels now
        and the reason if it was not found.
    """

    objects: pd.DataFrame
    tracks: pd.DataFrame
    divisions: pd.DataFrame
    n_frames: int
    intervals: pd.DataFrame
    drift: pd.DataFrame
    labels: LabelSource | None = None
    corrections: tuple[Correction, ...] = ()
    outcomes: pd.DataFrame = field(default_factory=lambda: outcome_table([]))

    @cached_property
    def review(self) -> pd.DataFrame:
        """Links and births that a user should check, the most useful first.

        The columns are those of :func:`cellsam_core.tracking.review.review_table`.
        """
        return review_table(self.objects, self.tracks, self.divisions)

    def write(self, folder: str | Path) -> None:
        """Write all tables and the exports of the tracks into a folder.

        The files are ``objects.parquet``, ``tracks.csv``, ``divisions.csv``, ``intervals.csv``,
        ``drift.csv``, ``review.csv``, ``corrections.csv``, ``ctc/`` (Cell Tracking Challenge) and
        ``tracks.geff`` (Graph Exchange File Format). Reporter traces of earlier tracks in this
        folder are removed.

        Parameters
        ----------
        folder
            Folder to write, for example ``3_tracks``; it is made if it does not exist.

        Raises
        ------
        InputError
            The label images of the movie are unknown, or the tables contradict each other, for
            example if only one of them was filtered.
        """
        from cellsam_core.tracking.consistent import consistent

        if self.labels is None:
            raise InputError(
                "Tracks.write",
                found="tracks without their label images",
                expected="the tracks that `cellsam_core.track` returns",
                remedy="track the label images with `cellsam_core.track`",
            )
        keep_inputs(folder, WRITTEN, self.labels)
        plain = consistent(self)
        _remove_traces(Path(folder))
        shapes = _write_exports(Path(folder), plain, self.labels)
        _write_tables(Path(folder), plain, read_facts(self.labels.path).sample, shapes)
        log.info("%s", estimate_lineages(self.objects, self.tracks, self.divisions))
        log.info("%s", advice(self.review, self.tracks["lineage_id"].nunique()))


def frames_of(source: LabelSource, verb: str) -> Iterator[NDArray[Any]]:
    """Read the label images of a movie in order, and log the progress.

    Parameters
    ----------
    source
        Label images.
    verb
        Word for what is done to the frames, such as ``linked``.

    Yields
    ------
    ndarray, (y, x)
        Labels of one frame.
    """
    for index in range(source.n_frames):
        yield source.frame(index)
        if (index + 1) % PROGRESS_EVERY == 0:
            log.info("%s %d of %d frames", verb, index + 1, source.n_frames)


def _remove_traces(folder: Path) -> None:
    """Remove traces of earlier tracks, which must not stay beside new ones."""
    for name in TRACE_FILES:
        if (folder / name).exists():
            log.info("%s is of earlier tracks: removed", folder / name)
            (folder / name).unlink()


def _write_tables(folder: Path, tracks: Tracks, sample: str, shapes: pd.DataFrame) -> None:
    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.files.parquet import write_described

    objects = with_sample(tracks.objects.join(shapes), sample)
    write_described(folder / OBJECTS_FILE, objects, OBJECTS)
    names = {name: name for name in ("tracks", "divisions", "intervals", "drift", "review")}
    for name, attribute in (names | {"corrections": "outcomes"}).items():
        table: pd.DataFrame = getattr(tracks, attribute)
        with atomic_path(folder / f"{name}.csv") as path:
            written = with_sample(table, sample)
            written.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")


def _write_exports(folder: Path, tracks: Tracks, labels: LabelSource) -> pd.DataFrame:
    """Write the graph formats, and measure the shapes of the objects on the way."""
    import pandas as pd

    from cellsam_core.tracking.corrections import correct_frames
    from cellsam_core.tracking.ctc import write_ctc
    from cellsam_core.tracking.geff import write_geff

    shapes: list[pd.DataFrame] = []
    frames = correct_frames(frames_of(labels, "exported"), tracks.corrections)
    measured = _measured(frames, tracks.objects, shapes)
    write_ctc(folder / "ctc", measured, labels.n_frames, tracks.objects, tracks.tracks)
    write_geff(
        folder / "tracks.geff",
        tracks.objects,
        tracks.tracks,
        labels,
        pixel_size_um=labels.pixel_size_um,
        frame_interval_s=labels.frame_interval_s,
    )
    return pd.concat(shapes)


def _measured(
    frames: Iterable[NDArray[Any]], objects: pd.DataFrame, shapes: list[pd.DataFrame]
) -> Iterator[NDArray[Any]]:
    """Pass frames on, and append the shapes of the objects of each, with the index of `objects`."""
    from cellsam_core.labels.shapes import measure_shapes
    from cellsam_core.labels.tiles import LabelArray

    by_frame = dict(tuple(objects.groupby("frame")))
    for index, labels in enumerate(frames):
        numbered, rows = _in_32_bits(labels, by_frame.get(index, objects.iloc[:0]))
        shapes.append(measure_shapes(LabelArray(numbered), rows))
        yield labels


def _in_32_bits(labels: NDArray[Any], rows: pd.DataFrame) -> tuple[NDArray[Any], pd.DataFrame]:
    """Renumber the cells of a frame from 1 if 32 bits don't hold their own numbers.

    Parameters
    ----------
    labels
        Labels of a frame.
    rows
        Its objects, sorted by label.
    """
    import numpy as np

    ids = rows["label"].to_numpy()
    if not len(ids) or (ids[0] > 0 and ids[-1] <= np.iinfo(np.uint32).max):
        return labels, rows
    numbers = np.searchsorted(ids, labels.astype(np.int64)) + 1
    return np.where(labels == 0, 0, numbers), rows.assign(label=np.arange(1, len(ids) + 1))
