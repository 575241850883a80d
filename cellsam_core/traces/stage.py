"""The stage `traces`: raw frames, labels and tracks to traces of each cell."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.files.kept import keep_inputs
from cellsam_core.labels.movie import open_label_movie
from cellsam_core.options import options_of
from cellsam_core.samples.movies import inspect_movie
from cellsam_core.samples.options import InspectOptions
from cellsam_core.samples.stage import split_channels
from cellsam_core.traces.bleaching import fit_ratio_decay
from cellsam_core.traces.check import channel_pair, check_against
from cellsam_core.traces.files import control_ratios, read_control
from cellsam_core.traces.inputs import (
    RawMovie,
    TrackFiles,
    TrackTables,
    open_images,
    open_tracks,
    refuse_other_movie,
)
from cellsam_core.traces.options import TraceOptions
from cellsam_core.traces.result import Traces
from cellsam_core.traces.settings import TraceSettings
from cellsam_core.tracking.stage import track
from cellsam_core.tracking.tracks import WRITTEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from cellsam_core.labels.movie import LabelFrames
    from cellsam_core.labels.source import LabelSource
    from cellsam_core.samples.manifest import Manifest
    from cellsam_core.tracking.corrections import Correction
    from cellsam_core.tracking.options import CalibrationOptions, TrackOptions
    from cellsam_core.tracking.tracks import Tracks

log = logging.getLogger(__name__)
DEFAULTS = TraceOptions()
NAMES = InspectOptions()


def trace(
    images: Manifest | RawMovie | str | Path | NDArray[Any],
    labels: str | Path | LabelSource | LabelFrames | NDArray[Any] | Iterable[NDArray[Any]],
    tracks: Tracks | TrackTables | TrackFiles | str | Path,
    options: TraceOptions = DEFAULTS,
    *,
    channels: Sequence[str] | None = None,
    control: Traces | str | Path | None = None,
    frame_interval_s: float | None = None,
    nuclei: str | Path | LabelSource | LabelFrames | NDArray[Any] | None = None,
) -> Traces:
    """Measure reporter intensities and ratios of each tracked cell in every frame.

    The ratio is that of background-subtracted means (see :mod:`cellsam_core.traces.ratios`). R0 is
    a cell's mean ratio over the baseline frames. Channels, frames and options are checked at once;
    the intensities are measured when a table is first used or written.

    Parameters
    ----------
    images
        Raw frames: a manifest, the path of a ``0_manifest.json``, or a ``(t, c, y, x)`` array of
        any numeric type.
    labels
        Label images that were tracked, 0 = background: a ``(t, y, x)`` integer array, a sequence of
        ``(y, x)`` arrays, or the path of a folder of TIFFs, of a multi-page TIFF or of a
        ``masks.zarr``.
    tracks
        Result of :func:`cellsam_core.track`, or the folder that it was written to.
    options
        Options of traces.
    channels
        Names along ``c`` of an array; a manifest has its own.
    control
        Traces of a sample without drug, or the path of its ``traces.parquet``: the decay of its
        ratio by bleaching is divided out.
    frame_interval_s
        Time between frames in seconds; None takes the value of the manifest, if it has one.
    nuclei
        Nuclei with the labels of their cells, as :func:`cellsam_core.pair_nuclei` returns them.
        The compartments nucleus and cytoplasm are then measured as well.

    Returns
    -------
    Traces
        The tables ``table`` (one row per track, frame and compartment), ``wide`` (R/R0) and
        ``summary`` (responses); ``traces.write("3_tracks")`` writes them.

    Raises
    ------
    InputError
        Images and labels are not of the same movie, an option contradicts the channels or frames,
        or the control was not imaged and traced in the same way.

    Examples
    --------
    The ratio of a cell rises from 2 to 3 when the drug is given:

    >>> import numpy as np
    >>> import cellsam_core as cc
    >>> labels = np.zeros((4, 48, 48), np.uint16)
    >>> labels[:, 16:32, 16:32] = 1
    >>> images = np.full((4, 2, 48, 48), 100.0)
    >>> images[:, 0, 16:32, 16:32] += np.array([200, 200, 300, 300])[:, None, None]
    >>> images[:, 1, 16:32, 16:32] += 100
    >>> traces = cc.trace(
    ...     images,
    ...     labels,
    ...     cc.track(labels),
    ...     cc.TraceOptions(ratio="CFP/YFP", baseline_frames=2),
    ...     channels=["CFP", "YFP"],
    ...     frame_interval_s=30,
    ... )
    >>> traces.wide.loc[1].round(3).tolist()
    [1.0, 1.0, 1.5, 1.5]
    """
    options = options_of(TraceOptions, options)
    movie = open_images(images, channels=channels, frame_interval_s=frame_interval_s)
    settings = resolve(options, movie, control, has_nuclei=nuclei is not None)
    masks = open_label_movie(labels)
    refuse_other_movie(masks, movie)
    paired = None if nuclei is None else open_label_movie(nuclei)
    if paired is not None:
        refuse_other_movie(paired, movie)
    return Traces(movie, masks, open_tracks(tracks), settings, paired)


def resolve(
    options: TraceOptions,
    movie: RawMovie,
    control: Traces | str | Path | None = None,
    *,
    has_nuclei: bool = False,
) -> TraceSettings:
    """Check options against a movie, find the channels of the ratio, and measure the bleaching.

    Parameters
    ----------
    options
        Options of traces.
    movie
        Raw frames of the movie.
    control
        Traces of a sample without drug, or the path of its ``traces.parquet``.
    has_nuclei
        True if the nuclei of the cells are known.

    Raises
    ------
    InputError
        An option contradicts the channels or frames, or the control was not imaged and traced in
        the same way.
    """
    options.refuse_no_cytoplasm(has_nuclei=has_nuclei)
    check_against(options, movie.channels, movie.n_frames)
    pair = channel_pair(options, movie.channels)
    settings = TraceSettings(options, pair, has_nuclei=has_nuclei)
    if control is None:
        return settings
    interval_s = movie.frame_interval_s
    if isinstance(control, Traces):
        where = Path("control")
        rows = control_ratios(where, control.table, control.record, settings.pair, interval_s)
    else:
        where = Path(control)
        rows = read_control(where, settings.pair, interval_s)
    rate = fit_ratio_decay(rows)
    if rate is None:
        raise InputError(
            where,
            found="no cell with valid ratios in three frames",
            expected="untreated cells that are followed",
            remedy="name another control, or none",
        )
    log.info("bleaching: the control's ratio loses %.3g %% a frame", 100 * rate)
    return replace(settings, bleach_rate=rate)


def track_and_trace(
    labels: str | Path,
    output: str | Path,
    options: TrackOptions,
    *,
    calibration: CalibrationOptions,
    corrections: str | Path | Sequence[Correction] | None = None,
    images: str | Path | None = None,
    ratio: str | None = None,
    names: InspectOptions = NAMES,
) -> Tracks:
    """Track the label images of a movie, and trace its raw frames if there are any.

    The raw frames are checked before the tracking starts.

    Parameters
    ----------
    labels
        Path of the label images.
    output
        Folder to write, for example ``3_tracks``.
    options
        Options of tracking.
    calibration
        Pixel size and frame interval; a value that is None is taken from the label images, or else
        from the raw frames.
    corrections
        Manual corrections, or the path of their table.
    images
        Folder of the raw frames of the same movie; None writes no traces.
    ratio
        Channels of the reporter's ratio, ``NUM/DEN``; None measures intensities only.
    names
        Channels and pattern of the names of the raw frames, where these do not tell them.

    Returns
    -------
    Tracks
        The tracks that were written.

    Raises
    ------
    InputError
        The labels, the raw frames or the corrections can't be used.
    """
    keep_inputs(output, WRITTEN, labels, corrections, images)
    if images is None:
        if ratio is not None:
            raise InputError(
                "--ratio", found="no --images", expected="both", remedy="give the raw frames"
            )
        tracks = track(labels, options, corrections=corrections, **asdict(calibration))
        tracks.write(output)
        return tracks
    masks = open_label_movie(labels, **asdict(calibration))
    raw = inspect_movie(
        Path(images),
        sample="images",
        assay="movie",
        frame_interval_s=masks.frame_interval_s,
        channels=split_channels(names.channels),
        pattern=names.pattern,
    )
    movie = open_images(raw, name=Path(images).name)
    refuse_other_movie(masks, movie)
    trace_options = TraceOptions(ratio=ratio)
    resolve(trace_options, movie)
    tracks = track(
        masks,
        options,
        corrections=corrections,
        pixel_size_um=masks.pixel_size_um or movie.pixel_size_um,
        frame_interval_s=masks.frame_interval_s or movie.frame_interval_s,
    )
    tracks.write(output)
    trace(movie, masks, tracks, trace_options).write(output)
    return tracks
