"""``cellsam-core view``: results in the browser."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.options import add_options, from_arguments
from cellsam_core.viewer.options import ViewOptions

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "folder `results` of a run, or the folder of one sample in it"
    parser.add_argument("results", type=Path, help=text)
    add_options(parser, ViewOptions)
    text = "folder of the tables of corrections, instead of those that the run reads"
    parser.add_argument("--corrections", type=Path, metavar="DIR", help=text)
    parser.add_argument(
        "--no-browser", action="store_true", help="only print the address, open no browser"
    )


def run(args: argparse.Namespace) -> None:
    import webbrowser

    from cellsam_core.viewer.stage import view

    page = view(args.results, from_arguments(ViewOptions, args), corrections=args.corrections)
    print(f"Open  {page.url}")
    print(f"From your own computer, first:  {page.ssh_command}")
    print("End with Ctrl+C.", flush=True)
    if not args.no_browser:
        webbrowser.open(page.url)
    page.wait()
