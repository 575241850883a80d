"""Measure how far transcripts follow the cells of their own section, and of other ones.

``python benchmarks/measure_registration.py [--seeds 6]`` simulates sections, takes their true
labels, and prints the measures `follows_cells` and `density_ratio` of the verdict, sorted:
transcripts of the section itself (all, and the first 500), of each other section, and of the
section with its axes exchanged or mirrored. The limits of ``docs/verdict.md`` come from it.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

import cellsam_core as cc
from cellsam_core.verdict.registration import (
    BINS_PER_DIAMETER,
    REACH_DIAMETERS,
    bin_means,
    register,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Map = NDArray[np.float64]

OPTIONS = cc.TissueOptions(size_px=384, cells=100, transcripts=5000, z_planes=1)
FEW = 500


def main() -> None:
    """Simulate, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=6)
    args = parser.parse_args()
    sections = [section(seed) for seed in range(args.seeds)]
    found: dict[str, list[tuple[float, float]]] = {}
    for (a, (labels, own)), (b, (_, xy)) in product(enumerate(sections), repeat=2):
        found.setdefault("own" if a == b else "other section", []).append(measures(labels, xy))
        if a == b:
            found.setdefault(f"own, {FEW} transcripts", []).append(measures(labels, own[:FEW]))
            last = OPTIONS.size_px - 1
            for moved in (own[:, ::-1], [last, 0] + own * [-1, 1], [0, last] + own * [1, -1]):
                found.setdefault("exchanged or mirrored", []).append(measures(labels, moved))
    for name, values in found.items():
        for k, measure in enumerate(("follows_cells", "density_ratio")):
            print(
                f"{name}, {measure}:", *(f"{value:.2f}" for value in sorted(v[k] for v in values))
            )


def section(seed: int) -> tuple[NDArray[np.integer], Map]:
    """Simulate a section; return its labels ``(y, x)`` and its transcripts ``(n, 2)``, x and y."""
    tissue = cc.simulate_tissue(seed=seed, options=OPTIONS)
    labels = np.asarray(tissue.labels)
    xy = tissue.transcripts[["x_px", "y_px"]].to_numpy(np.float64)
    return labels if labels.ndim == 2 else labels[0], xy


def measures(labels: NDArray[np.integer], xy: Map) -> tuple[float, float]:
    """Measure how far transcripts follow the cells, and how much denser they are there."""
    areas = np.unique(labels[labels > 0], return_counts=True)[1]
    diameter = float(np.sqrt(4 * np.median(areas) / np.pi))
    bin_px = max(1, round(diameter / BINS_PER_DIAMETER))
    cover = bin_means((labels > 0).astype(np.float64), bin_px)
    column, row = np.floor((xy + 0.5) / bin_px).astype(np.int64).T
    inside = (row >= 0) & (row < cover.shape[0]) & (column >= 0) & (column < cover.shape[1])
    counts = np.zeros(cover.shape)
    np.add.at(counts, (row[inside], column[inside]), 1)
    found = register([cover], [counts], round(REACH_DIAMETERS * diameter / bin_px))
    return (np.nan, np.nan) if found is None else (found.sigma, found.density_ratio)


if __name__ == "__main__":
    main()
