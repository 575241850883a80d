"""Headers of the images of a movie, read as one stack of frames and channels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cellsam_core.files.filenames import natural_key
from cellsam_core.files.stack import read_stack
from cellsam_core.samples.movie_channels import merge_channels
from cellsam_core.samples.movie_files import FOLDER_FORMATS, MovieFiles, MovieOptions, error
from cellsam_core.samples.movie_grey import merge_equal_colours
from cellsam_core.samples.movie_notes import add_notes
from cellsam_core.samples.movie_series import Series, SeriesReader, refuse_missing_frame

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.files.image_stack import Stack
    from cellsam_core.files.names.named_images import NamedImage

N_COLOURS = 3
"""Whoever names three channels of a colour image gets three, equal or not."""


def read_movie(files: MovieFiles, options: MovieOptions) -> tuple[Stack, list[str]]:
    """Read the headers of one position of a movie; returns warnings, too."""
    n_channels = len(options.channels) or None
    if files.container is not None:
        return _read_container(files.container, options, n_channels)
    if files.format == "tiff_series":
        _refuse_channels(files)
    images = [i for i in files.images if i.position == options.position]
    stack, warnings = _read_images(files.root, images, options)
    keys = {image.channel or "" for image in images}
    keep_names = bool(options.channels) and set(options.channels) <= keys
    stack, told = add_notes(stack, images, keep_names)
    return stack, warnings + told


def _refuse_channels(files: MovieFiles) -> None:
    """Refuse several channels where the user says that there is one."""
    first = files.images[0]
    others = [image for image in files.images if image.channel != first.channel]
    if not others:
        return
    # Best two names that differ in nothing else.
    other = min(others, key=lambda i: (i.position != first.position, i.frame != first.frame))
    raise error(
        files.root,
        f"image names that differ in channels ({first.path.name}, {other.path.name})",
        "names that differ in the frame number only",
        "set the column `format` to channel_files",
    )


def _read_images(
    root: Path, images: list[NamedImage], options: MovieOptions
) -> tuple[Stack, list[str]]:
    """Read the headers of the images of one position, channel by channel."""
    n_channels = len(options.channels) or None
    groups: dict[str, list[NamedImage]] = {}
    for image in sorted(images, key=lambda i: natural_key(i.channel or "")):
        groups.setdefault(image.channel or "", []).append(image)
    if options.channels and set(options.channels) <= set(groups):
        groups = {name: groups[name] for name in options.channels}
    is_alone = options.format in FOLDER_FORMATS
    is_only = len(groups) == 1
    reader = SeriesReader(options.z, n_channels if is_only else None, is_alone, is_only)
    if not is_only:
        used = [image for group in groups.values() for image in group]
        told = refuse_missing_frame(used)
        series = {name: _without_copies(reader.read(group)) for name, group in groups.items()}
        stack, warnings = merge_channels(root, series)
        return stack, told + warnings
    if "" in groups:
        only = reader.read(groups[""])
        only = only if n_channels == N_COLOURS else _without_copies(only)
        return only.stack, only.warnings
    series = {name: _without_copies(reader.read(group)) for name, group in groups.items()}
    return merge_channels(root, series)


def _without_copies(series: Series) -> Series:
    """Leave out the green and blue of grey images that were saved as colours."""
    stack, told = merge_equal_colours(series.stack)
    return replace(series, stack=stack, warnings=series.warnings + told)


def _read_container(
    path: Path, options: MovieOptions, n_channels: int | None
) -> tuple[Stack, list[str]]:
    is_stack = options.format == "tiff_stack"
    stack = read_stack(
        path,
        n_channels=n_channels,
        pages_are_frames=is_stack,
        z=options.z,
        series=options.position,
        may_lack=True,
    )
    if options.format == "ome_tiff" and stack.kind != options.format:
        raise error(path, "no OME metadata", "an OME-TIFF", "set the column `format` to auto")
    count = len(stack.planes[0])
    if len(stack.planes) == 1 and count > 4 and not stack.channels and n_channels is None:
        raise error(
            path,
            f"{count} channels without names in one frame",
            "at most 4",
            "if they are time points, set the column `format` to tiff_stack, else name them in "
            "the column `channels`",
        )
    return (stack, []) if n_channels == N_COLOURS else merge_equal_colours(stack)
