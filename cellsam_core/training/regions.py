"""Regions in which a user found every cell right: images to learn from, and to judge by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.corrections.outlines import fill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.corrections.cells_table import CellCorrection
    from cellsam_core.corrections.outlines import Region as Pixels

VALIDATION = "validation"
"""Folder of the images that are held out."""
NEAR_FRAMES = 20
"""Frames within which the cells of one place are taken to look alike."""
HELD_OUT_EVERY = 5
FIRST_HELD_OUT = 1
"""The second place is held out, and every fifth after it: a new region moves none before it."""


@dataclass(frozen=True)
class TrainingRegion:
    """A region in which every cell is right.

    Attributes
    ----------
    sample, id
        Sample and id of the row ``complete``; ``row7`` for a row without an id.
    frame
        Frame, counted from 0.
    pixels
        Pixels of the region.
    """

    sample: str
    id: str
    frame: int
    pixels: Pixels

    @property
    def name(self) -> str:
        """Name of the image that is made of it, without suffix."""
        return f"{self.sample}_f{self.frame}_{self.id}"

    def is_near(self, other: TrainingRegion) -> bool:
        """Tell whether two regions show the same cells, at the same time or a little later."""
        if self.sample != other.sample or abs(self.frame - other.frame) > NEAR_FRAMES:
            return False
        pairs = zip(self.pixels.window, other.pixels.window, strict=True)
        return all(a.start < b.stop and b.start < a.stop for a, b in pairs)


def regions_of(
    sample: str, rows: Sequence[CellCorrection], shape_yx: tuple[int, int]
) -> list[TrainingRegion]:
    """Return the regions of the rows ``complete`` of a sample, in the order of its table.

    Parameters
    ----------
    sample
        Name of the sample.
    rows
        Its corrections of cells.
    shape_yx
        Height and width of the image in pixels.
    """
    found = []
    for row in rows:
        if row.operation == "complete" and row.outline is not None:
            pixels = fill(row.outline, shape_yx)
            if pixels.area_px:
                name = row.id or f"row{row.number}"
                found.append(TrainingRegion(sample, name, row.frame, pixels))
    return found


def held_out(regions: Sequence[TrainingRegion]) -> list[bool]:
    """Choose the regions that no weights learn from, so that new weights can be judged by them.

    Regions that show the same cells are one place and stay on one side. Of two places or more, the
    second and every fifth after it are held out; of one place none is.

    Parameters
    ----------
    regions
        Regions of all samples, in the order of the samples and of the rows of their tables.

    Returns
    -------
    list of bool
        True for each region that is held out.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not regions:
        return []
    near = np.array([[a.is_near(b) for b in regions] for a in regions])
    _, places = connected_components(coo_array(near), directed=False)
    # Places are numbered by their first region, so that one more region changes no number.
    order = {place: k for k, place in enumerate(dict.fromkeys(places.tolist()))}
    chosen = range(FIRST_HELD_OUT, len(order), HELD_OUT_EVERY)
    return [order[place] in chosen for place in places.tolist()]
