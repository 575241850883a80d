"""Runs along the rows of label images: far fewer than pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]


def find_runs(*images: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """Find the runs along x in which no image changes.

    Parameters
    ----------
    images
        ``(y, x)``, of one size.

    Returns
    -------
    starts, lengths
        ``(n,)``: index of the first pixel of each run in the flat image, and pixels.
    """
    change = np.ones(images[0].shape, dtype=bool)
    np.not_equal(images[0][:, 1:], images[0][:, :-1], out=change[:, 1:])
    for image in images[1:]:
        change[:, 1:] |= image[:, 1:] != image[:, :-1]
    starts = np.flatnonzero(change)
    return starts, np.diff(starts, append=change.size)
