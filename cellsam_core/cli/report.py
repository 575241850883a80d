"""``cellsam-core report``: results of a sample to one HTML page and its provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", type=Path, help="results folder of the sample")
    parser.add_argument("-o", "--output", type=Path, required=True, help="HTML file to write")
    parser.add_argument("--provenance", type=Path, required=True, help="JSON file to write")
    parser.add_argument(
        "--config-json", default="{}", metavar="JSON", help="configuration to record, a JSON object"
    )
    parser.add_argument(
        "--benchmarks", type=Path, metavar="DIR", help="folder with Snakemake's benchmark files"
    )
    parser.add_argument(
        "--bulk",
        type=Path,
        metavar="CSV|TSV",
        help="table with the columns gene and value, e.g. TPM, to compare transcripts with",
    )


def run(args: argparse.Namespace) -> None:
    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.reporting.build import build_report
    from cellsam_core.reporting.provenance import provenance
    from cellsam_core.reporting.results import Results

    config = parse_config(args.config_json)
    results = Results.load(args.results, args.bulk)
    record = provenance(results, config)
    page = build_report(results, record, args.benchmarks)
    with atomic_path(args.provenance) as path:
        path.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    with atomic_path(args.output) as path:
        path.write_text(page, encoding="utf-8")


def parse_config(text: str) -> dict[str, Any]:
    """Parse ``--config-json``; InputError unless it is a JSON object."""
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        config = error
    if not isinstance(config, dict):
        raise InputError(
            "--config-json",
            found=repr(text[:80]),
            expected="a JSON object",
            remedy="pass the configuration as one quoted JSON string",
        )
    return config
