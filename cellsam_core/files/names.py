"""Time, channel, position and z plane of images by their names.

What a piece of a name means is told by what it looks like (``t001``, ``w1DAPI``, ``B02``,
``00d12h30m``) and by what it varies with. A piece that nothing tells is never a channel: names
are refused then, with a pattern that the user completes.
"""

from __future__ import annotations

import itertools
import re
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.name_pattern import compile_pattern, first_guess, read_pattern
from cellsam_core.files.name_roles import ROLE_OF_KEY, Role, find_roles, is_clock_of_day, tail_of
from cellsam_core.files.name_schemes import match_scheme
from cellsam_core.files.name_tokens import GUID, SECONDS_OF_UNIT, Column, align, seconds_of
from cellsam_core.files.stains import is_stain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

MAX_CHANNELS = 16
MAX_CHANNELS_OF_ONE_FRAME = 7
"""More channels than that in one frame are frames whose names were not understood."""


@dataclass(frozen=True)
class NamedImage:
    """One image file and what its name says.

    Attributes
    ----------
    path
        The file.
    frame
        Number of the frame; None where the name has none.
    channel
        Name of the channel; None where the name has none.
    position
        Name of the position, such as ``B02-s1``; empty where there is one only.
    well
        Well of a plate, such as ``B02``; empty where there is none.
    z
        Number of the z plane; None where the name has none.
    time_s
        Seconds by the clock in the name; None where there is no clock.
    """

    path: Path
    frame: int | None = None
    channel: str | None = None
    position: str = ""
    well: str = ""
    z: int | None = None
    time_s: float | None = None


@dataclass(frozen=True)
class NamedImages:
    """All images of a folder, and sentences for the report."""

    images: list[NamedImage]
    warnings: list[str] = field(default_factory=list)

    @property
    def positions(self) -> list[str]:
        """Names of the positions, in natural order; one empty name where there is one only."""
        from cellsam_core.files.filenames import natural_key

        return sorted({image.position for image in self.images}, key=natural_key)


def parse_names(
    paths: Sequence[Path],
    root: Path | None = None,
    *,
    pattern: str | None = None,
    channels: Iterable[str] = (),
) -> NamedImages:
    """Find out what the names of images, and of their folders, say.

    Parameters
    ----------
    paths
        At least one file.
    root
        Folder above all of them; names of folders below it count. None takes that of the first.
    pattern
        Says what is what, such as ``img_{time}_{channel}_{z}``; names that do not fit are left
        out.
    channels
        Names that are known to be those of channels.

    Returns
    -------
    NamedImages
        In the order of `paths`.

    Raises
    ------
    InputError
        The names do not tell; the remedy has a pattern, made from the first name.
    """
    root = root or paths[0].parent
    names = [relative_name(path, root) for path in paths]
    if pattern is not None:
        return _by_pattern(root, list(paths), names, pattern)
    columns = match_scheme([name[-1] for name in names], len(names[0]) - 1)
    n_levels = len(names[0]) - (columns is not None)
    if any(len(name) != len(names[0]) for name in names):
        raise _mixed(root, names)
    folders = [c for i in range(n_levels) for c in align([name[i] for name in names], i)]
    columns = folders + (columns or [])
    roles = find_roles(columns, set(channels))
    images = _assemble(paths, columns, roles)
    guess = first_guess(names[0], columns, roles)
    _refuse_unclear(root, names, columns, roles, guess)
    _refuse_channels(root, images, columns, roles, guess)
    _refuse_twins(images)
    return NamedImages(images)


def split_parts(paths: Sequence[Path]) -> list[NamedImage]:
    """Order the files of a movie that a program has split: ``a``, ``a_1``, ``a-file002``.

    Parameters
    ----------
    paths
        Files of one folder.

    Returns
    -------
    list of NamedImage
        With the number of the part as that of the frame; empty if the names are not such.

    Examples
    --------
    >>> from pathlib import Path
    >>> parts = split_parts([Path("a_1.tif"), Path("a.tif"), Path("a_2.tif")])
    >>> [(part.path.name, part.frame) for part in parts]
    [('a.tif', 0), ('a_1.tif', 1), ('a_2.tif', 2)]
    """
    from cellsam_core.files.filenames import image_stem

    stems = {image_stem(path): path for path in paths}
    base = min(stems, key=len)
    numbers: dict[int, Path] = {}
    for stem, path in stems.items():
        number = re.fullmatch(rf"{re.escape(base)}[_\- ](?:file|part)?\(?(\d+)\)?", stem)
        if number:
            numbers[int(number[1])] = path
    if len(numbers) != len(paths) - 1 or not numbers:
        return []
    parts = {min(numbers) - 1: stems[base]} | numbers
    return [NamedImage(parts[number], number) for number in sorted(parts)]


def relative_name(path: Path, root: Path) -> tuple[str, ...]:
    """Names of the folders below `root` and of the image, without suffix and random digits."""
    from cellsam_core.files.filenames import image_stem

    return (*path.parent.relative_to(root).parts, GUID.sub("", image_stem(path)))


