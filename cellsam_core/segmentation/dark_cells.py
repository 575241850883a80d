"""Dark cells: holes between cells that a model takes for cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from cellsam_core.segmentation.instances import draw_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.segmentation.instances import Instance

RING_DIAMETERS = 0.125
"""Width of the ring around a cell, in typical cell diameters."""
N_NEIGHBOURS = 10


def drop_dark(
    instances: list[Instance], pixels: NDArray[np.float32], diameter_px: float
) -> list[Instance]:
    """Drop cells that are darker than their surroundings where most cells are not.

    In fluorescence, a cell is brighter than its background in at least one stain. The
    surroundings are a ring around the mask, without other cells; a cell without a ring is kept.
    Where the stain is one of membranes, or light passes the cells, most cells are darker than
    what is between them: there, none is dropped.

    Parameters
    ----------
    instances
        Cells of a tile.
    pixels
        Tile ``(2, y, x)``; an absent channel is 0.
    diameter_px
        Typical cell diameter in pixels.
    """
    if not instances:
        return []
    ring_px = max(2, round(RING_DIAMETERS * diameter_px))
    _, height, width = pixels.shape
    is_cell = draw_labels(instances, 0, height, width) > 0
    is_dark = np.array([not _is_bright(i, pixels, is_cell, ring_px) for i in instances])
    corners = np.array([(i.y0, i.x0) for i in instances])
    centres = corners + np.array([i.mask.shape for i in instances]) / 2
    n_near = min(N_NEIGHBOURS + 1, len(instances))
    _, near = cKDTree(centres).query(centres, k=range(1, n_near + 1))
    is_hole = is_dark & (is_dark[near].mean(axis=1) <= 0.5)
    return [instance for instance, hole in zip(instances, is_hole, strict=True) if not hole]


def _is_bright(
    instance: Instance,
    pixels: NDArray[np.float32],
    is_cell: NDArray[np.bool_],
    ring_px: int,
) -> bool:
    mask = np.pad(instance.mask, ring_px)
    near = ndimage.distance_transform_edt(~mask) <= ring_px
    # The window of the padded mask, cut where it leaves the tile.
    y, x = instance.y0 - ring_px, instance.x0 - ring_px
    rows = slice(max(0, y), min(is_cell.shape[0], y + mask.shape[0]))
    columns = slice(max(0, x), min(is_cell.shape[1], x + mask.shape[1]))
    inside = np.s_[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
    ring = near[inside] & ~mask[inside] & ~is_cell[rows, columns]
    if not ring.any():
        return True
    window = pixels[:, rows, columns]
    difference = window[:, mask[inside]].mean(axis=1) - window[:, ring].mean(axis=1)
    return bool((difference > 0).any())
