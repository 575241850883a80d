"""Outlines of cells as GeoJSON: QuPath, Baysor, proseg, Xenium Ranger."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".geojson", ".json", ".geojson.gz", ".json.gz")
ID_PROPERTIES = ("cell_id", "cell", "EntityID", "id", "name")


def read_geojson(path: Path) -> tuple[list[str], np.ndarray[Any, np.dtype[np.object_]]]:
    """Read the outlines of a FeatureCollection, a GeometryCollection or a plain list of either.

    Where there are features of the type ``cell``, as QuPath writes them, others are left out.

    Returns
    -------
    ids, geometry
        The id of each: its own, else one of `ID_PROPERTIES`, else its number from 1. None for an
        outline that can't be read.

    Raises
    ------
    ValueError, OSError
        It is no GeoJSON.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig") as file:
        content = json.load(file)
    items = _items(content)
    properties = [item.get("properties") or {} for item in items]
    is_cell = [values.get("objectType") == "cell" for values in properties]
    if any(is_cell):
        items = [item for item, keep in zip(items, is_cell, strict=True) if keep]
    ids = [_id_of(item, str(number)) for number, item in enumerate(items, start=1)]
    geometry = np.full(len(items), None, dtype=object)
    for i, item in enumerate(items):
        geometry[i] = _geometry(item.get("geometry", item))
    return ids, geometry


def _items(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, dict):
        content = content.get("features", content.get("geometries", [content]))
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise ValueError("neither features nor geometries")
    return content


def _id_of(item: dict[str, Any], otherwise: str) -> str:
    properties = item.get("properties") or {}
    candidates = [item.get("id"), *(properties.get(name) for name in ID_PROPERTIES)]
    # Baysor's older files have the cell beside the coordinates of a geometry.
    candidates += [item.get("cell")]
    found = next((value for value in candidates if isinstance(value, str | int)), otherwise)
    return str(found)


def _geometry(geometry: Any) -> Any:
    try:
        return shapely.from_geojson(json.dumps(geometry))
    except (shapely.errors.GEOSException, ValueError, TypeError):
        return None
