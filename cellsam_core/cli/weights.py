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
        help="download the published CellSAM's weights with your own access token, which the"
        " environment variable DEEPCELL_ACCESS_TOKEN holds; a download that was cut goes on",
    )
    fetch.set_defaults(name="vit_b")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.segmentation.weights import LICENCES, VIT_B, info

    if args.action == "list":
        for name, licence in LICENCES.items():
            print(f"{name}\t{licence}")
        return
    if args.action == "fetch" and not VIT_B.exists():
        from cellsam_core.segmentation.fetch import TOKEN, fetch_weights

        fetch_weights(VIT_B, os.environ.get(TOKEN))
    print(json.dumps(asdict(info(args.name)), indent=1))
