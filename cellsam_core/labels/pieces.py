"""Cells whose number is in several places: a tear, a thin neck, or two cells with one number."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from cellsam_core.errors import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

MIN_PIECE = 0.25
"""A second piece may be another cell if it is at least this share of the largest."""

MIN_GAP_RADII = 1.0
"""Two pieces are far from each other from this number of radii of the larger one on."""

MOST_NAMED = 5
"""Number of cells that a warning names."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitCell:
    """One cell with two pieces that are alike in size.

    Attributes
    ----------
    label
        Number of the cell.
    is_far
        True if the gap between the boxes around both pieces is so large that they are probably
        two cells.
    """

    label: int
    is_far: bool


def split_cells(labels: NDArray[Any]) -> tuple[list[SplitCell], int, int]:
    """Find the cells that have two large pieces.

    Parameters
    ----------
    labels
        ``(y, x)``, 0 = background.

    Returns
    -------
    list of SplitCell
        Cells whose second piece has a quarter of the pixels of the largest, or more.
    n_cells, n_pieces
        Number of cells and of all pieces in the image.
    """
    # Imported here, because a job of segmentation does without scikit-image.
    from skimage.measure import label as number_pieces

    pieces = number_pieces(labels, background=0, connectivity=2)
    n_pieces = int(pieces.max(initial=0))
    owner = np.zeros(n_pieces + 1, labels.dtype)
    owner[pieces] = labels
    areas = np.bincount(pieces.ravel(), minlength=n_pieces + 1)
    # The pieces of a cell one after the other, the largest first.
    order = np.lexsort((-areas[1:], owner[1:])) + 1
    starts = np.flatnonzero(np.r_[True, owner[order[1:]] != owner[order[:-1]]][:n_pieces])
    has_second = np.diff(np.r_[starts, n_pieces]) > 1
    first, second = order[starts[has_second]], order[starts[has_second] + 1]
    is_alike = areas[second] >= MIN_PIECE * areas[first]
    boxes = ndimage.find_objects(pieces) if is_alike.any() else []
    split = []
    for one, other in zip(first[is_alike], second[is_alike], strict=True):
        gap = _gap(boxes[one - 1], boxes[other - 1])
        is_far = gap >= MIN_GAP_RADII * float(np.sqrt(areas[one] / np.pi))
        split.append(SplitCell(int(owner[one]), is_far))
    return split, len(starts), n_pieces


def _gap(first: tuple[slice, slice], second: tuple[slice, slice]) -> float:
    gaps = [max(a.start - b.stop, b.start - a.stop, 0) for a, b in zip(first, second, strict=True)]
    return float(np.hypot(*gaps))


@dataclass
class SplitNotes:
    """Cells that are split in the frames of a movie, told once when all frames were looked at."""

    _seen: set[int] = field(default_factory=set)
    _frames: dict[int, list[int]] = field(default_factory=dict)

    def __contains__(self, index: int) -> bool:
        """Tell if a frame was looked at."""
        return index in self._seen

    def add(
        self, path: str | Path, cells: list[SplitCell], index: int = 0, n_frames: int = 1
    ) -> None:
        """Note the cells of a frame, and warn of all cells after the last frame.

        Parameters
        ----------
        path
            Path or name of the label images, for the warning.
        cells
            Cells of this frame that are in two places.
        index, n_frames
            Index of the frame, and number of frames.
        """
        if index in self:
            return
        self._seen.add(index)
        for cell in cells:
            self._frames.setdefault(cell.label, []).append(index)
        if len(self._seen) == n_frames and self._frames:
            log.warning(
                "%s: %s in two places that are far from each other; each number is read as one "
                "cell: if they are two cells, give each a number of its own",
                path,
                self._named(n_frames > 1),
            )

    def _named(self, has_frames: bool) -> str:
        names = [
            f"{label} ({_ranges(frames)})" if has_frames else str(label)
            for label, frames in sorted(self._frames.items())
        ]
        shown = shortened(names, MOST_NAMED)
        return f"label {shown} is" if len(names) == 1 else f"labels {shown} are"


def _ranges(frames: Iterable[int]) -> str:
    """Write the indices of frames as ranges: ``frames 0 to 3 and 7``."""
    numbers = sorted(frames)
    starts = [numbers[0], *(b for a, b in pairwise(numbers) if b > a + 1)]
    ends = [*(a for a, b in pairwise(numbers) if b > a + 1), numbers[-1]]
    texts = [str(a) if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True)]
    if len(texts) > MOST_NAMED:
        texts = [*texts[: MOST_NAMED - 1], f"{len(texts) - MOST_NAMED + 1} more ranges"]
    joined = texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
    return f"frame{'' if len(numbers) == 1 else 's'} {joined}"
