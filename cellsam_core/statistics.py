"""Robust statistics that several stages share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MAD_TO_SD = 1.4826
"""Ratio of the standard deviation to the median absolute deviation in a normal distribution."""


def median_diameter(areas: ArrayLike) -> float:
    """Return the diameter of a disc that has the median area.

    Parameters
    ----------
    areas
        Areas of one or more cells, in square pixels or square micrometres.

    Returns
    -------
    float
        Diameter in pixels or micrometres.

    Examples
    --------
    >>> round(median_diameter([50, 78.54, 4000]), 3)
    10.0
    """
    return float(np.sqrt(4 * np.median(np.asarray(areas, np.float64)) / np.pi))
