"""Images of one channel of a movie, joined in time and over z planes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.files.filenames import missing_frame
from cellsam_core.files.stack import read_stack
from cellsam_core.files.tiff.header import MAX_UNNAMED_CHANNELS
from cellsam_core.samples.movie_files import error

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.files.image_stack import Stack, ZChoice
    from cellsam_core.files.names.named_images import NamedImage
    from cellsam_core.files.plane import Plane


@dataclass(frozen=True)
class Series:
    """Frames of one channel, or of files that hold all channels.

    Attributes
    ----------
    stack
        Its planes.
    numbers
        Frame number of each of them; None for the frames of a stack.
    warnings
        For the report.
    """

    stack: Stack
    numbers: list[int] | None
    warnings: list[str]


@dataclass(frozen=True)
class SeriesReader:
    """Reads the images of one channel."""

    z: ZChoice | None
    n_channels: int | None
    alone: bool
    is_only: bool

    def read(self, images: list[NamedImage]) -> Series:
        """Join files of a time series or of z planes, or take the one file that holds all."""
        by_frame: dict[int, list[NamedImage]] = defaultdict(list)
        for image in images:
            by_frame[image.frame or 0].append(image)
        if any(len(planes) > 1 for planes in by_frame.values()):
            self._refuse_z(images, by_frame)
        frames = sorted(by_frame.items())
        stacks = [self._read_frame(group) for _, group in frames]
        numbers = [number for number, _ in frames]
        if len(stacks) == 1:
            return Series(stacks[0], numbers if len(stacks[0].planes) == 1 else None, [])
        if all(len(s.planes) > 1 for s in stacks[:-1]):
            return self._join(images, stacks)
        for stack in stacks:
            refuse_different(stacks[0], stack, across_channels=False)
            if len(stack.planes) > 1:
                raise error(
                    stack.path,
                    f"{len(stack.planes)} frames in one of {len(stacks)} files",
                    "one frame a file, or several in each",
                    "name one of the stacks as `path`",
                )
        warnings = refuse_missing_frame(images) if self.is_only else []
        times, more = _times_of(images, stacks)
        planes = [row for s in stacks for row in s.planes]
        whole = replace(stacks[0], kind="tiff_series", planes=planes, times_s=times)
        return Series(whole, numbers, warnings + more)

    def _read_one(self, path: Path) -> Stack:
        stack = read_stack(path, n_channels=self.n_channels, z=self.z, alone=self.alone)
        return _own_part(stack, path)

    def _read_frame(self, group: list[NamedImage]) -> Stack:
        """Read the file of a frame, or its z planes as one."""
        group = sorted(group, key=lambda i: i.z or 0)
        first = self._read_one(group[0].path)
        if len(group) == 1 or self.z is None:
            return first
        stacks = [first, *(self._read_one(i.path) for i in group[1:])]
        for stack in stacks:
            refuse_different(first, stack, across_channels=False)
            if len(stack.planes) > 1:
                found = f"{len(stack.planes)} frames in the file of one z plane"
                raise error(stack.path, found, "one", "name one of the files as `path`")
        row = [self.z.apply([s.planes[0][c] for s in stacks]) for c in range(len(first.planes[0]))]
        return replace(first, planes=[row])

    def _refuse_z(self, images: list[NamedImage], by_frame: dict[int, list[NamedImage]]) -> None:
        """Refuse z planes that nobody said what to do with, and frames that lack some."""
        planes = sorted({i.z for i in images if i.z is not None})
        if self.z is None:
            raise error(
                images[0].path.parent,
                f"z planes {planes[0]} to {planes[-1]} in the image names",
                "one plane of each frame and channel",
                "fill the column `z_policy` of the sample sheet with max, mean, focus or one",
            )
        for group in by_frame.values():
            lost = sorted(set(planes) - {i.z for i in group})
            if lost:
                raise error(
                    group[0].path.parent,
                    f"no z plane {lost[0]} beside {group[0].path.name}",
                    "the same z planes in all frames",
                    "add the missing image, or set `z_policy` to one and `z_plane`",
                )

    def _join(self, images: list[NamedImage], stacks: list[Stack]) -> Series:
        """Join stacks in the order of their names, as programs split long movies."""
        if self.is_only:
            refuse_missing_frame(images)
        for stack in stacks:
            refuse_different(stacks[0], stack, across_channels=False)
        names = [s.path.name for s in stacks]
        times: list[float] = []
        for stack in stacks:
            start = times[-1] + (stack.frame_interval_s or 0.0) if times else 0.0
            times += [start + t - stack.times_s[0] for t in stack.times_s]
        planes = [row for s in stacks for row in s.planes]
        is_known = len(times) == len(planes) and all(s.frame_interval_s for s in stacks[:-1])
        whole = replace(stacks[0], planes=planes, times_s=tuple(times) if is_known else ())
        sentence = f"{len(stacks)} stacks are joined in time: {', '.join(names[:4])}"
        sentence += ", ..." if len(names) > 4 else ""
        return Series(whole, None, [f"{sentence}.", *self._doubt(stacks)])

    def _doubt(self, stacks: list[Stack]) -> list[str]:
        """Tell that a few pages in each file may be channels, where nothing says what they are."""
        counts = {len(stack.planes) for stack in stacks}
        n_pages = max(counts)
        is_told = self.n_channels or stacks[0].kind != "tiff_stack" or stacks[0].scales_from
        if is_told or len(counts) > 1 or n_pages > MAX_UNNAMED_CHANNELS:
            return []
        return [
            f"Each of the {len(stacks)} files has {n_pages} pages, which are taken for frames: if "
            f"they are channels, write {n_pages} names into the column `channels`."
        ]


def _own_part(stack: Stack, path: Path) -> Stack:
    """Take the planes that are in a file itself; one of an OME-TIFF set tells of the whole set.

    The set would be read once for each of its files.
    """
    is_own = {str(path): True}

    def is_here(plane: Plane) -> bool:
        files = {plane.path, *(other for other, _ in plane.stack if other)}
        for file in files - set(is_own):
            is_own[file] = path.samefile(file)
        return all(is_own[file] for file in files)

    here = np.array([[is_here(plane) for plane in row] for row in stack.planes])
    if here.all():
        return stack
    frames, channels = (np.flatnonzero(here.any(axis=axis)) for axis in (1, 0))
    if not here[np.ix_(frames, channels)].all() or not len(frames):
        raise error(
            path,
            "a part of an OME-TIFF set whose planes lie across several files",
            "all z planes of a frame in one file, and the same channels of each of its frames",
            "put the files of the set into a folder of their own, and leave the columns `format`"
            " and `pattern` empty",
        )
    is_whole = len(stack.times_s) == len(stack.planes)
    return replace(
        stack,
        path=path,
        planes=[[stack.planes[t][c] for c in channels] for t in frames],
        channels=tuple(stack.channels[c] for c in channels) if stack.channels else (),
        times_s=tuple(stack.times_s[t] for t in frames) if is_whole else (),
    )


def refuse_different(first: Stack, other: Stack, *, across_channels: bool) -> None:
    """Refuse images of another size; and of another kind of pixels, except in other channels."""
    checks = [
        ("px", first.shape_yx, other.shape_yx),
        ("pixels", first.dtype, other.dtype),
        ("channel(s)", len(first.planes[0]), len(other.planes[0])),
    ]
    for what, one, two in checks[:1] if across_channels else checks:
        if one != two:
            found, expected = (
                f"{' x '.join(map(str, v)) if isinstance(v, tuple) else v} {what}"
                for v in (two, one)
            )
            remedy = "move the images of another camera setting to another folder"
            if across_channels:
                remedy = "leave this channel out with the column `channels`, or export it anew"
            raise error(other.path, found, f"{expected} as in {first.path.name}", remedy)


def refuse_missing_frame(images: list[NamedImage]) -> list[str]:
    """Refuse a gap in frame numbers; by the clock, tell of one."""
    by_time = {i.time_s: i.path for i in images if i.time_s is not None}
    if by_time:
        times = sorted(by_time)
        steps = [b - a for a, b in pairwise(times)]
        middle = float(np.median(steps)) if steps else 0.0
        wide = [(a, b) for a, b in pairwise(times) if b - a > 1.5 * middle]
        if not wide or 2 * len(wide) >= len(steps):  # planned so
            return []
        one, two = (by_time[t].name for t in wide[0])
        return [
            f"Frames are {middle:g} s apart, but {wide[0][1] - wide[0][0]:g} s between {one} and "
            f"{two}: if an image was lost, add it."
        ]
    gap = missing_frame(i.frame for i in images if i.frame is not None)
    if gap:
        missing, before = gap
        neighbour = next(i.path for i in images if i.frame == before)
        raise error(
            neighbour.parent,
            f"no frame {missing} after {neighbour.name}",
            "frame numbers without a gap",
            "add the missing image or renumber the images",
        )
    return []


def _times_of(images: list[NamedImage], stacks: list[Stack]) -> tuple[tuple[float, ...], list[str]]:
    """Seconds of each frame, by the clocks in names or in the files."""
    by_frame = {i.frame: i.time_s for i in images}
    times = [t for _, t in sorted(by_frame.items(), key=lambda item: item[0] or 0)]
    if all(t is not None for t in times):
        return tuple(float(t or 0.0) for t in times), []
    told = [s.times_s for s in stacks]
    if not all(len(t) == 1 for t in told):
        return (), []
    seconds = [round(t[0] - told[0][0], 6) for t in told]  # of seconds since 1970
    if any(b <= a for a, b in pairwise(seconds)):
        return (), ["The times in the files do not rise with the frame numbers: not used."]
    return tuple(seconds), []
