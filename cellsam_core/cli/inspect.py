"""``inspect``: a sample's folder -> its manifest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path

if TYPE_CHECKING:
    import argparse

    from cellsam_core.samples.manifest import Manifest

ASSAYS = ("movie", "merfish", "seqfish")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", help="folder or file of the sample")
    parser.add_argument("--sample", required=True, help="name of the sample")
    parser.add_argument("--assay", required=True, choices=ASSAYS, help="kind of experiment")
    parser.add_argument(
        "--format",
        default="auto",
        help="layout of the files, see config/README.md; auto finds out",
    )
    parser.add_argument(
        "--pixel-size-um", type=float, help="side of a pixel in um, wins over what the files say"
    )
    parser.add_argument(
        "--frame-interval-s",
        type=float,
        help="seconds between frames, wins over what the files say",
    )
    parser.add_argument("--channels", help="channel names to use, in this order, cut by commas")
    parser.add_argument("--fov", help="field of view or region, where a folder holds several")
    parser.add_argument("--z-plane", type=int, help="z plane that cells are segmented on")
    parser.add_argument(
        "--z-policy",
        choices=("all", "max", "one"),
        help="transcripts counted: all planes' (default), likewise in cells of the maximum "
        "projection, or one plane's",
    )
    parser.add_argument("-o", "--output", required=True, help="manifest to write (json)")


def run(args: argparse.Namespace) -> None:
    _refuse_not_positive("pixel_size_um", args.pixel_size_um)
    _refuse_not_positive("frame_interval_s", args.frame_interval_s)
    manifest = _inspect(args)
    _refuse_not_positive("pixel_size_um", manifest.pixel_size_um)
    with atomic_path(args.output) as temporary:
        temporary.write_text(manifest.to_json(), encoding="utf-8")
    print(summary(manifest))


def summary(manifest: Manifest) -> str:
    """Describe what was found, a line a fact."""
    height, width = manifest.shape_yx
    pixel, interval = manifest.pixel_size_um, manifest.frame_interval_s
    lines = [
        f"{manifest.sample}: {manifest.assay}, format {manifest.format}",
        f"  {manifest.n_frames} frame(s) of {height} x {width} px, {manifest.dtype}",
        f"  channels: {', '.join(manifest.channels)}",
        f"  pixel size: {f'{pixel:g} um' if pixel else 'not known'}",
    ]
    if manifest.assay == "movie":
        lines.append(f"  frame interval: {f'{interval:g} s' if interval else 'not known'}")
    if manifest.transcripts is not None:
        lines.append(f"  transcripts: {manifest.transcripts.n_rows}")
    return "\n".join(lines + [f"  note: {sentence}" for sentence in manifest.warnings])


def _inspect(args: argparse.Namespace) -> Manifest:
    channels = split_channels(args.channels)
    spatial = {key: getattr(args, key) for key in ("fov", "z_plane", "z_policy")}
    given = {key: value for key, value in spatial.items() if value is not None}
    if args.assay == "movie":
        if given:
            raise InputError(
                ", ".join(given),
                found=f"{', '.join(map(str, given.values()))} for a movie",
                expected="nothing, these choose planes and fields of transcripts",
                remedy="leave the columns empty",
            )
        from cellsam_core.samples.movies import inspect_movie

        return inspect_movie(
            args.path,
            sample=args.sample,
            assay=args.assay,
            format=args.format,
            pixel_size_um=args.pixel_size_um,
            frame_interval_s=args.frame_interval_s,
            channels=channels,
        )
    if args.frame_interval_s is not None:
        raise InputError(
            "frame_interval_s",
            found=f"{args.frame_interval_s:g} for a {args.assay} sample",
            expected="nothing, the sample has no frames",
            remedy="leave the column empty",
        )
    from cellsam_core.samples.spatial import inspect_spatial

    return inspect_spatial(
        args.path,
        sample=args.sample,
        assay=args.assay,
        format=args.format,
        pixel_size_um=args.pixel_size_um,
        channels=channels,
        **given,
    )


def split_channels(text: str | None) -> list[str] | None:
    """Cut channel names at commas; None where no names are given.

    Raises
    ------
    InputError
        A name is empty or given twice.
    """
    if not text:
        return None
    channels = [name.strip() for name in text.split(",")]
    if "" in channels or len(set(channels)) < len(channels):
        raise InputError(
            "channels",
            found=repr(text),
            expected="different names cut by commas, such as DAPI,YFP",
            remedy="correct the names of the channels",
        )
    return channels


def _refuse_not_positive(name: str, value: float | None) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise InputError(
            name,
            found=f"{value:g}",
            expected="a number above 0",
            remedy=f"correct the column `{name}`",
        )
