"""Inputs of traces: raw frames, and the tables of the tracks."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files.tables import read_table, refuse_repeated, table_errors
from cellsam_core.samples.frames import read_frame
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.stage import split_channels
from cellsam_core.tracking.consistent import TRACK_COLUMNS, plain_objects
from cellsam_core.tracking.options import CalibrationOptions
from cellsam_core.tracking.tracks import OBJECTS_FILE, TRACKS_FILE, Tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from cellsam_core.labels.source import LabelSource


@dataclass(frozen=True)
class RawMovie:
    """Raw frames of a movie, read one at a time.

    Attributes
    ----------
    name
        Name of the movie in error messages.
    channels
        Names of the channels.
    n_frames
        Number of frames.
    shape_yx
        Height and width of a frame, in pixels.
    read
        Function that returns the ``(c, y, x)`` intensities of the frame with a given index.
    frame_interval_s
        Time between frames in seconds; None if unknown.
    pixel_size_um
        Side of a pixel in micrometres; None if unknown.
    times_s
        Time of each frame in seconds; None takes it from the interval.
    ceilings
        Saturation value of each channel; None takes the largest value of the pixel type.
    sample
        Name of the sample; empty if unknown.
    """

    name: str
    channels: tuple[str, ...]
    n_frames: int
    shape_yx: tuple[int, int]
    read: Callable[[int], NDArray[Any]]
    frame_interval_s: float | None = None
    pixel_size_um: float | None = None
    times_s: Sequence[float] | None = None
    ceilings: Sequence[float | None] | None = None
    sample: str = ""


@dataclass(frozen=True)
class TrackTables:
    """Tables of the tracks that traces need.

    Attributes
    ----------
    objects
        One row per object, with frame, label and track_id.
    tracks
        One row per track: track_id, lineage_id, parent_id, first_frame, last_frame.
    objects_name
        File of the objects, or its name, for error messages.
    """

    objects: pd.DataFrame
    tracks: pd.DataFrame
    objects_name: Path


class TrackFiles(NamedTuple):
    """Paths of the tables of the tracks.

    Attributes
    ----------
    objects
        Table of objects, ``objects.parquet``.
    tracks
        Table of tracks, ``tracks.csv``.
    """

    objects: Path
    tracks: Path


def open_images(
    images: RawMovie | Manifest | str | Path | NDArray[Any],
    *,
    name: str | None = None,
    channels: Sequence[str] | None = None,
    frame_interval_s: float | None = None,
) -> RawMovie:
    """Open the raw frames of a movie for reading frame by frame.

    Parameters
    ----------
    images
        Manifest, path of a ``0_manifest.json``, or ``(t, c, y, x)`` array.
    name
        Name of the movie in error messages; None takes the file or the sample.
    channels
        Names along ``c`` of an array; a manifest has its own.
    frame_interval_s
        Time between frames in seconds; None takes the value of the manifest.

    Raises
    ------
    InputError
        The manifest can't be read, or the names of the channels don't fit the array.
    """
    interval = CalibrationOptions(frame_interval_s=frame_interval_s).frame_interval_s
    if isinstance(images, RawMovie):
        return images
    if not isinstance(images, str | Path | Manifest):
        return _open_array(images, channels, interval)
    if channels is not None:
        raise InputError(
            "channels",
            found=", ".join(channels),
            expected="none, since a manifest has its own channels",
            remedy="leave the argument out",
        )
    if isinstance(images, Manifest):
        manifest, default_name = images, f"sample {images.sample}"
    else:
        manifest, default_name = Manifest.load(images), Path(images).name
    return RawMovie(
        name or default_name,
        tuple(manifest.channels),
        manifest.n_frames,
        manifest.shape_yx,
        functools.partial(read_frame, manifest),
        interval or manifest.frame_interval_s,
        manifest.pixel_size_um,
        None if interval else manifest.times_s,
        manifest.saturation_values,
        manifest.sample,
    )


def _open_array(
    images: NDArray[Any], channels: str | Sequence[str] | None, frame_interval_s: float | None
) -> RawMovie:
    if not hasattr(images, "dtype"):
        frames = [np.asarray(frame) for frame in images]
        sizes = sorted({frame.shape for frame in frames})
        if len(sizes) > 1:
            raise InputError(
                "images",
                found=f"frames of the shapes {sizes[0]} and {sizes[1]}",
                expected="frames (c, y, x) of one shape",
                remedy="leave out the frames of another shape",
            )
        images = np.array(frames)
    shape, dtype = tuple(images.shape), np.dtype(images.dtype)
    if dtype.kind not in "buif":
        raise InputError(
            "images",
            found=f"an array of type {dtype}",
            expected="real numbers (t, c, y, x)",
            remedy="convert it, for example with numpy.asarray(images, float)",
        )
    names = tuple(split_channels(channels) or ()) if isinstance(channels, str) else channels
    names = () if names is None else tuple(names)
    if len(shape) != 4 or shape[1] != len(names) or len(set(names)) < len(names):
        raise InputError(
            "images",
            found=f"an array of shape {shape} with the channels {', '.join(names) or '(none)'}",
            expected="a (t, c, y, x) array and a different name for each of its channels",
            remedy="give the names along c as `channels`",
        )
    return RawMovie(
        "images",
        names,
        shape[0],
        (shape[2], shape[3]),
        lambda index: np.asarray(images[index]),
        frame_interval_s,
    )


def refuse_other_movie(labels: LabelSource, images: RawMovie) -> None:
    """Refuse labels and images with different numbers or sizes of frames.

    Raises
    ------
    InputError
        The number of frames or their size differs.
    """
    if (labels.n_frames, labels.shape_yx) != (images.n_frames, images.shape_yx):
        raise InputError(
            labels.path,
            found=f"{labels.n_frames} frame(s) of {labels.shape_yx} px",
            expected=f"{images.n_frames} of {images.shape_yx} px as in {images.name}",
            remedy="give masks and images of the same sample",
        )


def open_tracks(tracks: Tracks | TrackTables | TrackFiles | str | Path) -> TrackTables:
    """Take the tables of tracks in memory, or read them from files.

    Parameters
    ----------
    tracks
        Tracks or their tables in memory, a folder such as ``3_tracks``, or the paths of its tables.

    Raises
    ------
    InputError
        A table can't be read, lacks a column or contradicts the other.
    """
    if isinstance(tracks, TrackTables):
        return tracks
    if isinstance(tracks, Tracks):
        return TrackTables(*plain_objects(tracks.objects, tracks.tracks), Path(OBJECTS_FILE))
    if not isinstance(tracks, TrackFiles):
        tracks = TrackFiles(Path(tracks) / OBJECTS_FILE, Path(tracks) / TRACKS_FILE)
    return _read_tables(tracks)


def _read_tables(files: TrackFiles) -> TrackTables:
    """Read the objects with frame, label and track_id, and the tracks that they belong to."""
    objects = read_table(files.objects, ["frame", "label", "track_id"])
    tracks = read_table(files.tracks, TRACK_COLUMNS)
    with table_errors(files.tracks):
        tracks = tracks.astype(dict.fromkeys(TRACK_COLUMNS, "int64"))
    remedy = "give the table as `cellsam-core track` wrote it"
    refuse_repeated(files.tracks, tracks["track_id"], "track", remedy)
    unknown = objects.loc[~objects["track_id"].isin(tracks["track_id"]), "track_id"]
    if len(unknown):
        raise InputError(
            files.tracks,
            found=f"no track {unknown.iloc[0]}, which {files.objects.name} has",
            expected="a row for every track",
            remedy="give both files of one run of `cellsam-core track`",
        )
    return TrackTables(objects, tracks, files.objects)
