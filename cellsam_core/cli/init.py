"""``cellsam-core init``: folders of a microscope -> a sample sheet and a config."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="folder or file of one experiment, or a folder with one experiment in each sub-folder",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path(),
        metavar="PROJECT",
        help="folder of the project, which gets config/samples.tsv and config/config.yaml",
    )


def run(args: argparse.Namespace) -> None:
    from cellsam_core.first_steps.project import next_steps, refuse_existing, write_project
    from cellsam_core.first_steps.proposal import propose_sheet

    refuse_existing(args.output)
    proposals = propose_sheet(args.folders)
    written = write_project(proposals, args.output)
    for proposal in proposals:
        print(proposal.text())
    print("\nWritten:", ", ".join(str(path) for path in written))
    to_preview = next((p for p in proposals if not p.problem), proposals[0])
    print(next_steps(args.output, to_preview.first_sample))
