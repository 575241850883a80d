"""Cell polygons in micrometres as GeoParquet: written from labels, read from vendors."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import shapely

from cellsam_core.assignment.columns import BOUNDARIES
from cellsam_core.assignment.coordinates import coordinate_metadata
from cellsam_core.assignment.geojson import SUFFIXES as GEOJSON_SUFFIXES
from cellsam_core.assignment.outline_files import no_outlines, read_outlines
from cellsam_core.assignment.polygons import CellPolygons
from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.parquet import parquet_writer
from cellsam_core.samples.affine import apply_affine, pixel_size_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from cellsam_core.assignment.outline_files import OutlineRows
    from cellsam_core.samples.manifest import TranscriptSource

ROWS_A_GROUP = 10_000
MAX_NAMED = 10
CORNER_TO_CENTRE = -0.5
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


def write_boundaries(
    path: str | Path,
    cells: Iterable[tuple[int, shapely.Geometry]],
    *,
    sample: str = "",
    um_to_px: npt.NDArray[np.float64] | None = None,
) -> None:
    """Write one polygon a cell, as they come.

    Parameters
    ----------
    path
        GeoParquet with the columns ``cell_id`` (uint32), ``geometry`` (WKB, micrometres) and
        ``sample``.
    cells
        ``(cell_id, polygon in um)``.
    sample
        Name of the sample.
    um_to_px
        3x3 affine from the slide to pixels of the image; None if there is no image.
    """
    metadata = {"geo": json.dumps(GEO_METADATA), "unit": "micrometer"}
    metadata |= coordinate_metadata(um_to_px)
    columns = [("cell_id", pa.uint32()), ("geometry", pa.binary()), ("sample", pa.string())]
    schema = BOUNDARIES.described(pa.schema(columns, metadata=metadata))
    with (
        atomic_path(path) as temporary,
        parquet_writer(temporary, schema) as writer,
    ):
        rows = iter(cells)
        while group := list(islice(rows, ROWS_A_GROUP)):
            ids = pa.array([cell_id for cell_id, _ in group], pa.uint32())
            wkb = pa.array(shapely.to_wkb([geometry for _, geometry in group]), pa.binary())
            names = pa.array([sample] * len(group), pa.string())
            writer.write_batch(pa.RecordBatch.from_arrays([ids, wkb, names], schema=schema))


@dataclass(frozen=True)
class Outlines:
    """Cells of a file of outlines.

    Attributes
    ----------
    polygons
        In micrometres; cells are numbered from 1 in the order of their ids.
    vendor_ids
        ``vendor_ids[cell_id - 1]`` is the vendor's id as text: MERSCOPE's 19 digits fit neither
        uint32 nor a float.
    warnings
        Sentences for the report.
    """

    polygons: CellPolygons
    vendor_ids: list[str]
    warnings: list[str] = field(default_factory=list)


def open_outlines(
    path: str | Path,
    *,
    source: TranscriptSource | None = None,
    pixel_size_um: float | None = None,
    unit: str = "um",
    all_planes: bool = False,
) -> Outlines:
    """Read cells that are drawn as outlines.

    Parameters
    ----------
    path
        Parquet with an id (``EntityID``, ``cell_id``, ``ID`` or the index of a data frame), WKB
        polygons, and ``ZIndex`` where they belong to z planes (MERSCOPE, sopa, SpatialData);
        Parquet or csv with ``cell_id``, ``vertex_x``, ``vertex_y``, one row for each vertex
        (Xenium), or with ``fov``, ``cellID``, ``x_global_px``, ``y_global_px`` (CosMx); GeoJSON;
        ``feature_data_<fov>.hdf5`` or a folder of them (MERSCOPE); ``cells.zarr.zip`` (Xenium).
        One id may have several outlines: they are all that cell.
    source
        The sample's transcripts, as its manifest has them; None for a table without an image.
    pixel_size_um
        Side of a pixel, for outlines in pixels and no `source`.
    unit
        ``"um"``, or ``"px"`` for outlines in pixels of the image where the file doesn't say so.
    all_planes
        Outlines hold for all z planes, whatever plane the file says that they are of.

    Raises
    ------
    InputError
        The file can't be read, a column is missing, ids were stored as floats, no outline can be
        used, or outlines in pixels come without the size of a pixel.
    """
    path = Path(path)
    # Of a mosaic, all fields count; of one field, its own rows in its own pixels.
    fov = source.keep[1] if source and source.keep and source.keep[0] == "fov" else None
    rows = read_outlines(path, fov)
    warnings = _told(path, rows)
    usable = rows.take(~rows.is_bad)
    in_um = _to_um(path, usable, source, pixel_size_um, unit)
    encoded = usable.ids.dictionary_encode()
    vendor_ids = encoded.dictionary.to_pylist()
    rank = np.empty(len(vendor_ids), dtype=np.uint32)
    rank[sorted(range(len(vendor_ids)), key=vendor_ids.__getitem__)] = np.arange(len(vendor_ids))
    cell_id = rank[encoded.indices.to_numpy()] + np.uint32(1)
    polygons = CellPolygons(in_um, cell_id, None if all_planes else usable.plane)
    return Outlines(polygons, [str(vendor_id) for vendor_id in sorted(vendor_ids)], warnings)


def read_polygons(path: str | Path) -> tuple[CellPolygons, list[str]]:
    """Read outlines in micrometres; see :func:`open_outlines`."""
    outlines = open_outlines(path)
    return outlines.polygons, outlines.vendor_ids


def _told(path: Path, rows: OutlineRows) -> list[str]:
    """Say which outlines are left out; refuse a file where none is left."""
    n_bad = int(rows.is_bad.sum())
    if not n_bad:
        return []
    if n_bad == len(rows.is_bad):
        raise no_outlines(path, f"{n_bad} outlines, none of which encloses an area")
    ids = rows.ids.filter(pa.array(rows.is_bad)).unique().to_pylist()
    listed = ", ".join(map(str, ids[:MAX_NAMED])) + (", ..." if len(ids) > MAX_NAMED else "")
    return [
        f"{n_bad} of {len(rows.is_bad)} outlines in {path.name} enclose no area or have broken "
        f"coordinates and are left out: cells {listed}."
    ]


def _to_um(
    path: Path,
    rows: OutlineRows,
    source: TranscriptSource | None,
    pixel_size_um: float | None,
    unit: str,
) -> npt.NDArray[np.object_]:
    """Bring outlines to micrometres, whatever they are drawn in."""
    unit = unit if rows.unit == "um" else rows.unit
    if unit == "um":
        return rows.geometry
    um_to_px = None if source is None else np.array(source.um_to_px)
    if um_to_px is None and pixel_size_um is not None:
        um_to_px = np.diag([1 / pixel_size_um, 1 / pixel_size_um, 1.0])
    if um_to_px is None:
        raise InputError(
            path,
            found="outlines in pixels and no pixel size",
            expected="the size of a pixel, to know where the outlines lie",
            remedy="give the option --pixel-size-um, or the sample's manifest",
        )
    if unit == "slide_px":
        to_um = np.diag([pixel_size_of(um_to_px), pixel_size_of(um_to_px), 1.0])
    else:
        to_um = np.linalg.inv(um_to_px)
    # Programs that write GeoJSON count from the corner of a pixel.
    shift = CORNER_TO_CENTRE if path.name.endswith(GEOJSON_SUFFIXES) else 0.0
    moved: npt.NDArray[np.object_] = shapely.transform(
        rows.geometry, lambda xy: apply_affine(to_um, xy.T + shift).T
    )
    return moved


def footprints(polygons: CellPolygons) -> list[shapely.Geometry]:
    """One polygon a cell, in the order of ``cell_id``: the union over its z planes."""
    order = np.argsort(polygons.cell_id, kind="stable")
    starts = np.flatnonzero(np.diff(polygons.cell_id[order], prepend=0))
    groups = np.split(polygons.geometry[order], starts[1:]) if len(order) else []
    return [shapely.union_all(group) if len(group) > 1 else group[0] for group in groups]
