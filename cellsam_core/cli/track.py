"""``cellsam-core track``: label images to tracks, divisions, lineages."""

from __future__ import annotations

import logging
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from cellsam_core.tracking.parameters import Division, Registration, TrackParameters

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    import pandas as pd
    import pyarrow as pa

    from cellsam_core.labels.source import LabelSource
    from cellsam_core.samples.manifest import Manifest
    from cellsam_core.traces.intensities import TraceOptions
    from cellsam_core.tracking import Tracks
    from cellsam_core.tracking.corrections import Correction

log = logging.getLogger(__name__)
PROGRESS_EVERY = 50

HELP = {
    "sigma_iou": "least intersection over union of linked cells, 0-1",
    "rescue_max_distance_radii": "link cells without overlap up to this distance, in cell radii "
    "(0: never)",
    "area_ratio_max": "largest ratio of areas of cells linked by distance",
    "gap_closing_max_frame_count": "frames a cell may be missing for",
    "gap_closing_max_distance_radii": "distance bridged over a gap without overlap, in cell radii",
    "division_min_overlap": "least fraction of a daughter on the parent, 0-1",
    "division_max_distance_radii": "or else largest distance of daughter and parent, in radii",
    "division_area_min": "least ratio of the daughters' summed area to the parent's",
    "division_area_max": "largest such ratio",
    "division_min_symmetry": "least ratio of the smaller to the larger daughter's area",
    "division_window_frames": "frames within which both daughters appear",
    "min_daughter_length_frames": "a daughter that lives shorter undoes the division, in frames",
    "bud_max_area_fraction": "largest area of a new bud, as a fraction of the median cell's",
    "bud_contact_px": "largest gap between bud and mother, in pixels",
    "bud_window_frames": "frames in which a mother has one bud and contact is watched",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "labels",
        type=Path,
        help="label images in order of time: folder of TIFFs, multi-page TIFF or masks.zarr",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write")
    parser.add_argument(
        "--division",
        choices=get_args(Division),
        default=TrackParameters.division,
        help="mitosis: a parent ends, two daughters begin; budding: the mother lives on",
    )
    parser.add_argument(
        "--registration",
        choices=get_args(Registration),
        default=TrackParameters.registration,
        help="auto: correct stage jumps where frames then overlap better",
    )
    for field in fields(TrackParameters):
        if field.name in HELP:
            parser.add_argument(
                f"--{field.name.replace('_', '-')}",
                type=type(field.default),
                default=field.default,
                metavar="N" if isinstance(field.default, int) else "F",
                help=HELP[field.name],
            )
    parser.add_argument(
        "--pixel-size-um",
        type=float,
        help="side of a pixel in um; default: as the files say, else lengths are in pixels",
    )
    parser.add_argument(
        "--frame-interval-s",
        type=float,
        help="time between frames in s; default: as the files say, else times are in frames",
    )
    parser.add_argument(
        "--corrections",
        type=Path,
        metavar="CSV",
        help="what you found wrong, row by row, see docs/corrections.md: carried out at every run",
    )
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DIR",
        help="raw frames of the same movie, in any layout that `inspect` reads: writes the traces"
        " as well (`traces` has more options)",
    )
    parser.add_argument(
        "--ratio",
        metavar="NUM/DEN",
        help="with --images: channels of the reporter's ratio; without it only intensities",
    )


def run(args: argparse.Namespace) -> None:
    from cellsam_core.labels.source import open_labels
    from cellsam_core.tracking import track_labels
    from cellsam_core.tracking.corrections_table import read_corrections

    names = [field.name for field in fields(TrackParameters)]
    parameters = TrackParameters(**{name: getattr(args, name) for name in names})
    _check_calibration(args)
    corrections = [] if args.corrections is None else read_corrections(args.corrections)
    source = open_labels(args.labels)
    source = _calibrated(source, args, source)
    images = _open_images(args, source)
    if images is not None:
        source = _calibrated(source, source, images[0])
    log.info("tracking %d frames of %d x %d px", source.n_frames, *source.shape_yx)
    tracks = track_labels(_frames(source, "linked"), parameters, corrections)
    _remove_traces(args.output)
    _write(args.output, source, tracks, corrections)
    if images is not None:
        _write_traces(args.output, source, tracks, *images)
    log.info(
        "%d objects, %d tracks, %d %s",
        len(tracks.objects),
        len(tracks.tracks),
        len(tracks.divisions),
        "buds" if args.division == "budding" else "divisions",
    )


