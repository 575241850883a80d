"""``cellsam-core weights``: what is available, its checksum and licence."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("list", help="names and licences of the shipped weights")
    show = actions.add_parser("info", help="file, sha256 and licence as JSON")
    show.add_argument("name", help="a shipped name or a path")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.segment.weights import LICENCES, info

    if args.action == "list":
        for name, licence in LICENCES.items():
            print(f"{name}\t{licence}")
    else:
        print(json.dumps(asdict(info(args.name)), indent=1))
