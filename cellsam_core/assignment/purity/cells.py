"""Purity of each cell: contamination, unlike neighbours, a second type, vertical overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellsam_core.assignment.counts import CountTable, FeatureIndex, number_features
from cellsam_core.assignment.purity.mixing import second_type_share
from cellsam_core.assignment.purity.profiles import merged
from cellsam_core.assignment.purity.vertical import vertical_overlap
from cellsam_core.assignment.purity.windows import Found
from cellsam_core.assignment.purity.zone_shares import type_of
from cellsam_core.labels.rows import rows_of
from cellsam_core.samples.transcripts import iter_transcripts

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    import pyarrow as pa
    from anndata import AnnData

    from cellsam_core.assignment.purity.curve import Curve
    from cellsam_core.assignment.purity.profiles import Types
    from cellsam_core.assignment.purity.result import Purity
    from cellsam_core.assignment.purity.windows import Windows
    from cellsam_core.samples.manifest import TranscriptSource

    Floats = npt.NDArray[np.float64]
    Ids = npt.NDArray[np.uint32]

COLUMNS = ("contamination", "n_unlike_neighbours", "second_type_share")
STEPS = 4096
"""Probabilities are added up in whole steps, whose sum no order changes."""


def cell_purity(
    table: AnnData,
    purity: Purity,
    source: TranscriptSource,
    windows: Windows,
    owners_of: Callable[[pa.RecordBatch], Ids],
) -> pd.DataFrame:
    """Measure the purity of each cell; NaN in all columns where it can't be known.

    Parameters
    ----------
    table
        Counts of genes, with ``obs.cell_id``.
    purity
        Purity of the sample.
    source
        The transcripts.
    windows
        Surroundings of the masks.
    owners_of
        Function that returns the cell of each transcript of a chunk, 0 for none.

    Returns
    -------
    DataFrame
        One row a cell, float32: contamination, n_unlike_neighbours, second_type_share, and
        vertical_overlap if the transcripts lie in several planes.
    """
    height = purity.curve.height
    names = [*COLUMNS, *(["vertical_overlap"] if height.is_known else [])]
    found = pd.DataFrame(np.nan, index=table.obs_names, columns=names, dtype=np.float32)
    types = purity.curve.types
    if purity.curve.reason or types is None:
        return found
    cell_id = table.obs["cell_id"].to_numpy().astype(np.uint32)
    column = columns_of_names(purity.curve, types, list(table.var_names))
    counts = merged(table.X[:, column >= 0], column[column >= 0], types.profiles.shape[1])
    kind = types.likely_of(counts)
    reading = _Reading(purity.curve, types, cell_id, kind)
    index, upper = FeatureIndex(), CountTable()
    for batch in iter_transcripts(source):
        number = number_features(source.path, index, batch)
        feature = columns_of_names(purity.curve, types, index.names)[number]
        owner = np.where(feature >= 0, owners_of(batch), 0).astype(np.uint32)
        x, y = (batch[name].to_numpy() for name in ("x_px", "y_px"))
        reading.add(windows, x, y, owner, feature)
        if height.is_known:
            z = batch["z"].to_numpy(zero_copy_only=False)
            in_cell = np.flatnonzero(owner)
            is_upper = height.is_upper(x[in_cell], y[in_cell], z[in_cell])
            upper.add(np.where(is_upper, owner[in_cell], 0).astype(np.uint32), feature[in_cell])
    found["contamination"] = reading.contamination.astype(np.float32)
    found["n_unlike_neighbours"] = unlike_neighbours(windows, cell_id, kind).astype(np.float32)
    found["second_type_share"] = second_type_share(counts, types.profiles).astype(np.float32)
    if height.is_known:
        above = upper.matrix(cell_id, counts.shape[1])
        overlap = vertical_overlap(counts, above.astype(np.float64), types.profiles, cell_id)
        found["vertical_overlap"] = overlap.astype(np.float32)
    return found


def columns_of_names(curve: Curve, types: Types, names: list[str]) -> npt.NDArray[np.int64]:
    """Column of each feature in the profiles; -1 for controls and genes that were not seen."""
    known = dict(zip(curve.genes, types.column.tolist(), strict=True))
    return np.array([known.get(name, -1) for name in names], dtype=np.int64)


def unlike_neighbours(windows: Windows, cell_id: Ids, kind: npt.NDArray[np.int64]) -> Floats:
    """Count the neighbours of another type; NaN for a cell whose own type is not known."""
    pairs = windows.pairs()
    mine = np.searchsorted(cell_id, (pairs >> np.uint64(32)).astype(np.uint32))
    other = np.searchsorted(cell_id, (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32))
    is_unlike = (kind[mine] != kind[other]) & (kind[other] >= 0)
    n = np.bincount(mine[is_unlike], minlength=len(cell_id)).astype(np.float64)
    return np.where(kind >= 0, n, np.nan)


class _Reading:
    """Expected own transcripts of each cell, chunk by chunk."""

    def __init__(
        self, curve: Curve, types: Types, cell_id: Ids, kind: npt.NDArray[np.int64]
    ) -> None:
        self._curve, self._types = curve, types
        self._cell_id, self._kind = cell_id, kind
        self._own, self._n = np.zeros((2, len(cell_id)), dtype=np.int64)
        rings = curve.rings
        self._ambient = rings["ambient_share"].to_numpy()
        crowded = rings["own_share_crowded"].to_numpy()
        self._own_share = np.where(np.isfinite(crowded), crowded, 1 - self._ambient)
        # The overall profile stands for a cell of unknown type.
        self._profiles = np.vstack([curve.profiles, types.overall])

    def add(
        self,
        windows: Windows,
        x_px: Floats,
        y_px: Floats,
        owner: Ids,
        column: npt.NDArray[np.int64],
    ) -> None:
        """Take in the cells and genes of the next transcripts."""
        at = np.flatnonzero(owner)
        found = windows.find(x_px[at], y_px[at])
        near = found.zone < len(self._ambient)
        at = at[near]
        found = Found(found.zone[near], found.nearest[near], found.second[near])
        mine, gene = owner[at], column[at]
        other = np.where(found.nearest == mine, found.second, found.nearest)
        row = rows_of(mine, self._cell_id)
        p_own = self._profiles[self._kind[row], gene]
        p_other = self._profiles[type_of(other, self._cell_id, self._kind), gene]
        ambient = self._ambient[found.zone]
        own = np.where(other > 0, self._own_share[found.zone], 1 - ambient)
        neighbour = np.where(other > 0, np.maximum(1 - ambient - own, 0), 0)
        p_ambient = self._curve.ambient.profile[gene]
        posterior = own * p_own / (own * p_own + neighbour * p_other + ambient * p_ambient)
        steps = np.rint(posterior * STEPS).astype(np.int64)
        self._own += np.bincount(row, steps, minlength=len(self._own)).astype(np.int64)
        self._n += np.bincount(row, minlength=len(self._n))

    @property
    def contamination(self) -> Floats:
        """``(cells,)``; NaN for a cell without transcripts."""
        n = np.where(self._n > 0, self._n, np.nan)
        return np.asarray(1 - self._own / STEPS / n)
