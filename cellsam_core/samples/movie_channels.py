"""Channels of a movie that lie in images of their own, put side by side in each frame."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.samples.movie_files import error
from cellsam_core.samples.movie_series import Series, refuse_different

if TYPE_CHECKING:
    from cellsam_core.files.image_stack import Stack
    from cellsam_core.files.plane import Plane


def merge_channels(root: Path, series: dict[str, Series]) -> tuple[Stack, list[str]]:
    """Put the frames of the channels side by side; what a channel lacks stays empty."""
    warnings = [sentence for s in series.values() for sentence in s.warnings]
    for name, each in series.items():
        count = len(each.stack.planes[0])
        if count > 1:
            found = f"{count} channels in the images of {name}"
            raise error(each.stack.path, found, "one channel", "split the channels into files")
    series = {
        name: replace(s, stack=st)
        for (name, s), st in zip(
            series.items(), _zoomed([s.stack for s in series.values()], warnings), strict=True
        )
    }
    first = max(series.values(), key=lambda s: len(s.stack.planes))
    for each in series.values():
        refuse_different(first.stack, each.stack, across_channels=True)
    columns = [_column(root, name, s, series) for name, s in series.items()]
    for name, column in zip(series, columns, strict=True):
        n_there = sum(plane is not None for plane in column)
        if n_there < len(column):
            warnings.append(f"Channel {name} is there in {n_there} of {len(column)} frames.")
    dtype = str(np.result_type(*(s.stack.dtype for s in series.values())))
    planes = [list(frame) for frame in zip(*columns, strict=True)]
    times = _common_times(list(series.values()), len(planes))
    whole = replace(first.stack, planes=planes, channels=tuple(series), dtype=dtype, times_s=times)
    return whole, list(dict.fromkeys(warnings))


def _common_times(series: list[Series], n_frames: int) -> tuple[float, ...]:
    """Return the times of all frames, of which a channel may have a part."""
    whole = next((s.stack.times_s for s in series if len(s.stack.times_s) == n_frames), ())
    if whole or any(s.numbers is None or not s.stack.times_s for s in series):
        return whole
    times: dict[int, float] = {}
    for each in series:
        times |= dict(zip(each.numbers or [], each.stack.times_s, strict=True))
    ordered = [times[number] for number in sorted(times)]
    is_rising = all(b > a for a, b in pairwise(ordered))
    return tuple(ordered) if len(ordered) == n_frames and is_rising else ()


def _zoomed(stacks: list[Stack], warnings: list[str]) -> list[Stack]:
    """Enlarge channels that were binned to the size of the largest."""
    height, width = max(s.shape_yx for s in stacks)
    fitted = []
    for stack in stacks:
        y, x = stack.shape_yx
        zoom = height // y
        if zoom > 1 and (y * zoom, x * zoom) == (height, width):
            planes = [[replace(p, zoom=zoom) for p in row] for row in stack.planes]
            size = stack.pixel_size_um
            warnings.append(
                f"{stack.path.name} is binned {zoom} x {zoom}: each of its pixels stands for "
                f"{zoom * zoom}."
            )
            stack = replace(
                stack,
                planes=planes,
                shape_yx=(height, width),
                pixel_size_um=size / zoom if size else None,
            )
        fitted.append(stack)
    return fitted


def _column(root: Path, name: str, own: Series, series: dict[str, Series]) -> list[Plane | None]:
    """List the planes of a channel over all frames; None where it was not imaged.

    A channel may be imaged every n-th frame, or once; any other gap is taken for a lost file.
    """
    planes = [row[0] for row in own.stack.planes]
    if any(s.numbers is None for s in series.values()):
        longest = max(len(s.stack.planes) for s in series.values())
        if len(planes) != longest:
            raise error(
                own.stack.path,
                f"{len(planes)} frames of channel {name}",
                f"{longest} as in the other channels",
                "leave the channel out with the column `channels`, or export all of its frames",
            )
        return [*planes]
    numbers = sorted({n for s in series.values() for n in s.numbers or []})
    at = dict(zip(own.numbers or [], planes, strict=True))
    lost = [n for n in numbers if n not in at]
    if lost and not is_regular([numbers.index(n) for n in at], len(numbers)):
        other = next(k for k, s in series.items() if lost[0] in (s.numbers or []))
        there = series[other].stack.planes[(series[other].numbers or []).index(lost[0])][0]
        raise error(
            root,
            f"{Path(there.path).name} of channel {other} without its like in channel {name}",
            "the same frames in every channel, or every n-th",
            "add the missing image, or leave a channel out with the column `channels`",
        )
    return [at.get(number) for number in numbers]


def is_regular(indices: list[int], n_frames: int) -> bool:
    """Tell whether frames were left out by plan: all but one, or every n-th up to the end."""
    if len(indices) == 1:
        return True
    steps = {b - a for a, b in pairwise(indices)}
    step = min(steps)
    return len(steps) == 1 and step > 1 and indices[0] < step and indices[-1] + step >= n_frames
