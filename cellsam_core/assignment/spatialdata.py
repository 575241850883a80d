"""A sample as a SpatialData store, for napari-spatialdata, sopa and squidpy; an optional extra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.atomic import atomic_path
from cellsam_core.labels.expand import expand
from cellsam_core.labels.image import open_label_image
from cellsam_core.samples.affine import pixel_size_of

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData

    from cellsam_core.labels.tiles import LabelTiles

    Affine = np.ndarray[Any, np.dtype[np.float64]]

CHUNK_PX = 2048
REGION = "cells"
"""Name of the labels, to which the rows of the table belong."""
# Here pixel centres are at integers; there, corners are.
CORNER_TO_CENTRE = np.array([[1.0, 0.0, -0.5], [0.0, 1.0, -0.5], [0.0, 0.0, 1.0]])


def write_spatialdata(
    path: Path,
    *,
    frames: Path,
    masks: Path,
    cells: Path,
    um_to_px: Affine,
    expand_um: float = 0.0,
) -> None:
    """Write a sample's images, labels, outlines, transcripts and table in micrometres.

    Image and labels are streamed by chunks, transcripts by partitions.

    Parameters
    ----------
    path
        Folder to make.
    frames, masks
        ``frames.zarr`` and ``masks.zarr``.
    cells
        Folder ``3_cells``.
    um_to_px
        3x3 affine, micrometres to pixel centres.
    expand_um
        How far the cells of `masks` were grown for the assignment.

    Raises
    ------
    InputError
        The package spatialdata is not installed.
    """
    _require_spatialdata()
    import anndata
    import dask.dataframe as dd
    import geopandas
    from spatialdata import SpatialData
    from spatialdata.models import Labels2DModel, PointsModel, ShapesModel, TableModel
    from spatialdata.transformations import Affine, Identity

    matrix = np.linalg.inv(um_to_px) @ CORNER_TO_CENTRE
    to_um = {"global": Affine(matrix, input_axes=("x", "y"), output_axes=("x", "y"))}
    in_um = {"global": Identity()}
    tiles = expand(open_label_image(masks).tiles, expand_um / pixel_size_of(um_to_px))
    points = dd.read_parquet(cells / "transcripts.parquet")
    # The index of a z plane is no length: as `z` it would be taken for one.
    points = points.rename(columns={"x_um": "x", "y_um": "y", "z": "z_plane"})
    # Dictionaries differ between row groups: as text, each partition has the same type.
    text = [name for name in points.columns if points[name].dtype == "category"]
    points = points.astype(dict.fromkeys(text, "string[pyarrow]"))
    # Without cells there is no outline and no row: such elements can't be made.
    outlines = {
        "cell_boundaries": geopandas.read_parquet(cells / "boundaries.parquet").set_index("cell_id")
    }
    counts = {"counts": anndata.read_h5ad(cells / "cells.h5ad")}
    _name_region(counts["counts"])
    if not counts["counts"].n_obs:
        outlines, counts = {}, {}
    sample = SpatialData(
        images={"stains": _image(frames, to_um)},
        labels={REGION: Labels2DModel.parse(_lazy(tiles), dims=("y", "x"), transformations=to_um)},
        points={
            "transcripts": PointsModel.parse(
                points,
                coordinates={"x": "x", "y": "y"},
                feature_key="feature",
                instance_key="cell_id",
                transformations=in_um,
            )
        },
        shapes={
            name: ShapesModel.parse(table, transformations=in_um)
            for name, table in outlines.items()
        },
        tables={name: TableModel.parse(table) for name, table in counts.items()},
    )
    with atomic_path(path) as temporary:
        sample.write(temporary)


def _name_region(table: AnnData) -> None:
    """Name the labels of this store as the region of all cells; the file names the sample."""
    import pandas as pd

    table.obs["region"] = pd.Categorical([REGION] * table.n_obs, categories=[REGION])
    table.uns["spatialdata_attrs"]["region"] = REGION


def _require_spatialdata() -> None:
    try:
        import spatialdata  # noqa: F401
    except ImportError as error:
        raise InputError(
            "spatialdata",
            found="no such package in this environment",
            expected="the optional package spatialdata",
            remedy="run `pip install spatialdata`, or Snakemake with its conda environments",
        ) from error


def _image(frames: Path, transformations: dict[str, Any]) -> Any:
    import dask.array as da
    from spatialdata.models import Image2DModel

    image = omezarr.open_(frames)
    return Image2DModel.parse(
        da.from_zarr(image.array),
        dims=("c", "y", "x"),
        c_coords=list(image.channels),
        transformations=transformations,
    )


class _Window:
    """Labels as dask reads arrays: by slices."""

    ndim = 2
    dtype = np.dtype(np.uint32)

    def __init__(self, tiles: LabelTiles) -> None:
        self._tiles = tiles
        self.shape = tiles.shape_yx

    def __getitem__(self, index: tuple[slice, slice]) -> np.ndarray[Any, Any]:
        rows, columns = index
        return self._tiles.window(rows.start, rows.stop, columns.start, columns.stop)


def _lazy(tiles: LabelTiles) -> Any:
    import dask.array as da

    return da.from_array(_Window(tiles), chunks=CHUNK_PX, name=False, asarray=False)
