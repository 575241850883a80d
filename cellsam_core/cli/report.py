"""``cellsam-core report``: results of a sample to one HTML page and its provenance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    from cellsam_core.config.check import parse_config
    from cellsam_core.reporting.stage import report

    report(
        args.results,
        args.output,
        provenance=args.provenance,
        config=parse_config(args.config_json),
        benchmarks=args.benchmarks,
        bulk=args.bulk,
    )
