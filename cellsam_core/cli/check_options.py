"""``cellsam-core check-options``: options of a sample against its data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("manifest", type=Path, help="0_manifest.json of the sample")
    parser.add_argument(
        "--config-json",
        default="{}",
        metavar="JSON",
        help="options of the sample: section of the config to its keys and values",
    )


def run(args: argparse.Namespace) -> None:
    from cellsam_core.config.check import check_sample, parse_config
    from cellsam_core.samples.manifest import Manifest

    settings = parse_config(args.config_json)
    settings.pop("sample", None)
    check_sample(Manifest.load(args.manifest), settings)
