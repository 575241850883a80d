"""``cellsam-core preview``: a few crops of a sample, segmented, on one page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.cli.project import add_project_arguments

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sample", help="name of a sample of the sheet, or a folder or file")
    add_project_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="HTML",
        help="page to write; default: preview_<sample>.html in the folder of the project",
    )


def run(args: argparse.Namespace) -> None:
    from cellsam_core.first_steps.preview import preview

    page = preview(args.sample, args.output, args.configfile, folder=args.directory)
    print(page.text())
    print(f"Page: {page.path}")
