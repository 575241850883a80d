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
N_FRAMES_SEEN = 20


def merge_equal_colours(stack: Stack) -> tuple[Stack, list[str]]:
    """Take one channel of a movie whose red, green and blue are equal.

    The first, the last and up to 18 frames between them are compared, so that the time does not
    grow with the movie; the first pixel that differs ends the search.

    Parameters
    ----------
    stack
        Frames, of colours or not.

    Returns
    -------
    stack, warnings
        The same stack and no warning where it has other channels, or colours.
    """
    if stack.channels != RGB:
        return stack, []
    n_frames = len(stack.planes)
    seen = sorted({round(i) for i in np.linspace(0, n_frames - 1, N_FRAMES_SEEN)})
    if not all(_is_grey(stack.planes[i], stack.shape_yx) for i in seen):
        return stack, []
    where = "" if n_frames == 1 else " and in all other frames"
    doubt = ""
    if len(seen) < n_frames:
        where = f" and in {len(seen) - 1} other frames that were compared"
        doubt = " If colours differ in a frame, name the channels, such as R,G,B."
    sentence = (
        f"Red, green and blue are equal in {stack.path.name}{where}: they are read as one"
        f" channel, {GREY}.{doubt}"
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
