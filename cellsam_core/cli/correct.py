"""``correct``: the user's corrections of cells are put on the automatic masks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("masks", type=Path, help="masks.zarr written by `stitch`")
    parser.add_argument("cells", type=Path, help="cells.parquet written by `stitch`")
    text = "table of corrections of cells; see docs/corrections.md"
    parser.add_argument("--corrections", type=Path, required=True, metavar="CSV", help=text)
    text = "folder for masks.zarr, cells.parquet and corrections.csv"
    parser.add_argument("-o", "--output", type=Path, required=True, help=text)


def run(args: argparse.Namespace) -> None:
    from cellsam_core.corrections.stage import correct

    if not args.corrections.is_file():
        from cellsam_core.errors import InputError

        raise InputError(
            args.corrections,
            found="no file",
            expected="a table of corrections of cells",
            remedy="check the path",
        )
    correct(args.masks, args.cells, args.corrections, args.output)
