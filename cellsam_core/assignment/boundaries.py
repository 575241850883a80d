"""Cell polygons in micrometres as GeoParquet: written from labels, read from vendors."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import shapely

from cellsam_core.assignment.polygons import CellPolygons
from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.parquet import open_parquet, parquet_writer
from cellsam_core.samples.vendors.tables import HDF5_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

ID_COLUMNS = ("EntityID", "cell_id", "ID")
PLANE_COLUMN = "ZIndex"
GEOMETRY_COLUMNS = ("geometry", "Geometry")
VERTEX_COLUMNS = ("vertex_x", "vertex_y")
HDF5_PLANE = "zIndex_"
ROWS_A_GROUP = 10_000
# GeoParquet 1.1; a null crs says that coordinates are no place on earth.
GEO_METADATA = {
    "version": "1.1.0",
    "primary_column": "geometry",
    "columns": {
        "geometry": {
            "encoding": "WKB",
            "geometry_types": ["MultiPolygon", "Polygon"],
            "crs": None,
            "edges": "planar",
        }
    },
}


def write_boundaries(path: str | Path, cells: Iterable[tuple[int, shapely.Geometry]]) -> None:
    """Write one polygon a cell, as they come.

    Parameters
    ----------
    path
        GeoParquet with the columns ``cell_id`` (uint32) and ``geometry`` (WKB, micrometres).
    cells
        ``(cell_id, polygon in um)``.
    """
    metadata = {"geo": json.dumps(GEO_METADATA), "unit": "micrometer"}
    schema = pa.schema(
        [("cell_id", pa.uint32()), ("geometry", pa.binary())],
        metadata=metadata,
    )
    with (
        atomic_path(path) as temporary,
        parquet_writer(temporary, schema) as writer,
    ):
        rows = iter(cells)
        while group := list(islice(rows, ROWS_A_GROUP)):
            ids = pa.array([cell_id for cell_id, _ in group], pa.uint32())
            wkb = pa.array(shapely.to_wkb([geometry for _, geometry in group]), pa.binary())
            writer.write_batch(pa.RecordBatch.from_arrays([ids, wkb], schema=schema))


def read_polygons(path: str | Path) -> tuple[CellPolygons, list[str]]:
    """Read a vendor's cells: MERSCOPE's GeoParquet or HDF5, or Xenium's table of vertices.

    Parameters
    ----------
    path
        Parquet with an id (``EntityID``, ``cell_id`` or ``ID``), WKB polygons in micrometres, and
        ``ZIndex`` where the polygons belong to z planes; or Parquet or csv with ``cell_id``,
        ``vertex_x``, ``vertex_y``, one row for each vertex; or MERSCOPE's older
        ``feature_data_<fov>.hdf5``, or a folder of them.

    Returns
    -------
    polygons, vendor_ids
        Cells are numbered from 1 in the order of their ids, and ``vendor_ids[cell_id - 1]`` is
        the vendor's id as text: MERSCOPE's 19 digits fit neither uint32 nor a float.

    Raises
    ------
    InputError
        The file can't be read, a column is missing, or ids were stored as floats.
    """
    path = Path(path)
    try:
        table, geometry = _read(path)
    except (
        OSError,
        ValueError,
        LookupError,
        pa.ArrowException,
        shapely.errors.GEOSException,
        TypeError,
    ) as error:
        if isinstance(error, InputError):
            raise
        raise _no_polygons(path, f"a file that can't be read ({error})") from error
    if pa.types.is_floating(table["id"].type):
        raise InputError(
            path,
            found="ids of cells stored as floating point",
            expected="whole numbers or text: floats have lost the last digits",
            remedy="export the polygons again",
        )
    # An empty plane of a cell is no polygon, and a cell without any polygon is no cell.
    # Vendors' outlines cross themselves now and then: the crossing's parts are kept.
    geometry = shapely.make_valid(geometry, method="structure", keep_collapsed=False)
    usable = ~(shapely.is_missing(geometry) | shapely.is_empty(geometry))
    table = table.filter(pa.array(usable))
    if table["id"].null_count:
        raise InputError(
            path,
            found=f"{table['id'].null_count} polygons without an id",
            expected="the id of its cell beside each polygon",
            remedy="export the polygons again or remove these rows",
        )
    encoded = table["id"].combine_chunks().dictionary_encode()
    vendor_ids = encoded.dictionary.to_pylist()
    rank = np.empty(len(vendor_ids), dtype=np.uint32)
    rank[sorted(range(len(vendor_ids)), key=vendor_ids.__getitem__)] = np.arange(len(vendor_ids))
    cell_id = rank[encoded.indices.to_numpy()] + np.uint32(1)
    plane = None
    if PLANE_COLUMN in table.schema.names:
        plane = table[PLANE_COLUMN].to_numpy().astype(np.int64)
    polygons = CellPolygons(geometry[usable], cell_id, plane)
    return polygons, [str(vendor_id) for vendor_id in sorted(vendor_ids)]


def _read(path: Path) -> tuple[pa.Table, npt.NDArray[np.object_]]:
    if path.is_dir() or path.suffix == ".hdf5":
        return _read_hdf5(sorted(path.glob(HDF5_NAME)) if path.is_dir() else [path])
    return _read_vertices(path) if _has_vertices(path) else _read_geoparquet(path)


def _read_hdf5(files: list[Path]) -> tuple[pa.Table, npt.NDArray[np.object_]]:
    """Read ``featuredata/<cell>/zIndex_<plane>/p_<part>/coordinates``, ``(1, n, 2)`` in um."""
    import h5py

    if not files:
        raise FileNotFoundError(f"no {HDF5_NAME} in it")
    ids, planes, parts = [], [], []
    for file in files:
        with h5py.File(file) as store:
            for cell_id, cell in store["featuredata"].items():
                for name, plane in cell.items():
                    # A plane that the cell is not in holds no parts.
                    if not name.startswith(HDF5_PLANE) or not isinstance(plane, h5py.Group):
                        continue
                    for part in plane.values():
                        ids.append(cell_id)
                        planes.append(int(name.removeprefix(HDF5_PLANE)))
                        parts.append(shapely.Polygon(part["coordinates"][0]))
    table = pa.table({"id": pa.array(ids, pa.string()), PLANE_COLUMN: pa.array(planes, pa.int64())})
    return table, np.array(parts, dtype=object)


def _read_geoparquet(path: Path) -> tuple[pa.Table, npt.NDArray[np.object_]]:
    """Ids as column ``id``, with ``ZIndex`` if there is one; polygons in the same order."""
    schema = pq.read_schema(path)
    names = set(schema.names)
    id_column = next((name for name in ID_COLUMNS if name in names), None)
    geometry_column = _geometry_column(schema)
    if id_column is None or geometry_column is None:
        raise _no_polygons(path, f"the columns {', '.join(schema.names)}")
    wanted = [id_column, geometry_column] + [PLANE_COLUMN] * (PLANE_COLUMN in names)
    table = open_parquet(path).read(columns=wanted)
    geometry = shapely.from_wkb(table[geometry_column].to_numpy())
    return table.rename_columns(["id", *wanted[1:]]), geometry


def _has_vertices(path: Path) -> bool:
    if path.suffix != ".parquet":
        return True
    return set(VERTEX_COLUMNS) <= set(pq.read_schema(path).names)


def _read_vertices(path: Path) -> tuple[pa.Table, npt.NDArray[np.object_]]:
    """Join the vertices of each cell, in their order, to a polygon."""
    if path.suffix == ".parquet":
        table = open_parquet(path).read(columns=["cell_id", *VERTEX_COLUMNS])
        if pa.types.is_binary(table["cell_id"].type):  # text in some versions' files
            table = table.set_column(0, "cell_id", table["cell_id"].cast(pa.string()))
    else:
        # Read as text, ids keep every digit.
        convert = pa_csv.ConvertOptions(
            column_types={"cell_id": pa.string(), **dict.fromkeys(VERTEX_COLUMNS, pa.float64())},
            include_columns=["cell_id", *VERTEX_COLUMNS],
        )
        table = pa_csv.read_csv(path, convert_options=convert)
    encoded = table["cell_id"].combine_chunks().dictionary_encode()
    owner = encoded.indices.to_numpy()
    order = np.argsort(owner, kind="stable")
    xy = np.stack([table[name].to_numpy() for name in VERTEX_COLUMNS], axis=1)
    rings = shapely.linearrings(xy[order], indices=owner[order]) if len(order) else []
    return pa.table({"id": encoded.dictionary}), np.atleast_1d(shapely.polygons(rings))


def footprints(polygons: CellPolygons) -> list[shapely.Geometry]:
    """One polygon a cell, in the order of ``cell_id``: the union over its z planes."""
    order = np.argsort(polygons.cell_id, kind="stable")
    starts = np.flatnonzero(np.diff(polygons.cell_id[order], prepend=0))
    groups = np.split(polygons.geometry[order], starts[1:]) if len(order) else []
    return [shapely.union_all(group) if len(group) > 1 else group[0] for group in groups]


def _geometry_column(schema: pa.Schema) -> str | None:
    geo: dict[str, Any] = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
    candidates = [geo.get("primary_column"), *GEOMETRY_COLUMNS]
    return next((name for name in candidates if name in schema.names), None)


def _no_polygons(path: Path, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        expected="a Parquet file of cell polygons with the columns EntityID or cell_id, and "
        "geometry as WKB in micrometres, or cell_id, vertex_x, vertex_y; or MERSCOPE's HDF5",
        remedy="check the path or export the polygons again",
    )
