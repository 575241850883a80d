"""Time, channel, position and z plane of each image, put together from the pieces of its name."""

from __future__ import annotations

import itertools
import statistics
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from cellsam_core.files.names.named_images import NamedImage
from cellsam_core.files.names.roles import ROLE_OF_KEY, Role, is_clock_of_day, tail_of
from cellsam_core.files.names.tokens import SECONDS_OF_UNIT, Column, seconds_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


MIN_WORD = 3
"""Letters of a word that can be the name of a dye; ``w`` and ``ch`` are keys of a channel."""
DYES = {"af", "alexa", "atto", "cy"}


def assemble_names(
    paths: Sequence[Path], columns: list[Column], roles: list[Role]
) -> list[NamedImage]:
    """Put the pieces of each name together by their roles."""
    by_role: dict[str, list[Column]] = defaultdict(list)
    for column, role in zip(columns, roles, strict=True):
        by_role[role.kind].append(column)
    tells = {c for c, role in zip(columns, roles, strict=True) if role.kind}
    parts = [_channel_names(column, columns, tells) for column in by_role["channel"]]
    images = []
    for i, path in enumerate(paths):
        frame, time_s = _time_of(by_role["time"], i)
        channel = "_".join(names[i] for names in parts) or None
        position = [_position_name(c, i) for c in by_role["position"]]
        z = next((int(c.texts[i]) for c in by_role["z"]), None)
        wells = [_padded(c.texts[i]) for c in by_role["position"] if c.kind == "well"]
        images.append(
            NamedImage(path, frame, channel, "-".join(position), "".join(wells[:1]), z, time_s)
        )
    return number_clocks(images)


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


def _channel_names(column: Column, columns: list[Column], tells: set[Column]) -> list[str]:
    """Name the channel of each image, as a whole word: ``H3342``, and ``CSU405`` behind ``w1``."""
    names = [_channel_name(column, i) for i in range(len(column.texts))]
    behind = columns[columns.index(column) + 1 :]
    if column.kind == "number":
        dyes = _glued([""] * len(names), column, behind, tells, gap=1)
        is_key = len(column.key) < MIN_WORD and behind and behind[0].kind.startswith("word")
        is_name = is_key and behind[0].texts[0].lower() not in ROLE_OF_KEY.keys() - DYES
        same = len(set(zip(names, dyes, strict=True))) == len(set(dyes)) == len(set(names))
        return dyes if is_name and same and "" not in dyes else names
    if column.kind == "word":
        return _glued(names, column, behind, tells, gap=0)
    return names


def _glued(
    names: list[str], column: Column, behind: list[Column], tells: set[Column], *, gap: int
) -> list[str]:
    """Add the pieces that follow without a gap, up to one that has a meaning of its own."""
    for piece in behind:
        is_next = piece.level == column.level and all(
            0 <= start - end <= gap
            for (_, end), (start, _) in zip(column.spans, piece.spans, strict=True)
        )
        if not is_next or piece in tells:
            break
        names = [f"{name}{text}" for name, text in zip(names, piece.texts, strict=True)]
        column, gap = piece, 0
    return names


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


def number_clocks(images: list[NamedImage]) -> list[NamedImage]:
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
