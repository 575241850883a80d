"""Replay of corrections of cells on a label image, row by row."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from cellsam_core.corrections.outlines import Region, crop, fill
from cellsam_core.corrections.plane import Found
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.corrections.cells_table import CellCorrection
    from cellsam_core.corrections.outlines import Mask, Points
    from cellsam_core.corrections.plane import LabelPlane

FACING_PX = 3
"""Pixels of a cell that are this much farther from another one than the nearest face it."""


@dataclass(frozen=True)
class Outcome:
    """Result of one row.

    Attributes
    ----------
    correction
        The row.
    is_found
        False if the cell that it means is not there any more: the row is not carried out.
    label
        Label of the cell after the correction; 0 for a deleted cell, a region or a lost row.
    iou
        IoU of the outline and the cell that was found; NaN for rows without a cell.
    reason
        Words that say why a row is lost; empty for others.
    notes
        What the row has done to other cells than its own, in words.
    """

    correction: CellCorrection
    is_found: bool
    label: int
    iou: float
    reason: str = ""
    notes: tuple[str, ...] = ()


def replay(plane: LabelPlane, one: CellCorrection, masks: str) -> Outcome:
    """Carry out one correction on the labels as the rows before have left them.

    Parameters
    ----------
    plane
        Labels of the frame; they are changed in place.
    one
        The correction.
    masks
        Checksum of the automatic table of cells. If the user looked at the same masks, a cell that
        is not found is an error, otherwise the row is lost.

    Raises
    ------
    InputError
        The row can't be carried out on the masks that it was made for.
    """
    try:
        return OPERATIONS[one.operation](plane, one)
    except _Lost as lost:
        if one.masks and one.masks == masks:
            raise InputError(
                one.where,
                found=lost.reason,
                expected="a row that fits the masks it was made for and the rows above it",
                remedy="correct or remove the row; perhaps a row above it was removed",
            ) from None
        return Outcome(one, False, 0, lost.iou, lost.reason)


class _Lost(Exception):
    def __init__(self, reason: str, iou: float = float("nan")) -> None:
        super().__init__(reason)
        self.reason, self.iou = reason, iou


def _delete(plane: LabelPlane, one: CellCorrection) -> Outcome:
    found = _find(plane, one.anchor, "the anchor")
    plane.paint(plane.cell(found.label), 0)
    return Outcome(one, True, 0, found.iou)


def _merge(plane: LabelPlane, one: CellCorrection) -> Outcome:
    first = _find(plane, one.anchor, "the anchor")
    second = _find(plane, one.other, "the second cell")
    if first.label == second.label:
        raise _Lost("one cell under both outlines", first.iou)
    a, b = plane.cell(first.label), plane.cell(second.label)
    bridge = _bridge(a, b)
    plane.paint(b, first.label)
    if bridge is not None:
        plane.paint(bridge, first.label, where=plane.read(bridge.window) == 0)
    plane.drawn.add(first.label)
    return Outcome(one, True, first.label, min(first.iou, second.iou))


def _split(plane: LabelPlane, one: CellCorrection) -> Outcome:
    found = _find(plane, one.anchor, "the anchor")
    assert one.other is not None
    cell = plane.cell(found.label)
    smaller = cut(cell, one.other)
    if smaller is None:
        raise _Lost("a cut that does not divide the cell", found.iou)
    new = _new_label(plane, one)
    plane.paint(cell, new, where=smaller)
    plane.drawn.update((found.label, new))
    return Outcome(one, True, new, found.iou)


def _add(plane: LabelPlane, one: CellCorrection) -> Outcome:
    region = _draw(plane, one.outline)
    found = plane.find(region)
    replaced = found.label if found.is_cell and found.label <= plane.largest else 0
    here = plane.read(region.window)
    is_free = region.mask & ((here == 0) | ((here == replaced) & (replaced > 0)))
    if not is_free.any():
        raise _Lost("other cells in the whole outline", found.iou)
    if replaced:
        plane.paint(plane.cell(replaced), 0)
    label = replaced or _new_label(plane, one)
    plane.paint(region, label, where=largest_piece(is_free))
    plane.drawn.add(label)
    return Outcome(one, True, label, found.iou if replaced else float("nan"))


def _redraw(plane: LabelPlane, one: CellCorrection) -> Outcome:
    found = _find(plane, one.anchor, "the anchor")
    region = _draw(plane, one.outline)
    plane.paint(plane.cell(found.label), 0)
    neighbours = np.unique(plane.read(region.window)[region.mask]).tolist()
    before = {label: plane.cell(label) for label in neighbours if label in plane.areas}
    plane.paint(region, found.label)
    notes = [note for label, cell in before.items() if (note := _tidy(plane, label, cell))]
    plane.drawn.add(found.label)
    return Outcome(one, True, found.label, found.iou, notes=tuple(notes))


def _tidy(plane: LabelPlane, label: int, before: Region) -> str:
    """Keep the largest part that an outline has left of each piece of a neighbour.

    Returns what has become of the neighbour, in words; empty if it was trimmed only.
    """
    left = plane.read(before.window) == label
    if not left.any():
        return f"cell {label} is covered by the new outline and is gone"
    pieces, n_pieces = ndimage.label(before.mask)
    kept = np.zeros_like(left)
    for k in range(1, n_pieces + 1):
        kept |= largest_piece(left & (pieces == k))
    if np.array_equal(kept, left):
        return ""
    plane.paint(before, 0, where=left & ~kept)
    return f"cell {label} is cut by the new outline, and only its largest part is kept"


def _complete(plane: LabelPlane, one: CellCorrection) -> Outcome:
    _fill(plane, one.outline)
    return Outcome(one, True, 0, float("nan"))


OPERATIONS = {
    "add": _add,
    "delete": _delete,
    "merge": _merge,
    "split": _split,
    "redraw": _redraw,
    "complete": _complete,
}


def _find(plane: LabelPlane, points: Points | None, what: str) -> Found:
    assert points is not None
    anchor = fill(points, plane.shape_yx)
    found = plane.find(anchor) if anchor.area_px else Found(0, 0.0)
    if not found.is_cell:
        raise _Lost(f"no cell with an IoU above 0.5 to {what} (best {found.iou:.2f})", found.iou)
    return found


def _fill(plane: LabelPlane, points: Points | None) -> Region:
    assert points is not None
    region = fill(points, plane.shape_yx)
    if not region.area_px:
        raise _Lost("an outline without a pixel in the image")
    return region


def _draw(plane: LabelPlane, points: Points | None) -> Region:
    region = _fill(plane, points)
    return crop(Region(region.y0, region.x0, largest_piece(region.mask)))


def _new_label(plane: LabelPlane, one: CellCorrection) -> int:
    assert one.serial is not None
    return 1 + plane.largest + one.serial


def largest_piece(mask: Mask) -> Mask:
    """Keep the largest piece of a mask; of equals, the first from the top left corner."""
    pieces, n_pieces = ndimage.label(mask)
    if n_pieces < 2:
        return mask
    kept: Mask = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
    return kept


def cut(cell: Region, line: Points) -> Mask | None:
    """Divide a cell along a line of one pixel.

    Parameters
    ----------
    cell
        Pixels of the cell.
    line
        ``(n, 2)`` corners ``x, y`` of the cut in pixels.

    Returns
    -------
    ndarray of bool, (h, w), or None
        The smaller part in the cell's window; pixels of the cut belong to the nearer part. None if
        the line does not divide the cell.

    Examples
    --------
    >>> cell = Region(0, 0, np.ones((3, 7), bool))
    >>> cut(cell, np.array([[2.0, -1.0], [2.0, 4.0]])).sum(axis=0).tolist()
    [3, 3, 3, 0, 0, 0, 0]
    """
    from skimage.draw import line as pixels_of

    rest = cell.mask.copy()
    corners = np.rint(line[:, ::-1]).astype(int) - np.array((cell.y0, cell.x0))
    for start, end in pairwise(corners):
        y, x = pixels_of(*start, *end)
        is_in = (y >= 0) & (x >= 0) & (y < rest.shape[0]) & (x < rest.shape[1])
        rest[y[is_in], x[is_in]] = False
    pieces, n_pieces = ndimage.label(rest)
    if n_pieces <= ndimage.label(cell.mask)[1]:
        return None
    sizes = np.bincount(pieces.ravel(), minlength=n_pieces + 1)[1:]
    larger, smaller = 1 + np.argsort(-sizes, kind="stable")[:2]
    parts = np.where((pieces == larger) | (pieces == smaller), pieces, 0)
    nearest = ndimage.distance_transform_edt(
        parts == 0, return_distances=False, return_indices=True
    )
    smaller_part: Mask = cell.mask & (parts[tuple(nearest)] == smaller)
    return smaller_part


def _bridge(a: Region, b: Region) -> Region | None:
    """Find the gap between two cells that do not touch: the convex hull of what faces it."""
    from skimage.morphology import convex_hull_image

    y0, x0 = min(a.y0, b.y0), min(a.x0, b.x0)
    height = max(r.y0 + r.mask.shape[0] for r in (a, b)) - y0
    width = max(r.x0 + r.mask.shape[1] for r in (a, b)) - x0
    masks = []
    for region in (a, b):
        mask = np.zeros((height, width), bool)
        ys, xs = region.window
        mask[ys.start - y0 : ys.stop - y0, xs.start - x0 : xs.stop - x0] = region.mask
        masks.append(mask)
    to_a, to_b = (_distance_to(mask) for mask in masks)
    gap = float(to_a[masks[1]].min())
    if gap <= 1:  # distances are between centres of pixels
        return None
    facing = (masks[0] & (to_b <= gap + FACING_PX)) | (masks[1] & (to_a <= gap + FACING_PX))
    hull = convex_hull_image(facing, offset_coordinates=False)
    between = hull & ~masks[0] & ~masks[1]
    return crop(Region(y0, x0, between)) if between.any() else None


def _distance_to(mask: Mask) -> NDArray[Any]:
    distance: NDArray[Any] = ndimage.distance_transform_edt(~mask)
    return distance
