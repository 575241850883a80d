"""Corrections of cells in memory."""

from __future__ import annotations

import numpy as np

from cellsam_core.corrections.cells_table import CellCorrection
from cellsam_core.corrections.plane import plane_of
from cellsam_core.corrections.replay import Outcome, replay
from cellsam_core.labels.tiles import LabelArray, measure_cells


def correct_labels(
    labels: np.ndarray, corrections: list[CellCorrection], masks: str = ""
) -> tuple[np.ndarray, list[Outcome]]:
    """Put the corrections of one frame on a copy of its labels."""
    corrected = np.asarray(labels).copy()
    plane = plane_of(corrected, (), measure_cells(LabelArray(corrected)))
    return corrected, [replay(plane, one, masks) for one in corrections]
