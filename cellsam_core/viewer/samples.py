"""Samples of a folder of results, opened lazily and opened again when they were made anew."""

from __future__ import annotations

import hashlib
import threading
import time
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cellsam_core.corrections.cells_file import read_places
from cellsam_core.corrections.result import (
    MANIFEST,
    PROVENANCE,
    corrections_table,
    masks_folder,
    named_table,
    sample_folders,
)
from cellsam_core.corrections.table import checksum_of
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.tables import read_table
from cellsam_core.reporting.results import Results
from cellsam_core.viewer.points import Points
from cellsam_core.viewer.pyramid import ChunkCache, Pyramid
from cellsam_core.viewer.raw import WithRaw
from cellsam_core.viewer.tables import MovieTables
from cellsam_core.viewer.tissue import TissueTables

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import pandas as pd

    from cellsam_core.samples.manifest import Manifest

LOOK_EVERY_S = 1.0
OUTCOMES = {"tracks": "3_tracks/corrections.csv", "cells": "2_masks/corrected/corrections.csv"}
"""Tables of what became of the corrections, by the name of the user's table."""
FILES = (
    *OUTCOMES.values(),
    *(MANIFEST, "1_preprocessed/frames.zarr/zarr.json", "2_masks/masks.zarr/zarr.json"),
    *("2_masks/corrected/masks.zarr/zarr.json", "2_masks/corrected/cells.parquet"),
    *("2_masks/cells.parquet", "3_tracks/objects.parquet", "3_tracks/tracks.csv"),
    *("3_tracks/review.csv", "3_tracks/traces.parquet", "3_cells/transcripts.parquet"),
    "3_cells/cells.h5ad",
)
"""Files that are looked at in order to notice that a stage ran again."""


class Sample:
    """The results of one sample.

    Parameters
    ----------
    folder
        Folder ``results/<sample>``.
    cache
        Cache of chunks, shared by all samples.
    corrections
        Folder of the tables of corrections; None for those that the run reads.

    Attributes
    ----------
    problem
        Sentence about a part of the image that could not be read; empty without any.
    """

    def __init__(self, folder: Path, cache: ChunkCache, corrections: Path | None = None) -> None:
        self.name = folder.name
        self.folder = folder
        self.results = Results(folder)
        self.stamp = stamp_of(folder)
        self.problem = ""
        self._cache = cache
        self._corrections = corrections

    @property
    def version(self) -> str:
        """Word that changes when a stage has run again."""
        return hashlib.sha256(repr(self.stamp[: len(FILES)]).encode()).hexdigest()[:12]

    @cached_property
    def tables(self) -> dict[str, Path]:
        """Tables of corrections, ``tracks`` and ``cells``; they need not be there."""
        return {k: corrections_table(self.folder, k, self._corrections) for k in OUTCOMES}

    @property
    def lost_table(self) -> Path | None:
        """Table that the run reads, as its record says, but that is not there; None without one."""
        return next((path for path in self._named if not path.is_file()), None)

    @property
    def knows_tables(self) -> bool:
        """True unless the sample sheet may name other tables, which the first report records."""
        return self._corrections is not None or (self.folder / PROVENANCE).is_file()

    @cached_property
    def _named(self) -> list[Path]:
        if self._corrections is not None:
            return []
        return [path for kind in OUTCOMES if (path := named_table(self.folder, kind))]

    @property
    def manifest(self) -> Manifest:
        """Manifest of the sample."""
        return self.results.manifest

    @cached_property
    def image(self) -> Pyramid | None:
        """Preprocessed frames and raw channels; None where they are not made yet."""
        path = self.folder / "1_preprocessed/frames.zarr"
        return WithRaw(omezarr.open_(path), self._cache, self.manifest) if path.is_dir() else None

    @property
    def segmented_channels(self) -> tuple[str, ...]:
        """Roles of the channels that were segmented: nuclear, cell or both."""
        path = self.folder / "1_preprocessed/frames.zarr"
        return omezarr.open_(path).channels if path.is_dir() else ()

    @cached_property
    def segmentation(self) -> dict[str, Any]:
        """Weights, cell diameter and thresholds of the masks; empty if they are not recorded."""
        return self.results.segmentation_parameters()

    @cached_property
    def masks_folder(self) -> Path:
        """Folder of the masks that were tracked or counted: the corrected ones where they exist."""
        return masks_folder(self.folder)

    @cached_property
    def labels(self) -> Pyramid | None:
        """Label images; None where they are not made yet."""
        return self._pyramid(str((self.masks_folder / "masks.zarr").relative_to(self.folder)))

    @cached_property
    def masks_checksum(self) -> str:
        """Checksum of the ``cells.parquet`` of the masks, which was made with them."""
        return checksum_of(self.masks_folder / "cells.parquet")

    @cached_property
    def automatic_labels(self) -> Pyramid:
        """Label images before any correction, which rows of cells are applied to."""
        pyramid = self._pyramid("2_masks/masks.zarr")
        assert pyramid is not None
        return pyramid

    @cached_property
    def automatic_checksum(self) -> str:
        """Checksum of the cell table of the masks before any correction."""
        return checksum_of(self.folder / "2_masks/cells.parquet")

    def automatic_places(self, frame: int) -> pd.DataFrame:
        """Return label, area and bounding box of the cells of a frame before any correction."""
        return read_places(self.folder / "2_masks/cells.parquet", [frame])[frame]

    def outcomes(self, kind: str) -> list[dict[str, str]]:
        """Return what became of each row of a table in the last run; nothing before it.

        Parameters
        ----------
        kind
            ``tracks`` or ``cells``.
        """
        path = self.folder / OUTCOMES[kind]
        if not path.is_file():
            return []
        needed = ["id", "operation", "frame", "found"]
        table = read_table(path, needed, dtype=str, keep_default_na=False)
        names = [str(name) for name in table]
        return [dict(zip(names, row, strict=True)) for row in table.to_numpy().tolist()]

    @cached_property
    def movie(self) -> MovieTables | None:
        """Tables of a movie; None for a tissue."""
        return MovieTables(self.results, self.masks_folder) if self.results.is_movie else None

    @cached_property
    def tissue(self) -> TissueTables | None:
        """Tables of a tissue; None for a movie."""
        return None if self.results.is_movie else TissueTables(self.results, self.masks_folder)

    @cached_property
    def points(self) -> Points | None:
        """Transcripts of a tissue; None where there are none."""
        path = self.folder / "3_cells/transcripts.parquet"
        source = self.manifest.transcripts
        if source is None or not path.is_file():
            return None
        return Points(path, source.um_to_px, self.manifest.shape_yx)

    def _pyramid(self, name: str) -> Pyramid | None:
        path = self.folder / name
        return Pyramid(omezarr.open_(path), self._cache) if path.is_dir() else None

    def state(self) -> dict[str, Any]:
        """Describe the sample for the page; one that can't be read says why."""
        try:
            return self._state()
        except InputError as error:
            unknown = {"assay": "", "frames": 1, "height": 1, "width": 1, "levels": 0}
            told = {"name": self.name, "version": self.version, "channels": [], "has": {}}
            return unknown | told | {"error": str(error)}

    def _state(self) -> dict[str, Any]:
        manifest = self.manifest
        state: dict[str, Any] = {
            "name": self.name,
            "assay": manifest.assay,
            "version": self.version,
            "frames": manifest.n_frames if self.results.is_movie else 1,
            "height": manifest.shape_yx[0],
            "width": manifest.shape_yx[1],
            "pixel_size_um": manifest.pixel_size_um,
            "times_s": manifest.times_s,
            "warnings": manifest.warnings,
            "problem": self.problem,
            "channels": [],
            "levels": 0,
        }
        try:
            state["channels"] = list(self.image.channels) if self.image else []
            state["levels"] = self.image.n_levels if self.image else 0
            state["has"] = self._has()
        except InputError as error:
            state |= {"has": {}, "error": str(error)}
        return state

    def _has(self) -> dict[str, bool]:
        files = {
            "tracks": "3_tracks/tracks.csv",
            "traces": "3_tracks/traces.parquet",
            "review": "3_tracks/review.csv",
            "transcripts": "3_cells/transcripts.parquet",
            "counts": "3_cells/cells.h5ad",
        }
        has = {key: (self.folder / name).is_file() for key, name in files.items()}
        return has | {"image": self.image is not None, "masks": self.labels is not None}


