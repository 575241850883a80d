"""Reader of what the stages left below ``results/<sample>``."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import zarr

from cellsam_core.corrections.result import masks_folder
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.parquet import open_parquet
from cellsam_core.files.tables import read_table, table_errors
from cellsam_core.reporting.units import Units
from cellsam_core.samples.manifest import Manifest

if TYPE_CHECKING:
    from anndata import AnnData

    from cellsam_core.files.omezarr import OmeZarr

MAX_TRACES = 5000  # rows of a matrix of traces; the longest tracks are kept


class Results:
    """Results of a sample; every table is read when it is first used.

    Parameters
    ----------
    folder
        Folder that the workflow wrote, ``results/<sample>``.
    bulk
        Table of bulk expression that the report of a tissue is compared with.

    Attributes
    ----------
    folder
        The folder.
    bulk
        The table of bulk expression, or None.

    Raises
    ------
    InputError
        The folder has no ``0_manifest.json``. The attributes raise it where the file of a stage
        is not there or damaged.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import cellsam_core as cc
    >>> folder = Path(mkdtemp())
    >>> small = cc.MovieOptions(frames=1, size_px=64, cells=2)
    >>> movie = cc.simulate_movie(folder / "raw", options=small)
    >>> sample = cc.inspect(folder / "raw/images", assay="movie")
    >>> sample.save(folder / "0_manifest.json")
    >>> results = cc.Results(folder)
    >>> results.manifest.shape_yx, results.is_movie
    ((64, 64), True)
    """

    def __init__(self, folder: str | Path, bulk: str | Path | None = None) -> None:
        self.folder = Path(folder)
        self.bulk = None if bulk is None else Path(bulk)
        if not (self.folder / "0_manifest.json").is_file():
            raise InputError(
                self.folder,
                found="no 0_manifest.json",
                expected="the results folder of a sample",
                remedy="run `inspect` first or correct the path",
            )

    @classmethod
    def load(cls, folder: Path, bulk: Path | None = None) -> Results:
        """Open a folder and read its manifest.

        Raises
        ------
        InputError
            The folder has no ``0_manifest.json``, or is that of a movie beside `bulk`.
        """
        results = cls(folder, bulk)
        if bulk is not None and results.is_movie:
            raise InputError(
                "--bulk",
                found="the option for a movie",
                expected="a sample with transcripts",
                remedy="leave it out",
            )
        return results

    def __repr__(self) -> str:
        return f"Results({str(self.folder)!r})"

    @cached_property
    def manifest(self) -> Manifest:
        """Manifest of the sample: channels, frames, pixel size and so on."""
        return Manifest.load(self.folder / "0_manifest.json")

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Segmented cells of any sample, one row a mask (``2_masks/cells.parquet``).

        The counts of a tissue's cells are in :attr:`adata`.
        """
        return self._required(f"{self.masks_folder}/cells.parquet", "stitch")

    @property
    def masks_folder(self) -> str:
        """Folder of the masks below that of the sample: that of the corrected ones if there are."""
        return masks_folder(self.folder).relative_to(self.folder).as_posix()

    @cached_property
    def objects(self) -> pd.DataFrame:
        """Tracked cells of a movie, one row a cell and frame (``3_tracks/objects.parquet``)."""
        return self._required("3_tracks/objects.parquet", "track")

    @cached_property
    def tracks(self) -> pd.DataFrame:
        """Tracks of a movie, one row a track (``3_tracks/tracks.csv``)."""
        return self._required("3_tracks/tracks.csv", "track")

    @cached_property
    def divisions(self) -> pd.DataFrame:
        """Divisions of a movie, one row a division or bud (``3_tracks/divisions.csv``)."""
        return self._required("3_tracks/divisions.csv", "track")

    @cached_property
    def traces(self) -> pd.DataFrame:
        """Intensities and ratios of a movie, one row a track, frame and compartment.

        The file is ``3_tracks/traces.parquet``.
        """
        return self._required("3_tracks/traces.parquet", "traces")

    @cached_property
    def adata(self) -> AnnData:
        """Counts of a tissue, genes of each cell (``3_cells/cells.h5ad``)."""
        import anndata

        path = self.folder / "3_cells/cells.h5ad"
        if not path.is_file():
            raise _missing(path, "assign")
        with table_errors(path):
            return anndata.read_h5ad(path)

    def _required(self, name: str, command: str) -> pd.DataFrame:
        table = self.table(name)
        if table is None:
            raise _missing(self.folder / name, command)
        return table

    @property
    def units(self) -> Units:
        """Physical units of the sample."""
        manifest = self.manifest
        uneven = () if manifest.frame_interval_s else tuple(manifest.frame_times_s or ())
        return Units(manifest.pixel_size_um, manifest.frame_interval_s, uneven)

    @property
    def is_movie(self) -> bool:
        """True for a movie, False for a tissue with transcripts."""
        return self.manifest.assay == "movie"

    def image(self) -> OmeZarr | None:
        """Open the preprocessed frames; None where they are not there."""
        return self._zarr("1_preprocessed/frames.zarr")

    def masks(self) -> OmeZarr | None:
        """Open the label images; None where they are not there."""
        return self._zarr(f"{self.masks_folder}/masks.zarr")

    def _zarr(self, name: str) -> OmeZarr | None:
        path = self.folder / name
        return omezarr.open_(path) if path.is_dir() else None

    def segmentation_parameters(self) -> dict[str, Any]:
        """Return weights, device and thresholds of the masks; empty if they are not recorded."""
        path = self.folder / "2_masks/masks.zarr"
        if not path.is_dir():
            return {}
        omezarr.open_(path)  # its message explains a damaged folder
        recorded: Any = zarr.open_group(str(path), mode="r").attrs.get("cellsam", {})
        return dict(recorded)

    def table(self, name: str, columns: list[str] | None = None) -> pd.DataFrame | None:
        """Read a parquet or csv table below the folder; None where it is not there.

        Parameters
        ----------
        name
            Path of the table below the folder.
        columns
            Columns of a parquet file to read; those that it lacks are left out.
        """
        path = self.folder / name
        if not path.is_file():
            return None
        if path.suffix == ".csv" or columns is None:
            return read_table(path)
        with table_errors(path), open_parquet(path) as file:
            present = [c for c in columns if c in file.schema_arrow.names]
            table: pd.DataFrame = file.read(columns=present).to_pandas()
        return table


def _missing(path: Path, command: str) -> InputError:
    return InputError(
        path,
        found="no such file",
        expected=f"the file that `{command}` writes",
        remedy="run the workflow, or check that the sample is of this kind",
    )


def trace_matrix(rows: pd.DataFrame, values: pd.Series[float], n_frames: int) -> pd.DataFrame:
    """Arrange a long table as cells x time.

    Parameters
    ----------
    rows
        Table with track_id and frame of each value; one row a track and frame.
    values
        Value of each row; NaN is absent.
    n_frames
        Number of columns of the result.

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
