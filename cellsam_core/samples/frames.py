"""Frames and mosaics of a sample, read as its manifest names them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files.planes import read_plane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.files.plane import Plane, Window
    from cellsam_core.mosaic import Layout
    from cellsam_core.samples.manifest import Manifest


def read_frame(
    manifest: Manifest,
    frame: int,
    channels: Sequence[str] | None = None,
    window: Window | None = None,
) -> NDArray[Any]:
    """Read channels of one frame.

    Parameters
    ----------
    manifest
        The sample.
    frame
        Zero-based index.
    channels
        Names in `manifest`; None for all.
    window
        As for :func:`read_plane`.

    Returns
    -------
    ndarray, (c, y, x)
        A channel that was not imaged in this frame is NaN everywhere; the others are floats
        then, too.

    Raises
    ------
    InputError
        A name is not in the manifest, or a file can't be read.
    """
    names = manifest.channels if channels is None else channels
    indices = [channel_index(manifest, name) for name in names]
    if manifest.fields is not None:
        channel_planes = ([_there(f[i]) for f in manifest.planes] for i in indices)
        return np.stack([read_mosaic(p, manifest.fields.layout, window) for p in channel_planes])
    row = [manifest.planes[frame][i] for i in indices]
    y0, y1, x0, x1 = window or (0, manifest.shape_yx[0], 0, manifest.shape_yx[1])
    absent = np.broadcast_to(np.float32(np.nan), (y1 - y0, x1 - x0))
    return np.stack([absent if p is None else read_plane(p, window) for p in row])


def _there(plane: Plane | None) -> Plane:
    """Fields of view have all channels."""
    assert plane is not None
    return plane


def read_mosaic(
    planes: Sequence[Plane], layout: Layout, window: Window | None = None
) -> NDArray[Any]:
    """Read a window of the image that fields make up.

    Parameters
    ----------
    planes
        One channel of each field.
    layout
        Where they lie; a pixel of an overlap is read from the field that it belongs to.
    window
        As for :func:`read_plane`.

    Returns
    -------
    ndarray, (y, x)
        Between the fields as dark as the darkest pixel of the first one.
    """
    y0, y1, x0, x1 = window or (0, layout.shape_yx[0], 0, layout.shape_yx[1])
    dark = _darkest(planes[0])
    image = np.full((y1 - y0, x1 - x0), dark)
    height, width = layout.field_shape_yx
    for field, (plane, (top, left)) in enumerate(zip(planes, layout.offset_yx, strict=True)):
        rows = slice(max(y0 - top, 0), min(y1 - top, height))
        columns = slice(max(x0 - left, 0), min(x1 - left, width))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        pixels = read_plane(plane, (rows.start, rows.stop, columns.start, columns.stop))
        y, x = np.ogrid[rows, columns]
        here = image[
            rows.start + top - y0 : rows.stop + top - y0,
            columns.start + left - x0 : columns.stop + left - x0,
        ]
        np.copyto(here, pixels, where=layout.owns(field, y, x))
    return image


@functools.lru_cache(maxsize=64)
def _darkest(plane: Plane) -> np.generic[Any]:
    darkest: np.generic[Any] = read_plane(plane).min()
    return darkest


def is_whole(manifest: Manifest, name: str) -> bool:
    """Tell whether a channel was imaged in every frame."""
    index = channel_index(manifest, name)
    return all(row[index] is not None for row in manifest.planes)


def refuse_missing_frames(manifest: Manifest, names: Sequence[str]) -> None:
    """Refuse channels that some frames lack: cells are segmented and followed in every frame.

    Raises
    ------
    InputError
        It names the first frame without a plane.
    """
    for name in names:
        index = channel_index(manifest, name)
        lost = next((t for t, row in enumerate(manifest.planes) if row[index] is None), None)
        if lost is not None:
            whole = [c for c in manifest.channels if is_whole(manifest, c)]
            raise InputError(
                f"sample {manifest.sample}",
                found=f"no image of channel {name} in frame {lost}",
                expected="the channels that are segmented in every frame",
                remedy=f"segment another channel, such as {whole[0]}, with `nuclear_channel` or "
                "`cell_channel`"
                if whole
                else "add the missing images",
            )


def channel_index(manifest: Manifest, name: str) -> int:
    """Position of a channel in ``manifest.planes[frame]``; InputError if there is none."""
    if name not in manifest.channels:
        raise InputError(
            f"sample {manifest.sample}",
            found=f"no channel {name!r}",
            expected=f"one of {', '.join(manifest.channels)}",
            remedy="correct the channel's name",
        )
    return manifest.channels.index(name)
