"""Planes of a TIFF that were acquired, among those that were planned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.files.planes import unreadable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.files.image_stack import ZChoice
    from cellsam_core.files.ome_xml import OmeImage


def not_acquired(
    path: Path, series: Any, image: OmeImage | None, grid: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Tell which planes the metadata leave out of those that they plan.

    The index of NDTiff, and an OME-XML that names the file of each plane, list what was acquired.

    Parameters
    ----------
    path
        The file.
    series
        Series of tifffile.
    image
        Its OME metadata.
    grid
        Index in the series of each plane ``(frame, channel, z)``.

    Returns
    -------
    ndarray of bool
        As `grid`.

    Raises
    ------
    InputError
        A plane was acquired, and its file is lost.
    """
    listed = {place: (name, page) for name, page, place in (image.planes if image else ())}
    found = np.zeros(grid.shape, bool)
    if not listed and series.kind != "ndtiff":
        return found
    for place in np.ndindex(*grid.shape):
        at = int(grid[place]) // int(series.keyframe.samplesperpixel)
        if at >= len(series.pages) or series.pages[at] is not None:
            continue
        if place in listed:
            name, page = listed[place]
            is_there = path.with_name(name).is_file()
            raise unreadable(path, f"no {f'page {page} in ' * is_there}{name} of this OME-TIFF set")
        found[place] = True
    return found


def planes_there(absent: NDArray[np.bool_], z: ZChoice) -> list[list[list[int]]]:
    """List the z planes to use of each frame and channel.

    A channel may have fewer z planes than others in all frames, such as one of transmitted light
    beside stacks of fluorescence. A frame that has fewer than others of its channel is not whole.

    Parameters
    ----------
    absent
        ``(frame, channel, z)``.
    z
        Choice of one plane, or projection of all.

    Returns
    -------
    list
        Indices of z planes for each frame and channel; none where they are not whole.
    """
    n_frames, n_channels, n_z = absent.shape
    found: list[list[list[int]]] = [[[] for _ in range(n_channels)] for _ in range(n_frames)]
    for c in range(n_channels):
        own = [np.flatnonzero(~absent[t, c]).tolist() for t in range(n_frames)]
        whole = max(own, key=len)
        used = whole
        if z.policy == "one" and 1 < len(whole) < n_z:
            middle = n_z // 2 if z.plane is None else z.plane
            used = [middle] if middle in whole else []
        for t in range(n_frames):
            found[t][c] = used if own[t] == whole else []
    return found
