"""``cellsam-core train``: the tiny model, from a manifest of labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "manifest", type=Path, help="tab-separated: set, image, label, modality, split, weight"
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder the manifest's paths are in"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="folder for weights, checkpoint and loss curve; a killed run goes on there",
    )
    parser.add_argument("--steps", type=int, default=8000, help="optimiser steps of both stages")
    parser.add_argument(
        "--stage2-share", type=float, default=0.1, help="fraction of the steps that tune masks"
    )
    parser.add_argument(
        "--simulated-share", type=float, default=0.3, help="fraction of simulated crops"
    )
    parser.add_argument(
        "--candidates", type=int, default=7, help="proposals a cell may claim; 1 is one to one"
    )
    parser.add_argument("--seed", type=int, default=0, help="of weights and crops")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.segment.labelled import load_manifest
    from cellsam_core.segment.train import TrainingPlan, train
    from cellsam_core.segment.weights import save

    images = load_manifest(args.manifest, args.data, "train")
    plan = TrainingPlan(
        n_steps=args.steps,
        stage2_share=args.stage2_share,
        simulated_share=args.simulated_share,
        n_candidates=args.candidates,
        seed=args.seed,
    )
    save(train(images, plan, args.output), args.output / "weights.safetensors")
