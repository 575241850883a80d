"""What image file names say: natural order, frame number, channel, label images."""

from __future__ import annotations

import itertools
import re
import statistics
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.planes import RASTER_SUFFIXES, TIFF_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SEPARATORS = re.compile(r"[ _.\-]+")
# img_t001xy1c1: several numbered letters without a separator.
COMPOUND = re.compile(r"(?:(?:t|time|xy|s|p|z|c|ch|w|f)\d+){2,}", re.IGNORECASE)
PREFIXES = {
    "channel": {"c", "ch", "chan", "channel", "w", "wavelength"},
    "z plane": {"z", "slice", "plane", "focus"},
    "position": {"s", "p", "xy", "pos", "position", "fov", "field", "site", "well", "stage"},
}
CLOCK = re.compile(r"(?:(\d+)d)?(\d+)h(\d+)m(?:(\d+)s)?")
# 20260301 and 2026y03m01d; 2359, 235959 and 23h59m.
DATE = re.compile(r"((?:19|20)\d\d)y?(0[1-9]|1[0-2])m?(0[1-9]|[12]\d|3[01])d?")
TIME = re.compile(r"([01]\d|2[0-3])h?([0-5]\d)m?(?:([0-5]\d)s?)?")
LABEL_NAME = re.compile(
    r"(man_track|man_seg|masks?|labels?|seg)[ _\-]*(t|frame)?\d*"
    r"|.*[_\-](labels?|masks?|seg|cp_masks|gt)([_\-]?\d+)?",
    re.IGNORECASE,
)
LABEL_FOLDER = re.compile(
    r"(.*_)?(GT|ST|RES|SEG|TRA|ERR_SEG|SEG_pred|labels?|masks?)", re.IGNORECASE
)
MAX_CHANNELS = 16


@dataclass(frozen=True)
class NamedImage:
    """One image file and what its name says: frame number and channel, None if nothing."""

    path: Path
    frame: int | None
    channel: str | None


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sort key which puts ``t2`` before ``t10``."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(p), p) if p.isdecimal() else (1, 0, p) for p in parts]


def is_image(path: Path) -> bool:
    """Whether the suffix is that of a readable image, and the file not hidden."""
    suffixes = TIFF_SUFFIXES + RASTER_SUFFIXES
    return path.name.lower().endswith(suffixes) and not path.name.startswith(".") and path.is_file()


def is_label(path: Path) -> bool:
    """Whether the file's name is that of a label image (``man_track000``, ``a_mask``)."""
    return LABEL_NAME.fullmatch(image_stem(path)) is not None


def image_stem(path: Path) -> str:
    """File name without suffix, ``.ome.tif`` included."""
    return re.sub(r"\.ome$", "", path.stem, flags=re.IGNORECASE)


def list_images(folder: Path) -> list[Path]:
    """Image files directly in a folder, label images among them, in natural order."""
    return sorted(filter(is_image, folder.iterdir()), key=lambda p: natural_key(p.name))


