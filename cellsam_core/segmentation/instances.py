"""Segmented cells before they become a label image: bounding boxes, scores and masks."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.segmentation.tiles import Tile

DUPLICATE_SHARE = 0.5
"""Fraction of the smaller mask inside the larger one from which the two are one cell."""

MARGIN_CAP_PX = 32

PAIR_CHUNK = 20_000
"""Number of instances whose neighbours are looked up at once; it bounds the memory."""


@dataclass(slots=True)
class Instance:
    """One segmented cell.

    Attributes
    ----------
    y0, x0
        Upper left corner of the mask's window in the image, in pixels.
    mask
        Boolean mask, cropped to the cell.
    score
        Score of CellFinder, 0 to 1; NaN for a model that gives none.
    predicted_iou
        Intersection over union that the mask decoder predicts.
    margin
        Smallest distance of the mask from a border of its tile that is not a border of the
        image, in pixels, at most 32. A cell that a tile cuts has margin 0.
    """

    y0: int
    x0: int
    mask: NDArray[np.bool_]
    score: float
    predicted_iou: float
    margin: float = MARGIN_CAP_PX

    @property
    def y1(self) -> int:
        """Number of the row after the last one."""
        return self.y0 + int(self.mask.shape[0])

    @property
    def x1(self) -> int:
        """Number of the column after the last one."""
        return self.x0 + int(self.mask.shape[1])


def clean_mask(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest connected piece and fill its holes."""
    return fill_holes(largest_piece(mask))


def largest_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest 4-connected piece, the first of equal ones."""
    pieces, n = ndimage.label(mask)
    if n <= 1:
        return mask
    largest: NDArray[np.bool_] = pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:])
    return largest


def fill_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Add the background that is not 4-connected to the border."""
    pieces, _ = ndimage.label(np.pad(~mask, 1, constant_values=True))
    filled: NDArray[np.bool_] = pieces[1:-1, 1:-1] != pieces[0, 0]
    return filled


