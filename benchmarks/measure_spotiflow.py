"""Spotiflow beside the Laplacian of Gaussian on simulated bits: a table of docs/decoding.md.

``python benchmarks/measure_spotiflow.py train MODEL`` trains a small network from scratch, in
minutes, ``python benchmarks/measure_spotiflow.py measure MODEL`` finds spots of single
bits and decodes molecules.

spotiflow must be installed. Training sees other fields than those that are measured.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from measure_decoding import MATCH_RADIUS_PX, Exposed, at_target, decode, expose, score
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.spatial import cKDTree

from cellsam_core.decoding.spotiflow import open_spotiflow
from cellsam_core.decoding.spots import band_pass, find_peaks, noise_level, refine
from cellsam_core.simulation.rounds import RoundsSpec

if TYPE_CHECKING:
    from cellsam_core.decoding.field import Detector

SIZE_PX = 256
EPOCHS = 20


def true_spots(field: Exposed, bit: int) -> np.ndarray:
    """Places ``(n, 2)`` of the spots in the image of a bit."""
    yx = field.yx[field.peaks[:, bit] > 0] + field.rounds.drift_yx[field.round_of_bit[bit]]
    return yx[((yx > -0.5) & (yx < SIZE_PX - 0.5)).all(axis=1)]


def train(folder: Path) -> None:
    """Train on the bits of two fields, keep the best on those of a third."""
    import torch
    from spotiflow.model import Spotiflow, SpotiflowModelConfig

    torch.manual_seed(0)
    fields = [expose("merfish", 1000, seed, SIZE_PX) for seed in range(3)]
    images = [[image.astype(np.float32) for image in field.rounds.bits] for field in fields]
    spots = [[true_spots(field, b) for b in range(len(field.rounds.bits))] for field in fields]
    model = Spotiflow(SpotiflowModelConfig(initial_fmaps=8, levels=2))
    model.fit(
        images[0] + images[1],
        spots[0] + spots[1],
        images[2],
        spots[2],
        save_dir=str(folder),
        train_config={
            "num_epochs": EPOCHS,
            "crop_size": 128,
            "lr": 3e-3,
            "optimize_threshold": True,
        },
        device="cpu",
    )


def log_spots(image: np.ndarray, noise_levels: float) -> np.ndarray:
    """Peaks of the Laplacian of Gaussian of at least so many noise levels."""
    filtered = band_pass(image.astype(np.float32), RoundsSpec().sigma_px)
    row, column = find_peaks(filtered, noise_levels * noise_level(filtered))
    return np.stack(refine(filtered, row, column), axis=1)


def n_matched(found: np.ndarray, truth: np.ndarray) -> int:
    """Pairs of a spot that is found and a true one within 2 px, each in one pair at most."""
    near = cKDTree(found).sparse_distance_matrix(cKDTree(truth), MATCH_RADIUS_PX)
    return int((maximum_bipartite_matching(near.tocsr()) >= 0).sum())


def report_spots(fields: list[Exposed], detectors: dict[str, Detector]) -> None:
    """Print recall and precision of the spots of all bits."""
    print("| spots of single bits by | recall | precision |")
    print("|---|---|---|")
    for name, detect in detectors.items():
        n_found = n_true = n_right = 0
        for field in fields:
            for bit, image in enumerate(field.rounds.bits):
                found, truth = detect(image), true_spots(field, bit)
                n_found, n_true = n_found + len(found), n_true + len(truth)
                n_right += n_matched(found, truth)
        print(f"| {name} | {n_right / n_true:.3f} | {n_right / n_found:.3f} |", flush=True)


def report_decoded(fields: list[Exposed], detectors: dict[str, Detector | None]) -> None:
    """Print recall and error rates of the molecules of a sample, at the 5 % asked for."""
    print("| molecules decoded with | recall | true rate | measured by blanks |")
    print("|---|---|---|---|")
    for name, detect in detectors.items():
        decoded = [decode(field, detect) for field in fields]
        kept = at_target(decoded[0].book, [field.calls for field in decoded])
        print(f"| {name} | {score(decoded, kept)} |", flush=True)


def measure(folder: Path) -> None:
    """Print both tables."""
    fields = [expose("merfish", 0, seed, SIZE_PX) for seed in range(4)]
    limits = {"its own limit": None, "limit 0.1": 0.1, "limit 0.5": 0.5}
    networks = {
        f"spotiflow, {name}": open_spotiflow(str(folder), limit) for name, limit in limits.items()
    }
    filters = {
        f"LoG, {n} noise levels": functools.partial(log_spots, noise_levels=n) for n in (4, 6, 8)
    }
    report_spots(fields, filters | networks)
    report_decoded(fields, {"LoG": None} | networks)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("train", "measure"))
    parser.add_argument("model", type=Path, help="folder of the trained model")
    args = parser.parse_args()
    {"train": train, "measure": measure}[args.what](args.model)
