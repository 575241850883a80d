"""``cellsam-core check-options``: options of a sample against its data."""

from __future__ import annotations

import json
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
    parser.add_argument("-o", "--output", type=Path, required=True, help="JSON file to write")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.config.check import check_sample, parse_config
    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.samples.manifest import Manifest
    from cellsam_core.version import SCHEMA_VERSION

    settings = parse_config(args.config_json)
    settings.pop("sample", None)
    facts = check_sample(Manifest.load(args.manifest), settings)
    with atomic_path(args.output) as temporary:
        text = json.dumps({"schema_version": SCHEMA_VERSION} | facts, indent=1)
        temporary.write_text(f"{text}\n", encoding="utf-8")
