"""Outlines of cells as GeoJSON: QuPath, Baysor, proseg, Xenium Ranger."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

if TYPE_CHECKING:
    from pathlib import Path

    Geometries = np.ndarray[Any, np.dtype[np.object_]]

SUFFIXES = (".geojson", ".json", ".geojson.gz", ".json.gz")
MAX_KINDS = 0.5
"""Largest number of ids for each outline with which they may be kinds."""
ID_PROPERTIES = ("cell_id", "cell", "EntityID", "id", "name")


def read_geojson(path: Path) -> tuple[list[str], Geometries]:
    """Read the outlines of a FeatureCollection, a GeometryCollection or a plain list of either.

    Where there are features of the type ``cell``, as QuPath writes them, others are left out.

    Returns
    -------
    ids, geometry
        The id of each: its own, else one of `ID_PROPERTIES`, else its number from 1; names of
        kinds, such as ``PathCellObject``, are no ids. None for an outline that can't be read.

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
    geometry = np.full(len(items), None, dtype=object)
    for i, item in enumerate(items):
        geometry[i] = _geometry(item.get("geometry", item))
    return _ids_of(items, geometry), geometry


def _items(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, dict):
        content = content.get("features", content.get("geometries", [content]))
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise ValueError("neither features nor geometries")
    return content


def _ids_of(items: list[dict[str, Any]], geometry: Geometries) -> list[str]:
    """Id of each outline, by the first of the possible names that it has and that tells cells."""
    ids = [""] * len(items)
    # Baysor's older files have the cell beside the coordinates of a geometry.
    for where, name in (("", "id"), *(("properties", n) for n in ID_PROPERTIES), ("", "cell")):
        holders = [item.get(where) or {} for item in items] if where else items
        values = [holder.get(name) for holder in holders]
        texts = [str(v) if isinstance(v, str | int) else "" for v in values]
        if not _tells_kinds(texts, geometry):
            ids = [known or text for known, text in zip(ids, texts, strict=True)]
    return [known or str(number) for number, known in enumerate(ids, start=1)]


def _tells_kinds(texts: list[str], geometry: Geometries) -> bool:
    """Tell whether texts are kinds of outlines, of which most stand at several places.

    Older versions of QuPath write ``PathCellObject`` as the id of all cells, and a name may be
    that of a class. The outlines of one cell in several planes lie over each other.
    """
    # Broken outlines, which are left out later, have no middle.
    given = np.flatnonzero((np.array(texts) != "") & shapely.is_valid(geometry))
    _, code = np.unique(np.array(texts)[given], return_inverse=True)
    n_texts = len(set(code.tolist()))
    if n_texts > MAX_KINDS * len(given):
        return False
    outlines = geometry[given]
    # Middles, because cells of a kind share borders.
    middle = shapely.point_on_surface(outlines)
    point, outline = shapely.STRtree(outlines).query(middle, predicate="intersects")
    is_other = (point != outline) & (code[point] == code[outline])
    n_over = len(np.unique(point[is_other]))
    return n_over < (len(given) - n_texts) / 2


def _geometry(geometry: Any) -> Any:
    try:
        return shapely.from_geojson(json.dumps(geometry))
    except (shapely.errors.GEOSException, ValueError, TypeError):
        return None
