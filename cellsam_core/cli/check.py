"""``cellsam-core check``: all samples and options against the data; status 1 if one is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--configfile",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="config files that change keys of config/config.yaml, as with Snakemake",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(),
        metavar="PROJECT",
        help="folder in which Snakemake will run",
    )


def run(args: argparse.Namespace) -> None:
    from cellsam_core.first_steps.check import check

    result = check(args.configfile, folder=args.directory)
    print(result.text(), flush=True)
    if not result.is_ready:
        wrong = [sample.sample for sample in result.samples if sample.problem]
        raise InputError(
            "the check",
            found=f"{len(wrong)} sample(s) that can't be run" if wrong else "too little free disk",
            expected="none" if wrong else f"{result.disk_gb:.2g} GB",
            remedy="correct what the lines above name, and check again",
        )
