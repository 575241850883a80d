"""Stain images of one size and dtype, from one file or several, by the stains' names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError, shortened
from cellsam_core.files.image_stack import RGB, Stack
from cellsam_core.samples.sources import DIFFERENCE
from cellsam_core.samples.vendors.contract import Stains

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


Z_SUFFIX = re.compile(r"(?P<stain>.+)_z(?P<z>\d+)")
# Whole words: CellMask is a dye, and "cell boundary" what it shows.
NOT_A_STAIN = re.compile(
    r"(?:^|[_.\- ])(?:mask|(?:cell|nuclei|nucleus)?(?:labels?|masks|segmentation|boundaries))"
    r"(?=[_.\- ]|$)",
    re.IGNORECASE,
)


def split_z(stem: str) -> tuple[str, int | None]:
    """Split ``dapi_z3`` into the stain and its z plane; None for a name without a plane."""
    match = Z_SUFFIX.fullmatch(stem)
    return (match["stain"], int(match["z"])) if match else (stem, None)


def split_masks(
    files: Sequence[Path], channels: Sequence[str] | None
) -> tuple[list[Path], list[str]]:
    """Tell stains from label images by their names; what is asked for by name is a stain.

    Returns
    -------
    stains, warnings
        A warning says what was taken for labels.
    """
    masks = [
        file
        for file in files
        if NOT_A_STAIN.search(file.name)
        and split_z(file.name.split(".")[0])[0] not in (channels or ())
    ]
    names = ", ".join(file.name for file in masks)
    warnings = [f"Taken for label images, not for stains: {names}."] if masks else []
    return [file for file in files if file not in masks], warnings


def not_read(names: Sequence[str], reason: str) -> list[str]:
    """Warn of images that are not read, by the first of their names."""
    if not names:
        return []
    return [f"Not read: {shortened(names)}, because {reason}."]


def one_file(
    stack: Stack, channels: Sequence[str] | None, names: Sequence[str] | None = None
) -> Stains:
    """Take the channels of a file: named by `names`, inside, by the file or by hand.

    Raises
    ------
    InputError
        There is no name for each channel, or none of a name asked for.
    """
    planes = stack.planes[0]
    known = list(names or (stack.channels if stack.channels != RGB else ()))
    if len(stack.planes) == 1 and not known and len(planes) == 1:
        known = [split_z(stack.path.name.split(".")[0])[0]]
    if len(stack.planes) == 1 and len(set(known)) == len(planes):
        chosen = select(stack.path, known, channels)
        planes = [planes[known.index(name)] for name in chosen]
    elif len(stack.planes) == 1 and channels and len(set(channels)) == len(planes):
        chosen = list(channels)
    else:
        n_planes = len(stack.planes) * len(planes)
        raise InputError(
            stack.path,
            found=f"{n_planes} planes and {len(channels) if channels else 'no'} names for them",
            expected="a name for each channel, in the order of the file",
            remedy="give them as channels in the sample sheet, such as DAPI,PolyT",
        )
    return Stains(chosen, planes, stack.shape_yx, stack.dtype, stack.pixel_size_um)


def one_file_a_stain(stacks: Mapping[str, Stack]) -> Stains:
    """Join files of one plane each.

    Raises
    ------
    InputError
        A file has several planes, or another size or dtype than the first.
    """
    first = next(iter(stacks.values()))
    for stack in stacks.values():
        n_planes = sum(len(frame) for frame in stack.planes)
        if n_planes != 1:
            raise InputError(
                stack.path,
                found=f"{n_planes} planes in one of {len(stacks)} stain images",
                expected="one image with all channels or one image a channel",
                remedy="fill the column channels of the sample sheet with the stains, which leaves "
                "out the other images, or split the channels of this one",
            )
        if (stack.shape_yx, stack.dtype) != (first.shape_yx, first.dtype):
            raise InputError(
                stack.path,
                found=describe(stack),
                expected=f"{describe(first)} as in {first.path.name}",
                remedy="fill the column channels of the sample sheet with the stains that are "
                "alike, which leaves out the others and label images, or export all stains alike",
            )
    sizes = {stack.path.name: um for stack in stacks.values() if (um := stack.pixel_size_um)}
    used = next(iter(sizes.values()), None)
    return Stains(
        list(stacks),
        [stack.planes[0][0] for stack in stacks.values()],
        first.shape_yx,
        first.dtype,
        used,
        _unlike_sizes(sizes),
    )


def _unlike_sizes(sizes: dict[str, float]) -> list[str]:
    """Warn if images of one size in pixels say that their pixels differ."""
    (first, used), *others = sizes.items() or [("", 0.0)]
    unlike = [name for name, um in others if abs(um / used - 1) > DIFFERENCE]
    if not unlike:
        return []
    return [
        f"By its metadata, {first} has {used:g} um a pixel, and {unlike[0]} {sizes[unlike[0]]:g}"
        f" um, though they are alike in pixels. Without `pixel_size_um`, that of {first} is used."
    ]


def select(where: Path, found: Sequence[str], channels: Sequence[str] | None) -> list[str]:
    """Take the stains that are asked for, all if none are.

    Raises
    ------
    InputError
        One is not there.
    """
    for name in channels or []:
        if name not in found:
            raise InputError(
                where,
                found=f"the stains {', '.join(found)}",
                expected=f"one named {name!r}",
                remedy="correct channels in the sample sheet",
            )
    return list(channels) if channels else list(found)


def describe(stack: Stack) -> str:
    """Size and dtype in words."""
    return f"{stack.shape_yx[1]} x {stack.shape_yx[0]} px of {stack.dtype}"
