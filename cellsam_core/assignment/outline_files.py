"""Files of cell outlines, whoever wrote them: ids, polygons and planes as they are."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import shapely

from cellsam_core.assignment import geojson, xenium_masks
from cellsam_core.assignment.rings import join_rings
from cellsam_core.errors import InputError, first_line
from cellsam_core.files.parquet import open_parquet
from cellsam_core.files.tables import READ_ERRORS
from cellsam_core.samples.vendors.tables import HDF5_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

ID_COLUMNS = ("EntityID", "cell_id", "cellID", "cell_ID", "cell", "poly_ID", "ID")
# One id may stand for another cell in each of these.
PLACE_COLUMNS = ("slide_ID", "slide_id", "slide", "fov", "FOV")
OF_A_FIELD = ("cellID", "cell_ID")  # CosMx numbers the cells of each field anew
RING_COLUMN = "label_id"  # Xenium's nuclei: several have the id of one cell
PLANE_COLUMN = "ZIndex"
GEOMETRY_COLUMNS = ("geometry", "Geometry")
# Columns of vertices and what they are measured in: micrometres, pixels of the image, of the
# slide, or of a field of view.
VERTEX_COLUMNS = {
    ("vertex_x", "vertex_y"): "um",
    ("x_um", "y_um"): "um",
    ("x_px", "y_px"): "px",
    ("x_global_px", "y_global_px"): "slide_px",
    ("x_local_px", "y_local_px"): "field_px",
}
HDF5_PLANE = "zIndex_"
SHAPES = "shapes.parquet"
POLYGONS, MULTIPOLYGONS, COLLECTIONS = 3, 6, 7  # shapely's numbers of types


@dataclass(frozen=True)
class OutlineRows:
    """Outlines as they stand in a file.

    Attributes
    ----------
    ids
        ``(n,)`` whole numbers or text: the cell of each.
    geometry
        ``(n,)``; None where there is none.
    plane
        ``(n,)`` z plane; None where outlines hold for all planes.
    unit
        ``"um"``, ``"px"`` of the image, ``"slide_px"`` or ``"field_px"``.
    is_bad
        ``(n,)``: outlines that can't be read; one that is not there is not bad.
    """

    ids: pa.Array
    geometry: npt.NDArray[np.object_]
    is_bad: npt.NDArray[np.bool_]
    plane: npt.NDArray[np.int64] | None = None
    unit: str = "um"

    def take(self, is_kept: npt.NDArray[np.bool_]) -> OutlineRows:
        """Return some of the outlines."""
        return replace(
            self,
            ids=self.ids.filter(pa.array(is_kept)),
            geometry=self.geometry[is_kept],
            is_bad=self.is_bad[is_kept],
            plane=None if self.plane is None else self.plane[is_kept],
        )


def read_outlines(path: str | Path, fov: float | None = None) -> OutlineRows:
    """Read a file of outlines; see :func:`.boundaries.open_outlines` for the kinds.

    Parameters
    ----------
    path
        File or folder.
    fov
        The only field of view to read, in its own pixels where the file has them.

    Raises
    ------
    InputError
        It can't be read, lacks a column, or has ids that were stored as floats.
    """
    path = Path(path)
    try:
        rows = _read(path, fov)
    except InputError:
        raise
    except (*READ_ERRORS, shapely.errors.GEOSException) as error:
        raise no_outlines(path, f"a file that can't be read ({first_line(error)})") from error
    if pa.types.is_floating(rows.ids.type):
        raise InputError(
            path,
            found="ids of cells stored as floating point",
            expected="whole numbers or text: floats have lost the last digits",
            remedy="store the ids as text and write the file again",
        )
    rows = _clean(rows)
    n_nameless = rows.ids.null_count
    if n_nameless:
        raise InputError(
            path,
            found=f"{n_nameless} polygons without an id",
            expected="the id of its cell beside each polygon",
            remedy="remove these rows, or give them ids",
        )
    return rows


def no_outlines(path: Path, found: str) -> InputError:
    """Error for a file in which there is nothing to be read."""
    return InputError(
        path,
        found=found,
        expected="cell outlines: Parquet with EntityID or cell_id and geometry as WKB; csv or "
        "Parquet with cell_id, vertex_x, vertex_y; GeoJSON; MERSCOPE's HDF5; CosMx polygons csv; "
        "or Xenium's cells.zarr.zip",
        remedy="check the path, or write the outlines in one of these ways",
    )


def _read(path: Path, fov: float | None) -> OutlineRows:
    if path.name.endswith(geojson.SUFFIXES):
        return _whole(*geojson.read_geojson(path))
    if path.name.endswith(xenium_masks.SUFFIXES):
        ids, geometry = xenium_masks.read_outlines(path)
        return replace(_whole(ids, geometry), unit="px")
    if path.is_dir() and not any(path.glob(HDF5_NAME)):
        path = _shapes_in(path)
    if path.is_dir() or path.suffix == ".hdf5":
        return _read_hdf5(sorted(path.glob(HDF5_NAME)) if path.is_dir() else [path])
    names = _column_names(path)
    pairs = [pair for pair in VERTEX_COLUMNS if set(pair) <= set(names)]
    if pairs:
        return _read_vertices(path, names, pairs, fov)
    if path.suffix != ".parquet":
        raise no_outlines(path, f"the columns {', '.join(names[:20])}")
    return _read_geoparquet(path)


def _whole(ids: Sequence[str], geometry: npt.NDArray[np.object_]) -> OutlineRows:
    """Outlines of which each should be there."""
    return OutlineRows(pa.array(ids, pa.string()), geometry, shapely.is_missing(geometry))


def _shapes_in(path: Path) -> Path:
    """Find the table of shapes in an element of SpatialData, or in a store with one element."""
    is_element = (path / SHAPES).is_file()
    found = [path / SHAPES] if is_element else sorted(path.glob(f"shapes/*/{SHAPES}"))
    named = [file for file in found if file.parent.name == "cell_boundaries"]
    found = named or found
    if not found:
        raise FileNotFoundError(f"neither {HDF5_NAME} nor {SHAPES} in it")
    if len(found) > 1:
        names = ", ".join(file.parent.name for file in found)
        raise InputError(
            path,
            found=f"{len(found)} sets of shapes ({names})",
            expected="one",
            remedy=f"give the one of the cells, such as {found[0].parent}",
        )
    return found[0]


def _clean(rows: OutlineRows) -> OutlineRows:
    """Make geometries valid polygons; leave out those that are not there, mark the bad ones.

    Vendors' outlines cross themselves now and then: the crossing's parts are kept.
    """
    rows = rows.take(~shapely.is_missing(rows.geometry) | rows.is_bad)
    rows = rows.take(~shapely.is_empty(rows.geometry))
    kind = shapely.get_type_id(rows.geometry)
    is_bad = rows.is_bad | ~np.isin(kind, (POLYGONS, MULTIPOLYGONS, COLLECTIONS))
    coordinates, owner = shapely.get_coordinates(rows.geometry, return_index=True)
    is_bad |= np.bincount(owner, ~np.isfinite(coordinates).all(axis=1), len(is_bad)) > 0
    geometry = rows.geometry.copy()
    geometry[is_bad] = None
    geometry = shapely.make_valid(geometry, method="structure", keep_collapsed=False)
    # Lines and points have no area.
    mixed = shapely.get_type_id(geometry) == COLLECTIONS
    geometry[mixed] = [
        shapely.union_all([part for part in shapely.get_parts(g) if shapely.area(part) > 0])
        for g in geometry[mixed]
    ]
    return replace(rows, geometry=geometry, is_bad=is_bad | (shapely.area(geometry) == 0))


def _read_hdf5(files: list[Path]) -> OutlineRows:
    """Read ``featuredata/<cell>/zIndex_<plane>/p_<part>/coordinates``, ``(1, n, 2)`` in um."""
    import h5py

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
                        parts.append(part["coordinates"][0])
    if not parts:
        return replace(_whole([], np.empty(0, dtype=object)), plane=np.empty(0, np.int64))
    which = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    geometry = np.full(len(parts), None, dtype=object)
    rings = join_rings(which, np.concatenate(parts).astype(np.float64))
    geometry[rings.group] = rings.geometry
    return replace(_whole(ids, geometry), plane=np.array(planes, dtype=np.int64))


def _read_geoparquet(path: Path) -> OutlineRows:
    schema = pq.read_schema(path)
    names = list(schema.names)
    id_column = next((n for n in (*ID_COLUMNS, *_index_columns(schema)) if n in names), None)
    geometry_column = _geometry_column(schema)
    if id_column is None or geometry_column is None:
        raise no_outlines(path, f"the columns {', '.join(names[:20])}")
    places = [name for name in PLACE_COLUMNS if name in names]
    wanted = [id_column, geometry_column, *places] + [PLANE_COLUMN] * (PLANE_COLUMN in names)
    table = open_parquet(path).read(columns=wanted)
    encoded = table[geometry_column].to_numpy()
    geometry = shapely.from_wkb(encoded, on_invalid="ignore")
    is_bad = shapely.is_missing(geometry) & np.array([wkb is not None for wkb in encoded], bool)
    plane = None
    if PLANE_COLUMN in names:
        column = table[PLANE_COLUMN].to_numpy(zero_copy_only=False).astype(np.float64)
        if not np.array_equal(column, np.round(column)):
            raise no_outlines(path, f"something else than whole numbers in {PLANE_COLUMN}")
        plane = column.astype(np.int64)
    return OutlineRows(_keys(table, id_column, places), geometry, is_bad, plane)


def _index_columns(schema: pa.Schema) -> list[str]:
    """Columns that were the index of a data frame; sopa and SpatialData have the ids there."""
    pandas: dict[str, Any] = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    return [name for name in pandas.get("index_columns", []) if isinstance(name, str)]


def _geometry_column(schema: pa.Schema) -> str | None:
    geo: dict[str, Any] = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
    candidates = [geo.get("primary_column"), *GEOMETRY_COLUMNS]
    return next((name for name in candidates if name in schema.names), None)


def _column_names(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return list(pq.read_schema(path).names)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig") as file:
        return [name.strip().strip('"') for name in file.readline().strip().split(",")]


def _read_vertices(
    path: Path, names: list[str], pairs: list[tuple[str, str]], fov: float | None
) -> OutlineRows:
    """Join the vertices of each outline, in their order, to polygons."""
    id_column = next((name for name in ID_COLUMNS if name in names), None)
    if id_column is None:
        raise no_outlines(path, f"the columns {', '.join(names[:20])}")
    places = [name for name in PLACE_COLUMNS if name in names]
    pair = pairs[0]
    if fov is not None and ("x_local_px", "y_local_px") in pairs and "fov" in places:
        pair = ("x_local_px", "y_local_px")
    rings = [RING_COLUMN] if RING_COLUMN in names else []
    text = [id_column, *places, *rings]
    table = _read_columns(path, text, pair)
    if pair[0] == "x_local_px":
        table = table.filter(pc.equal(pc.cast(table["fov"], pa.float64()), fov))
        places = []
    key = _keys(table, id_column, places)
    encoded = _joined(key.cast(pa.string()), [table[name] for name in rings]).dictionary_encode()
    group = encoded.indices.to_numpy()
    xy = np.stack([table[name].to_numpy() for name in pair], axis=1)
    found = join_rings(group, xy)
    first = np.full(len(encoded.dictionary), 0, dtype=np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    ids = key.take(pa.array(first[found.group]))
    is_bad = shapely.is_missing(found.geometry)
    return OutlineRows(ids, found.geometry, is_bad, unit=VERTEX_COLUMNS[pair])


def _read_columns(path: Path, text: list[str], pair: tuple[str, str]) -> pa.Table:
    if path.suffix != ".parquet":
        # Read as text, ids keep every digit.
        types = {**dict.fromkeys(text, pa.string()), **dict.fromkeys(pair, pa.float64())}
        convert = pa_csv.ConvertOptions(column_types=types, include_columns=list(types))
        return pa_csv.read_csv(path, convert_options=convert)
    table = open_parquet(path).read(columns=[*text, *pair])
    for name in text:
        if pa.types.is_binary(table[name].type):  # text in some versions' files
            column = table[name].cast(pa.string())
            table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def _keys(table: pa.Table, id_column: str, places: list[str]) -> pa.Array:
    """Ids of cells; with slide and field where one id stands in several of them."""
    ids = table[id_column].combine_chunks()
    if id_column in OF_A_FIELD:
        is_used = (n.lower() == "fov" or pc.count_distinct(table[n]).as_py() > 1 for n in places)
    else:
        is_used = (_is_split(ids, table[name].combine_chunks()) for name in places)
    places = [name for name, used in zip(places, is_used, strict=True) if used]
    if not places or pa.types.is_floating(ids.type):
        return ids
    texts = [table[name].combine_chunks().cast(pa.string()) for name in (*places, id_column)]
    return pc.binary_join_element_wise(*texts, "_")


def _is_split(ids: pa.Array, place: pa.Array) -> bool:
    """Whether an id stands in more than one place."""
    both = pa.table({"id": ids, "place": place})
    n_pairs = both.group_by(["id", "place"]).aggregate([]).num_rows
    return bool(n_pairs > pc.count_distinct(ids, mode="all").as_py())


def _joined(key: pa.Array, more: list[pa.ChunkedArray]) -> pa.Array:
    if not more:
        return key
    texts = [column.combine_chunks().cast(pa.string()) for column in more]
    return pc.binary_join_element_wise(key, *texts, "_", null_handling="replace")
