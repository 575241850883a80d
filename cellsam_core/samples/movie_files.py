"""Images of one movie on disk, by their names and headers, put together as frames and channels."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import (
    find_images,
    is_label_folder,
    is_ome_zarr,
    list_folders,
    list_images,
    missing_frame,
    natural_key,
)
from cellsam_core.files.foreign import MICROSCOPES, is_microscope_file, maker_of, refuse_foreign
from cellsam_core.files.image_stack import Stack, ZChoice
from cellsam_core.files.names import (
    NamedImage,
    NamedImages,
    guess_pattern,
    parse_names,
    split_parts,
)
from cellsam_core.files.ome_xml import parse_ome
from cellsam_core.files.stack import COMPANION, list_series, read_stack

if TYPE_CHECKING:
    from cellsam_core.files.plane import Plane

FILE_FORMATS = ("image", "tiff_stack", "ome_tiff", "ome_zarr", "microscope")
FOLDER_FORMATS = ("tiff_series", "ctc", "channel_folders", "channel_files")
FORMATS = ("auto", *FOLDER_FORMATS, *FILE_FORMATS)
CTC_IMAGE = re.compile(r"t\d+", re.IGNORECASE)
CTC_FOLDER = re.compile(r"\d\d")


@dataclass(frozen=True)
class MovieOptions:
    """Options of reading the files of a movie, as the sample sheet gives them.

    Attributes
    ----------
    format
        One of `FORMATS`.
    pattern
        Says what image names mean, such as ``img_{time}_{channel}_{z}``.
    channels
        Names of the channels to use.
    position
        Name of the position to read, where there are several.
    z
        What to do with z planes; None refuses them.
    """

    format: str = "auto"
    pattern: str | None = None
    channels: tuple[str, ...] = ()
    position: str = ""
    z: ZChoice | None = None


@dataclass(frozen=True)
class MovieFiles:
    """Files of a movie: one file or OME-Zarr, or many images.

    Attributes
    ----------
    root
        As the user named it.
    container
        The one file, or OME-Zarr folder; None for many images.
    images
        The many images and what their names say.
    format
        Name of the reader for many images.
    """

    root: Path
    container: Path | None = None
    images: list[NamedImage] = field(default_factory=list)
    format: str = "auto"
    warnings: list[str] = field(default_factory=list)


def error(where: str | Path, found: str, expected: str, remedy: str) -> InputError:
    """Make an error; shorter to write."""
    return InputError(where, found=found, expected=expected, remedy=remedy)


def find_movie(root: Path, options: MovieOptions) -> MovieFiles:
    """Look what is there; nothing but names is read, and headers of sets of OME-TIFF."""
    if not root.exists():
        raise error(root, "nothing", "a folder or an image file", "correct the path")
    if options.format not in FORMATS:
        choices = ", ".join(FORMATS)
        found = f"format {options.format!r}"
        raise error(root, found, f"one of {choices}", "correct the column `format`")
    if root.is_file() or is_ome_zarr(root):
        if options.format in FOLDER_FORMATS:
            expected = f"a folder for format {options.format}"
            what = "a file" if root.is_file() else "an OME-Zarr"
            raise error(root, what, expected, "name the folder as `path`, or set `format` to auto")
        return MovieFiles(root, container=root)
    container, warnings = _only_container(root, options)
    if container is not None:
        return MovieFiles(root, container=container, warnings=warnings)
    named = _named_images(root, options)
    kind = _kind_of(root, named.images) if options.format == "auto" else options.format
    warnings += named.warnings + _unread(root, named.images)
    return MovieFiles(root, None, named.images, kind, warnings)


def _only_container(root: Path, options: MovieOptions) -> tuple[Path | None, list[str]]:
    """Find the one file or OME-Zarr in a folder that holds the whole movie.

    That is the only image, the first of an OME-TIFF set, or a microscope's own file.
    """
    images = [f for f in list_images(root) if f in set(find_images(root, 0))]
    own = sorted(f for f in root.iterdir() if f.is_file() and is_microscope_file(f))
    if options.format in FOLDER_FORMATS or options.pattern is not None:
        return None, []
    stores = [] if images else sorted(f for f in root.iterdir() if is_ome_zarr(f))
    if len(stores) == 1 and not own:
        return stores[0], []
    if own and len(images) <= 1:
        if images:
            names = (
                f"{own[0].name} ({MICROSCOPES[own[0].suffix.lower()].name}) and {images[0].name}"
            )
            raise error(root, names, "one movie", "name one of the two files as `path`")
        if len(own) == 1:
            return own[0], []
        if maker_of(own[0]) and all(f.suffix.lower() == own[0].suffix.lower() for f in own):
            refuse = f"{len(own)} files, {own[0].name} and {own[1].name} among them"
            raise error(root, refuse, "one file", "give each file a row of the sample sheet")
    told = [
        f"{f.name} ({maker.name}) is not read." for f in own if (maker := maker_of(f)) is not None
    ]
    if not images:
        return None, told
    if len(images) == 1:
        return images[0], told
    if _is_ome_set(root, images):
        return images[0], told
    if options.format in FILE_FORMATS:
        found = f"{len(images)} images"
        raise error(root, found, f"one file for format {options.format}", "name the file as `path`")
    return None, told


def _is_ome_set(root: Path, images: list[Path]) -> bool:
    """Tell whether the images of a folder are the parts, all of them, of one OME-TIFF."""
    first = images[0]
    companion = next((f for f in root.iterdir() if f.name.lower().endswith(COMPANION)), None)
    if companion is not None:
        try:
            parts = parse_ome(companion.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return {name for i in parts for name, _, _ in i.planes} >= {f.name for f in images}
    if not first.name.lower().endswith((".ome.tif", ".ome.tiff")):
        return False
    if list_series(first) != [""]:
        return False
    stack = read_stack(first, z=ZChoice("max"))
    planes = [p for row in stack.planes for p in row]
    used = {p.path for p in planes} | {q for p in planes for q, _ in p.stack if q}
    return used == {str(f) for f in images}


def _named_images(root: Path, options: MovieOptions) -> NamedImages:
    """Find the images of a folder, or of its sub-folders, and read their names."""
    found = find_images(root)
    direct = [f for f in found if f.parent == root]
    if options.format in ("tiff_series", "channel_files", "ctc") and direct:
        found = direct
    elif options.format == "channel_folders":
        found = [f for folder in _channel_dirs(root) for f in find_images(folder, 0)]
    if not found:
        raise _no_images(root)
    if options.pattern is not None:
        if "/" in options.pattern and direct:
            found = direct + [f for d in list_folders(root) for f in find_images(d, 0)]
        return parse_names(found, root, pattern=options.pattern)
    parents = {f.parent for f in found}
    challenge = [f for f in found if CTC_IMAGE.fullmatch(f.stem)]
    are_sequences = len(challenge) == len(found) and all(
        f.parent != root and CTC_FOLDER.fullmatch(f.parent.name) for f in found
    )
    if options.format == "ctc" or are_sequences or any(map(_is_challenge, sorted(parents))):
        if not challenge:
            expected = "images named t000.tif, t001.tif, ... for format ctc"
            raise error(root, "no such image", expected, "set the column `format` to auto")
        return _challenge_images(root, challenge)
    if options.format == "channel_folders":
        return _channel_folders(root, found, options)
    try:
        return parse_names(found, root, channels=options.channels)
    except InputError:
        parts = split_parts(found) if len(parents) == 1 else []
        if not parts or not _is_stack(parts[0].path, options):
            raise
        return NamedImages(parts)


def _is_stack(path: Path, options: MovieOptions) -> bool:
    """Tell whether a file holds several frames, as those of a split movie do."""
    count = len(options.channels) or None
    stack = read_stack(path, n_channels=count, z=options.z or ZChoice("max"))
    return len(stack.planes) > 1


def _channel_folders(root: Path, found: list[Path], options: MovieOptions) -> NamedImages:
    """Take the names of folders as channels where the user says so, whatever they are."""
    folders = _channel_dirs(root)
    known = (*options.channels, *(folder.name for folder in folders))
    try:
        return parse_names(found, root, channels=known)
    except InputError:
        own = {f.name: parse_names(find_images(f, 0), f).images for f in folders}
        if any(image.channel for images in own.values() for image in images):
            raise
    return NamedImages([replace(i, channel=name) for name, images in own.items() for i in images])


def _channel_dirs(root: Path) -> list[Path]:
    """List sub-folders with images, but for those of label images."""
    return [folder for folder in list_folders(root) if not is_label_folder(folder)]


def _is_challenge(folder: Path) -> bool:
    """Tell whether a folder has the layout of the Cell Tracking Challenge."""
    has_labels = any(f.stem.startswith("man_track") for f in list_images(folder))
    has_truth = folder.with_name(f"{folder.name}_GT").is_dir()
    images = find_images(folder, 0)
    return (has_labels or has_truth) and any(CTC_IMAGE.fullmatch(f.stem) for f in images)


def _challenge_images(root: Path, files: list[Path]) -> NamedImages:
    """Name the images of sequences 01, 02: each is a position."""
    folders = sorted({f.parent for f in files})
    for folder in folders:
        _refuse_labels_without_image(folder, [f for f in files if f.parent == folder])
    return NamedImages(
        [
            NamedImage(f, int(f.stem[1:]), position=f.parent.name if len(folders) > 1 else "")
            for f in files
        ]
    )


def _refuse_labels_without_image(sequence: Path, files: list[Path]) -> None:
    numbers = {int(f.stem[1:]) for f in files}
    for label in list_images(sequence):
        number = re.fullmatch(r"man_track(\d+)", label.stem)
        if number and int(number[1]) not in numbers:
            raise error(
                sequence,
                f"no image t{number[1]}.tif for {label.name}",
                "an image for each label image",
                "add the missing image",
            )


def _no_images(root: Path) -> InputError:
    """Make the error for a folder without a readable image; say what is there instead."""
    files = sorted(f for f in root.rglob("*") if f.is_file() and not f.name.startswith("."))
    foreign = next((f for f in files if maker_of(f) is not None), None)
    if foreign is not None:
        try:
            refuse_foreign(foreign)
        except InputError as told:
            return told
    folders = sorted((p.name for p in root.iterdir() if p.is_dir()), key=natural_key)
    found = "no images"
    if list_images(root):
        found = "only label images"
    elif folders:
        found = f"no images but sub-folders {', '.join(folders[:5])}"
    expected = "images, TIFF or PNG, or sub-folders of them named by channel"
    return error(root, found, expected, "correct the columns `path` and `format`")


def _unread(root: Path, images: list[NamedImage]) -> list[str]:
    """Name sub-folders with images that are no part of the movie."""
    read = {image.path.parent for image in images}
    if not any(parent == root or root.name == parent.name for parent in read):
        labels = [f.name for f in list_folders(root) if is_label_folder(f)]
        if not labels or any(map(_is_challenge, read)):
            return []
        return [f"Folders of label images are not read as channels: {', '.join(labels)}."]
    unread = [f.name for f in list_folders(root) if f not in read]
    return [f"Images in sub-folders are not read: {', '.join(unread)}."] if unread else []


def _kind_of(root: Path, images: list[NamedImage]) -> str:
    """Name the format of many images."""
    if _is_challenge(images[0].path.parent):
        return "ctc"
    by_channel = defaultdict(set)
    for image in images:
        by_channel[image.channel].add(image.path.parent)
    if len(by_channel) == 1:
        return "tiff_series"
    folders = list(by_channel.values())
    is_apart = not any(a & b for i, a in enumerate(folders) for b in folders[:i])
    return "channel_folders" if is_apart else "channel_files"


def read_movie(files: MovieFiles, options: MovieOptions) -> tuple[Stack, list[str]]:
    """Read the headers of one position of a movie; returns warnings, too."""
    n_channels = len(options.channels) or None
    if files.container is not None:
        return _read_container(files.container, options, n_channels)
    if files.format == "tiff_series" and any(i.channel for i in files.images):
        first, last = files.images[0].path.name, files.images[-1].path.name
        found = f"image names that differ in channels ({first}, {last})"
        expected = "names that differ in the frame number only"
        raise error(files.root, found, expected, "set the column `format` to channel_files")
    images = [i for i in files.images if i.position == options.position]
    groups: dict[str, list[NamedImage]] = {}
    for image in sorted(images, key=lambda i: natural_key(i.channel or "")):
        groups.setdefault(image.channel or "", []).append(image)
    if options.channels and set(options.channels) <= set(groups):
        groups = {name: groups[name] for name in options.channels}
    is_alone = options.format in FOLDER_FORMATS
    is_only = len(groups) == 1
    reader = _SeriesReader(options.z, n_channels if is_only else None, is_alone, is_only)
    if not is_only:
        used = [image for group in groups.values() for image in group]
        told = _refuse_missing_frame(used)
        series = {name: reader.read(group) for name, group in groups.items()}
        stack, warnings = _merge_channels(files.root, series)
        return stack, told + warnings
    if "" in groups:
        only = reader.read(groups[""])
        return only.stack, only.warnings
    return _merge_channels(files.root, {name: reader.read(g) for name, g in groups.items()})


def _read_container(
    path: Path, options: MovieOptions, n_channels: int | None
) -> tuple[Stack, list[str]]:
    is_stack = options.format == "tiff_stack"
    stack = read_stack(
        path,
        n_channels=n_channels,
        pages_are_frames=is_stack,
        z=options.z,
        series=options.position,
    )
    if options.format == "ome_tiff" and stack.kind != options.format:
        raise error(path, "no OME metadata", "an OME-TIFF", "set the column `format` to auto")
    count = len(stack.planes[0])
    if len(stack.planes) == 1 and count > 4 and not stack.channels and n_channels is None:
        raise error(
            path,
            f"{count} channels without names in one frame",
            "at most 4",
            "if they are time points, set the column `format` to tiff_stack, else name them in "
            "the column `channels`",
        )
    return stack, []


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
class _SeriesReader:
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
        warnings = _refuse_missing_frame(images) if self.is_only else []
        times, more = _times_of(images, stacks)
        planes = [row for s in stacks for row in s.planes]
        whole = replace(stacks[0], kind="tiff_series", planes=planes, times_s=times)
        return Series(whole, numbers, warnings + more)

    def _read_one(self, path: Path) -> Stack:
        return read_stack(path, n_channels=self.n_channels, z=self.z, alone=self.alone)

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
            _refuse_missing_frame(images)
        for stack in stacks:
            refuse_different(stacks[0], stack, across_channels=False)
        names = [s.path.name for s in stacks]
        times: list[float] = []
        for stack in stacks:
            start = times[-1] + (stack.frame_interval_s or 0.0) if times else 0.0
            times += [start + t for t in stack.times_s]
        planes = [row for s in stacks for row in s.planes]
        is_known = len(times) == len(planes) and all(s.frame_interval_s for s in stacks[:-1])
        whole = replace(stacks[0], planes=planes, times_s=tuple(times) if is_known else ())
        sentence = f"{len(stacks)} stacks are joined in time: {', '.join(names[:4])}"
        sentence += ", ..." if len(names) > 4 else ""
        return Series(whole, None, [f"{sentence}."])


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


def _refuse_missing_frame(images: list[NamedImage]) -> list[str]:
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
    seconds = [t[0] - told[0][0] for t in told]
    if any(b <= a for a, b in pairwise(seconds)):
        return (), ["The times in the files do not rise with the frame numbers: not used."]
    return tuple(seconds), []


def _merge_channels(root: Path, series: dict[str, Series]) -> tuple[Stack, list[str]]:
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
    if lost and not _is_regular([numbers.index(n) for n in at], len(numbers)):
        other = next(k for k, s in series.items() if lost[0] in (s.numbers or []))
        there = series[other].stack.planes[(series[other].numbers or []).index(lost[0])][0]
        raise error(
            root,
            f"{Path(there.path).name} of channel {other} without its like in channel {name}",
            "the same frames in every channel, or every n-th",
            "add the missing image, or leave a channel out with the column `channels`",
        )
    return [at.get(number) for number in numbers]


def _is_regular(indices: list[int], n_frames: int) -> bool:
    """Tell whether frames were left out by plan: all but one, or every n-th up to the end."""
    if len(indices) == 1:
        return True
    steps = {b - a for a, b in pairwise(indices)}
    step = min(steps)
    return len(steps) == 1 and step > 1 and indices[0] < step and indices[-1] + step >= n_frames


def pattern_of(files: MovieFiles) -> str:
    """Guess a pattern for the images of a folder, for the user to complete."""
    return guess_pattern([i.path for i in files.images], files.root)


def movie_root(path: str | Path) -> Path:
    """Absolute path of a movie; links keep their names, since files of a store have no suffix."""
    return Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100
