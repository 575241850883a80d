"""Choice of the z planes that are segmented, and of those whose transcripts are counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files.image_stack import ZChoice
from cellsam_core.files.stack import read_stack
from cellsam_core.samples.table_rows import iter_columns
from cellsam_core.samples.transcripts import find_columns
from cellsam_core.samples.vendors.stains import describe

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from cellsam_core.files.image_stack import Stack
    from cellsam_core.samples.vendors.contract import Choices, Stains


def count_planes(files: Collection[Path], n_channels: int | None = None) -> int:
    """Count the z planes that each of some images holds inside; 1 where they have no z axis.

    Parameters
    ----------
    files
        Images of one sample, at least one. Of several, each is of one stain.
    n_channels
        Number of channels of the only file that the sample sheet names.

    Raises
    ------
    InputError
        An image can't be read, or has another number of planes than the first.
    """
    n_channels = 1 if len(files) > 1 else n_channels
    counts = {file: _depth(read_planes(file, MAX, n_channels)) for file in files}
    (first, n_planes), *others = counts.items()
    for file, n in others:
        if n != n_planes:
            raise InputError(
                file,
                found=f"{n} z planes",
                expected=f"{n_planes}, as in {first.name}",
                remedy="export the same planes of all stains, or fill the column channels of the "
                "sample sheet with stains that are alike, which leaves out the others",
            )
    return n_planes


def read_planes(path: Path, z: ZChoice, n_channels: int | None = None) -> Stack:
    """Read the header of an image of a tissue, which may have z planes inside.

    A tissue is not a movie: frames, and pages of which the file does not name the axis, are z
    planes once the number of channels is known.

    Parameters
    ----------
    path
        The image.
    z
        Plane or projection.
    n_channels
        Number of its channels; None if it is not known.

    Raises
    ------
    InputError
        It can't be read.
    """
    stack = read_stack(path, n_channels=n_channels, z=z)
    if n_channels is None or len(stack.planes) == 1 or _depth(stack) > 1:
        return stack
    channels = zip(*stack.planes, strict=True)
    return replace(stack, planes=[[z.apply(list(planes)) for planes in channels]])


def read_flat(path: Path, n_channels: int | None = None) -> Stack:
    """Read the header of an image whose format has no z planes inside.

    Raises
    ------
    InputError
        It can't be read, or has a z axis.
    """
    stack = read_stack(path, n_channels=n_channels, z=MAX)
    if _depth(stack) > 1:
        raise InputError(
            path,
            found=f"a z axis of {_depth(stack)} planes",
            expected="one plane of each stain in this file",
            remedy="save the maximum projection or the sharpest plane in its place",
        )
    return stack


def in_file(planes: Sequence[int]) -> ZChoice:
    """Choose the same planes inside a file."""
    return MAX if len(planes) > 1 else ZChoice("one", planes[0])


MAX = ZChoice("max")


def _depth(stack: Stack) -> int:
    """Count the z planes that went into the maximum projection."""
    return 1 + len(stack.planes[0][0].stack)


def choose_planes(
    folder: Path, planes: Collection[int], choices: Choices, preferred: int | None = None
) -> list[int]:
    """Choose the planes to segment on: one, or all of a projection.

    Parameters
    ----------
    folder
        For messages.
    planes
        Those that the images show, at least one.
    choices
        Choices of the sample sheet.
    preferred
        Plane to use where none is asked for and this one exists; else the middle one is used,
        the lower of two.

    Raises
    ------
    InputError
        The plane asked for is not there, or is asked for beside a projection.
    """
    ordered = sorted(planes)
    if choices.z_policy == "max" and choices.z_plane is None:
        return ordered
    if choices.z_policy == "max" or choices.z_plane not in (None, *ordered):
        raise InputError(
            folder,
            found=f"z_plane {choices.z_plane} asked for, with z_policy {choices.z_policy}",
            expected=f"a plane out of {', '.join(map(str, ordered))}; none for z_policy max",
            remedy="correct z_plane in the sample sheet",
        )
    if choices.z_plane is not None:
        return [choices.z_plane]
    return [preferred if preferred in ordered else ordered[(len(ordered) - 1) // 2]]


def project(
    stains: Stains, files: Mapping[str, Mapping[int, Path]], planes: Sequence[int]
) -> Stains:
    """Add the other planes of each stain, ``files[stain][z]``, to those of the first plane.

    Raises
    ------
    InputError
        A plane lacks an image, or it is unlike that of the first plane.
    """
    if len(planes) == 1:
        return stains
    others: dict[str, list[str]] = {}
    for stain, by_z in files.items():
        first = read_flat(by_z[planes[0]])
        also = others[first.planes[0][0].path] = []
        for z in planes[1:]:
            stack = read_flat(by_z[z])
            if describe(stack) != describe(first) or len(stack.planes[0]) != len(first.planes[0]):
                raise InputError(
                    stack.path,
                    found=f"{describe(stack)} in plane {z} of {stain}",
                    expected=f"{describe(first)} as in {first.path.name}",
                    remedy="export all planes alike",
                )
            also.append(stack.planes[0][0].path)
    return replace(stains, planes=[replace(p, also=tuple(others[p.path])) for p in stains.planes])


def keep_plane(
    table: Path, choices: Choices, planes: Sequence[int], shown: Collection[int]
) -> tuple[str, float] | None:
    """Column and number by which ``z_policy: one`` keeps the transcripts of its plane.

    Parameters
    ----------
    table
        Table of the transcripts.
    choices
        Choices of the sample sheet.
    planes
        Those that are segmented.
    shown
        All that there are images of.

    Raises
    ------
    InputError
        The table has no z column, or one that does not number the planes of the images.
    """
    if choices.z_policy != "one":
        return None
    z = find_columns(table).z
    if z is None:
        raise InputError(
            table,
            found="no column z or global_z",
            expected="the z plane of each transcript, for z_policy one",
            remedy="choose another z_policy in the sample sheet",
        )
    found: set[float] = set()
    for batch in iter_columns(table, [z], []):
        found.update(np.unique(batch[z].to_numpy()).tolist())
    if planes[0] not in found or not (found <= set(shown) or set(shown) <= found):
        values = ", ".join(f"{value:g}" for value in sorted(found)[:8])
        raise InputError(
            table,
            found=f"{values or 'no values'} in the column {z}",
            expected=f"numbers of z planes, {planes[0]} among them, as the images have",
            remedy="write the planes' numbers into the column or choose another z_policy",
        )
    return z, float(planes[0])


def plane_warnings(choices: Choices, planes: Sequence[int], n_planes: int) -> list[str]:
    """Say what was done with the planes, where there are several."""
    if n_planes < 2:
        return []
    where = (
        f"the maximum projection of {n_planes} z planes"
        if choices.z_policy == "max"
        else f"z plane {planes[0]} of {n_planes}"
    )
    counted = "this plane alone" if choices.z_policy == "one" else "all planes"
    return [f"Cells are segmented on {where}; transcripts of {counted} are counted."]