class Library:
    """All samples of a folder.

    Parameters
    ----------
    root
        Folder ``results``, or that of one sample.
    corrections
        Folder of the tables of corrections; None for those that the run reads.

    Raises
    ------
    InputError
        There is no sample.
    """

    def __init__(self, root: Path, corrections: Path | None = None) -> None:
        self.root = root
        self._corrections = corrections
        self._cache = ChunkCache()
        self._lock = threading.Lock()
        self._looked: dict[str, float] = {}
        self._samples: dict[str, Sample] = {}
        self._listed_s = 0.0
        self._list(sample_folders(root))

    def _list(self, folders: Sequence[Path]) -> None:
        """Take the samples of some folders; those that are known already stay as they are."""
        known, self._listed_s = self._samples, time.monotonic()
        new = {f.name: self._open(f) for f in folders if f.name not in known}
        names = [folder.name for folder in folders]
        gone = [name for name in known if name not in names]
        self._samples = {name: (known | new)[name] for name in (*names, *gone)}

    def _open(self, folder: Path) -> Sample:
        return Sample(folder, self._cache, self._corrections)

    def __iter__(self) -> Iterator[Sample]:
        """Yield all samples, as they are now; those that a run has added since are among them."""
        if time.monotonic() - self._listed_s >= LOOK_EVERY_S:
            with self._lock, suppress(InputError):
                self._list(sample_folders(self.root))
        for name in list(self._samples):
            sample = self.get(name)
            if sample is not None:
                yield sample

    def get(self, name: str) -> Sample | None:
        """Return a sample, opened again if it was made anew; None if there is no such sample."""
        sample = self._samples.get(name)
        now = time.monotonic()
        if sample is None or now - self._looked.get(name, -1e9) < LOOK_EVERY_S:
            return sample
        with self._lock:
            self._looked[name] = now
            is_there = (sample.folder / MANIFEST).is_file()
            if is_there and stamp_of(sample.folder) != sample.stamp:
                sample = self._samples[name] = self._open(sample.folder)
        return sample


def stamp_of(folder: Path) -> tuple[int, ...]:
    """Return the time of each of the files that stages write, 0 for those that are not there.

    The last one is the record of the run, which makes no other results.
    """
    times = []
    for name in (*FILES, PROVENANCE):
        try:
            times.append((folder / name).stat().st_mtime_ns)
        except OSError:
            times.append(0)
    return tuple(times)
