"""``cellsam-core track``: label images to tracks, divisions, lineages."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.options import add_options, from_arguments
from cellsam_core.samples.options import InspectOptions
from cellsam_core.tracking.options import CalibrationOptions, TrackOptions

if TYPE_CHECKING:
    import argparse

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "label images in order of time: folder of TIFFs, multi-page TIFF or masks.zarr"
    parser.add_argument("labels", type=Path, help=text)
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    add_options(parser, TrackOptions)
    add_options(parser, CalibrationOptions)
    parser.add_argument(
        "--corrections",
        type=Path,
        metavar="CSV",
        help="corrections of single cells, applied in every run; see docs/corrections.md",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="raw frames of the same movie, in any layout that `inspect` reads: writes the traces"
        " as well (`traces` has more options)",
    )
    text = "with --images: channels of the reporter's ratio; without it only intensities"
    parser.add_argument("--ratio", metavar="NUM/DEN", help=text)
    for name in ("channels", "pattern"):
        text = f"with --images: the same as the column `{name}` of the sample sheet"
        parser.add_argument(f"--{name}", metavar="TEXT", help=text)


def run(args: argparse.Namespace) -> None:
    from cellsam_core.traces.stage import track_and_trace

    tracks = track_and_trace(
        args.labels,
        args.output,
        from_arguments(TrackOptions, args),
        calibration=from_arguments(CalibrationOptions, args),
        corrections=args.corrections,
        images=args.images,
        ratio=args.ratio,
        names=InspectOptions(channels=args.channels, pattern=args.pattern),
    )
    counts = len(tracks.objects), len(tracks.tracks), len(tracks.divisions)
    births = "buds" if args.division == "budding" else "divisions"
    log.info("%d objects, %d tracks, %d %s", *counts, births)
