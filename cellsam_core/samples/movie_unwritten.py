"""Frames and channels that were planned, and never acquired."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.samples.movie_channels import is_regular
from cellsam_core.samples.movie_files import error

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.files.image_stack import Stack


def leave_unwritten(stack: Stack) -> tuple[Stack, list[str]]:
    """Leave out the frames behind the last one that was acquired, and planes between those.

    Parameters
    ----------
    stack
        A movie with names for its channels.

    Returns
    -------
    Stack, list of str
        With None for planes of a channel that was imaged every n-th frame; and sentences for the
        report.

    Raises
    ------
    InputError
        Other planes have no pixels, as if an incomplete copy lacks them.
    """
    if stack.kind == "ome_zarr":
        stack = _without_unwritten(stack)
    there = np.array([[plane is not None for plane in row] for row in stack.planes])
    n_frames = len(there)
    if there.all():
        return stack, []
    frames = np.flatnonzero(there.any(axis=1))
    n_there = int(frames[-1]) + 1 if len(frames) else 0
    if n_there > 1 and not _is_planned(there[:n_there]) and _is_planned(there[: n_there - 1]):
        n_there -= 1  # the acquisition ended within a frame
    if not n_there or not _is_planned(there[:n_there]):
        raise _lost(stack, there[:n_there] if n_there else there)
    told = []
    if n_there < n_frames:
        told.append(
            f"{n_frames - n_there} of {n_frames} frames, at the end, were not acquired, or not "
            "whole: they are left out."
        )
    for name, column in zip(stack.channels, there[:n_there].T, strict=True):
        if not column.all():
            told.append(f"Channel {name} is there in {column.sum()} of {n_there} frames.")
    planes: Any = [
        [plane if is_there else None for plane, is_there in zip(row, known, strict=True)]
        for row, known in zip(stack.planes[:n_there], there, strict=False)
    ]
    return replace(stack, planes=planes, times_s=stack.times_s[:n_there]), told


def _without_unwritten(stack: Stack) -> Stack:
    """Leave out the planes of an OME-Zarr that were never written.

    A channel may have fewer z planes than others in all frames, such as one of transmitted light.
    """
    from cellsam_core.files.ngff_written import written_planes

    first = stack.planes[0][0]
    written = written_planes(first.path, first.series)
    planes: Any = [[*row] for row in stack.planes]
    for c in range(len(stack.planes[0])):
        column = [row[c] for row in stack.planes]
        pages = [[plane.page, *(page for _, page in plane.stack)] for plane in column]
        known = [[i for i, page in enumerate(own) if written[page]] for own in pages]
        whole = max(known, key=len)
        for t, (plane, own) in enumerate(zip(column, pages, strict=True)):
            kept = [own[i] for i in whole] if known[t] == whole else []
            rest = tuple(("", page) for page in kept[1:])
            planes[t][c] = replace(plane, page=kept[0], stack=rest) if kept else None
    return replace(stack, planes=planes)


def _is_planned(there: NDArray[np.bool_]) -> bool:
    """Tell whether each frame has pixels, and each channel in all frames or every n-th."""
    return bool(there.any(axis=1).all()) and all(
        column.all() or (column.any() and is_regular([*np.flatnonzero(column)], len(column)))
        for column in there.T
    )


def _lost(stack: Stack, there: NDArray[np.bool_]) -> Exception:
    """Name the first plane without pixels."""
    frame, channel = (int(i) for i in np.argwhere(~there)[0])
    other = ", or leave the channel out with the column `channels`"
    return error(
        Path(stack.path),
        f"no pixels in frame {frame} of channel {stack.channels[channel]} ({int((~there).sum())} of"
        f" {there.size} planes have none)",
        "all channels in all frames, or a channel in every n-th",
        "copy the images again, all of them" + (other if there.any(axis=1).all() else ""),
    )
