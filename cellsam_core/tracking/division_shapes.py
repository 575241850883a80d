"""Areas and positions of possible parents and daughters, and how far they overlap."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.tracking.graph import NONE, LinkGraph

if TYPE_CHECKING:
    from cellsam_core.tracking.overlap import Floats, Ints

RECENT_FRAMES = 4


@dataclass(frozen=True)
class Shapes:
    """Areas and drift-corrected centroids of all objects, of whole cells where possible."""

    area_px: Floats
    yx: Floats


def parent_shapes(graph: LinkGraph) -> Shapes:
    """Return shapes of possible parents: median area of the last frames, current centroid.

    Chromatin at metaphase is half as large as before, so the last area alone is misleading.
    """
    rows = _walk(graph.predecessor)
    median = np.nanmedian(np.where(rows == NONE, np.nan, graph.area_px[rows]), axis=0)
    return _whole(graph, rows, median)


def daughter_shapes(graph: LinkGraph) -> Shapes:
    """Return shapes of possible daughters: current area and centroid."""
    return _whole(graph, _walk(graph.successor), graph.area_px.astype(np.float64))


def _walk(step: Ints) -> Ints:
    """Return ``(RECENT_FRAMES, n)`` rows of each object and of its cell along `step`; -1 none."""
    rows = np.full((RECENT_FRAMES, len(step)), NONE)
    rows[0] = np.arange(len(step))
    for now, further in pairwise(rows):
        further[:] = np.where(now == NONE, NONE, step[now])
    return rows


def _whole(graph: LinkGraph, rows: Ints, area: Floats) -> Shapes:
    """Replace each object cut by the border by the largest of the cell's masks in `rows`."""
    areas = np.where(rows == NONE, 0, graph.area_px[rows])
    largest = rows[areas.argmax(axis=0), np.arange(len(graph))]
    yx = np.where(graph.border[:, None], graph.fixed_yx[largest], graph.fixed_yx)
    return Shapes(np.where(graph.border, graph.area_px[largest], area), yx)


def shared_pixels(graph: LinkGraph) -> dict[tuple[int, int], int]:
    """Return the number of shared pixels, keyed by earlier object and appeared object."""
    return {(older, new): n_px for new, older, n_px in graph.earlier_overlaps.tolist()}


def overlap_on(
    graph: LinkGraph, parent: int, daughter: int, shared: dict[tuple[int, int], int]
) -> float:
    """Return the fraction of a daughter on its parent; for linked ones it follows from the IoU."""
    if graph.predecessor[daughter] != parent:
        return shared.get((parent, daughter), 0) / float(graph.area_px[daughter])
    iou = float(graph.iou[daughter])
    union = float(graph.area_px[parent] + graph.area_px[daughter]) / (1 + iou)
    return iou * union / float(graph.area_px[daughter])
