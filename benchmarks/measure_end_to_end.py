"""Compare a finished run on simulated raw rounds with the truth; where counts are lost.

``cellsam-core simulate merfish --raw-rounds -o raw``, a run of the workflow on it, then
``python benchmarks/measure_end_to_end.py results/raw raw``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import tifffile

from cellsam_core.evaluation.segmentation import find_overlaps, match
from cellsam_core.labels.source import open_labels
from cellsam_core.samples.affine import apply_affine
from cellsam_core.samples.manifest import Manifest


def count(cell: np.ndarray, gene: pd.Series, cells: np.ndarray, genes: list[str]) -> np.ndarray:
    """Count ``(cells, genes)``; cell 0 and other cells are left out."""
    row = pd.Index(cells).get_indexer(cell)
    column = pd.Index(genes).get_indexer(gene)
    matrix = np.zeros((len(cells), len(genes)), dtype=int)
    is_in = (row >= 0) & (column >= 0)
    np.add.at(matrix, (row[is_in], column[is_in]), 1)
    return matrix


def at(labels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Labels under points in pixels."""
    row, column = np.rint(y).astype(int), np.rint(x).astype(int)
    return labels[row.clip(0, len(labels) - 1), column.clip(0, labels.shape[1] - 1)]


def agreement(found: np.ndarray, true: np.ndarray) -> str:
    """Pearson r of the totals of cells and of all cell by gene counts, and the share counted."""
    totals = np.corrcoef(found.sum(axis=1), true.sum(axis=1))[0, 1]
    single = np.corrcoef(found.ravel(), true.ravel())[0, 1]
    return f"{totals:.3f} | {single:.3f} | {found.sum() / true.sum():.3f}"


def main() -> None:
    """Print one row for each source of loss."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("raw", type=Path)
    args = parser.parse_args()
    manifest = Manifest.load(args.results / "0_manifest.json")
    assert manifest.transcripts is not None
    table = anndata.read_h5ad(args.results / "3_cells/cells.h5ad")
    ours = np.asarray(open_labels(args.results / "2_masks/masks.zarr").frame(0)).astype(np.int64)
    theirs = tifffile.imread(args.raw / "truth/labels.tif").astype(np.int64)
    molecules = pd.read_csv(args.raw / "truth/transcripts.csv")
    decoded = pd.read_parquet(args.results / "3_cells/transcripts.parquet")
    decoded = decoded[decoded["feature_type"] == "gene"]
    um = decoded[["x_um", "y_um"]].to_numpy().T
    x, y = apply_affine(np.array(manifest.transcripts.um_to_px), um)
    overlaps = find_overlaps(ours, theirs)
    pairs = match(overlaps, 0.5)
    rows, columns = overlaps.rows[pairs], overlaps.columns[pairs]
    mine, true = np.setdiff1d(ours, 0)[rows], np.setdiff1d(theirs, 0)[columns]
    genes = sorted(set(molecules["gene"]))
    feature = decoded["feature"].astype(str)
    expected = count(molecules["cell_id"].to_numpy(), molecules["gene"], true, genes)
    xy = molecules["x_px"].to_numpy(), molecules["y_px"].to_numpy()
    in_table = pd.Index(table.obs["cell_id"].astype(int)).get_indexer(mine)
    final = table[in_table].to_df().reindex(columns=genes, fill_value=0).to_numpy().astype(int)
    print(f"{len(np.unique(theirs)) - 1} true cells, {len(mine)} found at IoU 0.5")
    print("| counts with | r of totals | r of cell by gene | share of true counts |")
    print("|---|---|---|---|")
    print(f"| all of it | {agreement(final, expected)} |")
    decoding = count(at(theirs, x, y), feature, true, genes)
    print(f"| our decoding, true cells | {agreement(decoding, expected)} |")
    segmentation = count(at(ours, *xy), molecules["gene"], mine, genes)
    print(f"| true molecules, our cells | {agreement(segmentation, expected)} |")
    assignment = count(at(theirs, *xy), molecules["gene"], true, genes)
    print(f"| true molecules, true cells | {agreement(assignment, expected)} |")


if __name__ == "__main__":
    main()
