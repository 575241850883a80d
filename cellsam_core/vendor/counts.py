"""Transcripts of both kinds of cells, counted while the table is streamed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from cellsam_core.assignment.counts import CountTable, FeatureIndex, number_features
from cellsam_core.features import GENE
from cellsam_core.labels.lookup import lookup
from cellsam_core.samples.affine import pixel_size_of
from cellsam_core.samples.panel import read_panel
from cellsam_core.samples.transcripts import iter_transcripts

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy.sparse import csr_matrix

    from cellsam_core.labels.tiles import LabelTiles
    from cellsam_core.samples.manifest import TranscriptSource

    Ids = npt.NDArray[np.uint32]
    Whole = npt.NDArray[np.int64]

SQUARE_UM = 50.0
N_PLACES = 6


class Pairing(NamedTuple):
    """Cells of both kinds: ids, and the place in `theirs` of the partner of each of `ours`, or -1.

    `tiles_ours` and `tiles_theirs` are the label images.
    """

    ours: Ids
    theirs: Ids
    partner: npt.NDArray[np.intp]
    tiles_ours: LabelTiles
    tiles_theirs: LabelTiles


@dataclass(frozen=True)
class BothCounts:
    """Counts of genes in both kinds of cells.

    Attributes
    ----------
    genes
        Names, sorted.
    ours, theirs
        ``(cells, genes)``.
    total
        ``(genes,)`` transcripts in the table.
    n_rows
        Transcripts of genes.
    n_controls
        Transcripts of controls in our and in their cells.
    n_common
        ``(cells,)`` transcripts that each of our cells has in common with its partner.
    changed
        ``(y, x)`` transcripts that change their cell, for each square of `SQUARE_UM`.
    """

    genes: list[str]
    ours: csr_matrix
    theirs: csr_matrix
    total: Whole
    n_rows: int
    n_controls: tuple[int, int]
    n_common: Whole
    changed: Whole

    def places(self, shape_um: tuple[float, float]) -> list[tuple[int, int, int]]:
        """Return row, column and number of the squares that differ most, fewer in a small tissue.

        The picture of a square is as large as the square, and is moved into the image of height
        and width `shape_um`. No two of the pictures overlap.
        """
        left, found = self.changed.copy(), []
        starts = [
            np.minimum(np.arange(n) * SQUARE_UM, max(size - SQUARE_UM, 0.0))
            for n, size in zip(left.shape, shape_um, strict=True)
        ]
        for _ in range(N_PLACES):
            row, column = np.unravel_index(int(np.argmax(left)), left.shape)
            if left[row, column] == 0:
                break
            found.append((int(row), int(column), int(left[row, column])))
            is_near = [
                abs(each - each[at]) < SQUARE_UM
                for each, at in zip(starts, (row, column), strict=True)
            ]
            left[np.ix_(*is_near)] = 0
        return found


def count_both(source: TranscriptSource, pairing: Pairing) -> BothCounts:
    """Count the transcripts of both kinds of cells.

    Parameters
    ----------
    source
        The transcripts.
    pairing
        Both kinds of cells.
    """
    square_px = SQUARE_UM / pixel_size_of(np.array(source.um_to_px))
    height, width = (int(size / square_px) + 1 for size in pairing.tiles_ours.shape_yx)
    index = FeatureIndex(read_panel(source.panel))
    tables = CountTable(), CountTable()
    common = np.zeros(len(pairing.ours), dtype=np.int64)
    changed = np.zeros(height * width, dtype=np.int64)
    n_controls = [0, 0]
    for batch in iter_transcripts(source):
        feature = number_features(source.path, index, batch)
        x, y = (batch[name].to_numpy() for name in ("x_px", "y_px"))
        is_gene = np.array([kind == GENE for kind in index.types])[feature]
        owners, inside = [], np.ones(len(x), dtype=bool)
        for i, tiles in enumerate((pairing.tiles_ours, pairing.tiles_theirs)):
            owner, inside = lookup(tiles, x, y)
            n_controls[i] += int(np.count_nonzero(owner[~is_gene]))
            owners.append(np.where(is_gene, owner, 0).astype(np.uint32))
            tables[i].add(owners[-1], feature)
        row, is_same = _is_same(pairing, *owners)
        common += np.bincount(row[is_same], minlength=len(common)).astype(np.int64)
        differs = ~is_same & ((owners[0] > 0) | (owners[1] > 0)) & inside
        at = ((y[differs] + 0.5) // square_px).astype(np.int64) * width
        at += ((x[differs] + 0.5) // square_px).astype(np.int64)
        changed += np.bincount(at, minlength=len(changed)).astype(np.int64)
    kinds = zip(index.names, index.types, strict=True)
    genes = sorted(name for name, kind in kinds if kind == GENE)
    order = np.array([index.names.index(name) for name in genes], dtype=np.intp)
    matrices = [
        table.matrix(ids, len(index.names))[:, order]
        for table, ids in zip(tables, (pairing.ours, pairing.theirs), strict=True)
    ]
    total = index.counts[order]
    controls = n_controls[0], n_controls[1]
    grid = changed.reshape(height, width)
    ours, theirs = matrices
    return BothCounts(genes, ours, theirs, total, int(total.sum()), controls, common, grid)


def _is_same(
    pairing: Pairing, ours: Ids, theirs: Ids
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the row of our cell, and whether the transcript is in the partner of that cell."""
    if not len(pairing.ours) or not len(pairing.theirs):
        return np.zeros(len(ours), dtype=np.intp), np.zeros(len(ours), dtype=bool)
    row = np.minimum(np.searchsorted(pairing.ours, ours), len(pairing.ours) - 1)
    partner = pairing.partner[row]
    same = (ours > 0) & (partner >= 0) & (pairing.theirs[partner] == theirs)
    return row, same


def genes_table(counts: BothCounts) -> pd.DataFrame:
    """Tabulate each gene: transcripts in both kinds of cells, and their ratio with its interval."""
    ours, theirs = (
        np.asarray(matrix.sum(axis=0)).ravel() for matrix in (counts.ours, counts.theirs)
    )
    both = (ours > 0) & (theirs > 0)
    a, b = np.where(both, ours, 1), np.where(both, theirs, 1)
    ratio, wide = a / b, np.exp(1.96 * np.sqrt(1 / a + 1 / b))
    return pd.DataFrame(
        {
            "gene": counts.genes,
            "n_transcripts": counts.total,
            "n_ours": ours,
            "n_vendor": theirs,
            "ratio": np.where(both, ratio, np.nan),
            "ratio_low": np.where(both, ratio / wide, np.nan),
            "ratio_high": np.where(both, ratio * wide, np.nan),
        }
    )
