"""Boxes that a user gives, in which cells are drawn: reading and checking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellsam_core.errors import InputError
from cellsam_core.files.tables import refuse_missing

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from cellsam_core.segmentation.options import SegmentOptions

CORNERS = ["x0", "y0", "x1", "y1"]
COLUMNS = ["image", *CORNERS]
ONLY_IMAGE = "the image"
ARGUMENT = "argument `boxes`"


def refuse_dropping(options: SegmentOptions) -> None:
    """Refuse to drop dark cells beside given boxes, because all cells in boxes are drawn.

    Raises
    ------
    InputError
        The option `dark_cells` is ``drop``.
    """
    if options.dark_cells == "drop":
        raise InputError(
            "option `dark_cells`",
            found="drop beside `boxes`",
            expected="one of the two: the cells in boxes are all drawn",
            remedy="leave one out",
        )


def read_boxes(path: Path, images: list[Path]) -> pd.DataFrame:
    """Read a CSV table of boxes.

    Parameters
    ----------
    path
        Table with the columns image, x0, y0, x1, y1; corners in pixels.
    images
        Images that are segmented; the column ``image`` holds their names.

    Raises
    ------
    InputError
        The table can't be read, lacks a column, names another image, or a row is no box.
    """
    try:
        table = pd.read_csv(path, dtype={"image": str})
    except (OSError, ValueError) as error:
        raise InputError(
            path, found=str(error), expected="a CSV file", remedy="check the option `boxes`"
        ) from error
    if missing := [c for c in COLUMNS if c not in table.columns]:
        raise InputError(
            path,
            found=f"columns {', '.join(table.columns)}",
            expected=f"also {', '.join(missing)}",
            remedy="name the columns image, x0, y0, x1, y1",
        )
    table = _with_corners(path, table)
    if unknown := sorted(set(table["image"]) - {p.name for p in images}):
        raise InputError(
            path,
            found=f"boxes for {unknown[0]}",
            expected=f"the images given: {', '.join(p.name for p in images)}",
            remedy="write the file's name with its extension in the column `image`",
        )
    return table


def boxes_of_array(boxes: ArrayLike | pd.DataFrame, shape_yx: tuple[int, int]) -> NDArray[Any]:
    """Check boxes in memory and return their corners ``(n, 4)`` x0, y0, x1, y1, float32.

    Raises
    ------
    InputError
        The boxes are not ``(n, 4)`` numbers, a row is no box, or a box is outside of the image.
    """
    if isinstance(boxes, pd.DataFrame):
        refuse_missing(ARGUMENT, boxes, CORNERS)
    corners = boxes[CORNERS] if isinstance(boxes, pd.DataFrame) else np.asarray(boxes, float)
    if corners.ndim != 2 or corners.shape[1] != len(CORNERS):
        raise InputError(
            ARGUMENT,
            found=f"an array of shape {corners.shape}",
            expected="shape (n, 4): x0, y0, x1, y1 in pixels",
            remedy="give one row for each cell",
        )
    table = pd.DataFrame(np.asarray(corners), columns=CORNERS).assign(image=ONLY_IMAGE)
    table = _with_corners(ARGUMENT, table)
    refuse_outside(ARGUMENT, table, {ONLY_IMAGE: shape_yx})
    return table[CORNERS].to_numpy(np.float32)


def _with_corners(where: str | Path, table: pd.DataFrame) -> pd.DataFrame:
    """Turn the corners into numbers, and refuse rows that are no boxes."""
    corners = table[CORNERS].apply(pd.to_numeric, errors="coerce").astype(float)
    bad = (
        ~np.isfinite(corners).all(axis=1) | (corners.x1 <= corners.x0) | (corners.y1 <= corners.y0)
    )
    if bad.any():
        raise InputError(
            where,
            found=f"no box in row {int(np.flatnonzero(bad)[0]) + 1}",
            expected="numbers with x0 < x1 and y0 < y1",
            remedy="correct the row",
        )
    return table.assign(**corners)


def refuse_outside(
    where: str | Path, boxes: pd.DataFrame, shapes: dict[str, tuple[int, int]]
) -> None:
    """Refuse a box that does not touch its image, because it would silently give no cell.

    Parameters
    ----------
    where
        Words for the error message.
    boxes
        Table with the columns image, x0, y0, x1, y1.
    shapes
        Height and width in pixels of each image.

    Raises
    ------
    InputError
        A box lies outside of its image.
    """
    columns = boxes[COLUMNS].itertuples(index=False, name=None)
    for row, (image, x0, y0, x1, y1) in enumerate(columns, start=1):
        height, width = shapes[image]
        if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            raise InputError(
                where,
                found=f"a box outside of {image} in row {row}",
                expected=f"x from 0 to {width} and y from 0 to {height} px",
                remedy="correct the row",
            )
