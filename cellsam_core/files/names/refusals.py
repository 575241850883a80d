"""Refusals of image names that do not tell their meaning, with a pattern to complete."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError, shortened
from cellsam_core.files.conditions import conditions_of
from cellsam_core.files.names.pattern import compile_pattern, first_guess
from cellsam_core.files.names.roles import Role, find_roles
from cellsam_core.files.names.tokens import Column, align
from cellsam_core.files.stains import is_stain

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.files.names.named_images import NamedImage

MAX_CHANNELS = 16
MAX_CHANNELS_OF_ONE_FRAME = 7
"""More channels than that in one frame are frames whose names were not understood."""
MIN_SHARE_OF_STRAYS = 4
"""Images of another kind are strays if the folder has more than so many times as many."""


def refuse_unclear(
    root: Path, names: list[tuple[str, ...]], columns: list[Column], roles: list[Role], guess: str
) -> None:
    """Refuse a piece that varies and that nothing tells."""
    for column, role in zip(columns, roles, strict=True):
        if role.kind != "unknown":
            continue
        values = sorted(set(column.texts))
        are_conditions = any(map(conditions_of, values))
        if are_conditions and "{position}" in guess and _fits(guess, names):
            raise _conditions(root, names, columns, roles, column)
        if column.kind == "words":
            raise mixed_names(root, names)
        is_word = column.kind == "word" and "channel" not in {r.kind for r in roles}
        also = (
            f", or name {', '.join(values)} in `channels` if they are channels, or, if they follow "
            "each other in time, rename the files so that one number counts all frames"
        )
        raise InputError(
            root,
            found=f"a part of the image names that could be anything ({values[0]}, {values[-1]} "
            f"in {'/'.join(names[0])})",
            expected="names that tell time, channel, position and z plane",
            remedy=f"fill the column `pattern` of the sample sheet, for example with {guess}"
            + (also if is_word and len(values) <= MAX_CHANNELS_OF_ONE_FRAME else ""),
        )


def _conditions(
    root: Path,
    names: list[tuple[str, ...]],
    columns: list[Column],
    roles: list[Role],
    column: Column,
) -> InputError:
    """Make the error for words that look like conditions.

    They are offered as positions, and as rows of their own, of which each has a condition.
    """
    values = sorted(set(column.texts))
    guess = first_guess(names[0], columns, roles)
    rest = [(c, r) for c, r in zip(columns, roles, strict=True) if c is not column]
    own = first_guess(names[0], [c for c, _ in rest], [r for _, r in rest])
    rows = (
        f", or give each condition a row of its own, since conditions are rows of the sheet, with "
        f"a `pattern` such as {own} and its name in the column `condition`"
    )
    return InputError(
        root,
        found=f"words in the image names that look like conditions ({shortened(values, 4)} in "
        f"{'/'.join(names[0])})",
        expected="names that tell time, channel, position and z plane",
        remedy=f"fill the column `pattern` of the sample sheet, for example with {guess}"
        + (rows if "/" not in guess else "")
        + ", or name the words in `channels` if they are channels",
    )


def _fits(pattern: str, names: list[tuple[str, ...]]) -> bool:
    """Tell whether a pattern reads all names, and their frames."""
    if "{time}" not in pattern:
        return False
    expression = compile_pattern(pattern)
    texts = ["/".join(name) if "/" in pattern else name[-1] for name in names]
    return all(map(expression.fullmatch, texts))


def refuse_strays(
    root: Path, names: list[tuple[str, ...]], columns: list[Column], roles: list[Role]
) -> None:
    """Refuse frames that were taken for channels because of a few other images beside them."""
    is_mixed = any(
        column.kind == "words" and role.kind == "channel"
        for column, role in zip(columns, roles, strict=True)
    )
    if not is_mixed or any(role.kind == "time" for role in roles):
        return
    strays = _strays(names)
    if strays and "{time}" in _pattern_of([name for name in names if name not in strays]):
        raise mixed_names(root, names)


def _strays(names: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Find a few names that are not of the kinds of the others, digits aside."""
    _, strays = _common_and_rare(names)
    return strays if len(strays) * MIN_SHARE_OF_STRAYS < len(names) else []


