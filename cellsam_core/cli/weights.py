"""``cellsam-core weights``: what is available, its checksum and licence; the published ones."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="names and licences of the shipped weights")
    show = actions.add_parser("info", help="file, sha256 and licence as JSON")
    show.add_argument("name", help="a shipped name or a path")
    fetch = actions.add_parser(
        "fetch",
        help="download weights that are not shipped: those of the published CellSAM with your own"
        " access token, which the environment variable DEEPCELL_ACCESS_TOKEN holds (a download"
        " that was cut goes on), or a model of another package, such as cellpose:cyto3",
    )
    fetch.add_argument("name", nargs="?", default="vit_b", help="vit_b, or PACKAGE:MODEL")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.models import BACKENDS, backend_of
    from cellsam_core.segmentation.weights import LICENCES, VIT_B, info

    if args.action == "list":
        for name, licence in LICENCES.items():
            print(f"{name}\t{licence}")
        for name, title in BACKENDS.items():
            print(f"{name}:MODEL\tthat of the model; the package {title} must be installed")
        return
    if args.action == "fetch" and backend_of(args.name):
        from cellsam_core.segmentation.backends.models import fetch

        fetch(args.name)
    elif args.action == "fetch" and args.name == "vit_b" and not VIT_B.exists():
        from cellsam_core.segmentation.fetch import TOKEN, fetch_weights

        fetch_weights(VIT_B, os.environ.get(TOKEN))
    print(json.dumps(asdict(info(args.name)), indent=1))
