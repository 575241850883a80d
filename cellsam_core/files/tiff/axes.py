"""Axes of the planes of a TIFF: frames by channels by z planes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files.image_stack import ZChoice, z_error

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Wish:
    """Facts about the axes that the caller of :func:`.stack.read_stack` knows."""

    n_channels: int | None = None
    pages_are_frames: bool = False
    z: ZChoice | None = None
    series: str = ""
    alone: bool = False
    are_labels: bool = False
    may_lack: bool = False


def frames_by_channels(path: Path, lead: list[tuple[str, int]], wish: Wish) -> NDArray[np.int64]:
    """Arrange the indices of a file's planes as ``(frame, channel, z)``.

    Parameters
    ----------
    path
        For messages.
    lead
        Axes before y and x, longer than 1, with their length.
    wish
        What is known of the axes.
    """
    if wish.pages_are_frames and not any(axis == "T" for axis, _ in lead):
        lead = [("T" if axis == "Z" else axis, size) for axis, size in lead]
    axes = "".join(axis for axis, _ in lead)
    sizes = [size for _, size in lead]
    indices = np.arange(int(np.prod(sizes)), dtype=np.int64).reshape(sizes)
    if set(axes) <= set("TCZ") and len(set(axes)) == len(axes):
        if "Z" in axes and wish.z is None:
            raise z_error(path, dict(lead)["Z"], may_be_time="T" not in axes)
        order = [axes.index(axis) for axis in "TCZ" if axis in axes]
        size = dict(lead)
        return indices.transpose(order).reshape([size.get(axis, 1) for axis in "TCZ"])
    if len(lead) > 2:
        raise InputError(
            path,
            found=f"{' x '.join(map(str, sizes))} pages with axes {axes} that are not all named",
            expected="axes TZCYX in its metadata, because time and z planes can't be told apart",
            remedy="export the file again with named axes, for example with Image > Hyperstacks >"
            " Stack to Hyperstack in Fiji",
        )
    if "Z" in axes or (len(lead) > 1 and sizes[-1] != wish.n_channels):
        raise InputError(
            path,
            found=f"{' x '.join(map(str, sizes))} pages with axes {axes} that are not all named",
            expected="axes TCYX in its metadata, or as many channels as the last axis has",
            remedy=f"name the {sizes[-1]} channels in the column `channels` if the last axis is"
            " channels, else export the file again with named axes",
        )
    per_frame = wish.n_channels or 1
    if indices.size % per_frame:
        raise InputError(
            path,
            found=f"{indices.size} pages",
            expected=f"a multiple of the {per_frame} channels given",
            remedy="name as many channels in the column `channels` as each frame has, or none",
        )
    return indices.reshape(-1, per_frame, 1)


def axes_error(path: Path, found: str, expected: str) -> InputError:
    """Return the error for planes whose axes are not time, channel, y and x."""
    return InputError(
        path,
        found=found,
        expected=expected,
        remedy="export the file again with one plane in each page and the axes named TCYX",
    )
