"""Patterns by which users say what their image names mean: ``r01c01f01p01-ch{channel}sk{time}``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.files.conditions import conditions_of
from cellsam_core.files.names.tokens import GUID, SECONDS_OF_UNIT, seconds_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellsam_core.files.names.roles import Role
    from cellsam_core.files.names.tokens import Column

PLACEHOLDERS = {
    "time": r"(?:\d{4}\D?\d\d\D?\d\dd?[ _T\-]+[\dh:.\-]+[ms]?"
    r"|\d+(?:[dhm\-:.]+(?:in)?\d+)+[ms]?|\d+)(?!\d)",
    "channel": r"[^/]+?",
    "position": r"[^/]+?",
    "z": r"\d+(?!\d)",
    "*": r"[^/]*?",
}
WELL = re.compile(r"(?<![^\W_])([A-P])(\d{1,2})(?![^\W_])")


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Turn a pattern into a regular expression.

    Parameters
    ----------
    pattern
        Text with ``{time}``, ``{channel}``, ``{position}``, ``{z}`` and ``{*}``, which stands for
        anything. With a slash in it, names of folders count.

    Raises
    ------
    InputError
        Another word is in braces, or nothing is.
    """
    pieces = re.split(r"\{([^{}]*)\}", pattern)
    words = pieces[1::2]
    unknown = [word for word in words if word not in PLACEHOLDERS]
    twice = [w for w in ("time", "channel", "z") if words.count(w) > 1]
    if unknown or twice or not set(words) - {"*"} or set("{}") & set("".join(pieces[::2])):
        wrong = f"{{{unknown[0]}}}" if unknown else f"{{{twice[0]}}} twice" if twice else pattern
        raise InputError(
            "pattern",
            found=wrong,
            expected="{time}, {channel} and {z} once at most, {position}, and {*} for what does "
            "not matter",
            remedy="correct the column `pattern` of the sample sheet",
        )
    expression, n_positions = "", 0
    for i, piece in enumerate(pieces):
        if i % 2 == 0:
            expression += re.escape(piece)
        elif piece == "*":
            expression += PLACEHOLDERS["*"]
        else:
            name = f"position{n_positions}" if piece == "position" else piece
            n_positions += piece == "position"
            expression += f"(?P<{name}>{PLACEHOLDERS[piece]})"
    return re.compile(expression)


def read_pattern(
    expression: re.Pattern[str], pattern: str, path: Path, root: Path
) -> dict[str, Any] | None:
    """Read one name by a pattern.

    Returns
    -------
    dict or None
        ``time`` or ``time_s``, ``channel``, ``position``, ``well``, ``z``, as far as the pattern
        has them; None if the name does not fit.
    """
    from cellsam_core.files.filenames import image_stem

    folders = "/".join((*path.parent.relative_to(root).parts, ""))
    names = [GUID.sub("", image_stem(path)), image_stem(path), path.name]
    texts = [(folders if "/" in pattern else "") + name for name in names]
    match = next(filter(None, map(expression.fullmatch, texts)), None)
    if match is None:
        return None
    found: dict[str, Any] = {k: v for k, v in match.groupdict().items() if k in ("channel", "z")}
    positions = [v for k, v in match.groupdict().items() if k.startswith("position")]
    if positions:
        found["position"] = "-".join(positions)
        wells = [WELL.search(text) for text in positions]
        well = next((m for m in wells if m), None)
        if well:
            found["well"] = f"{well[1]}{int(well[2]):02d}"
    if "time" in match.groupdict():
        when = _read_time(match["time"], pattern.partition("{time}")[2])
        if when is None:
            return None
        found |= when
    return found


def _read_time(text: str, behind: str) -> dict[str, Any] | None:
    unit = re.match(r" ?([a-z]+)(?![^\W_])", behind)
    if re.fullmatch(r"\d+(\.\d+)?", text):
        if unit and unit[1] in SECONDS_OF_UNIT:
            return {"time_s": float(text) * SECONDS_OF_UNIT[unit[1]]}
        if text.isdecimal():
            return {"time": text}
    seconds = seconds_of(text)
    return None if seconds is None else {"time_s": seconds}


def first_guess(
    name: tuple[str, ...],
    columns: Sequence[Column],
    roles: Sequence[Role],
    *,
    also_constant: bool = False,
) -> str:
    """Make a pattern from the first name: what varies becomes a placeholder.

    Of the numbers that nothing tells, the one with most values is the time; the others, and
    doses and magnifications, are positions. Words that nothing tells are channels, those of
    conditions positions.
    """
    shown = [(c, r.kind) for c, r in zip(columns, roles, strict=True)]
    shown = [(c, r) for c, r in shown if c.varies or (also_constant and r)]
    taken = {role for _, role in shown} - {"unknown", ""}
    unknown = [c for c, role in shown if role == "unknown"]
    numbers = sorted(
        (c for c in unknown if c.kind in ("number", "clock")), key=lambda c: -len(set(c.texts))
    )
    guessed = {id(c): "position" for c in unknown if c not in numbers}
    plain = [c for c in unknown if id(c) in guessed and not any(map(conditions_of, c.texts))]
    if "channel" not in taken and len(plain) == 1:
        guessed[id(plain[0])] = "channel"
    for column in numbers:
        is_place = "time" in taken or column.is_amount
        guessed[id(column)] = "position" if is_place else "time"
        taken.add("" if is_place else "time")
    by_level: dict[int, list[tuple[int, int, str]]] = {}
    for column, role in shown:
        word = guessed.get(id(column)) or role or "*"
        by_level.setdefault(column.level, []).append((*column.spans[0], word))
    parts, seen = [], set()
    for level, text in enumerate(name):
        part = text
        for start, end, word in sorted(by_level.get(level, []), reverse=True):
            once = "*" if word in seen and word != "position" else word
            seen.add(word)
            part = f"{part[:start]}{{{once}}}{part[end:]}"
        parts.append(part)
    first = next((i for i in range(len(parts)) if i in by_level), len(parts) - 1)
    return "/".join(parts[first:] if first == len(parts) - 1 else parts)