def _by_pattern(
    root: Path, paths: list[Path], names: list[tuple[str, ...]], pattern: str
) -> NamedImages:
    """Read names as the user says; those that do not fit are left out, with a warning."""
    expression = compile_pattern(pattern)
    found = [read_pattern(expression, pattern, path, root) for path in paths]
    fitting = [(p, f) for p, f in zip(paths, found, strict=True) if f is not None]
    if not fitting:
        guess = guess_pattern(paths, root)
        raise InputError(
            root,
            found=f"no image name that fits the pattern {pattern} ({names[0][-1]})",
            expected="names that fit",
            remedy=f"correct the column `pattern`, for example to {guess}",
        )
    images = [
        NamedImage(
            path,
            None if "time" not in parts else int(parts["time"]),
            parts.get("channel"),
            str(parts.get("position", "")),
            str(parts.get("well", "")),
            None if "z" not in parts else int(parts["z"]),
            parts.get("time_s"),
        )
        for path, parts in fitting
    ]
    images = _number_clocks(images)
    _refuse_twins(images)
    n_left = len(paths) - len(fitting)
    if not n_left:
        return NamedImages(images)
    example = next(p.name for p, f in zip(paths, found, strict=True) if f is None)
    sentence = f"{n_left} image(s) do not fit the pattern and are not read, {example} among them."
    return NamedImages(images, [sentence])


def guess_pattern(paths: Sequence[Path], root: Path | None = None) -> str:
    """Make a pattern that fits the first name, from what varies between the names.

    Examples
    --------
    >>> from pathlib import Path
    >>> guess_pattern([Path("a1x1.tif"), Path("a1x2.tif")])
    'a1x{time}'
    """
    root = root or paths[0].parent
    names = [relative_name(path, root) for path in paths]
    names = [name for name in names if len(name) == len(names[0])]
    columns = [c for i in range(len(names[0])) for c in align([name[i] for name in names], i)]
    return first_guess(names[0], columns, find_roles(columns, set()))


def _assemble(paths: Sequence[Path], columns: list[Column], roles: list[Role]) -> list[NamedImage]:
    """Put the pieces of each name together by their roles."""
    by_role: dict[str, list[Column]] = defaultdict(list)
    for column, role in zip(columns, roles, strict=True):
        by_role[role.kind].append(column)
    images = []
    for i, path in enumerate(paths):
        frame, time_s = _time_of(by_role["time"], i)
        channel = "_".join(_channel_name(c, i) for c in by_role["channel"]) or None
        position = [_position_name(c, i) for c in by_role["position"]]
        z = next((int(c.texts[i]) for c in by_role["z"]), None)
        wells = [_padded(c.texts[i]) for c in by_role["position"] if c.kind == "well"]
        images.append(
            NamedImage(path, frame, channel, "-".join(position), "".join(wells[:1]), z, time_s)
        )
    return _number_clocks(images)


def _time_of(columns: list[Column], i: int) -> tuple[int | None, float | None]:
    """Frame number and seconds of one name; a day and a time of day are added."""
    if not columns:
        return None, None
    seconds = 0.0
    for column in columns:
        text = column.texts[i]
        if column.kind == "clock":
            seconds += seconds_of(text) or 0.0
        elif column.unit:
            seconds += float(text) * SECONDS_OF_UNIT[column.unit]
        elif is_clock_of_day(column.texts):
            seconds += seconds_of(text) or 0.0
        else:
            return int(text), None
    return 0, seconds


def _channel_name(column: Column, i: int) -> str:
    text = column.texts[i]
    if column.kind == "number":
        return f"{column.key}{text}"
    return text.rsplit(" - ", 1)[-1]  # IN Cell: excitation - emission


def _position_name(column: Column, i: int) -> str:
    if column.kind == "well":
        return _padded(column.texts[i])
    key = column.key
    if column.is_glued and key.lower() not in ROLE_OF_KEY:
        key = tail_of(key)
    return f"{key}{column.texts[i]}"


def _padded(well: str) -> str:
    """``B2`` as ``B02``, so that the wells of a plate map are found."""
    return f"{well[0].upper()}{int(well[1:]):02d}" if well[1:].isdecimal() else well


