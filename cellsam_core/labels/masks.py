"""Masks where label images are expected: one number for all cells, or one for the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MIN_PIECE = 0.25
"""A second piece is another cell if it is at least this share of the largest."""

MIN_BACKGROUND = 0.4


def refuse_mask(
    path: str | Path, labels: NDArray[Any], index: int | None = None, *, one_number: bool = False
) -> None:
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
        Accept one number for all cells; only a background without 0 is refused.

    Raises
    ------
    InputError
        One number is in several places, or there is no 0 and one number surrounds all others.
    """
    if not labels.size or labels.shape[0] < 2 or labels.shape[1] < 2:
        return
    where = "" if index is None else f" of frame {index}"
    largest = labels.max()
    if largest == 0:
        return
    if not (labels == 0).any():
        _refuse_background(path, labels, where)
        return
    if one_number or ((labels != 0) & (labels != largest)).any():
        return
    pieces, n_pieces = ndimage.label(labels, np.ones((3, 3)))
    areas = np.sort(np.bincount(pieces.ravel())[1:])[::-1]
    n_cells = int((areas >= MIN_PIECE * areas[0]).sum())
    if n_cells < 2:
        return
    raise InputError(
        path,
        found=f"one number, {largest}, in {n_pieces} places{where}",
        expected="a number of its own for each cell",
        remedy="number the cells of the mask, for example with skimage.measure.label, or in Fiji "
        "with MorphoLibJ > Connected Components Labeling",
    )


def _refuse_background(path: str | Path, labels: NDArray[Any], where: str) -> None:
    """Refuse an image without 0 in which one number reaches all four sides."""
    sides = [set(np.unique(side).tolist()) for side in (*labels[[0, -1]], *labels[:, [0, -1]].T)]
    for number in set.intersection(*sides):
        if (labels == number).mean() >= MIN_BACKGROUND and (labels != number).any():
            raise InputError(
                path,
                found=f"no 0, but number {number} all around{where}",
                expected="label images in which the background is 0",
                remedy=f"set the pixels of number {number} to 0",
            )
