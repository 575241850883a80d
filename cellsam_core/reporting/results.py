"""Read what the stages left below ``results/<sample>``; a file that is not there is None."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import zarr

from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.parquet import open_parquet
from cellsam_core.files.tables import read_table, table_errors
from cellsam_core.reporting.figures_common import Units
from cellsam_core.samples.manifest import Manifest

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.files.omezarr import OmeZarr

MAX_TRACES = 5000  # rows of a matrix of traces; the longest tracks are kept


@dataclass(frozen=True)
class Results:
    """Where a sample's results are, and its manifest.

    Attributes
    ----------
    folder
        ``results/<sample>``.
    manifest
        Of the sample.
    bulk
        The user's table of bulk expression, for a spatial sample; or None.
    """

    folder: Path
    manifest: Manifest
    bulk: Path | None = None

    @classmethod
    def load(cls, folder: Path, bulk: Path | None = None) -> Results:
        """Open `folder`.

        Raises
        ------
        InputError
            It has no ``0_manifest.json``, or is a movie beside `bulk`.
        """
        path = folder / "0_manifest.json"
        if not path.is_file():
            raise InputError(
                folder,
                found="no 0_manifest.json",
                expected="the results folder of a sample",
                remedy="run `inspect` first or correct the path",
            )
        results = cls(folder, Manifest.load(path), bulk)
        if bulk is not None and results.is_movie:
            raise InputError(
                "--bulk",
                found="the option for a movie",
                expected="a sample with transcripts",
                remedy="leave it out",
            )
        return results

    @property
    def units(self) -> Units:
        """Physical units of the sample."""
        return Units(self.manifest.pixel_size_um, self.manifest.frame_interval_s)

    @property
    def is_movie(self) -> bool:
        """Whether the sample was tracked rather than assigned transcripts."""
        return self.manifest.assay == "movie"

    def image(self) -> OmeZarr | None:
        """Open the preprocessed frames."""
        return self._zarr("1_preprocessed/frames.zarr")

    def masks(self) -> OmeZarr | None:
        """Open the label image."""
        return self._zarr("2_masks/masks.zarr")

    def _zarr(self, name: str) -> OmeZarr | None:
        path = self.folder / name
        return omezarr.open_(path) if path.is_dir() else None

    def segmentation_parameters(self) -> dict[str, Any]:
        """Weights, device and thresholds that the masks were made with; empty if not recorded."""
        path = self.folder / "2_masks/masks.zarr"
        if not path.is_dir():
            return {}
        omezarr.open_(path)  # says what is wrong with a damaged folder
        recorded: Any = zarr.open_group(str(path), mode="r").attrs.get("cellsam", {})
        return dict(recorded)

    def table(self, name: str, columns: list[str] | None = None) -> pd.DataFrame | None:
        """Read a parquet or csv table; of `columns` those that it has."""
        path = self.folder / name
        if not path.is_file():
            return None
        if path.suffix == ".csv" or columns is None:
            return read_table(path)
        with table_errors(path), open_parquet(path) as file:
            present = [c for c in columns if c in file.schema_arrow.names]
            table: pd.DataFrame = file.read(columns=present).to_pandas()
        return table


def trace_matrix(rows: pd.DataFrame, values: pd.Series[float], n_frames: int) -> pd.DataFrame:
    """Arrange a long table as cells x time.

    Parameters
    ----------
    rows
        track_id and frame of each value; one value a track and frame.
    values
        As many; NaN is absent.
    n_frames
        Columns of the result.

    Returns
    -------
    pandas.DataFrame, (n_tracks, n_frames)
        float64, the index is the track_id, in order; NaN where there is no value. Tracks without
        any are left out; of more than 5000 those with most values are kept.
    """
    rows = rows.loc[values.notna(), ["track_id", "frame"]]
    values = values[values.notna()]
    lengths = rows["track_id"].value_counts(sort=False).sort_index()
    longest = lengths.sort_values(ascending=False, kind="stable").index[:MAX_TRACES]
    ids = np.sort(longest.to_numpy())
    kept = rows["track_id"].isin(ids).to_numpy()
    matrix = np.full((len(ids), n_frames), np.nan)
    positions = np.searchsorted(ids, rows["track_id"].to_numpy()[kept])
    matrix[positions, rows["frame"].to_numpy()[kept]] = values.to_numpy()[kept]
    return pd.DataFrame(matrix, index=pd.Index(ids, name="track_id"))