def _number_clocks(images: list[NamedImage]) -> list[NamedImage]:
    """Give numbers to the frames of each position by their clocks.

    Channels of one frame follow each other by seconds: a frame ends half an interval after its
    first image.
    """
    if any(image.time_s is None for image in images):
        return images
    frame_of: dict[tuple[str, float], tuple[int, float]] = {}
    for position in {image.position for image in images}:
        own = [i for i in images if i.position == position]
        by_channel: dict[str | None, set[float]] = defaultdict(set)
        for image in own:
            by_channel[image.channel].add(image.time_s or 0.0)
        longest = sorted(by_channel[max(by_channel, key=lambda name: len(by_channel[name]))])
        steps = [b - a for a, b in itertools.pairwise(longest)]
        apart = statistics.median(steps) / 2 if steps and len(by_channel) > 1 else 0.0
        frame, start, first = -1, float("-inf"), min(longest)
        for seconds in sorted(set().union(*by_channel.values())):
            if seconds - start > apart or frame < 0:
                frame, start = frame + 1, seconds
            frame_of[position, seconds] = frame, start - first
    numbered = [frame_of[i.position, i.time_s or 0.0] for i in images]
    return [
        replace(i, frame=frame, time_s=seconds)
        for i, (frame, seconds) in zip(images, numbered, strict=True)
    ]


def _refuse_unclear(
    root: Path, names: list[tuple[str, ...]], columns: list[Column], roles: list[Role], guess: str
) -> None:
    """Refuse a piece that varies and that nothing tells."""
    for column, role in zip(columns, roles, strict=True):
        if role.kind != "unknown":
            continue
        if column.kind == "words":
            raise _mixed(root, names)
        values = sorted(set(column.texts))
        is_word = column.kind == "word" and "channel" not in {r.kind for r in roles}
        also = f", or name {', '.join(values)} in `channels` if they are channels"
        raise InputError(
            root,
            found=f"a part of the image names that could be anything ({values[0]}, {values[-1]} "
            f"in {'/'.join(names[0])})",
            expected="names that tell time, channel, position and z plane",
            remedy=f"fill the column `pattern` of the sample sheet, for example with {guess}"
            + (also if is_word and len(values) <= MAX_CHANNELS_OF_ONE_FRAME else ""),
        )


def _mixed(root: Path, names: list[tuple[str, ...]]) -> InputError:
    """Make the error for names that have nothing in common.

    The pattern of the remedy fits the names of the commonest kind.
    """
    kinds = [re.sub(r"\d+", "#", "/".join(name)) for name in names]
    counts = Counter(kinds)
    most = max(counts.values())
    common = [n for n, kind in zip(names, kinds, strict=True) if 2 * counts[kind] > most]
    usual = max(counts, key=lambda kind: counts[kind])
    odd = min((kind for kind in counts if kind != usual), key=lambda kind: counts[kind], default="")
    first, other = names[kinds.index(usual)], names[kinds.index(odd) if odd else -1]
    guess = _pattern_of(common) or _pattern_of([first], last_is_time=True)
    return InputError(
        root,
        found=f"image names of more than one kind ({'/'.join(first)}, {'/'.join(other)})",
        expected="names that differ in time, channel, position and z plane only",
        remedy="fill the column `pattern` of the sample sheet with the part that all images of the "
        f"movie share, for example with {guess}; what does not fit is left out",
    )


def _pattern_of(names: list[tuple[str, ...]], *, last_is_time: bool = False) -> str:
    """Make a pattern of the file names of one kind; empty if they do not vary in any number."""
    names = [name for name in names if len(name) == len(names[0])]
    level = len(names[0]) - 1
    columns = align([name[-1] for name in names], level)
    if last_is_time:
        last = max((i for i, c in enumerate(columns) if c.kind == "number"), default=None)
        roles = [Role("time" if i == last else "") for i in range(len(columns))]
        return first_guess(names[0], columns, roles, also_constant=True)
    if not any(column.varies for column in columns) or any(c.kind == "words" for c in columns):
        return ""
    return first_guess(names[0], columns, find_roles(columns, set()))


def _refuse_channels(
    root: Path,
    images: list[NamedImage],
    columns: list[Column],
    roles: list[Role],
    guess: str,
) -> None:
    """Refuse what only looks like channels: many of one frame, or too many."""
    names = {image.channel for image in images}
    n_frames = len({image.frame for image in images})
    is_named = any(
        role.kind == "channel" and is_stain(text)
        for column, role in zip(columns, roles, strict=True)
        for text in set(column.texts)
    )
    limit = MAX_CHANNELS_OF_ONE_FRAME if n_frames == 1 and not is_named else MAX_CHANNELS
    if len(names) <= limit:
        return
    given = sorted(map(str, names))
    raise InputError(
        root,
        found=f"{len(names)} channels in {n_frames} frame(s) ({given[0]}, {given[-1]})",
        expected=f"at most {limit}",
        remedy="if they are time points, fill the column `pattern` of the sample sheet, for "
        f"example with {guess.replace('{channel}', '{time}', 1)}",
    )


def _refuse_twins(images: list[NamedImage]) -> None:
    """Refuse two files of one frame, channel, position and z plane."""
    seen: dict[tuple[object, ...], Path] = {}
    for image in images:
        key = image.frame, image.channel, image.position, image.z
        if key in seen:
            raise InputError(
                image.path,
                found=f"the same frame and channel as in {seen[key].name}",
                expected="one file for each time, channel, position and z plane",
                remedy="move one of them to another folder",
            )
        seen[key] = image.path
