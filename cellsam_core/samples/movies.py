"""Movie readers: a folder or a file of images -> `Manifest`.

Headers are read, every one of them, and a few planes: what can't be used is refused here, not
after an hour of segmentation.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import image_stem
from cellsam_core.files.image_stack import Z_POLICIES, Stack, ZChoice
from cellsam_core.files.names.parts import relative_name
from cellsam_core.files.stains import stain_of
from cellsam_core.files.tiff.scales import even_interval
from cellsam_core.samples.ceilings import find_ceilings
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.movie_files import (
    FILE_FORMATS,
    FOLDER_FORMATS,
    FORMATS,
    MovieOptions,
    error,
    movie_root,
)
from cellsam_core.samples.movie_headers import read_movie
from cellsam_core.samples.movie_search import find_movie
from cellsam_core.samples.movie_unwritten import leave_unwritten
from cellsam_core.samples.positions import choose_position
from cellsam_core.samples.sources import doubt_pixel_size, sources_of_movie

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellsam_core.files.plane import Plane
    from cellsam_core.samples.movie_files import MovieFiles

__all__ = ["FILE_FORMATS", "FOLDER_FORMATS", "FORMATS", "inspect_movie", "movie_root"]


def inspect_movie(
    path: str | Path,
    *,
    sample: str,
    assay: str,
    format: str = "auto",
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
    channels: Sequence[str] | None = None,
    pattern: str | None = None,
    position: str | None = None,
    z_policy: str | None = None,
    z_plane: int | None = None,
) -> Manifest:
    """Find the planes of a movie and what its files say of themselves.

    Parameters
    ----------
    path
        Folder or file.
    sample, assay
        Copied into the manifest.
    format
        One of `FORMATS`.
    pixel_size_um, frame_interval_s
        Win over what the files say.
    channels
        Names of channels in the files: these are used, in this order. If the files hold as
        many channels, none of which has one of these names, the channels are called so, in
        file order.
    pattern
        Says what image names mean, such as ``img_{time}_{channel}_{z}``; see
        :func:`cellsam_core.files.names.pattern.compile_pattern`.
    position
        Which position to read, of those that
        :func:`cellsam_core.samples.positions.positions_of` names.
    z_policy
        ``max``, ``mean``, ``focus`` or ``one``: what to do with z planes.
    z_plane
        Index of the plane for ``one``, counted from 0; the middle one if None.

    Raises
    ------
    InputError
        Anything is missing, mixed, truncated or can't be understood.
    """
    root = movie_root(path)
    options = MovieOptions(format, pattern, tuple(channels or ()), "", _z_choice(z_policy, z_plane))
    files = find_movie(root, options)
    options = replace(options, position=choose_position(files, position))
    if z_plane is not None:
        _refuse_without_z(files, options, z_plane)
    stack, warnings = read_movie(files, options)
    planes: list[list[Plane | None]] = []
    stack = _name_only_channel(files, stack)
    stack, renamed = _choose_channels(root, stack, list(channels or []))
    stack, unwritten = leave_unwritten(stack)
    planes += [[*row] for row in stack.planes]
    times, interval, told = _times(stack, frame_interval_s)
    ceilings, seen = find_ceilings(stack)
    has_interval = times is not None or interval is not None
    sources, doubted = sources_of_movie(
        stack, pixel_size_um, frame_interval_s, has_interval=has_interval
    )
    size = stack.pixel_size_um if pixel_size_um is None else pixel_size_um
    doubted += doubt_pixel_size(size)
    return Manifest(
        sample=sample,
        assay=assay,
        format=stack.kind
        if files.container is not None and format == "auto"
        else _name(files.format, format),
        channels=list(stack.channels),
        n_frames=len(stack.planes),
        shape_yx=stack.shape_yx,
        dtype=stack.dtype,
        pixel_size_um=size,
        frame_interval_s=interval,
        planes=planes,
        warnings=[*files.warnings, *warnings, *renamed, *unwritten, *told, *doubted, *seen],
        frame_times_s=times,
        saturation_values=ceilings,
        sources=sources,
    )


def _name(found: str, format: str) -> str:
    return found if format == "auto" else format


def _z_choice(policy: str | None, plane: int | None) -> ZChoice | None:
    if policy is None:
        return None if plane is None else ZChoice("one", plane)
    if plane is not None and policy in Z_POLICIES and policy != "one":
        raise InputError(
            "z_policy, z_plane",
            found=f"{policy} and plane {plane}",
            expected="a plane for the policy `one` only",
            remedy="leave one of the two columns empty",
        )
    if policy not in Z_POLICIES:
        raise InputError(
            "z_policy",
            found=repr(policy),
            expected=f"for a movie one of {', '.join(Z_POLICIES)}",
            remedy="correct the column `z_policy` of the sample sheet",
        )
    return ZChoice(policy, plane)


def _refuse_without_z(files: MovieFiles, options: MovieOptions, plane: int) -> None:
    """Refuse a z plane for a movie without z planes, which is one that can be read without it."""
    try:
        read_movie(files, replace(options, z=None))
    except InputError:
        return  # there are z planes, or the movie is refused for a better reason
    raise InputError(
        files.root,
        found=f"a movie without z planes, and the z plane {plane}",
        expected="a z plane only where there are several",
        remedy="leave the column `z_plane` empty",
    )


def _times(
    stack: Stack, given_s: float | None
) -> tuple[list[float] | None, float | None, list[str]]:
    """Seconds of each frame, the interval if they are even, and a sentence if they are not."""
    times, interval = list(stack.times_s), stack.frame_interval_s
    if len(times) != len(stack.planes):  # of an acquisition that was stopped
        times = []
    even = even_interval(times) if times else None
    if given_s is not None:
        told = []
        if len(times) > 1 and (even is None or abs(even / given_s - 1) > 0.05):
            last = times[-1]
            told = [
                f"The frame interval of {given_s:g} s is used as given; by the files the last of "
                f"{len(times)} frames is at {last:g} s, not {given_s * (len(times) - 1):g} s."
            ]
        return None, given_s, told
    if not times:
        return None, interval, []
    if even is not None:
        return times, even, []
    steps = [b - a for a, b in itertools.pairwise(times)]
    if not steps:
        return None, interval, []
    sentence = (
        f"Frames are unevenly spaced, {min(steps):g} to {max(steps):g} s apart: the time of each "
        "frame is used."
    )
    return times, None, [sentence]


def _name_only_channel(files: MovieFiles, stack: Stack) -> Stack:
    """Give a channel that nothing else names the name of the one stain in the names of files."""
    if len(stack.planes[0]) > 1 or stack.channels:
        return stack
    if files.container is not None:
        names = [image_stem(files.container)]
    else:
        names = ["/".join(relative_name(image.path, files.root)) for image in files.images]
    stain = stain_of(names)
    return stack if stain is None else replace(stack, channels=(stain,))


def _choose_channels(root: Path, stack: Stack, requested: list[str]) -> tuple[Stack, list[str]]:
    """Select channels by name, or name them; returns the sentence for the report too."""
    count = len(stack.planes[0])
    found = stack.channels or tuple(f"channel_{i + 1}" for i in range(count))
    if len(set(found)) < count or len(found) != count:
        found_text = f"channel names {', '.join(found)} for {count} channels"
        remedy = "give the names in the column `channels`"
        if len(requested) != count:
            raise error(root, found_text, "a name of its own for each channel", remedy)
        found = tuple(f"channel_{i + 1}" for i in range(count))
    if not requested:
        return replace(stack, channels=found), []
    if set(requested) <= set(found) and len(set(requested)) == len(requested):
        order = [found.index(name) for name in requested]
        planes = [[frame[i] for i in order] for frame in stack.planes]
        return replace(stack, channels=tuple(requested), planes=planes), []
    if set(requested) & set(found) or len(set(requested)) != count:
        raise error(
            root,
            f"channels {', '.join(found)}",
            f"{', '.join(requested)} as in the column `channels`",
            "correct the column `channels`",
        )
    sentences = []
    if stack.channels:
        sentences = [f"Channels {', '.join(found)} are called {', '.join(requested)}."]
    return replace(stack, channels=tuple(requested)), sentences
