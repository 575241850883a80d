"""``cellsam-core check``: all samples and options against the data; status 1 if one is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.cli.project import add_project_arguments
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_project_arguments(parser)


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
