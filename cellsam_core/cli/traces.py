"""``cellsam-core traces``: raw frames, masks and tracks to trace tables."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.cli.limits import refuse_outside
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import pandas as pd

    from cellsam_core.labels.source import LabelSource
    from cellsam_core.samples.manifest import Manifest
    from cellsam_core.traces.intensities import TraceOptions

    Frame = tuple[npt.NDArray[Any], npt.NDArray[Any], pd.DataFrame]

log = logging.getLogger(__name__)
PROGRESS_EVERY = 50
TRACE_FILES = ("traces.parquet", "traces_wide.csv", "trace_summary.csv")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("manifest", type=Path, help="0_manifest.json of the sample")
    parser.add_argument("--masks", type=Path, required=True, help="masks.zarr")
    parser.add_argument("--objects", type=Path, required=True, help="objects.parquet")
    parser.add_argument("--tracks", type=Path, required=True, help="tracks.csv")
    parser.add_argument(
        "--reporter",
        choices=["ratiometric", "ktr"],
        default="ratiometric",
        help="ratiometric: two channels; ktr: one channel, ring (cytoplasm) over nucleus",
    )
    parser.add_argument(
        "--ratio",
        metavar="NUM/DEN",
        help="channels of the ratio, e.g. GFP/ExRai_405, or the one channel of a KTR; without it"
        " only intensities are written",
    )
    parser.add_argument(
        "--baseline-frames",
        type=int,
        default=3,
        metavar="N",
        help="R0 is the mean over the first N frames of the movie",
    )
    parser.add_argument(
        "--background",
        choices=["annulus", "mode", "none"],
        default="annulus",
        help="annulus: around each cell, of the whole frame where there is no room; "
        "mode: of the whole frame; none: already subtracted",
    )
    parser.add_argument(
        "--ring-px",
        type=int,
        default=0,
        metavar="N",
        help="labels are nuclei: measure also a ring of N px around each (0: no ring)",
    )
    parser.add_argument(
        "--division-margin-frames",
        type=int,
        default=2,
        metavar="N",
        help="frames on either side of a division that are flagged invalid",
    )
    parser.add_argument(
        "--saturation-value",
        type=float,
        metavar="V",
        help="grey value from which a pixel is saturated, e.g. 4095 for a 12-bit camera "
        "(default: largest value of the image's type)",
    )
    parser.add_argument(
        "--drug-frame",
        type=int,
        metavar="N",
        help="first frame after the drug, counted from 0 (default: the first after the baseline)",
    )
    parser.add_argument(
        "--control",
        type=Path,
        metavar="TRACES",
        help="traces.parquet of a sample without drug: its bleaching is divided out",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder, e.g. 3_tracks")


def run(args: argparse.Namespace) -> None:
    from dataclasses import replace

    from cellsam_core.labels.source import open_labels
    from cellsam_core.samples.manifest import Manifest
    from cellsam_core.traces.intensities import TraceOptions

    manifest = Manifest.load(args.manifest)
    refuse_outside("--baseline-frames", args.baseline_frames, 1)
    refuse_outside("--ring-px", args.ring_px, 0)
    refuse_outside("--division-margin-frames", args.division_margin_frames, 0)
    options = TraceOptions(
        reporter=args.reporter,
        ratio=None if args.ratio is None else _parse(args, manifest.channels),
        baseline_frames=args.baseline_frames,
        background=args.background,
        ring_px=args.ring_px,
        division_margin_frames=args.division_margin_frames,
        saturation_value=_positive("--saturation-value", args.saturation_value),
        drug_frame=_drug_frame(args.drug_frame, args.baseline_frames, manifest.n_frames),
    )
    if args.control is not None:
        options = replace(options, bleach_rate=_bleach_rate(args.control, options, manifest))
    masks = open_labels(args.masks)
    refuse_other_movie(masks, manifest, args.manifest)
    objects, tracks = _read_tables(args.objects, args.tracks)
    frames = frames_of(manifest, masks, objects, args.objects)
    write_trace_files(args.output, frames, manifest, tracks, options)


def refuse_other_movie(masks: LabelSource, manifest: Manifest, where: Path) -> None:
    """Refuse masks and images of different numbers or sizes of frames; `where` are the images."""
    if (masks.n_frames, masks.shape_yx) != (manifest.n_frames, manifest.shape_yx):
        raise InputError(
            masks.path,
            found=f"{masks.n_frames} frame(s) of {masks.shape_yx} px",
            expected=f"{manifest.n_frames} of {manifest.shape_yx} px as in {where.name}",
            remedy="give masks and images of the same sample",
        )


def write_trace_files(
    folder: Path,
    frames: Iterator[Frame],
    manifest: Manifest,
    tracks: pd.DataFrame,
    options: TraceOptions,
) -> None:
    """Trace the frames and write the long table, the wide one and the summary."""
    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.traces.files import (
        read_options,
        read_ratios,
        responses_of,
        write_traces,
        write_wide,
    )
    from cellsam_core.traces.ratios import trace_frames

    interval_s, channels = manifest.frame_interval_s, manifest.channels
    tables = trace_frames(frames, channels, tracks, options, interval_s)
    traces, wide, summary = (folder / name for name in TRACE_FILES)
    with atomic_path(traces) as path:
        write_traces(path, tables, channels, options, interval_s)
    ratios = read_ratios(traces)
    with atomic_path(wide) as path:
        write_wide(path, ratios, tracks["track_id"], manifest.n_frames)
    with atomic_path(summary) as path:
        table = responses_of(ratios, read_options(traces)).table
        table.to_csv(path, float_format="%.6g")


def _read_tables(objects_path: Path, tracks_path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Objects with frame, label and track_id, and the tracks that they belong to."""
    from cellsam_core.files.tables import read_table, refuse_repeated, table_errors

    objects = read_table(objects_path, ["frame", "label", "track_id"])
    needed = ["track_id", "lineage_id", "parent_id", "first_frame", "last_frame"]
    tracks = read_table(tracks_path, needed)
    with table_errors(tracks_path):
        tracks = tracks.astype(dict.fromkeys(needed, "int64"))
    remedy = "give the table as `cellsam-core track` wrote it"
    refuse_repeated(tracks_path, tracks["track_id"], "track", remedy)
    unknown = objects.loc[~objects["track_id"].isin(tracks["track_id"]), "track_id"]
    if len(unknown):
        raise InputError(
            tracks_path,
            found=f"no track {unknown.iloc[0]}, which {objects_path.name} has",
            expected="a row for every track",
            remedy="give both files of one run of `cellsam-core track`",
        )
    return objects, tracks


