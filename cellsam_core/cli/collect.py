"""``cellsam-core collect``: corrected regions become labelled images for ``finetune``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "folder `results` of a run, or the folder of one sample in it"
    parser.add_argument("results", type=Path, help=text)
    text = "folder of the tables of corrections, instead of those that the run reads"
    parser.add_argument("--corrections", type=Path, metavar="DIR", help=text)
    text = "folder for the labelled images; a part is held out in its folder `validation`"
    parser.add_argument("-o", "--output", type=Path, required=True, help=text)


def run(args: argparse.Namespace) -> None:
    from cellsam_core.training.collect import collect

    collect(args.results, args.output, corrections=args.corrections)
