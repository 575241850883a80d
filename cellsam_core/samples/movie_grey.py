"""Grey images that were saved as colours: red, green and blue are one channel where they agree."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.files.image_stack import RGB
from cellsam_core.files.planes import read_plane

if TYPE_CHECKING:
    from cellsam_core.files.image_stack import Stack
    from cellsam_core.files.plane import Plane

GREY = "grey"
ROWS_PX = 1024


def merge_equal_colours(stack: Stack) -> tuple[Stack, list[str]]:
    """Take one channel of a movie whose red, green and blue are equal in every frame.

    Every frame is compared, since a colour may appear in the last one; the first pixel that
    differs ends the search.

    Parameters
    ----------
    stack
        Frames, of colours or not.

    Returns
    -------
    stack, warnings
        The same stack and no warning where it has other channels, or colours.
    """
    if stack.channels != RGB or not all(_is_grey(row, stack.shape_yx) for row in stack.planes):
        return stack, []
    sentence = (
        f"Red, green and blue are equal in {stack.path.name}"
        f"{'' if len(stack.planes) == 1 else ' and in all other frames'}: they are read as one"
        f" channel, {GREY}."
    )
    return replace(stack, channels=(GREY,), planes=[[row[0]] for row in stack.planes]), [sentence]


def _is_grey(row: list[Plane], shape_yx: tuple[int, int]) -> bool:
    """Compare the colours of a frame, some rows at a time."""
    height, width = shape_yx
    for y0 in range(0, height, ROWS_PX):
        window = (y0, min(y0 + ROWS_PX, height), 0, width)
        red, *others = (read_plane(plane, window) for plane in row)
        if not all(np.array_equal(red, other) for other in others):
            return False
    return True
