"""``cellsam-core export``: the cells of a sample for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.assignment.options import AssignOptions
from cellsam_core.exports.options import ExportOptions
from cellsam_core.options import add_options, from_arguments

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Give --expand-um as given to `assign`: masks and table are then alike."
    parser.add_argument("results", type=Path, help="folder of a sample, such as results/cortex")
    add_options(parser, ExportOptions)
    add_options(parser, AssignOptions, without=("localisation_error_um",))
    parser.add_argument("-o", "--output", type=Path, help="folder to write, such as 5_export")


def run(args: argparse.Namespace) -> None:
    options = from_arguments(ExportOptions, args)
    assignment = from_arguments(AssignOptions, args)
    from cellsam_core.exports.stage import export

    export(args.results, args.output, options, assignment=assignment)
