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
    from cellsam_core.reporting.stage import report

    report(
        args.results,
        args.output,
        provenance=args.provenance,
        config=parse_config(args.config_json),
        benchmarks=args.benchmarks,
        bulk=args.bulk,
    )


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
