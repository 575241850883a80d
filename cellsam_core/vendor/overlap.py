"""Our cells and the vendor's cells that share pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cellsam_core.evaluation.segmentation import Overlaps
from cellsam_core.labels.shared_pixels import count_shared_pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from cellsam_core.labels.tiles import LabelTiles

    Ids = npt.NDArray[np.uint32]

MOST_OF_A_CELL = 0.5
"""Share of a cell that another one must cover to hold it."""


class Shared(NamedTuple):
    """Cells of two label images, and the pixels that they share.

    Attributes
    ----------
    ours, theirs
        Ids of the cells, sorted.
    area_ours, area_theirs
        Their pixels.
    rows, columns
        ``(n,)`` places of the two cells of each pair in `ours` and `theirs`.
    pixels
        ``(n,)`` pixels that both have.
    """

    ours: Ids
    theirs: Ids
    area_ours: npt.NDArray[np.int64]
    area_theirs: npt.NDArray[np.int64]
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    pixels: npt.NDArray[np.int64]

    def overlaps(self) -> Overlaps:
        """Return the pairs as cells are matched by."""
        a, b = self.area_ours[self.rows], self.area_theirs[self.columns]
        union = a + b - self.pixels
        return Overlaps(
            rows=self.rows,
            columns=self.columns,
            iou=self.pixels / union,
            covered=self.pixels / b,
            n_predicted=len(self.ours),
            n_true=len(self.theirs),
        )

    def n_merged(self) -> int:
        """Count the cells of ours that hold most of two or more of theirs."""
        held = self.pixels >= MOST_OF_A_CELL * self.area_theirs[self.columns]
        return int((np.bincount(self.rows[held], minlength=1) > 1).sum())

    def n_split(self) -> int:
        """Count the cells of theirs that hold most of two or more of ours."""
        held = self.pixels >= MOST_OF_A_CELL * self.area_ours[self.rows]
        return int((np.bincount(self.columns[held], minlength=1) > 1).sum())


def count_shared(ours: LabelTiles, theirs: LabelTiles) -> Shared:
    """Count the pixels that cells of two label images of one size share."""
    pairs = count_shared_pixels(_reader(ours), _reader(theirs), ours.shape_yx)
    labels = pairs.first, pairs.second
    ids = [np.unique(each[each > 0]) for each in labels]
    places = [np.searchsorted(known, each) for known, each in zip(ids, labels, strict=True)]
    areas = [
        np.bincount(place[each > 0], pairs.n_px[each > 0], minlength=len(known)).astype(np.int64)
        for known, place, each in zip(ids, places, labels, strict=True)
    ]
    both = (pairs.first > 0) & (pairs.second > 0)
    in_both = (places[0][both], places[1][both], pairs.n_px[both])
    return Shared(ids[0], ids[1], areas[0], areas[1], *in_both)


def _reader(tiles: LabelTiles) -> Callable[[slice, slice], Ids]:
    return lambda rows, columns: tiles.window(rows.start, rows.stop, columns.start, columns.stop)
