"""Polygons of cells, and the cell that owns a point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely


@dataclass(frozen=True)
class CellPolygons:
    """Polygons of cells, some of them in several z planes.

    Attributes
    ----------
    geometry
        ``(p,)`` polygons or multipolygons in micrometres.
    cell_id
        ``(p,)`` uint32, from 1: the cell each polygon belongs to.
    plane
        ``(p,)`` index of the z plane; None where polygons hold for all planes.
    """

    geometry: npt.NDArray[np.object_]
    cell_id: npt.NDArray[np.uint32]
    plane: npt.NDArray[np.int64] | None = None


def assign_polygons(
    polygons: CellPolygons,
    x_um: npt.NDArray[np.float64],
    y_um: npt.NDArray[np.float64],
    plane: npt.NDArray[np.float64] | None,
) -> tuple[npt.NDArray[np.uint32], int]:
    """Owner of every point: the cell whose polygon in the point's z plane covers it.

    A point has one owner. Borders count as inside; where several cells cover a point, the cell
    with the smallest `cell_id` owns it and the point is counted as contested.

    Parameters
    ----------
    polygons
        The cells.
    x_um, y_um, plane
        ``(n,)`` coordinates and z plane of the points; `plane` is not used where the polygons
        hold for all planes.

    Returns
    -------
    cell_id, n_contested
        ``(n,)`` owner, 0 for none; number of points that more than one cell covers.
    """
    none = np.iinfo(np.uint32).max
    owner = np.full(len(x_um), none, dtype=np.uint32)
    n_contested = 0
    planes = [None] if polygons.plane is None else np.unique(polygons.plane)
    for index in planes:
        here = np.arange(len(polygons.cell_id))
        points = np.arange(len(x_um))
        if index is not None:
            assert polygons.plane is not None
            assert plane is not None
            here = np.flatnonzero(polygons.plane == index)
            points = np.flatnonzero(plane == index)
        tree = shapely.STRtree(polygons.geometry[here])
        coordinates = shapely.points(x_um[points], y_um[points])
        point, polygon = tree.query(coordinates, predicate="intersects")
        pairs = np.unique(np.stack([points[point], polygons.cell_id[here[polygon]]]), axis=1)
        np.minimum.at(owner, pairs[0], pairs[1].astype(np.uint32))
        n_contested += int(np.count_nonzero(np.bincount(pairs[0]) > 1)) if pairs.size else 0
    return np.where(owner == none, np.uint32(0), owner), n_contested
