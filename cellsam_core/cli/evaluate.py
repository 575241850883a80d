"""``cellsam-core evaluate``: scores against ground truth, as JSON on standard output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", required=True)
    masks = what.add_parser("segmentation", help="label images against label images of one name")
    masks.add_argument("predicted", type=Path, help="folder of label images")
    masks.add_argument("truth", type=Path, help="folder with <name>.tif or <name>_label.tif|png")
    tracks = what.add_parser("tracking", help="Cell Tracking Challenge folders")
    tracks.add_argument("predicted", type=Path, help="folder with mask*.tif and res_track.txt")
    tracks.add_argument("truth", type=Path, help="folder with man_track*.tif and man_track.txt")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.evaluation.stage import evaluate_segmentation, evaluate_tracking

    evaluate = evaluate_segmentation if args.what == "segmentation" else evaluate_tracking
    print(json.dumps(evaluate(args.predicted, args.truth), indent=1))
