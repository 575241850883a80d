"""Runs along the rows of label images: far fewer than pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Ints = npt.NDArray[np.int64]


def find_runs(image: npt.NDArray[Any]) -> tuple[Ints, Ints]:
    """Find the runs along x of equal values.

    Parameters
    ----------
    image
        ``(y, x)``.

    Returns
    -------
    starts, lengths
        ``(n,)``: index of the first pixel of each run in the flat image, and pixels.
    """
    change = np.ones(image.shape, dtype=bool)
    np.not_equal(image[:, 1:], image[:, :-1], out=change[:, 1:])
    starts = np.flatnonzero(change)
    return starts, np.diff(starts, append=change.size)
