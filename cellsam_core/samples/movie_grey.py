"""Images of one channel that were saved as colours: grey, or in the one colour of a display."""

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
    """Take one channel of a movie whose red, green and blue are equal, or 0 where others are not.

    ZEN and LAS X save the image of a stain in the colour of its display, such as green.

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
    shown: set[tuple[int, ...]] = set()
    for i in seen:
        colours = _shown(stack.planes[i], stack.shape_yx)
        if colours is None:
            return stack, []
        shown |= {colours} if colours else set()
        if len(shown) > 1:
            return stack, []
    colours = max(shown, default=(0, 1, 2))
    where = "" if n_frames == 1 else " and in all other frames"
    doubt = ""
    if len(seen) < n_frames:
        where = f" and in {len(seen) - 1} other frames that were compared"
        doubt = " If colours differ in a frame, name the channels, such as R,G,B."
    sentence = (
        f"Red, green and blue {'are equal' if len(colours) == len(RGB) else 'show one stain'} in "
        f"{stack.path.name}{where}: they are read as one channel, {GREY}.{doubt}"
    )
    planes = [[row[colours[0]]] for row in stack.planes]
    return replace(stack, channels=(GREY,), planes=planes), [sentence]


def _shown(row: list[Plane], shape_yx: tuple[int, int]) -> tuple[int, ...] | None:
    """Find the colours of a frame that are not 0; None if two of them differ."""
    height, width = shape_yx
    shown: set[int] = set()
    for y0 in range(0, height, ROWS_PX):
        window = (y0, min(y0 + ROWS_PX, height), 0, width)
        pixels = [read_plane(plane, window) for plane in row]
        used = {i for i, colour in enumerate(pixels) if colour.any()}
        first = pixels[min(used, default=0)]
        if not all(np.array_equal(first, pixels[i]) for i in used):
            return None
        if shown and used and shown != used:
            return None
        shown |= used
    return tuple(sorted(shown))
