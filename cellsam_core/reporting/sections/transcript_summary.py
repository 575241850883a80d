"""Single pass over ``transcripts.parquet``: spots to draw, and density outside of cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.files.parquet import open_parquet
from cellsam_core.reporting.figures.spatial import Spots
from cellsam_core.samples.affine import apply_affine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from cellsam_core.reporting.pictures.images import Window

BATCH_ROWS = 500_000
MAX_SPOTS = 20_000  # drawn in one picture
MAX_DENSITY_BINS = 100  # along the longer side
ROWS_PER_BIN = 10  # coarser where there are fewer, so that the map isn't speckle


@dataclass
class TranscriptSummary:
    """Positions of transcripts, thinned and binned for pictures.

    Attributes
    ----------
    unassigned
        Number of transcripts in no cell, ``(y, x)`` bins over the image.
    spots
        Transcripts to draw in each window; evenly thinned if there are many.
    n_in_no_cell
        Number of rows without a cell, including those outside the image.
    """

    unassigned: npt.NDArray[np.int64]
    spots: list[Spots]
    n_in_no_cell: int


def summarise(
    path: Path,
    affine: Sequence[Sequence[float]],
    shape_yx: tuple[int, int],
    windows: Sequence[Window],
) -> TranscriptSummary:
    """Stream the table; memory does not depend on the number of transcripts.

    Parameters
    ----------
    path
        ``transcripts.parquet``.
    affine
        Matrix 3x3 from micrometres to image pixels.
    shape_yx
        Height and width of the image in pixels.
    windows
        Windows in which spots are drawn.
    """
    matrix = np.asarray(affine, dtype=np.float64)
    file = open_parquet(path)
    n_rows = file.metadata.num_rows
    along = int(np.clip(np.sqrt(n_rows / ROWS_PER_BIN), 5, MAX_DENSITY_BINS))
    bin_px = max(shape_yx) / along
    n_bins = tuple(int(np.ceil(side / bin_px)) for side in shape_yx)
    unassigned = np.zeros(n_bins, dtype=np.int64)
    n_in_no_cell = 0
    edges = [np.linspace(-0.5, side - 0.5, n + 1) for side, n in zip(shape_yx, n_bins, strict=True)]
    collectors = [_Collector(window) for window in windows]
    for batch in file.iter_batches(BATCH_ROWS, columns=["x_um", "y_um", "feature", "cell_id"]):
        table = batch.to_pandas().astype({"feature": str})
        xy = apply_affine(matrix, table[["x_um", "y_um"]].to_numpy(np.float64).T).T
        free = (table["cell_id"] == 0).to_numpy()
        counts, _, _ = np.histogram2d(xy[free, 1], xy[free, 0], bins=edges)
        unassigned += counts.astype(np.int64)
        n_in_no_cell += int(np.count_nonzero(free))
        for collector in collectors:
            collector.add(xy, table["feature"].to_numpy())
    spots = [collector.spots() for collector in collectors]
    return TranscriptSummary(unassigned, spots, n_in_no_cell)


class _Collector:
    """Collector of every k-th transcript of a window; k doubles when there are too many."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._every = 1
        self._seen = 0
        self._xy: npt.NDArray[np.float64] = np.zeros((0, 2))
        self._gene: npt.NDArray[np.object_] = np.zeros(0, dtype=object)

    def add(self, xy: npt.NDArray[np.float64], gene: npt.NDArray[np.object_]) -> None:
        w = self.window
        low, high = (w.x0 - 0.5, w.y0 - 0.5), (w.x1 - 0.5, w.y1 - 0.5)
        inside = np.flatnonzero(((xy >= low) & (xy < high)).all(axis=1))
        rank = np.arange(self._seen, self._seen + len(inside))
        self._seen += len(inside)
        kept = inside[rank % self._every == 0]
        self._xy = np.concatenate([self._xy, xy[kept]])
        self._gene = np.concatenate([self._gene, gene[kept]])
        while len(self._xy) > MAX_SPOTS:
            self._xy, self._gene = self._xy[::2], self._gene[::2]
            self._every *= 2

    def spots(self) -> Spots:
        return Spots(self._xy, self._gene)
