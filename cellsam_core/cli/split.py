"""``cellsam-core split``: choose which labelled images train and which validate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.options import add_options, from_arguments
from cellsam_core.training.options import SplitOptions

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "manifest",
        type=Path,
        help="tab-separated: set, image, label, modality, source, split; a source or a split that "
        "is empty is filled in",
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="folder the manifest's paths are in"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the filled manifest")
    add_options(parser, SplitOptions)


def run(args: argparse.Namespace) -> None:
    options = from_arguments(SplitOptions, args)
    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.training.stage import split

    rows = split(args.manifest, args.data, options)
    with atomic_path(args.output) as temporary:
        rows.to_csv(temporary, sep="\t", index=False, lineterminator="\n")
