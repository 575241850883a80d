"""Pixel size, times and channels of a movie, from files beside its images."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from cellsam_core.errors import InputError
from cellsam_core.files.image_stack import ZChoice
from cellsam_core.files.names.named_images import NUMBER_OF_CHANNEL
from cellsam_core.files.sidecars import Notes, find_sidecar, read_sidecar
from cellsam_core.files.stack import read_stack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.files.image_stack import Stack
    from cellsam_core.files.names.named_images import NamedImage

OME_SUFFIXES = (".ome.tif", ".ome.tiff")


def add_notes(
    stack: Stack, images: Sequence[NamedImage], keep_names: bool
) -> tuple[Stack, list[str]]:
    """Add to a stack what the images themselves don't say, and the file beside them does.

    Parameters
    ----------
    stack
        The movie, from `images`.
    images
        Files of one position.
    keep_names
        True if the user names channels as the files do.

    Returns
    -------
    Stack, list of str
        With pixel size, times and channel names; and sentences for the report.
    """
    found = find_sidecar(images[0].path)
    if found is None:
        return (
            (stack, []) if keep_names else _name(stack, images, _ome(stack, images), "the OME-XML")
        )
    path, kind = found
    source = f"{path.name} of {kind.program}"
    try:
        notes = read_sidecar(path, path.stat().st_mtime_ns, kind.read)
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, ElementTree.ParseError):
        return stack, [f"{source} can't be read: what it says is not known."]
    if notes.images and any(image.path.name not in notes.images for image in images):
        return stack, [f"{source} does not name all of these images: what it says is not used."]
    stack, told = _add_scales(stack, images, notes, source)
    if keep_names:
        return stack, told
    stack, named = _name(stack, images, notes, source)
    return stack, told + named


def _add_scales(
    stack: Stack, images: Sequence[NamedImage], notes: Notes, source: str
) -> tuple[Stack, list[str]]:
    """Add pixel size and times, unless the images are not those that the file tells of."""
    told = []
    size = next(iter(notes.pixel_um)) if len(notes.pixel_um) == 1 else None
    if stack.pixel_size_um is None and size is not None and size > 0:
        width = stack.shape_yx[1]
        if notes.widths_px and width not in notes.widths_px:
            widths = ", ".join(map(str, sorted(notes.widths_px)))
            told = [
                f"{source} tells of images that are {widths} px wide, and these are {width} px "
                "wide: its pixel size is not used."
            ]
        else:
            stack = replace(stack, pixel_size_um=size, scales_from=source)
    times = _times(images, notes) or _stamped(len(stack.planes), notes)
    is_told = stack.times_s or stack.frame_interval_s is not None
    if not is_told and len(times) == len(stack.planes) > 1:
        stack = replace(stack, times_s=times, scales_from=source)
    return stack, told


def _stamped(n_frames: int, notes: Notes) -> tuple[float, ...]:
    """Seconds of each frame since the first, where all frames have as many planes."""
    if len(notes.stamps) % n_frames:
        return ()
    times = notes.stamps[:: max(len(notes.stamps) // n_frames, 1)]
    return () if any(b <= a for a, b in pairwise(times)) else times


def _ome(stack: Stack, images: Sequence[NamedImage]) -> Notes:
    """Read the names of channels in images of one channel each, whose own names have numbers."""
    notes = Notes()
    file_of = {image.channel: image.path for image in images}
    for key in stack.channels:
        path = file_of.get(key)
        if (
            path is None
            or NUMBER_OF_CHANNEL.fullmatch(key) is None
            or not path.name.lower().endswith(OME_SUFFIXES)
        ):
            return Notes()
        try:
            own = read_stack(path, z=ZChoice("max")).channels
        except InputError:
            return Notes()  # of a set that is not whole, or is read file by file
        notes.channels.update({path.name: own[0]} if len(own) == 1 else {})
    return notes


def _name(
    stack: Stack, images: Sequence[NamedImage], notes: Notes, source: str
) -> tuple[Stack, list[str]]:
    """Give channels the names that a program tells, and say so."""
    names = _names(stack, images, notes)
    if not names:
        return stack, []
    pairs = ", ".join(f"{a} is {b}" for a, b in zip(stack.channels, names, strict=True))
    return replace(stack, channels=tuple(names)), [f"Channels have the names of {source}: {pairs}."]


def _times(images: Sequence[NamedImage], notes: Notes) -> tuple[float, ...]:
    """Seconds of each frame since the first, by its first image; empty if some lack one."""
    by_frame: dict[int, list[float]] = defaultdict(list)
    for image in images:
        if image.path.name not in notes.seconds:
            return ()
        by_frame[image.frame or 0].append(notes.seconds[image.path.name])
    times = [min(seconds) for _, seconds in sorted(by_frame.items())]
    if any(b <= a for a, b in pairwise(times)):
        return ()
    return tuple(t - times[0] for t in times)


def _names(stack: Stack, images: Sequence[NamedImage], notes: Notes) -> list[str]:
    """Name the channels; none if a name is lacking, or not the channel's own, or known already."""
    file_of = {image.channel: image.path.name for image in images}
    names = [
        notes.channels.get(key) or notes.channels.get(file_of.get(key, ""), "")
        for key in stack.channels
    ]
    names = [" ".join(name.replace(",", " ").split()) for name in names]
    is_whole = "" not in names and len(set(names)) == len(names)
    are_new = [name.lower() for name in names] != [name.lower() for name in stack.channels]
    return names if is_whole and are_new else []
