"""``cellsam-core simulate``: synthetic folders as instruments write them, with the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.cli.limits import refuse_outside
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    formatter = parser.formatter_class
    movie = kinds.add_parser(
        "movie",
        help="live-cell movie below images/: nuclear marker and ratiometric reporter",
        formatter_class=formatter,
    )
    _add_common(movie, size_px=256, cells=20)
    movie.add_argument("--frames", type=int, default=12, help="number of frames")
    movie.add_argument(
        "--drug-frame",
        type=int,
        default=4,
        help="frame (0-based) just before which the drug is added",
    )
    movie.add_argument(
        "--division",
        choices=("mitosis", "budding", "none"),
        default="mitosis",
        help="how the cells multiply",
    )
    movie.add_argument(
        "--cycle-frames", type=int, default=18, help="mean frames between divisions of a cell"
    )
    movie.add_argument(
        "--diameter-px", type=float, default=36.0, help="diameter of a cell about to divide, px"
    )
    for kind, summary in (
        ("merfish", "MERSCOPE region folder: DAPI and PolyT mosaics, detected transcripts"),
        ("seqfish", "generic folder: DAPI and membrane stain, transcripts in pixels"),
    ):
        spatial = kinds.add_parser(kind, help=summary, formatter_class=formatter)
        _add_common(spatial, size_px=512, cells=80)
        spatial.add_argument(
            "--transcripts",
            type=int,
            help="number of transcripts, blanks included; 6000, or 2500 with --raw-rounds",
        )
        spatial.add_argument(
            "--raw-rounds", action="store_true", help="raw rounds of imaging and a codebook instead"
        )
        spatial.add_argument("--z-planes", type=int, default=3, help="number of optical planes")


def _add_common(parser: argparse.ArgumentParser, *, size_px: int, cells: int) -> None:
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="folder to write; a simulation already there is replaced",
    )
    parser.add_argument("--seed", type=int, default=0, help="same seed, same bytes")
    parser.add_argument("--size-px", type=int, default=size_px, help="edge of the image, px")
    parser.add_argument("--cells", type=int, default=cells, help="number of cells, about")


def run(args: argparse.Namespace) -> None:
    _check(args)
    import numpy as np

    from cellsam_core.simulation import folders as synthetic

    rng = np.random.default_rng(args.seed)
    if args.kind == "movie":
        from cellsam_core.simulation.movie import MovieSpec

        spec = MovieSpec(
            n_frames=args.frames,
            size_px=args.size_px,
            n_cells=args.cells,
            diameter_px=args.diameter_px,
            drug_frame=args.drug_frame,
            division=args.division,
            cycle_frames=args.cycle_frames,
        )
        synthetic.write_movie(args.output, rng, spec)
        return
    from cellsam_core.simulation.spatial import TissueSpec

    n_default = 2500 if args.raw_rounds else 6000
    tissue_spec = TissueSpec(
        size_px=args.size_px,
        n_cells=args.cells,
        n_transcripts=n_default if args.transcripts is None else args.transcripts,
        n_z=args.z_planes,
        stains=("DAPI", "PolyT") if args.kind == "merfish" else ("DAPI", "membrane"),
    )
    if args.raw_rounds:
        from cellsam_core.simulation.rounds_folder import write_merfish_rounds, write_seqfish_rounds

        write_rounds = write_merfish_rounds if args.kind == "merfish" else write_seqfish_rounds
        write_rounds(args.output, rng, tissue_spec)
        return
    write = synthetic.write_merscope if args.kind == "merfish" else synthetic.write_seqfish
    write(args.output, rng, tissue_spec)


def _check(args: argparse.Namespace) -> None:
    least = {
        "seed": 0,
        "size_px": 32,
        "cells": 0,
        "frames": 1,
        "drug_frame": 0,
        "cycle_frames": 3,
        "diameter_px": 8,
        "transcripts": 0,
        "z_planes": 1,
    }
    for name, low in least.items():
        value = getattr(args, name, low)
        if value is not None:
            refuse_outside("--" + name.replace("_", "-"), value, low)
    # An existing folder is replaced whole: only an earlier simulation may be.
    if args.output.exists() and not (args.output / "truth").is_dir():
        raise InputError(
            args.output,
            found="something that is no simulation",
            expected="a new name or the folder of an earlier simulation",
            remedy="choose another output",
        )
