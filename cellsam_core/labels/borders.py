"""Pixels at the borders of cells."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def inner_borders(labels: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    """Mark the pixels of cells beside another label or background; ends of the array are none.

    Parameters
    ----------
    labels
        Label image ``(y, x)``; 0 is background.
    """
    border = np.zeros(labels.shape, dtype=bool)
    for axis in (0, 1):
        one, other = ([slice(None)] * axis + [part] for part in (slice(None, -1), slice(1, None)))
        differs = labels[tuple(one)] != labels[tuple(other)]
        border[tuple(one)] |= differs
        border[tuple(other)] |= differs
    border &= labels > 0
    return border
