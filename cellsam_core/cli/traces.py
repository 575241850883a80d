"""``cellsam-core traces``: raw frames, masks and tracks to trace tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.options import add_options, from_arguments
from cellsam_core.traces.options import TraceOptions

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("manifest", type=Path, help="0_manifest.json of the sample")
    parser.add_argument("--masks", type=Path, required=True, help="masks.zarr")
    parser.add_argument("--objects", type=Path, required=True, help="objects.parquet")
    parser.add_argument("--tracks", type=Path, required=True, help="tracks.csv")
    text = "nuclei with the numbers of their cells, written by `pair`"
    parser.add_argument("--nuclei", type=Path, metavar="ZARR", help=text)
    add_options(parser, TraceOptions)
    parser.add_argument(
        "--control",
        type=Path,
        metavar="TRACES",
        help="traces.parquet of a sample without drug: its bleaching is divided out",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder, e.g. 3_tracks")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.files.kept import keep_inputs
    from cellsam_core.traces.inputs import TrackFiles
    from cellsam_core.traces.stage import trace
    from cellsam_core.tracking.tracks import TRACE_FILES

    keep_inputs(args.output, TRACE_FILES, args.control)
    traces = trace(
        args.manifest,
        args.masks,
        TrackFiles(args.objects, args.tracks),
        from_arguments(TraceOptions, args),
        control=args.control,
        nuclei=args.nuclei,
    )
    traces.write(args.output)
