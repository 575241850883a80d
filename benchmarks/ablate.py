"""Train the tiny model without one ingredient at a time and score what is left.

    python benchmarks/ablate.py cellsam_core/segmentation/weights/tiny_data.tsv --data DATA -o OUT

Runs are short (600 steps where the shipped weights took 13,000), so that all fit in an hour or
two of one CPU core: the differences count, not the scores. Prints a table of
F1 at an IoU of 0.5, mean over the images of each kind, with the true cell diameter.
A killed run goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
import torch

from cellsam_core.benchmark.images import manifest_entries
from cellsam_core.benchmark.methods import cellsam
from cellsam_core.benchmark.score import ALL_SETS, run_methods, summary_table
from cellsam_core.segmentation.tiny.predict import Segmenter
from cellsam_core.segmentation.weights import load_network, save
from cellsam_core.training.labelled import load_manifest
from cellsam_core.training.loop import train
from cellsam_core.training.plan import TrainingPlan

VARIANTS: dict[str, dict[str, float]] = {
    "base": {},
    "no_simulator": {"simulated_share": 0.0},
    "one_to_one": {"n_candidates": 1},
    "no_stage2": {"stage2_share": 0.0},
}


def main() -> None:
    """Train what is not trained yet, then score everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=600)
    args = parser.parse_args()
    images = load_manifest(args.manifest, args.data, "train")
    files = {}
    for name, changed in VARIANTS.items():
        folder = args.output / name
        plan = TrainingPlan(n_steps=args.steps, **changed)  # type: ignore[arg-type]
        files[name] = folder / "weights.safetensors"
        save(train(images, plan, folder), files[name])
    raw = torch.load(args.output / "base" / "checkpoint.pt", weights_only=True)["model"]
    files["no_ema"] = args.output / "base" / "raw.safetensors"
    save(raw, files["no_ema"])
    entries = manifest_entries(args.manifest, args.data, ["validation", "test"])
    scores = {}
    for name, path in files.items():
        segmenter = Segmenter(load_network(str(path), "cpu"), "cpu")
        method = {"cellsam": cellsam(segmenter, tile_px=512, min_area_px=25)}
        table = summary_table(run_methods(entries, method, "truth"))
        kinds = table[table["set"] == ALL_SETS].set_index(["split", "modality"])
        scores[name] = kinds["f1_50"]
    print(pd.DataFrame(scores).round(3).to_string())


if __name__ == "__main__":
    main()
