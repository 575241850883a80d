"""Cells as GeoJSON for QuPath, with their measurements."""

from __future__ import annotations

import json
import math
import uuid
from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import shapely

from cellsam_core.exports.outlines import Sample, outlines_px
from cellsam_core.files.tables import table_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMESPACE = uuid.UUID("6d1d2b1e-6f0e-5f0d-9a55-0f7c3d1f3a10")
"""Root of the ids of cells: the same sample and cell have the same id in every export."""
MEASUREMENTS = ("n_transcripts", "n_genes", "n_controls", "area_um2", "score")
DECIMALS = 3


def write_qupath(path: Path, sample: Sample) -> int:
    """Write one Feature a cell, as they come.

    Parameters
    ----------
    path
        File ``.geojson`` to write, in pixels of the full image.
    sample
        A finished tissue.

    Returns
    -------
    int
        Number of cells.
    """
    values = _measurements(sample.folder / "3_cells/cells.h5ad")
    n = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"type": "FeatureCollection", "features": [')
        for n, feature in enumerate(_features(sample, values), start=1):
            file.write(("," if n > 1 else "") + "\n" + json.dumps(feature, allow_nan=False))
        file.write("\n]}\n")
    return n


def _features(sample: Sample, values: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Describe each cell as QuPath reads it: without ``objectType`` it would be an annotation."""
    names = list(values.columns)
    by_cell = dict(zip(values.index.to_list(), values.to_numpy().tolist(), strict=True))
    for _, cell_id, shape in outlines_px(sample):
        numbers = zip(names, by_cell[cell_id], strict=True)
        yield {
            "type": "Feature",
            "id": str(uuid.uuid5(NAMESPACE, f"{sample.name}/{cell_id}")),
            "geometry": _rounded(json.loads(shapely.to_geojson(shape))),
            "properties": {
                "objectType": "cell",
                "name": f"{sample.name}_{cell_id}",
                "measurements": {name: n for name, n in numbers if math.isfinite(n)},
                "metadata": {"cell_id": str(cell_id), "sample": sample.name},
            },
        }


def _rounded(value: Any) -> Any:
    """Round coordinates to thousandths of a pixel, which halves the file."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, DECIMALS) if isinstance(value, float) else value


def _measurements(path: Path) -> pd.DataFrame:
    with table_errors(path):
        table = anndata.read_h5ad(path, backed="r")
        values: pd.DataFrame = table.obs.reindex(columns=list(MEASUREMENTS)).astype(np.float64)
        values.index = pd.Index(table.obs["cell_id"].to_numpy())
        if "intensities" in table.obsm:
            stains = table.obsm["intensities"].astype(np.float64).set_axis(values.index)
            values = values.join(stains.add_suffix(" mean"))
        table.file.close()
    return values
