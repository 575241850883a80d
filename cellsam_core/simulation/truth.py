"""Tables of the truth of simulated movies and tissues."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellsam_core.simulation.spatial import FEATURES, count_matrix

if TYPE_CHECKING:
    from cellsam_core.simulation.movie import Frame
    from cellsam_core.simulation.population import Division
    from cellsam_core.simulation.spatial import Tissue

MOVIE_FRAME_INTERVAL_S = 300.0
"""Time between two frames of a simulated movie, in seconds."""

TRACK_COLUMNS = ["track_id", "first_frame", "last_frame", "parent_id"]
DIVISION_COLUMNS = ["event_id", "kind", "frame", "parent_id", "daughter_ids"]
TRACE_COLUMNS = ["track_id", "frame", "time_s", "ratio", "expression", "area_px"]


class MovieTruth:
    """Truth of a movie, collected frame by frame, so that no image is kept."""

    def __init__(self) -> None:
        self._n_frames = 0
        self._spans: dict[int, list[int]] = {}
        self._divisions: list[Division] = []
        self._rows: list[dict[str, Any]] = []

    def add(self, frame: Frame) -> None:
        """Add the next frame of the movie."""
        number = self._n_frames
        self._n_frames += 1
        self._divisions += frame.divisions
        for cell in frame.cells:
            self._spans.setdefault(cell.track_id, [number, number])[1] = number
            time_s = number * MOVIE_FRAME_INTERVAL_S
            self._rows.append({"frame": number, "time_s": time_s, **cell._asdict()})

    def tracks(self) -> pd.DataFrame:
        """Return one row a cell: track_id, first_frame, last_frame, parent_id (0 = none).

        The table is that of the Cell Tracking Challenge, which knows no parent that lives on:
        mothers of buds are in :meth:`divisions` only.
        """
        of_mitosis = [event for event in self._divisions if event.kind == "mitosis"]
        parent = {d: event.parent_id for event in of_mitosis for d in event.daughter_ids}
        rows = [(t, *span, parent.get(t, 0)) for t, span in sorted(self._spans.items())]
        return pd.DataFrame(rows, columns=TRACK_COLUMNS)

    def divisions(self) -> pd.DataFrame:
        """Return one row a birth: event_id, kind, frame, parent_id, daughter_ids (``a;b``)."""
        events = [
            (i, d.kind, d.frame, d.parent_id, ";".join(map(str, d.daughter_ids)))
            for i, d in enumerate(self._divisions, start=1)
        ]
        return pd.DataFrame(events, columns=DIVISION_COLUMNS)

    def traces(self) -> pd.DataFrame:
        """Return one row a cell and frame, with the true ratio of the reporter."""
        table = pd.DataFrame(self._rows, columns=TRACE_COLUMNS)
        return table.sort_values(["track_id", "frame"])


def cells_table(tissue: Tissue) -> pd.DataFrame:
    """Return one row a cell: cell_id, cell_type, has_nucleus."""
    cell_id = np.arange(1, len(tissue.cell_types) + 1)
    nucleus = np.isin(cell_id, tissue.nucleus_labels)
    return pd.DataFrame(
        {"cell_id": cell_id, "cell_type": tissue.cell_types, "has_nucleus": nucleus}
    )


def counts_table(tissue: Tissue) -> pd.DataFrame:
    """Return the transcripts of each cell: cell_id, then one column a feature."""
    counts = pd.DataFrame(count_matrix(tissue), columns=list(FEATURES))
    counts.insert(0, "cell_id", np.arange(1, len(tissue.cell_types) + 1))
    return counts


def transcripts_table(tissue: Tissue) -> pd.DataFrame:
    """Return one row a transcript: x_px, y_px, z, gene, cell_id (0 = none)."""
    return pd.DataFrame(
        {
            "x_px": tissue.x_px,
            "y_px": tissue.y_px,
            "z": tissue.z,
            "gene": np.array(FEATURES)[tissue.feature],
            "cell_id": tissue.cell_id,
        }
    )
