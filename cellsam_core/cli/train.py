"""``cellsam-core train``: the tiny model, from a manifest of labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "manifest", type=Path, help="tab-separated: image, label, modality, split, licence"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder the manifest's paths are in"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="folder for weights, checkpoint and loss curve",
    )
    parser.add_argument("--steps", type=int, default=4200, help="optimiser steps of both stages")
    parser.add_argument(
        "--simulated-share", type=float, default=0.25, help="fraction of simulated crops"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights and crops")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.segment.dataset import load_manifest
    from cellsam_core.segment.train import TrainingPlan, train
    from cellsam_core.segment.weights import save

    images = load_manifest(args.manifest, args.data, "train")
    plan = TrainingPlan(n_steps=args.steps, simulated_share=args.simulated_share, seed=args.seed)
    save(train(images, plan, args.output), args.output / "weights.safetensors")
