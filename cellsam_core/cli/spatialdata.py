"""``cellsam-core spatialdata``: the results of a tissue as one SpatialData store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.assignment.options import AssignOptions
from cellsam_core.options import add_options, from_arguments

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Give --expand-um as given to `assign`: labels and table are then alike."
    parser.add_argument("results", type=Path, help="folder of a sample, such as results/cortex")
    add_options(parser, AssignOptions, without=("localisation_error_um",))
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write (zarr)")


def run(args: argparse.Namespace) -> None:
    options = from_arguments(AssignOptions, args)
    from cellsam_core.assignment.stage import export_spatialdata

    export_spatialdata(args.results, args.output, options)
