"""Masks where label images are expected: one number for all cells, or one for the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.labels.pieces import split_cells

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.labels.pieces import SplitCell

MIN_BACKGROUND = 0.4
"""Least share of a background beside few cells, of which one may reach all four sides."""

MANY_CELLS = 10
"""Number of cells beside which a background may be any share: in dense tissue it is small."""

COARSE_PX = 4096
"""Images are looked at with at most so many rows and columns."""


def refuse_mask(
    path: str | Path, labels: NDArray[Any], index: int | None = None, *, one_number: bool = False
) -> list[SplitCell]:
    """Refuse an image that tells cells from background, but not from each other.

    Parameters
    ----------
    path
        Path or name of the image, for the message.
    labels
        ``(y, x)``, 0 = background.
    index
        Index of the frame, for the message; None for a single image.
    one_number
        Accept one number for several cells; only a background without 0 is refused.

    Returns
    -------
    list of SplitCell
        Cells in two places that are far from each other, which may be two cells with one number.
        Other cells of the image are in one place, so that it is no mask.

    Raises
    ------
    InputError
        Every number is in several places, or there is no 0 and one number surrounds all others.
    """
    step = max(1, -(-max(labels.shape) // COARSE_PX))
    labels = labels[::step, ::step]
    if not labels.size or labels.shape[0] < 2 or labels.shape[1] < 2 or labels.max() == 0:
        return []
    where = "" if index is None else f" in frame {index}"
    if not (labels == 0).any():
        _refuse_background(path, labels, where)
        return []
    if one_number:
        return []
    split, n_cells, n_pieces = split_cells(labels)
    far = [cell for cell in split if cell.is_far]
    if n_cells == len(split) == 1 or n_cells == len(far) > 1:
        number = f"one number, {split[0].label}," if n_cells == 1 else f"{n_cells} numbers"
        raise InputError(
            path,
            found=f"{number} in {n_pieces} places{where}",
            expected="a number of its own for each cell",
            remedy="number the cells of the mask, for example with skimage.measure.label, or in "
            "Fiji with MorphoLibJ > Connected Components Labeling",
        )
    return far


def _refuse_background(path: str | Path, labels: NDArray[Any], where: str) -> None:
    """Refuse an image without 0 in which one number reaches all four sides."""
    sides = [set(np.unique(side).tolist()) for side in (*labels[[0, -1]], *labels[:, [0, -1]].T)]
    n_cells = len(np.unique(labels)) - 1
    for number in set.intersection(*sides):
        share = (labels == number).mean()
        if n_cells >= MANY_CELLS or (share >= MIN_BACKGROUND and n_cells):
            raise InputError(
                path,
                found=f"no 0, but number {number} all around{where}",
                expected="label images in which the background is 0",
                remedy=f"set the pixels of number {number} to 0",
            )
