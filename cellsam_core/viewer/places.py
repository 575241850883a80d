"""Pixels of a cell, found by the place that its table tells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from cellsam_core.viewer.pyramid import Pyramid


def mask_of(
    labels: Pyramid, frame: int, label: int, cell: Mapping[str, Any]
) -> tuple[NDArray[np.bool_], tuple[int, int]]:
    """Read the mask of a cell in a window around it, which grows until it holds the whole cell.

    Parameters
    ----------
    labels
        Label images.
    frame, label
        The cell.
    cell
        Its row of a table: ``y`` and ``x`` of its centroid and ``area_px``.

    Returns
    -------
    mask : ndarray of bool, (h, w)
        Pixels of the cell.
    corner : tuple of int
        First pixel (y, x) of the window; it may lie outside of the image.

    Raises
    ------
    InputError
        There is no pixel of the cell.
    """
    y, x, reach = round(cell["y"]), round(cell["x"]), int(np.sqrt(cell["area_px"])) + 2
    while True:
        corner, side = (y - reach, x - reach), 2 * reach + 1
        part = labels.read(0, labels.index(frame), corner, (side, side))
        if part is None:
            break
        mask = np.asarray(part == label)
        touches = mask[[0, -1]].any() or mask[:, [0, -1]].any()
        if mask.any() and not touches:
            return mask, corner
        if reach > max(labels.shape_yx):
            break
        reach *= 2
    raise InputError(
        "corrections",
        found=f"no pixel of cell {label} in frame {frame}",
        expected="masks that fit their table of cells",
        remedy="run the workflow again",
    )
