"""``cellsam-core train``: the tiny model, from a manifest of labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.cli.limits import MAX_SEED, refuse_outside
from cellsam_core.models import refuse_published
from cellsam_core.training.plan import TrainingPlan

if TYPE_CHECKING:
    import argparse

PLAN = TrainingPlan()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "manifest",
        type=Path,
        help="tab-separated: set, image, label, modality, split and, if need be, weight",
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
    parser.add_argument(
        "--weights", help="to start from, a name or a path; without it, from nothing"
    )
    parser.add_argument(
        "--steps", type=int, default=PLAN.n_steps, help="optimiser steps of both stages"
    )
    parser.add_argument(
        "--stage2-share",
        type=float,
        default=PLAN.stage2_share,
        help="fraction of the steps that tune masks",
    )
    parser.add_argument(
        "--simulated-share",
        type=float,
        default=PLAN.simulated_share,
        help="fraction of simulated crops",
    )
    parser.add_argument(
        "--candidates",
        type=int,
        default=PLAN.n_candidates,
        help="proposals a cell may claim; 1 is one to one",
    )
    parser.add_argument("--seed", type=int, default=PLAN.seed, help="of weights and crops")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.segmentation.weights import load_trainable, save
    from cellsam_core.training.labelled import load_manifest, refuse_without_cells
    from cellsam_core.training.loop import train

    _check(args)
    images = load_manifest(args.manifest, args.data, "train")
    if args.simulated_share < 1:
        refuse_without_cells(args.manifest, images)
    plan = TrainingPlan(
        n_steps=args.steps,
        stage2_share=args.stage2_share,
        simulated_share=args.simulated_share,
        n_candidates=args.candidates,
        seed=args.seed,
    )
    start = None if args.weights is None else load_trainable(args.weights)
    save(train(images, plan, args.output, start=start), args.output / "weights.safetensors")


def _check(args: argparse.Namespace) -> None:
    refuse_outside("option `steps`", args.steps, 1)
    refuse_outside("option `candidates`", args.candidates, 1)
    refuse_outside("option `seed`", args.seed, 0, MAX_SEED)
    refuse_outside("option `stage2_share`", args.stage2_share, 0, 1)
    refuse_outside("option `simulated_share`", args.simulated_share, 0, 1)
    if args.weights is not None:
        refuse_published(args.weights)
