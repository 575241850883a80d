"""``cellsam-core simulate``: synthetic folders as instruments write them, with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.options import add_options, from_arguments
from cellsam_core.simulation.options import (
    MovieOptions,
    RawRoundsOptions,
    SeedOptions,
    TissueOptions,
)

if TYPE_CHECKING:
    import argparse

KINDS = {
    "movie": "live-cell movie below images/: nuclear marker and ratiometric reporter",
    "merfish": "MERSCOPE region folder: DAPI and PolyT mosaics, detected transcripts",
    "seqfish": "generic folder: DAPI and membrane stain, transcripts in pixels",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for kind, summary in KINDS.items():
        one = kinds.add_parser(kind, help=summary, formatter_class=parser.formatter_class)
        one.add_argument(
            "-o",
            "--output",
            type=Path,
            required=True,
            help="folder to write; a simulation already there is replaced",
        )
        add_options(one, SeedOptions)
        add_options(one, MovieOptions if kind == "movie" else TissueOptions)
        if kind != "movie":
            one.add_argument(
                "--raw-rounds",
                action="store_true",
                help="raw rounds of imaging and a codebook instead",
            )
            add_options(one, RawRoundsOptions)


def run(args: argparse.Namespace) -> None:
    from cellsam_core.simulation.stage import simulate_movie, simulate_tissue

    if args.kind == "movie":
        simulate_movie(args.output, seed=args.seed, options=from_arguments(MovieOptions, args))
        return
    rounds = from_arguments(RawRoundsOptions, args)
    if rounds != RawRoundsOptions() and not args.raw_rounds:
        raise InputError(
            "options of raw rounds",
            found="one of them without `--raw-rounds`",
            expected="raw rounds, or transcripts without such options",
            remedy="add --raw-rounds, or leave them out",
        )
    simulate_tissue(
        args.output,
        kind=args.kind,
        seed=args.seed,
        options=from_arguments(TissueOptions, args),
        raw_rounds=rounds if args.raw_rounds else False,
    )