def crop(y0: int, x0: int, mask: NDArray[np.bool_]) -> tuple[int, int, NDArray[np.bool_]]:
    """Shrink a non-empty mask to its bounding box; return the corner and the mask."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    window = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return y0 + int(rows[0]), x0 + int(columns[0]), window


def place(instance: Instance, tile: Tile, shape_yx: tuple[int, int]) -> Instance:
    """Move an instance from its tile's pixels to the image's and measure its margin."""
    height, width = tile.y1 - tile.y0, tile.x1 - tile.x0
    distances = [float(MARGIN_CAP_PX)]
    if tile.y0 > 0:
        distances.append(instance.y0)
    if tile.x0 > 0:
        distances.append(instance.x0)
    if tile.y1 < shape_yx[0]:
        distances.append(height - instance.y1)
    if tile.x1 < shape_yx[1]:
        distances.append(width - instance.x1)
    return Instance(
        instance.y0 + tile.y0,
        instance.x0 + tile.x0,
        instance.mask,
        instance.score,
        instance.predicted_iou,
        min(distances),
    )


def suppress_duplicates(instances: list[Instance]) -> list[int]:
    """Choose one instance of each cell (mask NMS): the most central in its tile, then the surest.

    The order of the input does not matter.

    Returns
    -------
    list of int
        Indices of the chosen instances, best first.
    """
    order = sorted(range(len(instances)), key=lambda k: _centrality(instances[k]))
    ranked = [instances[k] for k in order]
    areas = [int(i.mask.sum()) for i in ranked]
    kept = np.ones(len(ranked), bool)
    for better, worse in _near_pairs(ranked).tolist():
        if kept[better] and kept[worse]:
            smaller = min(areas[better], areas[worse])
            if shared_px(ranked[better], ranked[worse]) > DUPLICATE_SHARE * smaller:
                kept[worse] = False
    return [k for k, keep in zip(order, kept, strict=True) if keep]


def merge_tiles(found: list[Instance], *, min_area_px: int) -> list[Instance]:
    """Merge the cells of all tiles of a frame: no duplicates, no overlaps, in label order.

    Parameters
    ----------
    found
        Cells in the pixels of the image, see :func:`place`.
    min_area_px
        Smallest area of a cell in pixels; smaller cells are dropped.
    """
    # What is too small to be a cell must not take the place of one either.
    found = [i for i in found if i.mask.sum() >= min_area_px]
    return resolve_overlaps([found[k] for k in suppress_duplicates(found)], min_area_px=min_area_px)


def resolve_overlaps(instances: list[Instance], *, min_area_px: int) -> list[Instance]:
    """Make masks disjoint and put the cells in reading order: cell k gets label k + 1.

    A contested pixel goes to the surer cell. If a cell is cut in pieces, its largest piece
    stays. A cell or piece that is dropped takes no pixel from another cell. The order of the
    input does not matter.

    Parameters
    ----------
    instances
        Cells without duplicates, see :func:`suppress_duplicates`.
    min_area_px
        Smallest area of a cell in pixels; cells that are or become smaller are dropped.
    """
    ranked = sorted(instances, key=lambda i: (-_surety(i), *_place(i)))
    pairs = _near_pairs(ranked)
    first = np.searchsorted(pairs[:, 0], np.arange(len(ranked) + 1))
    free = [i.mask for i in ranked]
    cut: set[int] = set()
    resolved = []
    # The mask of a cell is final before the less sure ones lose pixels to it.
    for k, instance in enumerate(ranked):
        # Holes are not filled: what was cut out is another cell's.
        mask = largest_piece(free[k]) if k in cut else free[k]
        if mask.sum() < max(1, min_area_px):
            continue
        for other in pairs[first[k] : first[k + 1], 1].tolist():
            window = _common(instance, ranked[other])
            if window is None:
                continue
            in_mask, in_other = window
            contested = mask[in_mask] & free[other][in_other]
            if contested.any():
                if other not in cut:  # only then a copy: of a large image all fill the memory
                    free[other] = free[other].copy()
                    cut.add(other)
                free[other][in_other] ^= contested
        y0, x0, mask = crop(instance.y0, instance.x0, mask)
        resolved.append(replace(instance, y0=y0, x0=x0, mask=mask))
    return sorted(resolved, key=lambda i: (i.y0, i.x0, -_surety(i)))


def draw_labels(instances: list[Instance], y0: int, y1: int, width: int) -> NDArray[np.uint32]:
    """Draw rows `y0` to `y1` of the label image of disjoint cells."""
    labels = np.zeros((y1 - y0, width), np.uint32)
    for label, i in enumerate(instances, start=1):
        low, high = max(i.y0, y0), min(i.y1, y1)
        if low < high:
            rows = labels[low - y0 : high - y0, i.x0 : i.x1]
            rows[i.mask[low - i.y0 : high - i.y0]] = label
    return labels


def shared_px(a: Instance, b: Instance) -> int:
    """Count the pixels that two masks share."""
    window = _common(a, b)
    return 0 if window is None else int((a.mask[window[0]] & b.mask[window[1]]).sum())


Window = tuple[slice, slice]


def _common(a: Instance, b: Instance) -> tuple[Window, Window] | None:
    """Return where the boxes of two instances meet, in the pixels of each."""
    y0, x0, y1, x1 = max(a.y0, b.y0), max(a.x0, b.x0), min(a.y1, b.y1), min(a.x1, b.x1)
    if y0 >= y1 or x0 >= x1:
        return None
    in_a = slice(y0 - a.y0, y1 - a.y0), slice(x0 - a.x0, x1 - a.x0)
    in_b = slice(y0 - b.y0, y1 - b.y0), slice(x0 - b.x0, x1 - b.x0)
    return in_a, in_b


def _centrality(instance: Instance) -> tuple[float, ...]:
    return -instance.margin, -_surety(instance), *_place(instance)


def _surety(instance: Instance) -> float:
    """Return the score for comparisons: NaN has no order."""
    return 0.0 if math.isnan(instance.score) else instance.score


def _place(instance: Instance) -> tuple[int, ...]:
    """Tell apart instances of one score: place, size and pixels."""
    i = instance
    return i.y0, i.x0, i.y1, i.x1, zlib.crc32(np.packbits(i.mask).tobytes())


def _near_pairs(instances: list[Instance]) -> NDArray[np.int32]:
    """Index pairs ``(n, 2)``, smaller first and sorted, of the instances whose boxes overlap."""
    boxes = np.array([(i.y0, i.x0, i.y1, i.x1) for i in instances], float).reshape(-1, 4)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    # Boxes overlap only if their centres are nearer than half the sum of their sides, so
    # the larger of two finds the smaller within its own side.
    sides = (boxes[:, 2:] - boxes[:, :2]).max(1)
    tree = cKDTree(centres)
    pairs = [np.empty((0, 2), np.int32)]
    for start in range(0, len(boxes), PAIR_CHUNK):
        chunk = np.arange(start, min(len(boxes), start + PAIR_CHUNK))
        near = tree.query_ball_point(centres[chunk], sides[chunk], p=np.inf)
        a = np.repeat(chunk, [len(n) for n in near])
        b = np.concatenate([np.asarray(n, int) for n in near])
        low = np.maximum(boxes[a, :2], boxes[b, :2])
        meet = (low < np.minimum(boxes[a, 2:], boxes[b, 2:])).all(1) & (a != b)
        found = np.stack((np.minimum(a, b), np.maximum(a, b)), 1)[meet]
        pairs.append(found.astype(np.int32))
    return np.unique(np.concatenate(pairs), axis=0)