def _parse(args: argparse.Namespace, channels: Sequence[str]) -> tuple[str, str]:
    """Channels of the ratio, of either reporter."""
    if args.reporter == "ratiometric":
        return parse_ratio(args.ratio, channels)
    if args.ratio not in channels:
        raise InputError(
            "--ratio",
            found=repr(args.ratio),
            expected=f"the reporter's channel, one of {', '.join(channels)}",
            remedy="name the channel as the manifest does",
        )
    refuse_outside("--ring-px", args.ring_px, 1)
    return args.ratio, args.ratio


def parse_ratio(text: str, channels: Sequence[str]) -> tuple[str, str]:
    """Split ``NUM/DEN`` at the slash that leaves two channel names; names may hold slashes.

    Raises
    ------
    InputError
        No such slash.
    """
    parts = text.split("/")
    for i in range(1, len(parts)):
        pair = ("/".join(parts[:i]).strip(), "/".join(parts[i:]).strip())
        if pair[0] in channels and pair[1] in channels:
            return pair
    raise InputError(
        "--ratio",
        found=repr(text),
        expected=f"NUM/DEN with two of the channels {', '.join(channels)}",
        remedy="name the channels as the manifest does",
    )


def _drug_frame(frame: int | None, baseline_frames: int, n_frames: int) -> int | None:
    """Check that the drug is given after the baseline and before the movie ends."""
    if frame is not None and frame >= n_frames:
        raise InputError(
            "--drug-frame",
            found=str(frame),
            expected=f"at most {n_frames - 1}, the last of {n_frames} frame(s) counted from 0",
            remedy="correct it, or leave it out if no drug was given",
        )
    if frame is not None:
        refuse_outside("--drug-frame", frame, baseline_frames)
    return frame


def _bleach_rate(control: Path, options: TraceOptions, manifest: Manifest) -> float:
    """Measure the decay of the control's ratio per frame; it must be imaged in the same way."""
    from cellsam_core.traces.bleaching import fit_ratio_decay
    from cellsam_core.traces.files import read_control

    rate = fit_ratio_decay(read_control(control, options.ratio, manifest.frame_interval_s))
    if rate is None:
        raise InputError(
            control,
            found="no cell with valid ratios in three frames",
            expected="untreated cells that are followed",
            remedy="name another control, or none",
        )
    log.info("bleaching: the control's ratio loses %.3g %% a frame", 100 * rate)
    return rate


def _positive(option: str, value: float | None) -> float | None:
    if value is not None and not 0 < value < float("inf"):
        raise InputError(
            option, found=str(value), expected="a number above 0", remedy="give such a number"
        )
    return value


def frames_of(
    manifest: Manifest, masks: LabelSource, objects: pd.DataFrame, objects_path: Path
) -> Iterator[Frame]:
    """Image, labels (merged as the objects say) and objects of each frame."""
    import numpy as np

    from cellsam_core.files.tables import table_errors
    from cellsam_core.samples.frames import read_frame
    from cellsam_core.tracking.corrections import merged_pieces

    with table_errors(objects_path):
        pieces = merged_pieces(objects)
    by_frame = dict(tuple(objects[["frame", "label", "track_id"]].groupby("frame")))
    for index in range(manifest.n_frames):
        labels = masks.frame(index)
        here = pieces[pieces["frame"] == index]
        for piece, label in zip(here["piece"], here["label"], strict=True):
            labels = np.where(labels == piece, label, labels)
        in_frame = by_frame.get(index, objects.iloc[:0])
        absent = np.setdiff1d(in_frame["label"].to_numpy(), labels)
        if len(absent):
            raise InputError(
                objects_path,
                found=f"label {absent[0]} in frame {index}",
                expected="only labels of the masks",
                remedy="track these masks again",
            )
        if index % PROGRESS_EVERY == 0:
            log.info("frame %d of %d: %d objects", index + 1, manifest.n_frames, len(in_frame))
        yield read_frame(manifest, index), labels, in_frame
