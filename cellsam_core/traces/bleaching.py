"""Bleaching of a ratiometric reporter, measured on cells that got no drug.

Two channels that bleach exponentially have a ratio that decays exponentially, too. The rate is
measured on control cells only: fitted to a treated cell, it would swallow the response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

MIN_FRAMES = 3


def fit_ratio_decay(control: pd.DataFrame) -> float | None:
    """Rate at which the ratio of control cells decays, per frame.

    Each cell's log ratio is a straight line of one slope for all and a height of its own: the
    least-squares slope within cells. Cells that come and go, and their baselines, do not count.

    Parameters
    ----------
    control
        Valid rows of control cells: track_id, frame, ratio.

    Returns
    -------
    float or None
        ``-d ln(ratio) / d frame``; negative if the ratio rises. None if no cell has a ratio in
        two frames, or all rows are of fewer than three frames.
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
