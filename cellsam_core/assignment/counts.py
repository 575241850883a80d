"""Transcripts to cells and cells to counts: pure functions on arrays.

Pixel rule, the same everywhere: pixel centres are at integer coordinates, so a point lies in pixel
``floor(p + 0.5)``; a point outside the image belongs to no cell.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse

from cellsam_core.errors import InputError
from cellsam_core.features import BLANK, GENE, classify_found, normalise_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    import pyarrow as pa


MIN_MERGE = 4_000_000  # transcripts: 32 MB of keys


class FeatureIndex:
    """Numbers features as they come, and remembers what each one is and how often it was seen.

    Parameters
    ----------
    panel
        Features that are known before, and what they are.

    Attributes
    ----------
    stripped
        Names that stood with spaces around them.
    by_name
        Features of which nothing but the name, or the panel, says what they are.
    """

    def __init__(self, panel: Mapping[str, str] | None = None) -> None:
        panel = panel or {}
        self._codes = {name: number for number, name in enumerate(panel)}
        self._types = list(panel.values())
        self._counts = np.zeros(len(panel), dtype=np.int64)
        self._not_seen = set(panel)
        self.stripped: set[str] = set()
        self.by_name: set[str] = set()

    @property
    def names(self) -> list[str]:
        """Features in the order of their numbers."""
        return list(self._codes)

    @property
    def types(self) -> list[str]:
        """``"gene"`` or class of control of each feature."""
        return self._types

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Transcripts of each feature so far."""
        return self._counts

    def add(
        self,
        codes: npt.NDArray[np.integer[Any]],
        names: Sequence[str],
        types: Sequence[str | None],
    ) -> npt.NDArray[np.int32]:
        """Give the transcripts of a chunk the numbers of their features.

        Parameters
        ----------
        codes
            ``(n,)`` indices into `names`.
        names, types
            Features that the chunk may have, those that it has are numbered; a type is None where
            the table doesn't say what a feature is, which then follows from the panel or its name.

        Returns
        -------
        ndarray
            ``(n,)`` int32, the features' numbers.

        Raises
        ------
        ValueError
            A feature is of two types.
        """
        numbers = np.full(len(names), -1, dtype=np.int32)
        # Dictionaries name more than their rows have: features of other planes or chunks, or a
        # whole panel. Those become no feature.
        for i in np.flatnonzero(np.bincount(codes, minlength=len(names))).tolist():
            numbers[i] = self._number(names[i], types[i])
        features: npt.NDArray[np.int32] = numbers[codes]
        counts = np.bincount(features, minlength=len(self._codes))
        counts[: len(self._counts)] += self._counts
        self._counts = counts
        return features

    def _number(self, given: str, type_: str | None) -> int:
        name = given.strip()
        if name != given:
            self.stripped.add(name)
        if type_ is None:
            self.by_name.add(name)
        kind = classify_found(name) if type_ is None else normalise_type(type_)
        number = self._codes.setdefault(name, len(self._codes))
        if number == len(self._types):
            self._types.append(kind)
        elif type_ is not None and name in self._not_seen:
            self._types[number] = kind  # the table knows better than the panel
        elif type_ is not None and self._types[number] != kind:
            raise ValueError(f"{name!r} is both {self._types[number]!r} and {kind!r}")
        self._not_seen.discard(name)
        return number