def mixed_names(root: Path, names: list[tuple[str, ...]]) -> InputError:
    """Make the error for names that have nothing in common.

    The pattern of the remedy fits the names of the commonest kind.
    """
    kinds = _kinds(names)
    counts = Counter(kinds)
    usual = _usual(counts)
    odd = min((kind for kind in counts if kind != usual), key=lambda kind: counts[kind], default="")
    first, other = names[kinds.index(usual)], names[kinds.index(odd) if odd else -1]
    strays = shortened(["/".join(name) for name in _strays(names)], 4)
    move = f"move {strays} to another folder, or " if strays else ""
    guess = _usual_pattern(names) or _pattern_of([first], last_is_time=True)
    return InputError(
        root,
        found=f"image names of more than one kind ({'/'.join(first)}, {'/'.join(other)})",
        expected="names that differ in time, channel, position and z plane only",
        remedy=f"{move}fill the column `pattern` of the sample sheet with the part that all images "
        f"of the movie share, for example with {guess}; what does not fit is left out",
    )


def _usual_pattern(names: list[tuple[str, ...]]) -> str:
    """Make a pattern of the names of the commonest kinds, else kind; empty if there is none."""
    common, _ = _common_and_rare(names)
    kinds = _kinds(names)
    usual = _usual(Counter(kinds))
    alike = [n for n, kind in zip(names, kinds, strict=True) if kind == usual]
    return _pattern_of(common) or _pattern_of(alike)


def _common_and_rare(
    names: list[tuple[str, ...]],
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Split names into those of common kinds, and of kinds at most half as frequent as any."""
    kinds = _kinds(names)
    counts = Counter(kinds)
    most = max(counts.values())
    common = [n for n, kind in zip(names, kinds, strict=True) if 2 * counts[kind] > most]
    rare = [n for n, kind in zip(names, kinds, strict=True) if 2 * counts[kind] <= most]
    return common, rare


def _usual(counts: Counter[str]) -> str:
    """Return the commonest kind of names, of several the shortest."""
    return max(counts, key=lambda kind: (counts[kind], -len(kind)))


def _kinds(names: list[tuple[str, ...]]) -> list[str]:
    return [re.sub(r"\d+", "#", "/".join(name)) for name in names]


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


def refuse_channels(
    root: Path,
    names: list[tuple[str, ...]],
    images: list[NamedImage],
    columns: list[Column],
    roles: list[Role],
    guess: str,
) -> None:
    """Refuse what only looks like channels: many of one frame, or too many."""
    found = {image.channel for image in images}
    n_frames = len({image.frame for image in images})
    is_named = any(
        role.kind == "channel" and is_stain(text)
        for column, role in zip(columns, roles, strict=True)
        for text in set(column.texts)
    )
    limit = MAX_CHANNELS_OF_ONE_FRAME if n_frames == 1 and not is_named else MAX_CHANNELS
    if len(found) <= limit:
        return
    given = sorted(map(str, found))
    pattern, what = guess.replace("{channel}", "{time}", 1), "time points"
    if "{time}" in guess or not _fits(pattern, names):
        if "{time}" not in guess and "{time}" in _usual_pattern(names):
            raise mixed_names(root, names)
        # A pattern has one time at most, and words are none.
        pattern, what = guess.replace("{channel}", "{position}", 1), "positions"
    raise InputError(
        root,
        found=f"{len(found)} channels in {n_frames} frame(s) ({given[0]}, {given[-1]})",
        expected=f"at most {limit}",
        remedy=f"if they are {what}, fill the column `pattern` of the sample sheet, for "
        f"example with {pattern}",
    )


def refuse_twins(images: list[NamedImage]) -> None:
    """Refuse two files of one frame, channel, position and z plane."""
    seen: dict[tuple[object, ...], Path] = {}
    for image in images:
        key = image.frame, image.channel, image.position, image.z
        if key in seen:
            plain = [path.name.replace("-", "") for path in (image.path, seen[key])]
            raise InputError(
                image.path,
                found=f"the same frame and channel as in {seen[key].name}",
                expected="one file for each time, channel, position and z plane",
                remedy="number the frames from 0 on, since signs of numbers are not read"
                if plain[0] == plain[1]
                else "move one of them to another folder",
            )
        seen[key] = image.path