def _check_calibration(args: argparse.Namespace) -> None:
    from cellsam_core.errors import InputError

    for option, value in (
        ("--pixel-size-um", args.pixel_size_um),
        ("--frame-interval-s", args.frame_interval_s),
    ):
        if value is not None and not 0 < value < float("inf"):
            raise InputError(
                option, found=str(value), expected="a positive number", remedy="correct the option"
            )


def _calibrated(
    source: LabelSource, first: argparse.Namespace | LabelSource, other: LabelSource | Manifest
) -> LabelSource:
    """Take pixel size and frame interval from the first that says them."""
    return replace(
        source,
        pixel_size_um=first.pixel_size_um or other.pixel_size_um,
        frame_interval_s=first.frame_interval_s or other.frame_interval_s,
    )


def _open_images(
    args: argparse.Namespace, source: LabelSource
) -> tuple[Manifest, TraceOptions] | None:
    """Find the frames of `--images` and check that they fit the labels."""
    from cellsam_core.cli.traces import parse_ratio, refuse_other_movie
    from cellsam_core.errors import InputError
    from cellsam_core.samples.movies import inspect_movie
    from cellsam_core.traces.intensities import TraceOptions

    if args.images is None:
        if args.ratio is not None:
            raise InputError(
                "--ratio", found="no --images", expected="both", remedy="give the raw frames"
            )
        return None
    manifest = inspect_movie(
        args.images, sample="images", assay="movie", frame_interval_s=source.frame_interval_s
    )
    refuse_other_movie(source, manifest, args.images)
    ratio = None if args.ratio is None else parse_ratio(args.ratio, manifest.channels)
    return manifest, TraceOptions(ratio=ratio)


def _remove_traces(folder: Path) -> None:
    """Traces of other tracks must not stay beside these."""
    from cellsam_core.cli.traces import TRACE_FILES

    for name in TRACE_FILES:
        if (folder / name).exists():
            log.info("%s is of earlier tracks: removed", folder / name)
            (folder / name).unlink()


def _write_traces(
    folder: Path,
    source: LabelSource,
    tracks: Tracks,
    manifest: Manifest,
    options: TraceOptions,
) -> None:
    from cellsam_core.cli.traces import frames_of, write_trace_files

    frames = frames_of(manifest, source, tracks.objects, folder / "objects.parquet")
    write_trace_files(folder, frames, manifest, tracks.tracks, options)


def _write(
    folder: Path, source: LabelSource, tracks: Tracks, corrections: list[Correction]
) -> None:
    import pyarrow as pa

    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.files.parquet import parquet_writer
    from cellsam_core.tracking.corrections import correct_frames
    from cellsam_core.tracking.ctc import write_ctc
    from cellsam_core.tracking.geff import write_geff
    from cellsam_core.tracking.review import advice, review_table

    schema = _schema_of(tracks.objects)
    rows = pa.Table.from_pandas(tracks.objects, schema, preserve_index=False)
    with (
        atomic_path(folder / "objects.parquet") as path,
        parquet_writer(path, schema) as writer,
    ):
        writer.write_table(rows)
    review = review_table(tracks.objects, tracks.tracks, tracks.divisions)
    names = ("tracks", "divisions", "intervals", "drift")
    tables = {name: getattr(tracks, name) for name in names} | {"review": review}
    for name, table in tables.items():
        with atomic_path(folder / f"{name}.csv") as path:
            table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    log.info("%s", advice(review, tracks.tracks["lineage_id"].nunique()))
    frames = correct_frames(_frames(source, "exported"), corrections)
    write_ctc(folder / "ctc", frames, source.n_frames, tracks.objects, tracks.tracks)
    write_geff(
        folder / "tracks.geff",
        tracks.objects,
        tracks.tracks,
        pixel_size_um=source.pixel_size_um,
        frame_interval_s=source.frame_interval_s,
    )


def _schema_of(objects: pd.DataFrame) -> pa.Schema:
    """Words stay words where there are no rows to tell it by."""
    import pyarrow as pa

    found = pa.Schema.from_pandas(objects, preserve_index=False)
    fields = [f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in found]
    return pa.schema(fields, found.metadata)


def _frames(source: LabelSource, verb: str) -> Iterator[Any]:
    for index in range(source.n_frames):
        yield source.frame(index)
        if (index + 1) % PROGRESS_EVERY == 0:
            log.info("%s %d of %d frames", verb, index + 1, source.n_frames)
