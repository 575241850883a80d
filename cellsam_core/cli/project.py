"""Arguments of the commands that read the config and the sample sheet of a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_project_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that Snakemake has for the same."""
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
