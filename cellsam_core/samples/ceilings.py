"""Grey value at which a camera is saturated, where its pixels have fewer bits than the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.files.planes import read_plane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.files.image_stack import Stack
    from cellsam_core.files.plane import Plane

CAMERA_BITS = (10, 12, 14, 16)
N_FRAMES_SEEN = 5
MIN_PIXELS_AT_CEILING = 5
MIN_PILE = 30
MAX_PILE = 0.2
PILE = 5
"""So many times more pixels share the largest value than have one up to 2 % below: a pile."""


def find_ceilings(stack: Stack) -> tuple[list[float | None], list[str]]:
    """Find the saturation value of each channel, by what the file says or by a few frames.

    Parameters
    ----------
    stack
        Its `significant_bits` win. Else a channel whose largest value is the largest of a camera
        of 10, 12, 14 or 16 bits, in several pixels, ends there.

    Returns
    -------
    values, warnings
        None for a channel that ends where its type does, and sentences for the report.
    """
    n_bits = 8 * np.dtype(stack.dtype).itemsize
    is_float = np.dtype(stack.dtype).kind == "f"
    bits = stack.significant_bits
    names = stack.channels or tuple(str(i + 1) for i in range(len(stack.planes[0])))
    if bits is not None and 1 < bits < n_bits and not is_float:
        return [float(2**bits - 1)] * len(names), []
    if n_bits == 8:
        return [None] * len(names), []
    found: list[float | None] = []
    warnings = []
    for channel, name in enumerate(names):
        planes = [row[channel] for row in stack.planes if row[channel] is not None]
        value, sentence = _look(planes, name, is_float)
        found.append(value)
        warnings += [sentence] if sentence else []
    return found, warnings


def _look(planes: Sequence[Plane | None], name: str, is_float: bool) -> tuple[float | None, str]:
    """Look for a pile of pixels at the largest value of a few frames."""
    chosen = sorted({round(i) for i in np.linspace(0, len(planes) - 1, N_FRAMES_SEEN)})
    frames = [read_plane(p) for i in chosen if (p := planes[i]) is not None]
    finite = [f[np.isfinite(f)] if is_float else f.ravel() for f in frames]
    largest = max((float(f.max()) for f in finite if f.size), default=0.0)
    at_it, below = _count(finite, largest)
    full = 2.0 ** np.array(CAMERA_BITS) - 1
    own = np.inf if is_float else float(np.iinfo(frames[0].dtype).max)
    if largest in full and largest < own and at_it >= MIN_PIXELS_AT_CEILING and at_it > below:
        bits = CAMERA_BITS[int(np.flatnonzero(full == largest)[0])]
        return largest, (
            f"Channel {name} ends at {largest:g} in {at_it} pixels, as a camera of {bits} bits "
            "does: taken as saturated."
        )
    share = max((float((f == largest).mean()) for f in finite if f.size), default=0.0)
    is_pile = at_it >= MIN_PILE and share <= MAX_PILE and at_it > PILE * below
    if is_pile and 0 < largest < own:
        return None, (
            f"{at_it} pixels share the largest value of channel {name}, {largest:g}: if the "
            "camera was saturated, set `saturation_value`."
        )
    return None, ""


def _count(frames: list[NDArray[Any]], largest: float) -> tuple[int, int]:
    at_it = sum(int((f == largest).sum()) for f in frames)
    below = sum(int(((f >= 0.98 * largest) & (f < largest)).sum()) for f in frames)
    return at_it, below