def number_features(
    path: str | Path, index: FeatureIndex, batch: pa.RecordBatch
) -> npt.NDArray[np.int32]:
    """Look up the features' numbers; the table's own feature types win over names.

    Raises
    ------
    InputError
        A feature is of two types.
    """
    feature = batch["feature"]
    codes, names = feature.indices.to_numpy(), feature.dictionary.to_pylist()
    if "feature_type" not in batch.schema.names:
        return index.add(codes, names, [None] * len(names))
    kind = batch["feature_type"]
    kinds = kind.dictionary.to_pylist()
    both = codes.astype(np.int64) * len(kinds) + kind.indices.to_numpy()
    pairs, codes = np.unique(both, return_inverse=True)
    pair_names = [names[pair // len(kinds)] for pair in pairs]
    try:
        return index.add(codes, pair_names, [kinds[pair % len(kinds)] for pair in pairs])
    except ValueError as error:
        raise InputError(
            path,
            found=f"feature {error}",
            expected="one feature_type for a feature",
            remedy="correct the column feature_type",
        ) from error


class CountTable:
    """Transcripts counted by (cell, feature), chunk by chunk; holds only non-zero counts."""

    def __init__(self) -> None:
        # A key is the cell's id in the upper 32 bits and the feature's number in the lower ones.
        self._keys = np.empty(0, dtype=np.uint64)
        self._counts = np.empty(0, dtype=np.int64)
        self._pending: list[npt.NDArray[np.uint64]] = []
        self._n_pending = 0

    def add(self, cell_id: npt.NDArray[np.uint32], feature: npt.NDArray[np.integer[Any]]) -> None:
        """Count a chunk.

        Parameters
        ----------
        cell_id, feature
            ``(n,)``: the cell (0 is skipped) and the index of the feature of each transcript.
        """
        keys = cell_id.astype(np.uint64) << np.uint64(32)
        keys |= feature.astype(np.uint64)
        self._pending.append(keys[cell_id > 0])
        self._n_pending += len(self._pending[-1])
        # Merging only when it pays keeps the whole cost near n log n.
        if self._n_pending > max(MIN_MERGE, len(self._keys)):
            self._merge()

    def _merge(self) -> None:
        if not self._pending:
            return
        pending = np.concatenate(self._pending)
        self._pending, self._n_pending = [], 0  # here, so that its memory is free for what follows
        pending.sort()
        starts = _run_starts(pending)
        counts = np.diff(starts, append=len(pending))
        keys = np.concatenate([self._keys, pending[starts]])
        counts = np.concatenate([self._counts, counts])
        order = np.argsort(keys, kind="stable")  # two sorted runs: no more than a merge
        keys = keys[order]
        starts = _run_starts(keys)
        self._keys = keys[starts]
        self._counts = np.add.reduceat(counts[order], starts) if len(starts) else counts

    @property
    def cell_id(self) -> npt.NDArray[np.uint32]:
        """Cells with at least one transcript, sorted."""
        self._merge()
        cells = (self._keys >> np.uint64(32)).astype(np.uint32)
        return cells[_run_starts(cells)]

    def matrix(self, cell_id: npt.NDArray[np.uint32], n_features: int) -> scipy.sparse.csr_matrix:
        """Make a matrix of the counts.

        Parameters
        ----------
        cell_id
            ``(cells,)`` sorted ids, one a row; every counted cell must be among them.
        n_features
            Number of columns.

        Returns
        -------
        scipy.sparse.csr_matrix
            ``(cells, n_features)`` int32.
        """
        self._merge()
        starts = np.searchsorted(self._keys, cell_id.astype(np.uint64) << np.uint64(32))
        column = (self._keys & np.uint64(0xFFFFFFFF)).astype(np.int32)
        shape = (len(cell_id), n_features)
        rows = np.append(starts, len(column))
        return scipy.sparse.csr_matrix((self._counts.astype(np.int32), column, rows), shape=shape)


def _run_starts(values: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Return the index at which each run of equal values begins."""
    is_start = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=is_start[1:])
    return np.flatnonzero(is_start)


def assignment_quality(
    features: pd.DataFrame, counts: scipy.sparse.csr_matrix, n_outside: int, n_contested: int
) -> dict[str, Any]:
    """Figures for the report, none of which hides what was left out.

    The misidentification rate is (blank counts / blanks) / (gene counts / genes), as MERlin's,
    over all transcripts of the input. Blanks and genes are those of the panel; where it is not
    known, those with at least one transcript. Genes whose errors no blank measures don't count.
    Without blanks or genes the rate is None.

    Parameters
    ----------
    features
        One row a feature: ``name``, ``feature_type``, ``n_transcripts``, ``is_measured``.
    counts
        ``(cells, features)``.
    n_outside
        Transcripts outside the image.
    n_contested
        Transcripts that more than one polygon covers.
    """
    is_gene = (features["feature_type"] == GENE).to_numpy()
    n_by_type = features.groupby("feature_type")["n_transcripts"].sum()
    blanks = features[features["feature_type"] == BLANK]
    genes = features[is_gene]
    n_rows, n_assigned = int(features["n_transcripts"].sum()), int(counts.sum())
    per_cell = np.asarray(counts[:, is_gene].sum(axis=1)).ravel()
    genes_per_cell = np.diff(counts[:, is_gene].indptr)
    rate = None
    measured = genes[genes["is_measured"]] if "is_measured" in genes else genes
    if len(blanks) and measured["n_transcripts"].sum() > 0:
        rate = float(blanks["n_transcripts"].mean() / measured["n_transcripts"].mean())
    return {
        "n_transcripts": n_rows,
        "n_assigned": n_assigned,
        "frac_assigned": n_assigned / n_rows if n_rows else None,
        "n_outside_image": n_outside,
        "n_contested": n_contested,
        "n_genes": len(genes),
        "n_genes_seen": int((genes["n_transcripts"] > 0).sum()),
        "n_transcripts_by_type": {str(name): int(n) for name, n in sorted(n_by_type.items())},
        "controls": features["name"][~is_gene].to_list(),
        "n_control_transcripts": int(features["n_transcripts"][~is_gene].sum()),
        "n_control_transcripts_assigned": int(counts[:, ~is_gene].sum()),
        "n_blanks": len(blanks),
        "n_blanks_seen": int((blanks["n_transcripts"] > 0).sum()),
        "max_blank_transcripts": int(blanks["n_transcripts"].max()) if len(blanks) else None,
        "misidentification_rate": rate,
        "n_cells": counts.shape[0],
        "n_cells_without_transcripts": int((per_cell == 0).sum()),
        "median_transcripts_per_cell": float(np.median(per_cell)) if len(per_cell) else None,
        "median_genes_per_cell": float(np.median(genes_per_cell)) if len(per_cell) else None,
    }
