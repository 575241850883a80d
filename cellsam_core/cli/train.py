"""``cellsam-core train``: the tiny model, from a manifest of labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.options import add_options, from_arguments
from cellsam_core.training.options import TrainOptions

if TYPE_CHECKING:
    import argparse


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
    add_options(parser, TrainOptions)


def run(args: argparse.Namespace) -> None:
    options = from_arguments(TrainOptions, args)  # before torch is imported, which takes seconds
    from cellsam_core.training.stage import train

    train(args.manifest, args.data, args.output, options)
