"""Bleaching of a ratiometric reporter, measured on untreated cells.

If both channels bleach exponentially, their ratio decays exponentially, too. The rate is measured
on control cells only, because a fit to treated cells would remove part of the response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MIN_FRAMES = 3


def fit_ratio_decay(control: pd.DataFrame) -> float | None:
    """Measure the rate at which the ratio of control cells decays, per frame.

    The log ratio of each cell is fitted by a straight line; all lines have the same slope (least
    squares within cells). Cells that appear or disappear, and their different baselines, therefore
    have no influence.

    Parameters
    ----------
    control
        Valid rows of control cells: track_id, frame, ratio.

    Returns
    -------
    float or None
        ``-d ln(ratio) / d frame``; negative if the ratio rises. None if no cell has a ratio in
        two frames, or if the rows cover fewer than three frames.
    """
    rows = control[control["ratio"] > 0]
    if rows["frame"].nunique() < MIN_FRAMES:
        return None
    cells = rows["track_id"]
    frame = rows["frame"] - rows["frame"].groupby(cells).transform("mean")
    log_ratio = np.log(rows["ratio"])
    log_ratio -= log_ratio.groupby(cells).transform("mean")
    squares = float((frame**2).sum())
    return None if squares == 0 else -float((frame * log_ratio).sum()) / squares
