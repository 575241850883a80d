"""``pair``: nuclei get the numbers of the cells in which they lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.nuclei.options import PairOptions
from cellsam_core.options import add_options, from_arguments

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("cells", type=Path, help="masks.zarr of the cells")
    parser.add_argument("nuclei", type=Path, help="masks.zarr of the nuclei")
    add_options(parser, PairOptions)
    text = "folder for masks.zarr, nuclei.parquet and cells.parquet"
    parser.add_argument("-o", "--output", type=Path, required=True, help=text)


def run(args: argparse.Namespace) -> None:
    from cellsam_core.nuclei.stage import pair_nuclei

    pair_nuclei(args.cells, args.nuclei, args.output, from_arguments(PairOptions, args))
