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
MEMBRANE_CONTRAST = 0.01
"""Contrast, as a share of the range of brightness, from which on a ring is one of membranes.

The holes and specks of noise in a mouse brain are darker by 0.006 (median), cells of membrane
stains by 0.06 to 0.4."""
SURE_SCORE = 0.5
"""Cells of this score or more are kept: nine in ten of the holes in that brain have a lower one."""


def drop_dark(
    instances: list[Instance], pixels: NDArray[np.float32], diameter_px: float
) -> list[Instance]:
    """Drop unsure cells that are darker than their surroundings where most cells are not.

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
    shown = pixels[pixels.reshape(len(pixels), -1).any(axis=1)]
    is_cell = draw_labels(instances, 0, *pixels.shape[1:]) > 0
    contrast = np.array([_contrast(i, shown, is_cell, ring_px) for i in instances])
    corners = np.array([(i.y0, i.x0) for i in instances])
    centres = corners + np.array([i.mask.shape for i in instances]) / 2
    n_near = min(N_NEIGHBOURS + 1, len(instances))
    _, near = cKDTree(centres).query(centres, k=range(1, n_near + 1))
    has_membranes = np.median(contrast[near], axis=1) < -MEMBRANE_CONTRAST
    is_sure = np.array([i.score >= SURE_SCORE for i in instances])
    is_hole = (contrast <= 0) & ~has_membranes & ~is_sure
    return [instance for instance, hole in zip(instances, is_hole, strict=True) if not hole]


def _contrast(
    instance: Instance,
    pixels: NDArray[np.float32],
    is_cell: NDArray[np.bool_],
    ring_px: int,
) -> float:
    """Compute how much brighter a cell is than its ring, in the channel where it is most so."""
    mask = np.pad(instance.mask, ring_px)
    near = ndimage.distance_transform_edt(~mask) <= ring_px
    # The window of the padded mask, cut where it leaves the tile.
    y, x = instance.y0 - ring_px, instance.x0 - ring_px
    rows = slice(max(0, y), min(is_cell.shape[0], y + mask.shape[0]))
    columns = slice(max(0, x), min(is_cell.shape[1], x + mask.shape[1]))
    inside = np.s_[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
    ring = near[inside] & ~mask[inside] & ~is_cell[rows, columns]
    if not ring.any() or not len(pixels):
        return float("inf")
    window = pixels[:, rows, columns]
    difference = window[:, mask[inside]].mean(axis=1) - window[:, ring].mean(axis=1)
    return float(difference.max())
