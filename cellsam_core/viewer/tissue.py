"""Cells and counts of a tissue."""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pandas as pd

from cellsam_core.files.tables import table_errors
from cellsam_core.viewer.columns import binary, read_cells

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.reporting.results import Results

COUNTS_AT_ONCE = 1 << 22
KEPT_GENES = 16
SHOWN_GENES = 12


class TissueTables:
    """Tables of one tissue; counts are read gene by gene or cell by cell.

    Parameters
    ----------
    results
        Results of the sample.
    masks
        Folder with the ``cells.parquet`` of the masks that were counted.
    """

    def __init__(self, results: Results, masks: Path) -> None:
        self._cells_path = masks / "cells.parquet"
        self._counts_path = results.folder / "3_cells/cells.h5ad"
        self._kept: OrderedDict[int, NDArray[np.float32]] = OrderedDict()

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Segmented cells with the numbers of their transcripts and genes, where counted."""
        cells = read_cells(self._cells_path)
        if not self._counts_path.is_file():
            return cells.assign(n_transcripts=np.nan, n_genes=np.nan)
        wanted = [name for name in ("n_transcripts", "n_genes", "area_um2") if name in self.obs]
        counted = self.obs.set_index("cell_id")[wanted]
        return cells.join(counted, on="label")

    @cached_property
    def obs(self) -> pd.DataFrame:
        """Numbers of the cells in ``cells.h5ad``; anndata would take seconds to be imported."""
        names = ("cell_id", "n_transcripts", "n_genes", "area_um2")
        with table_errors(self._counts_path), h5py.File(self._counts_path, "r") as file:
            group = file["obs"]
            return pd.DataFrame({name: group[name][:] for name in names if name in group})

    def frame_of_cells(self) -> bytes:
        """Pack label, position, area, score and counts of all cells."""
        rows = self.cells
        return binary(
            {
                "label": rows["label"].to_numpy(),
                "y": rows["y"].to_numpy(np.float32),
                "x": rows["x"].to_numpy(np.float32),
                "area": rows["area_px"].to_numpy(np.float32),
                "score": rows["score"].to_numpy(np.float32),
                "transcripts": rows["n_transcripts"].to_numpy(np.float32),
                "genes": rows["n_genes"].to_numpy(np.float32),
            }
        )

    @cached_property
    def genes(self) -> list[str]:
        """Names of the genes that were counted, in the order of the columns; empty if none."""
        if not self._counts_path.is_file():
            return []
        with table_errors(self._counts_path), h5py.File(self._counts_path, "r") as file:
            group = file["var"]
            return [str(name) for name in group[group.attrs["_index"]].asstr()[:]]

    @cached_property
    def totals(self) -> list[int]:
        """Transcripts in cells of each gene."""
        totals = np.zeros(len(self.genes), np.int64)
        for _, columns, counts in self._parts():
            totals += np.bincount(columns, weights=counts, minlength=len(totals)).astype(np.int64)
        return [int(total) for total in totals]

    def values(self, gene: int) -> bytes:
        """Pack the count of a gene in each cell, in the order of :attr:`cells`."""
        found = self._kept.get(gene)
        if found is None:
            found = self._column(gene)
            self._kept[gene] = found
            while len(self._kept) > KEPT_GENES:
                self._kept.popitem(last=False)
        return binary({"label": self.cells["label"].to_numpy(), "count": found})

    def _column(self, gene: int) -> NDArray[np.float32]:
        by_row = np.zeros(len(self.obs), np.float32)
        for rows, columns, counts in self._parts():
            is_gene = columns == gene
            by_row[rows[is_gene]] = counts[is_gene]
        counted = pd.Series(by_row, index=self.obs["cell_id"].to_numpy())
        wanted = counted.reindex(self.cells["label"].to_numpy(), fill_value=0)
        return wanted.to_numpy(np.float32)

    def _parts(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]]:
        """Yield rows, columns and values of the counts, some millions at once."""
        if not self.genes:
            return
        with table_errors(self._counts_path), h5py.File(self._counts_path, "r") as file:
            matrix = file["X"]
            starts = matrix["indptr"][:].astype(np.int64)
            for low in range(0, int(starts[-1]), COUNTS_AT_ONCE):
                high = min(low + COUNTS_AT_ONCE, int(starts[-1]))
                rows = np.searchsorted(starts, np.arange(low, high), side="right") - 1
                columns = matrix["indices"][low:high].astype(np.int64)
                yield rows, columns, matrix["data"][low:high]

    def cell(self, label: int) -> dict[str, Any] | None:
        """Describe one cell with its most frequent genes; None if there is no such cell."""
        found = self.cells[self.cells["label"] == label]
        if found.empty:
            return None
        row = found.iloc[0]
        numbers = {str(k): float(v) if np.isfinite(v) else None for k, v in row.items()}
        return numbers | {"label": label, "counts": self._counts_of(label)}

    def _counts_of(self, label: int) -> list[tuple[str, int]]:
        """List the most frequent genes of a cell with their counts."""
        if not self.genes:
            return []
        at = np.flatnonzero(self.obs["cell_id"].to_numpy() == label)
        if not len(at):
            return []
        with table_errors(self._counts_path), h5py.File(self._counts_path, "r") as file:
            matrix = file["X"]
            low, high = (int(i) for i in matrix["indptr"][at[0] : at[0] + 2])
            columns, counts = matrix["indices"][low:high], matrix["data"][low:high]
        order = np.argsort(-counts.astype(np.int64), kind="stable")[:SHOWN_GENES]
        return [(self.genes[int(columns[i])], int(counts[i])) for i in order]
