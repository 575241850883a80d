"""``cellsam-core overview``: verdict and chief numbers of all samples, as a table and a page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "results", type=Path, help="folder with the results of all samples; the files go there"
    )
    parser.add_argument(
        "--logs", type=Path, default=Path("logs"), metavar="DIR", help="folder of the logs"
    )


def run(args: argparse.Namespace) -> None:
    from cellsam_core.reporting.overview import overview

    table = overview(args.results, logs=args.logs)
    columns = ["sample", "state", "verdict", "red", "stage", "reason"]
    print(table[columns].fillna("").to_csv(sep="\t", index=False), end="")