def list_folders(folder: Path) -> list[Path]:
    """Sub-folders that directly hold images, in natural order."""
    folders = [p for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return sorted((p for p in folders if list_images(p)), key=lambda p: natural_key(p.name))


def parse_names(paths: list[Path]) -> list[NamedImage]:
    """Find the frame number and the channel in the names of the images of one movie.

    Names are cut at blanks, ``_``, ``-`` and ``.``; the parts that differ between files are
    the frame (a number, alone or after one word: ``t001``), the channel (``c1``, ``ch2``,
    ``w1DAPI`` or a word: ``DAPI``).

    Parameters
    ----------
    paths
        At least one file.

    Returns
    -------
    list of NamedImage
        In the order of `paths`.

    Raises
    ------
    InputError
        Names of more than one kind, z planes, positions, or two files of the same frame and
        channel.
    """
    rows = _tokens(paths)
    frames: list[list[int]] = []
    channels: list[list[str]] = []
    for column in zip(*rows, strict=True):
        if len(set(column)) == 1:
            continue
        kind, numbers, words = _read_column(column)
        if kind in ("z plane", "position"):
            raise InputError(
                paths[0].parent,
                found=f"images of several {kind}s ({column[0]}, {column[-1]})",
                expected=f"one {kind}",
                remedy=f"put each {kind} into a folder of its own and name one as `path`",
            )
        if kind == "frame":
            frames.append(numbers)
        else:
            channels.append(words)
    names = [("_".join(words) or None) for words in zip(*channels, strict=True)] or [None] * len(
        paths
    )
    if len(set(names)) > MAX_CHANNELS:
        raise _mixed(paths[0], paths[1])
    order = _frame_numbers(paths, frames, names)
    return [NamedImage(p, n, c) for p, n, c in zip(paths, order, names, strict=True)]


def same_stem(paths: Iterable[Path]) -> tuple[Path, Path] | None:
    """Find two files whose names differ in their suffix, or their folder, alone."""
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen:
            return seen[path.stem], path
        seen[path.stem] = path
    return None


def missing_frame(numbers: Iterable[int]) -> tuple[int, int] | None:
    """Find the first gap in frame numbers.

    The step is the smallest difference, so 0, 30, 60 has no gap.

    Returns
    -------
    tuple of int or None
        First missing number and the number before it.
    """
    ordered = sorted(set(numbers))
    differences = [b - a for a, b in itertools.pairwise(ordered)]
    step = min(differences, default=1)
    for number, difference in zip(ordered, differences, strict=False):
        if difference != step:
            return number + step, number
    return None


def _tokens(paths: list[Path]) -> list[list[str]]:
    """Split the names into columns."""
    rows = [[t for t in SEPARATORS.split(image_stem(p)) if t] for p in paths]
    for path, row in zip(paths, rows, strict=True):
        if len(row) != len(rows[0]):
            raise _mixed(paths[0], path)
    columns = list(zip(*rows, strict=True))
    for i in reversed(range(len(columns))):
        if all(COMPOUND.fullmatch(t) for t in columns[i]):
            parts = [re.findall(r"[A-Za-z]+\d+", t) for t in columns[i]]
            if len({len(p) for p in parts}) == 1:
                columns[i : i + 1] = list(zip(*parts, strict=True))
    for i in reversed(range(len(columns) - 1)):
        moments = _moments(columns[i], columns[i + 1])
        if moments is not None:
            columns[i : i + 2] = [moments]
    return [list(row) for row in zip(*columns, strict=True)]


def _moments(days: tuple[str, ...], times: tuple[str, ...]) -> tuple[str, ...] | None:
    """Turn dates and times of day into frame numbers; None where they are something else.

    The clock of a microscope is not exact: numbers are rounded to the usual interval.
    """
    dates = [DATE.fullmatch(t) for t in days]
    clocks = [TIME.fullmatch(t) for t in times]
    if not (all(dates) and all(clocks)):
        return None
    seconds = []
    for match_day, match_time in zip(dates, clocks, strict=True):
        assert match_day is not None
        assert match_time is not None
        year, month, day = map(int, match_day.groups())
        hour, minute, second = (int(g or 0) for g in match_time.groups())
        days_since = datetime(year, month, 1, tzinfo=UTC).toordinal() + day - 1
        seconds.append(((days_since * 24 + hour) * 60 + minute) * 60 + second)
    ordered = sorted(set(seconds))
    step = statistics.median([b - a for a, b in itertools.pairwise(ordered)] or [1])
    numbers = {s: round((s - ordered[0]) / step) for s in ordered}
    if len(set(numbers.values())) < len(ordered):
        numbers = {s: s for s in ordered}
    return tuple(str(numbers[s]) for s in seconds)


def _read_column(column: tuple[str, ...]) -> tuple[str, list[int], list[str]]:
    """Classify a part of the names that differs: kind, numbers, words."""
    clocks = [CLOCK.fullmatch(t) for t in column]
    if all(clocks):
        units = [[int(g or 0) for g in m.groups()] for m in clocks if m]
        seconds = [((d * 24 + h) * 60 + m) * 60 + s for d, h, m, s in units]
        return "frame", seconds, []
    matches = [re.fullmatch(r"([^\W\d_]*)(\d+)", t) for t in column]
    prefixes = {m[1].lower() for m in matches if m}
    if all(matches) and len(prefixes) == 1:
        prefix = prefixes.pop()
        kind = next((k for k, words in PREFIXES.items() if prefix in words), "frame")
        return kind, [int(m[2]) for m in matches if m], list(column)
    return "channel", [], [re.sub(r"^w\d+(?=\D)", "", t) for t in column]


def _frame_numbers(
    paths: list[Path], frames: list[list[int]], channels: list[str | None]
) -> list[int | None]:
    """Choose the number that tells the files of a channel apart."""
    candidates: list[list[int]] = frames or [[0] * len(paths)]
    for numbers in candidates:
        if len(set(zip(numbers, channels, strict=True))) == len(paths):
            return list(numbers) if frames else [None] * len(paths)
    seen: dict[tuple[int, str | None], Path] = {}
    for path, number, channel in zip(paths, candidates[0], channels, strict=True):
        if (number, channel) in seen:
            raise InputError(
                path,
                found=f"the same frame and channel as in {seen[number, channel].name}",
                expected="one file a frame and channel",
                remedy="remove one of them or put them into folders of their own",
            )
        seen[number, channel] = path
    raise AssertionError("duplicates were not found again")


def _mixed(one: Path, other: Path) -> InputError:
    return InputError(
        one.parent,
        found=f"image names of more than one kind ({one.name}, {other.name})",
        expected="names that differ in frame number and channel only, such as t001_DAPI.tif",
        remedy="leave the images of one movie in the folder or set the column `format`",
    )
