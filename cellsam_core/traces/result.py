"""Reporter traces of a movie: tables in memory, or files that are written frame by frame."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import ndimage

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.tables import table_errors, with_sample
from cellsam_core.statistics import median_diameter
from cellsam_core.traces.files import (
    Responses,
    ratios_of,
    read_ratios,
    responses_of,
    summary_table,
    wide_table,
    write_traces,
    write_wide,
)
from cellsam_core.traces.ratios import columns_of, trace_frames
from cellsam_core.tracking.corrections import merged_pieces
from cellsam_core.tracking.tracks import TRACE_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cellsam_core.labels.source import LabelSource
    from cellsam_core.traces.inputs import RawMovie, TrackTables
    from cellsam_core.traces.ratios import Frame
    from cellsam_core.traces.settings import TraceSettings

log = logging.getLogger(__name__)
MOSTLY = 0.5
PROGRESS_EVERY = 50
OFFSET_SHARE = 0.2
"""Share of the intensity of cells from which the light of empty places is worth a warning."""
EMPTY_DIAMETERS, EMPTY_SHARE = 2.0, 0.01
"""Distance from all cells, in their diameters, of empty places, and least share of the image."""
ELSEWHERE = (
    "If the places around the cells are bright themselves, such as the cytoplasm around nuclei,"
    " set `background` to mode. "
)


@dataclass(frozen=True)
class Traces:
    """Reporter traces of the tracked cells of a movie.

    The intensities are measured when a table is first used. :meth:`write` measures them frame by
    frame without holding the whole table in memory, unless it is there already.

    Attributes
    ----------
    images
        Raw frames of the movie.
    labels
        Label images of the movie.
    tracked
        Tables of the objects and the tracks.
    settings
        Options, resolved for this movie.
    nuclei
        Nuclei with the labels of their cells; None if they are not known.
    """

    images: RawMovie
    labels: LabelSource
    tracked: TrackTables
    settings: TraceSettings
    nuclei: LabelSource | None = None

    @property
    def record(self) -> dict[str, Any]:
        """Options and frame interval, as the table of traces records them in its metadata."""
        return self.settings.record(self.images.frame_interval_s, self.images.times_s)

    @cached_property
    def table(self) -> pd.DataFrame:
        """Long table, one row per track, frame and compartment, as in ``traces.parquet``."""
        dtypes = columns_of(self.images.channels)
        tables = [table for table in self._measure() if len(table)]
        if not tables:
            return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in dtypes.items()})
        return pd.concat(tables, ignore_index=True)

    @cached_property
    def wide(self) -> pd.DataFrame:
        """R/R0, one row per track and one column per frame, as in ``traces_wide.csv``.

        Invalid values are kept; missing ones are NaN.
        """
        ratios, ids = ratios_of(self.table), self.tracked.tracks["track_id"]
        return wide_table(ratios, ids, self.images.n_frames)

    @cached_property
    def responses(self) -> Responses:
        """Valid R/R0 of the cells and their responses to the drug."""
        return responses_of(ratios_of(self.table), self.record)

    @property
    def summary(self) -> pd.DataFrame:
        """Response of each track to the drug, as in ``trace_summary.csv``; index track_id.

        The columns are those of :func:`cellsam_core.traces.files.summary_table`.
        """
        return summary_table(self.responses)

    def write(self, folder: str | Path) -> None:
        """Write ``traces.parquet``, ``traces_wide.csv`` and ``trace_summary.csv``.

        Parameters
        ----------
        folder
            Folder to write, for example ``3_tracks``; it is made if it does not exist.

        Raises
        ------
        InputError
            The tables name an object that is not in the labels, or a file can't be read.
        """
        self._warn_of_offset()
        traces, wide, summary = (Path(folder) / name for name in TRACE_FILES)
        channels, n_frames = self.images.channels, self.images.n_frames
        with atomic_path(traces) as path:
            write_traces(path, self._told(self._frames()), channels, self.record)
        ratios = read_ratios(traces)
        with atomic_path(wide) as path:
            write_wide(path, ratios, self.tracked.tracks["track_id"], n_frames)
        with atomic_path(summary) as path:
            table = summary_table(responses_of(ratios, self.record))
            with_sample(table, self.images.sample).to_csv(path, float_format="%.6g")

    def _told(self, frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Pass frames on, and warn if most ratios are not above the background."""
        n_cells = n_weak = 0
        for rows in frames:
            reasons = rows.loc[rows["compartment"] == "cell", "invalid_reason"]
            n_cells += len(reasons)
            n_weak += int(reasons.str.contains("low ").sum())
            yield rows
        background = self.settings.options.background
        if background != "none" and n_weak > MOSTLY * n_cells:
            log.warning(
                "%d of %d values are invalid, because they are not above the background (%s). %sIf"
                " the background of the images is already subtracted, or cells cover the whole"
                " image, set `background` to none",
                n_weak,
                n_cells,
                background,
                ELSEWHERE if background == "annulus" else "",
            )

    def _warn_of_offset(self) -> None:
        """Warn if no background is subtracted although places without cells are far above 0."""
        if self.settings.options.background != "none" or not self.images.n_frames:
            return
        image, labels = self.images.read(0), self.labels.frame(0)
        is_empty = _far_from_cells(labels)
        if is_empty.sum() < EMPTY_SHARE * labels.size:
            return
        for name in dict.fromkeys(self.settings.pair or ()):
            pixels = np.asarray(image[self.images.channels.index(name)], np.float64)
            dark = float(np.nanmedian(pixels[is_empty]))
            typical = float(np.nanmedian(pixels[labels != 0]))
            if dark > OFFSET_SHARE * typical > 0:
                log.warning(
                    "Far from all cells, channel %s is at %.4g, %.0f %% of the cells, and"
                    " `background` is none: this light counts as signal, so that ratios change"
                    " less than the reporter. Set `background` to mode",
                    name,
                    dark,
                    100 * dark / typical,
                )

    def _frames(self) -> Iterator[pd.DataFrame]:
        """Return the rows of each frame, from the table if it is in memory already."""
        if "table" not in self.__dict__:
            return self._measure()
        return (rows for _, rows in self.table.groupby("frame", sort=True))

    def _measure(self) -> Iterator[pd.DataFrame]:
        return trace_frames(
            self._inputs(),
            self.images.channels,
            self.tracked.tracks,
            self.settings,
            self.images.frame_interval_s,
            times_s=self.images.times_s,
            ceilings=self.images.ceilings,
            sample=self.images.sample,
        )

    def _inputs(self) -> Iterator[Frame]:
        """Read image, labels (merged as the objects say) and objects of each frame."""
        objects, name = self.tracked.objects, self.tracked.objects_name
        with table_errors(name):
            pieces = merged_pieces(objects)
        by_frame = dict(tuple(objects[["frame", "label", "track_id"]].groupby("frame")))
        n_frames = self.images.n_frames
        for index in range(n_frames):
            here = pieces[pieces["frame"] == index]
            planes = [_merged(_signed(source.frame(index)), here) for source in self._sources()]
            labels = planes[0]
            in_frame = by_frame.get(index, objects.iloc[:0])
            absent = np.setdiff1d(in_frame["label"].to_numpy(), labels)
            if len(absent):
                raise InputError(
                    name,
                    found=f"label {absent[0]} in frame {index}",
                    expected="only labels of the masks",
                    remedy="track these masks again",
                )
            if index % PROGRESS_EVERY == 0:
                log.info("frame %d of %d: %d objects", index + 1, n_frames, len(in_frame))
            image = self.images.read(index)
            if self.nuclei is None:
                yield image, labels, in_frame
            else:
                yield image, labels, in_frame, planes[1]

    def _sources(self) -> list[LabelSource]:
        return [self.labels] if self.nuclei is None else [self.labels, self.nuclei]


def _signed(labels: NDArray[Any]) -> NDArray[Any]:
    """Give labels of 64 bits the type of the tables, which hold 2^63 and above minus 2^64."""
    return labels.astype(np.int64) if labels.dtype == np.uint64 else labels


def _merged(labels: NDArray[Any], pieces: pd.DataFrame) -> NDArray[Any]:
    """Give pieces of one cell its label."""
    for piece, label in zip(pieces["piece"], pieces["label"], strict=True):
        labels = np.where(labels == piece, label, labels)
    return labels


def _far_from_cells(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the pixels that are two diameters or more away from all cells."""
    areas = np.unique(labels[labels != 0], return_counts=True)[1]
    if not len(areas):
        return np.zeros(labels.shape, bool)
    diameter_px = median_diameter(areas)
    distance_px = ndimage.distance_transform_edt(labels == 0)
    return np.asarray(distance_px > EMPTY_DIAMETERS * diameter_px)
