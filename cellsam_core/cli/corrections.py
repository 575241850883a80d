"""``corrections from``: tracks edited in another program become a table of corrections."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["from"], help="make a table from an edit")
    text = "tracks that were edited: a GEFF, or a folder of the Cell Tracking Challenge"
    parser.add_argument("edited", type=Path, help=text)
    text = "folder of the sample whose tracks were edited, such as results/hela"
    parser.add_argument("results", type=Path, help=text)
    text = "table to write; default: the one that the run reads, corrections/<sample>.tracks.csv"
    parser.add_argument("-o", "--output", type=Path, metavar="CSV", help=text)


def run(args: argparse.Namespace) -> None:
    from cellsam_core.tracking.edit_rows import corrections_from

    corrections_from(args.edited, args.results, args.output)
