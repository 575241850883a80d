"""Channel roles of labelled images: which channels show nuclei and which show whole cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.preprocessing.channels import (
    CELL_NAME,
    NUCLEAR_NAME,
    RGB,
    ROLES,
    is_stained_section,
)
from cellsam_core.preprocessing.contrast import preprocess_plane, to_grey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

JOIN = "+"
"""Between the channels of one role: their mean is taken, each stretched to its own range."""


def planes_of(
    path: Path, pixels: NDArray[Any], names: Sequence[str], roles: dict[str, str]
) -> NDArray[Any]:
    """Bring the channels of an image to a nuclear and a whole-cell plane.

    Parameters
    ----------
    path
        For messages.
    pixels
        ``(c, y, x)``.
    names
        Names of the channels; empty where the file names none.
    roles
        Channels of ``nuclear`` and ``cell``, by name or by number from 1, joined by ``+``. Empty:
        one channel is the whole cell, a colour image is read as the workflow reads it, and of
        other images the names tell.

    Returns
    -------
    ndarray
        ``(2, y, x)``; a role without a channel is 0.

    Raises
    ------
    InputError
        A channel is not there, or no name tells the role of any.
    """
    if not roles:
        if len(pixels) == 1:
            return np.stack((np.zeros_like(pixels[0]), pixels[0]))
        if list(names) == RGB:
            return _colour_planes(pixels)
        roles = guess_roles(path, len(pixels), names)
    empty = np.zeros(pixels.shape[1:], np.float32)
    planes = []
    for role in ROLES:
        chosen = [
            pixels[_index(path, part.strip(), len(pixels), names)]
            for part in roles.get(role, "").split(JOIN)
            if part.strip()
        ]
        planes.append(_mean(chosen) if chosen else empty)
    return np.stack(planes)


def guess_roles(path: Path, n_channels: int, names: Sequence[str]) -> dict[str, str]:
    """Tell the roles from the channels' names; one channel can't have both.

    Raises
    ------
    InputError
        No name tells a role.
    """
    found: dict[str, str] = {}
    for role, pattern in zip(ROLES, (NUCLEAR_NAME, CELL_NAME), strict=True):
        taken = set(found.values())
        name = next((n for n in names if pattern.search(n) and n not in taken), None)
        if name is not None:
            found[role] = name
    if not found:
        raise InputError(
            path,
            found=f"{n_channels} channels, {', '.join(names) if names else 'without names'}",
            expected="one grey or RGB image, or channels of which names or options tell the roles",
            remedy="name the nuclear and the cell channel: in the columns `nuclear` and `cell` of "
            "the manifest, in the options of the same name, or in the file (OME-TIFF, OME-Zarr)",
        )
    return found


def _index(path: Path, part: str, n_channels: int, names: Sequence[str]) -> int:
    """Find a channel by its name, or else by its number from 1."""
    if part in names:
        return list(names).index(part)
    if part.isdecimal() and 1 <= int(part) <= n_channels:
        return int(part) - 1
    raise InputError(
        path,
        found=f"no channel {part}",
        expected=f"one of {', '.join(names)}" if names else f"a number from 1 to {n_channels}",
        remedy="correct the channel's name or number",
    )


def _mean(planes: list[NDArray[Any]]) -> NDArray[Any]:
    if len(planes) == 1:
        return planes[0]
    stretched = [preprocess_plane(plane, clahe_clip_limit=0) for plane in planes]
    return np.asarray(np.mean(stretched, axis=0))


def _colour_planes(pixels: NDArray[Any]) -> NDArray[Any]:
    """Red shows nuclei in stained sections, as haematoxylin absorbs it; grey shows all."""
    grey = to_grey(pixels)
    red = pixels[0] if is_stained_section(pixels) else np.zeros_like(grey)
    return np.stack((red.astype(grey.dtype), grey))
