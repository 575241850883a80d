"""Find nuclei and cells of simulated tissues, pair them, and compare the pairs with the truth.

    OMP_NUM_THREADS=1 python benchmarks/nuclei_pairs.py [--seeds 3] [--weights tiny]

Prints for each tissue F1 of cells and nuclei at an IoU of 0.5, and, of the nuclei that were found
and whose true cell was found, the share that is paired with it. The same for the true masks, with
other numbers and shifted by up to 2 px.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import ndimage

import cellsam_core as cc


def partners(found: np.ndarray, true: np.ndarray) -> dict[int, int]:
    """Return the true label of each found label, at an IoU above 0.5."""
    n_true = int(true.max()) + 1
    keys, shared = np.unique(found.astype(np.int64) * n_true + true, return_counts=True)
    a, b = keys // n_true, keys % n_true
    union = np.bincount(found.ravel())[a] + np.bincount(true.ravel())[b] - shared
    hit = (a > 0) & (b > 0) & (2 * shared > union)
    return dict(zip(a[hit].tolist(), b[hit].tolist(), strict=True))


def right_pairs(
    cells: np.ndarray, nuclei: np.ndarray, true_cells: np.ndarray, true_nuclei: np.ndarray
) -> tuple[int, int]:
    """Count the right pairs, and the nuclei whose true cell was found."""
    _, table, _ = cc.pair_nuclei(cells, nuclei)
    of_cell, of_nucleus = partners(cells, true_cells), partners(nuclei, true_nuclei)
    known = set(of_cell.values())
    right = total = 0
    for nucleus, cell in zip(table["nucleus_id"], table["cell_id"], strict=True):
        true = of_nucleus.get(int(nucleus))
        if true is None or true not in known:
            continue
        total += 1
        right += of_cell.get(int(cell)) == true
    return right, total


def disturbed(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the labels with other numbers, shifted by up to 2 px."""
    order = np.append(0, rng.permutation(int(labels.max())) + 1)
    moved = ndimage.shift(labels, rng.integers(-2, 3, 2), order=0)
    return order[moved].astype(np.uint32)


def diameter_px(labels: np.ndarray) -> float:
    """Return the diameter of a disc of the median area."""
    areas = np.bincount(labels.ravel())[1:]
    return float(2 * np.sqrt(np.median(areas[areas > 0]) / np.pi))


def main() -> None:
    """Print one line for each tissue, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--weights", default="tiny")
    args = parser.parse_args()
    models = {t: cc.load_model(args.weights, device="cpu", target=t) for t in ("cell", "nucleus")}
    sums = np.zeros((2, 2), int)
    for seed in range(args.seeds):
        options = cc.TissueOptions(size_px=512, cells=150, transcripts=0)
        tissue = cc.simulate_tissue(seed=seed, options=options)
        true_cells, true_nuclei = tissue.labels, tissue.nucleus_labels
        diameters = [
            2
            * np.sqrt(np.median(np.bincount(t.ravel())[1:][np.bincount(t.ravel())[1:] > 0]) / np.pi)
            for t in (true_cells, true_nuclei)
        ]
        found = [
            cc.segment(
                tissue.image,
                models[target],
                cc.SegmentOptions(cell_diameter_px=diameter),
                channels=tissue.channels,
            )[0]
            for target, diameter in zip(("cell", "nucleus"), diameters, strict=True)
        ]
        scores = [
            cc.evaluate_segmentation(f, t)["f1_50"]
            for f, t in zip(found, (true_cells, true_nuclei), strict=True)
        ]
        own = right_pairs(*found, true_cells, true_nuclei)
        rng = np.random.default_rng(seed)
        given = right_pairs(
            true_cells.astype(np.uint32), disturbed(true_nuclei, rng), true_cells, true_nuclei
        )
        sums += np.array([own, given])
        print(
            f"seed {seed}: F1 of cells {scores[0]:.3f}, of nuclei {scores[1]:.3f}; pairs right"
            f" {own[0]} of {own[1]}, with true masks {given[0]} of {given[1]}",
            flush=True,
        )
    shares = 100 * sums[:, 0] / sums[:, 1]
    print(
        f"{args.weights}: {shares[0]:.1f} % of the pairs right, with true masks {shares[1]:.1f} %"
    )


if __name__ == "__main__":
    main()
