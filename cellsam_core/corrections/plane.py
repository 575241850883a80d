"""One label image that is being corrected, read and written by windows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.corrections.outlines import Region, crop
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from cellsam_core.corrections.outlines import Mask

MIN_IOU = 0.5
"""Two disjoint cells can't both have a larger IoU with an outline."""


@dataclass(frozen=True)
class Found:
    """A cell that an outline may mean.

    Attributes
    ----------
    label
        Label with the largest IoU; 0 if the outline lies on background only.
    iou
        Intersection over union of the outline and the cell.
    """

    label: int
    iou: float

    @property
    def is_cell(self) -> bool:
        """True if the outline can mean no other cell."""
        return self.iou > MIN_IOU


@dataclass
class LabelPlane:
    """Labels of one frame, and where its cells are.

    Attributes
    ----------
    array
        Array of NumPy or Zarr whose last axes are y and x.
    index
        Index of the frame along the axes before y and x.
    boxes
        Label to the bounding box ``y0, x0, y1, x1`` of a cell in pixels, ends excluded; it may be
        too large.
    areas
        Label to the area of a cell in pixels.
    largest
        Largest automatic label of the frame; new cells have larger ones.
    drawn
        Labels whose pixels a user has chosen.
    changed
        Labels that have gained or lost pixels.
    windows
        Windows ``y0, x0, y1, x1`` that were written.
    """

    array: Any
    index: tuple[int, ...]
    boxes: dict[int, tuple[int, int, int, int]]
    areas: dict[int, int]
    largest: int
    drawn: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    windows: list[tuple[int, int, int, int]] = field(default_factory=list)

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.array.shape[-2]), int(self.array.shape[-1])

    def read(self, window: tuple[slice, slice]) -> NDArray[Any]:
        """Read the labels of a window."""
        return np.asarray(self.array[(*self.index, *window)])

    def cell(self, label: int) -> Region:
        """Return the pixels of a cell; empty if there is none."""
        if label not in self.boxes:
            return Region(0, 0, np.zeros((0, 0), bool))
        y0, x0, y1, x1 = self.boxes[label]
        return crop(Region(y0, x0, self.read((slice(y0, y1), slice(x0, x1))) == label))

    def find(self, anchor: Region) -> Found:
        """Find the cell with the largest IoU with an outline; of equals, the smallest label."""
        labels, counts = np.unique(self.read(anchor.window)[anchor.mask], return_counts=True)
        best, area = Found(0, 0.0), anchor.area_px
        for label, n_px in zip(labels.tolist(), counts.tolist(), strict=True):
            if label:
                iou = n_px / (area + self._area(label) - n_px)
                best = max(best, Found(label, iou), key=lambda found: found.iou)
        return best

    def _area(self, label: int) -> int:
        if label not in self.areas:
            raise InputError(
                "masks",
                found=f"label {label}, which the cell table lacks",
                expected="masks and cell table of one run",
                remedy="give both files as `cellsam-core stitch` wrote them",
            )
        return self.areas[label]

    def paint(self, region: Region, label: int, *, where: Mask | None = None) -> None:
        """Give pixels of a region to a label; 0 makes them background.

        Parameters
        ----------
        region
            Pixels.
        label
            Their new label.
        where
            ``(h, w)`` pixels of the region's window to paint; None paints all of the region.
        """
        mask = region.mask if where is None else region.mask & where
        if not mask.any():
            return
        block = self.read(region.window).copy()
        before, counts = np.unique(block[mask], return_counts=True)
        block[mask] = label
        self.array[(*self.index, *region.window)] = block
        for old, n_px in zip(before.tolist(), counts.tolist(), strict=True):
            self._count(old, -n_px)
        self._count(label, int(mask.sum()))
        y0, x0 = region.y0, region.x0
        box = (y0, x0, y0 + mask.shape[0], x0 + mask.shape[1])
        self.windows.append(box)
        if label:
            old_box = self.boxes.get(label, box)
            lows = (min(a, b) for a, b in zip(old_box[:2], box[:2], strict=True))
            highs = (max(a, b) for a, b in zip(old_box[2:], box[2:], strict=True))
            y0, x0, y1, x1 = *lows, *highs
            self.boxes[label] = (y0, x0, y1, x1)

    def _count(self, label: int, n_px: int) -> None:
        if not label:
            return
        self.changed.add(label)
        self.areas[label] = self.areas.get(label, 0) + n_px
        if not self.areas[label]:
            del self.areas[label]
            self.boxes.pop(label, None)


def plane_of(array: Any, index: tuple[int, ...], places: pd.DataFrame) -> LabelPlane:
    """Prepare the labels of a frame for corrections.

    Parameters
    ----------
    array, index
        See :class:`LabelPlane`.
    places
        Label, area and bounding box of each cell of the frame.
    """
    labels = places["label"].to_numpy().tolist()
    columns = [places[name].tolist() for name in ("bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1")]
    return LabelPlane(
        array,
        index,
        boxes=dict(zip(labels, zip(*columns, strict=True), strict=True)),
        areas=dict(zip(labels, places["area_px"].to_numpy().tolist(), strict=True)),
        largest=max(labels, default=0),
    )
