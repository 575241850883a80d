"""Transcripts of some windows, which hold enough cells, with their surroundings.

Which of them are drawn follows from their places and genes: a table whose rows are in another
order gives the same result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse

from cellsam_core.assignment.counts import FeatureIndex, number_features
from cellsam_core.assignment.purity.hashing import (
    hashed,
    molecule_keys,
    occurrences,
    text_keys,
    uniform,
)
from cellsam_core.assignment.purity.vertical import MeanHeight
from cellsam_core.features import BLANK, GENE
from cellsam_core.labels.rows import rows_of
from cellsam_core.samples.panel import read_panel
from cellsam_core.samples.transcripts import iter_transcripts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

    from cellsam_core.assignment.purity.windows import Windows
    from cellsam_core.samples.manifest import TranscriptSource

    Numbers = npt.NDArray[np.int64]

MAX_CELLS = 5_000
"""Cells that are enough: their standard errors are below the error of the model."""
MIN_WINDOWS = 6
"""Windows that are looked at at least: one place may be unlike the others."""
MAX_MOLECULES = 6_000_000
"""More transcripts are thinned, for the sake of memory."""


@dataclass(frozen=True)
class Molecules:
    """Transcripts of genes in the windows that were chosen.

    Attributes
    ----------
    genes
        Names, sorted.
    gene, zone, nearest, second
        ``(n,)`` gene, zone and the two nearest cells of each transcript in a core or ring.
    half
        ``(n,)`` True for a half of the transcripts, chosen at random.
    window
        ``(n,)`` number of the window.
    far
        ``(2, genes)`` transcripts in the zones `far` and `clear`.
    n_blanks
        Transcripts of blanks in all zones, for each blank; None without blanks.
    kept
        Share of the transcripts that was kept.
    areas_um2
        Area of each zone.
    height
        Mean z of all transcripts of the table, from place to place.
    """

    genes: list[str]
    gene: npt.NDArray[np.int32]
    zone: npt.NDArray[np.uint8]
    nearest: npt.NDArray[np.uint32]
    second: npt.NDArray[np.uint32]
    half: npt.NDArray[np.bool_]
    window: npt.NDArray[np.int32]
    far: Numbers
    n_blanks: float | None
    kept: float
    areas_um2: npt.NDArray[np.float64]
    height: MeanHeight

    def counts(
        self, cell_id: npt.NDArray[np.uint32], last_zone: int
    ) -> tuple[scipy.sparse.csr_matrix, scipy.sparse.csr_matrix]:
        """Count the transcripts up to a zone, ``(cells, genes)``, of the two halves."""
        halves = []
        for half in (False, True):
            at = (self.zone <= last_zone) & (self.half == half)
            row = rows_of(self.nearest[at], cell_id)
            shape = (len(cell_id), len(self.genes))
            ones = np.ones(len(row), dtype=np.int64)
            halves.append(scipy.sparse.csr_matrix((ones, (row, self.gene[at])), shape=shape))
        return halves[0], halves[1]


def choose_windows(windows: Windows, measured: pd.DataFrame) -> Numbers:
    """Choose windows at random until they hold `MAX_CELLS` cells; all if there are fewer.

    Windows without a cell do not count.

    Parameters
    ----------
    windows
        Windows of the labels.
    measured
        Centroid ``x, y`` of each cell, in pixels.
    """
    n = windows.n_y * windows.n_x
    number = windows.number(measured["x"].to_numpy(float), measured["y"].to_numpy(float))
    cells = np.bincount(number[number >= 0], minlength=n)
    order = np.argsort(hashed(np.arange(n), 2), kind="stable")
    in_order = np.cumsum(cells[order]), np.cumsum(cells[order] > 0)
    limits = (MAX_CELLS, MIN_WINDOWS)
    enough = max(int(np.searchsorted(n, k)) for n, k in zip(in_order, limits, strict=True)) + 1
    return np.sort(order[:enough])


def read_molecules(
    source: TranscriptSource, windows: Windows, chosen: Numbers, panel: Sequence[str | Path] = ()
) -> Molecules:
    """Read the transcripts of windows, in memory that the length of the table is not in.

    Parameters
    ----------
    source
        The table.
    windows
        Windows of the labels.
    chosen
        Numbers of the windows.
    panel
        Files that tell what features are, beside those of `source`.
    """
    n_windows = windows.n_y * windows.n_x
    # As many as if transcripts were spread evenly: how many there are is known at the end only.
    kept = min(1.0, MAX_MOLECULES * n_windows / max(source.n_rows * len(chosen), 1))
    collected = _Collected(FeatureIndex(read_panel([*panel, *source.panel])), windows, kept)
    is_chosen = np.zeros(n_windows + 1, dtype=bool)  # the last is for places outside, number -1
    is_chosen[chosen] = True
    for batch in iter_transcripts(source):
        collected.add(source.path, batch, is_chosen)
    return collected.finish(windows.areas_um2(chosen))


class _Collected:
    """Transcripts read so far."""

    def __init__(self, index: FeatureIndex, windows: Windows, kept: float) -> None:
        self._index, self._windows, self._kept = index, windows, kept
        types = (np.int32, np.uint8, np.uint32, np.uint32, np.uint64, np.int32)
        nothing = tuple(np.empty(0, dtype=each) for each in types)
        self._parts: list[tuple[npt.NDArray[Any], ...]] = [nothing]  # a table may have no rows
        self._text_keys = np.empty(0, dtype=np.uint64)
        self._far, self._clear, self._blank = np.zeros((3, 0), dtype=np.int64)
        self._height = MeanHeight(windows.shape_yx, windows.zones.size_um / windows.zones.stride)

    def add(self, path: str | Path, batch: pa.RecordBatch, is_chosen: npt.NDArray[Any]) -> None:
        """Take in the next rows of the table."""
        feature = number_features(path, self._index, batch)
        x, y = (batch[name].to_numpy() for name in ("x_px", "y_px"))
        z = batch["z"]
        if z.null_count == 0:
            self._height.add(x, y, z.to_numpy())
        number = self._windows.number(x, y)
        at = np.flatnonzero(is_chosen[number])
        names = self._index.names
        self._text_keys = np.append(self._text_keys, text_keys(names[len(self._text_keys) :]))
        key = molecule_keys(x[at], y[at], self._text_keys[feature[at]])
        if self._kept < 1:
            is_kept = uniform(key, 3) < self._kept
            at, key = at[is_kept], key[is_kept]
        found, feature = self._windows.find(x[at], y[at]), feature[at]
        zones, kinds = self._windows.zones, np.array(self._index.types)
        is_gene = (kinds == GENE)[feature]
        is_blank = (kinds == BLANK)[feature] & (found.zone < zones.nowhere)
        self._far = _added(self._far, feature[is_gene & (found.zone == zones.far)])
        self._clear = _added(self._clear, feature[is_gene & (found.zone == zones.clear)])
        self._blank = _added(self._blank, feature[is_blank])
        near = is_gene & (found.zone < zones.far)
        places = found.zone[near], found.nearest[near], found.second[near]
        part = (
            feature[near].astype(np.int32),
            *places,
            key[near],
            number[at[near]].astype(np.int32),
        )
        self._parts.append(part)

    def finish(self, areas_um2: npt.NDArray[np.float64]) -> Molecules:
        """Return the transcripts; they and their genes are sorted, whatever the table's order."""
        names, kinds = self._index.names, self._index.types
        size = len(names)
        genes = sorted(name for name, kind in zip(names, kinds, strict=True) if kind == GENE)
        number = {name: i for i, name in enumerate(genes)}
        renumbered = np.array([number.get(name, -1) for name in names], dtype=np.int32)
        gene, zone, nearest, second, key, window = (
            np.concatenate(each) for each in zip(*self._parts, strict=True)
        )
        order = np.argsort(key)
        key = key[order]
        # Molecules of one place and gene are alike, and yet each is drawn on its own.
        half = (hashed(key + occurrences(key).astype(np.uint64), 4) >> np.uint64(63)).astype(bool)
        far = np.zeros((2, len(genes)), dtype=np.int64)
        of_gene = renumbered >= 0
        for row, counts in zip(far, (self._far, self._clear), strict=True):
            row[renumbered[of_gene]] = np.pad(counts, (0, size - len(counts)))[of_gene]
        n_kinds = kinds.count(BLANK)
        n_blanks = int(self._blank.sum()) / n_kinds if n_kinds else None
        return Molecules(
            genes,
            renumbered[gene[order]],
            zone[order],
            nearest[order],
            second[order],
            half,
            window[order],
            far,
            n_blanks,
            self._kept,
            areas_um2,
            self._height,
        )


def _added(counts: Numbers, feature: npt.NDArray[np.int32]) -> Numbers:
    """Add transcripts to the counts of their features."""
    more = np.bincount(feature, minlength=len(counts)).astype(np.int64)
    more[: len(counts)] += counts
    return more
