"""``cellsam-core finetune``: adapt the weights to a user's few labelled images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.options import add_options, from_arguments
from cellsam_core.training.options import FinetuneOptions

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, help="1 to 20 images <id>.tif or .png, each with <id>_label"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="file to write, WEIGHTS.safetensors"
    )
    parser.add_argument(
        "--validation",
        type=Path,
        help="folder of labelled images to validate with; else a part of FOLDER is held out",
    )
    text = "file for the scores on the held-out cells before and after, as JSON"
    parser.add_argument("--scores", type=Path, metavar="JSON", help=text)
    add_options(parser, FinetuneOptions)


def run(args: argparse.Namespace) -> None:
    options = from_arguments(FinetuneOptions, args)
    from cellsam_core.training.stage import finetune

    finetune(args.folder, args.output, options, validation=args.validation, scores=args.scores)
