"""Cells for Vizgen's postprocessing tool (VPT) and MERSCOPE Visualizer: outlines and tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from cellsam_core.exports.outlines import Sample, outlines_um
from cellsam_core.files.parquet import open_parquet, parquet_writer
from cellsam_core.files.tables import table_errors

if TYPE_CHECKING:
    from pathlib import Path

SPACING_UM = 1.5
"""Distance of z planes of a MERSCOPE."""
ROWS = 5_000
SCHEMA = pa.schema(
    [
        ("ID", pa.int64()),
        ("EntityID", pa.int64()),
        ("Name", pa.string()),
        ("Type", pa.string()),
        ("ParentID", pa.int64()),
        ("ParentType", pa.string()),
        ("ZLevel", pa.float64()),
        ("ZIndex", pa.int64()),
        ("Geometry", pa.binary()),
    ],
    metadata={
        "geo": json.dumps(
            {
                "version": "1.1.0",
                "primary_column": "Geometry",
                "columns": {
                    "Geometry": {"encoding": "WKB", "geometry_types": ["MultiPolygon"], "crs": None}
                },
            }
        )
    },
)


def write_vpt(folder: Path, sample: Sample) -> int:
    """Write ``cell_boundaries.parquet``, ``cell_by_gene.csv`` and ``cell_metadata.csv``.

    The outline of a cell stands once for each z plane that transcripts are in: else transcripts
    of other planes would belong to no cell.

    Parameters
    ----------
    folder
        Folder to make.
    sample
        A finished tissue.

    Returns
    -------
    int
        Number of cells.
    """
    folder.mkdir()
    planes = _planes(sample.folder / "3_cells/transcripts.parquet")
    n = 0
    shapes = []
    with parquet_writer(folder / "cell_boundaries.parquet", SCHEMA) as writer:
        for cell_id, geometry in outlines_um(sample):
            whole = np.array([_multi(shape) for shape in geometry], dtype=object)
            for plane in planes:
                writer.write_batch(_rows(cell_id, whole, plane, n * len(planes)))
            shapes.append(_shape_of(cell_id, whole))
            n += len(cell_id)
    _write_tables(folder, sample.folder / "3_cells/cells.h5ad", shapes)
    return n


def _multi(shape: shapely.Geometry) -> shapely.Geometry:
    return shape if shape.geom_type == "MultiPolygon" else shapely.multipolygons([shape])


def _planes(path: Path) -> list[int]:
    """List the z planes; plane 0 for a tissue of one plane, or with z in micrometres."""
    found: set[float] = set()
    with table_errors(path), open_parquet(path) as file:
        for batch in file.iter_batches(columns=["z"]):
            found |= set(pc.unique(batch["z"].drop_null()).to_pylist())
            if len(found) > 100:
                return [0]
    is_index = bool(found) and all(z == int(z) and z >= 0 for z in found)
    return list(range(int(max(found)) + 1)) if is_index else [0]


def _rows(
    cell_id: np.ndarray[Any, Any], geometry: np.ndarray[Any, Any], plane: int, first: int
) -> pa.RecordBatch:
    n = len(cell_id)
    ids = pa.array(cell_id.astype(np.int64))
    arrays = [
        pa.array(np.arange(n, dtype=np.int64) + first + plane * n),
        ids,
        pa.nulls(n, pa.string()),
        pa.array(["cell"] * n),
        pa.nulls(n, pa.int64()),
        pa.nulls(n, pa.string()),
        pa.array(np.full(n, (plane + 1) * SPACING_UM)),
        pa.array(np.full(n, plane, dtype=np.int64)),
        pa.array(shapely.to_wkb(geometry), pa.binary()),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _shape_of(cell_id: np.ndarray[Any, Any], geometry: np.ndarray[Any, Any]) -> pd.DataFrame:
    box, length, area = shapely.bounds(geometry), shapely.length(geometry), shapely.area(geometry)
    hull = shapely.area(shapely.convex_hull(geometry))
    columns = {
        f"{side}_{axis}": box[:, i]
        for i, (side, axis) in enumerate((("min", "x"), ("min", "y"), ("max", "x"), ("max", "y")))
    }
    more = {"perimeter_area_ratio": length / area, "solidity": area / hull}
    return pd.DataFrame(columns | more, index=pd.Index(cell_id.astype(np.int64), name="EntityID"))


def _write_tables(folder: Path, path: Path, shapes: list[pd.DataFrame]) -> None:
    with table_errors(path):
        table = anndata.read_h5ad(path)
    ids = pd.Index(table.obs["cell_id"].to_numpy(np.int64), name="cell")
    controls = table.obsm["controls"]
    names = [*table.var_names, *table.uns["controls"]["name"]]
    with (folder / "cell_by_gene.csv").open("w", encoding="utf-8", newline="\n") as file:
        file.write(",".join(["cell", *map(_quoted, names)]) + "\n")
        for first in range(0, len(ids), ROWS):
            rows = slice(first, first + ROWS)
            counts = np.hstack([table.X[rows].toarray(), controls.iloc[rows].to_numpy()])
            pd.DataFrame(counts.astype(np.int64), index=ids[rows]).to_csv(
                file, header=False, lineterminator="\n"
            )
    obs = table.obs
    metadata = pd.DataFrame(
        {
            "fov": obs["fov"].to_numpy() if "fov" in obs else 0,
            "volume": obs["area_um2"].to_numpy(),
            "center_x": table.obsm["spatial"][:, 0],
            "center_y": table.obsm["spatial"][:, 1],
            "transcript_count": (obs["n_transcripts"] + obs["n_controls"]).to_numpy(),
        },
        index=ids.rename("EntityID"),
    )
    if shapes:
        metadata = metadata.join(pd.concat(shapes))
    metadata.to_csv(folder / "cell_metadata.csv", lineterminator="\n")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if set(name) & set('",\n') else name
