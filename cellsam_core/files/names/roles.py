"""Meaning of the pieces that differ between the names of one movie."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, NamedTuple

from cellsam_core.files.conditions import conditions_of
from cellsam_core.files.names.tokens import is_day, seconds_of
from cellsam_core.files.stains import is_stain

if TYPE_CHECKING:
    from cellsam_core.files.names.tokens import Column

KEYS = {
    "time": "t time timepoint tp frame fr tl timelapse timestep",
    "channel": "c ch chan channel w wv wavelength cy alexa af atto em ex laser",
    "z": "z slice plane focus zstep zplane zslice",
    "position": "s p xy pos position fov field fld site well stage series scene point loc tile "
    "region multipoint",
}
ROLE_OF_KEY = {key: role for role, keys in KEYS.items() for key in keys.split()}
# `Frames0001` ends in a key of positions, too.
ROLE_OF_KEY |= {f"{key}s": role for key, role in ROLE_OF_KEY.items() if len(key) > 2}
AMBIGUOUS = dict.fromkeys(("f", "m", "rep", "replicate"), "position")
"""Frame if nothing else is the time, field, multipoint or replicate if something is."""
LETTERED_POSITION = re.compile(
    r"(pos|position|fov|field|site|stage|scene|series|region)[A-Z]", re.IGNORECASE
)

UNITS_OF_EXPOSURE = ("ms", "msec")
_TAILS = ("xy", "pos", "ch", "t", "c", "z", "s", "p", "f")
WAVELENGTHS_NM = range(340, 900)
ORDER = ("time", "channel", "position", "z")


class Role(NamedTuple):
    """Meaning of a column: one of `ORDER`, ``unknown``, or empty where it tells nothing."""

    kind: str


def find_roles(columns: list[Column], channels: set[str]) -> list[Role]:
    """Tell what each column means, by its looks and by what it varies with.

    Parameters
    ----------
    columns
        Pieces of all names, and of their folders.
    channels
        Words that are known to be channels.
    """
    groups: dict[tuple[int, ...], list[Column]] = {}
    for column in columns:
        if column.varies:
            groups.setdefault(_partition(column), []).append(column)
    roles = {axis: _clear_role(group, channels) for axis, group in groups.items()}
    _settle_ambiguous(groups, roles)
    _drop_followers(groups, roles)
    _settle_numbers(groups, roles, max((column.level for column in columns), default=0))
    _drop_followers(groups, roles)
    return [Role(_role_in_group(column, groups, roles, channels)) for column in columns]


def _partition(column: Column) -> tuple[int, ...]:
    """Return numbers of the values by first appearance: equal for columns that vary together."""
    numbers: dict[object, int] = {}
    is_number = column.kind == "number" and not column.unit
    values = [int(t) if is_number else t for t in column.texts]
    return tuple(numbers.setdefault(value, len(numbers)) for value in values)


def _clear_role(group: list[Column], channels: set[str]) -> str:
    found = {_role(column, channels) for column in group} - {""}
    if "channel" in found and any(c.unit in UNITS_OF_EXPOSURE for c in group):
        return "channel"  # each stain has an exposure time of its own
    return next((role for role in ORDER if role in found), "unknown" if "unknown" in found else "")


def _role(column: Column, channels: set[str]) -> str:
    """Tell what a column looks like; empty if it could be anything."""
    if column.role:
        return column.role
    if column.kind == "clock":
        return "" if all(map(is_day, column.texts)) else "time"
    if column.kind == "well":
        is_row_c = {text[0] for text in column.texts} == {"C"}
        # Channels are counted from 0 or 1: C03 and C04 are wells. C2 and C3 may be channels of
        # Fiji of which the first was removed.
        is_padded = any(text[1] == "0" for text in column.texts)
        first = min(int(text[1:]) for text in column.texts)
        may_be_channel = is_row_c and (first < 2 or not is_padded)
        return "" if may_be_channel else "position"
    if column.kind in ("word", "words"):
        if all(map(LETTERED_POSITION.fullmatch, column.texts)):
            return "position"
        return "channel" if _are_channels(column, channels) else "unknown"
    if column.unit:
        return "time"
    if column.is_amount:
        return "unknown"
    if column.key.lower() in ROLE_OF_KEY:
        return ROLE_OF_KEY[column.key.lower()]
    return "position" if column.follows_well else ""


def _are_channels(column: Column, channels: set[str]) -> bool:
    """Tell whether words name channels: known ones, or stains that differ in more than digits.

    One stain among many words, or beside a condition (``H2B`` and ``WT``), does not tell: the
    words may be samples.
    """
    words = {w.rsplit(" - ", 1)[-1] for w in column.texts}
    if words <= channels:
        return True
    without_digits = {re.sub(r"\d+", "#", word) for word in words}
    if "" in words or len(without_digits) == 1 or _are_frames(words):
        return False
    if len(set(map(conditions_of, words))) > 1:
        return False
    n_stains = sum(map(is_stain, words))
    return n_stains > 0 and 2 * n_stains >= len(words)


def _are_frames(words: set[str]) -> bool:
    """Tell whether words are a name with the numbers of frames, as ``BF_000`` and ``BF_001``.

    A number that is glued to its word (``Cy3``), or of nanometres, is a part of a stain's name.
    """
    numbers: dict[str, set[str]] = {}
    for word in words:
        if found := re.fullmatch(r"(.*)[_\- ](\d+)", word):
            numbers.setdefault(found[1], set()).add(found[2])
    return any(
        len(own) > 1 and not all(int(n) in WAVELENGTHS_NM for n in own) for own in numbers.values()
    )


def _settle_ambiguous(
    groups: dict[tuple[int, ...], list[Column]], roles: dict[tuple[int, ...], str]
) -> None:
    """Take ``f`` as field where a time is told; ``H2B1t`` ends in a key where several vary."""
    n_numbers = sum(1 for group in groups.values() for c in group[:1] if c.kind == "number")
    for axis, group in groups.items():
        if not roles[axis] and all(c.kind == "well" for c in group):
            # C1 and C2 beside no other channel.
            roles[axis] = "position" if "channel" in roles.values() else "channel"
        keys = {c.key for c in group if c.kind == "number"}
        if roles[axis] or not keys:
            continue
        if {key.lower() for key in keys} & set(AMBIGUOUS) and "time" in roles.values():
            roles[axis] = "position"
        elif n_numbers > 1 and all(c.is_glued for c in group if c.kind == "number"):
            tails = {tail_of(key) for key in keys} - {""}
            role = ROLE_OF_KEY.get(tails.pop()) if len(tails) == 1 else None
            if role is not None and (role == "position" or role not in roles.values()):
                roles[axis] = role


def tail_of(key: str) -> str:
    """Return the key that a base name runs into: ``T`` of ``HeLaT``, ``xy`` of ``helaxy``."""
    camel = re.search(r"(?<=[a-z])[A-Z]+$", key)
    if camel:
        return camel[0].lower() if camel[0].lower() in ROLE_OF_KEY else ""
    return next((tail for tail in _TAILS if key.lower().endswith(tail)), "")


def _drop_followers(
    groups: dict[tuple[int, ...], list[Column]], roles: dict[tuple[int, ...], str]
) -> None:
    """Leave out running numbers and what follows from another column alone, such as exposures."""
    known = [axis for axis, role in roles.items() if role in ORDER]
    keys = list(zip(*known, strict=True))
    is_enough = bool(known) and len(set(keys)) == len(keys)
    for axis, role in roles.items():
        if role in ORDER or role == "followed":
            continue
        is_told = any(len(set(zip(axis, o, strict=True))) == len(set(o)) for o in known)
        if is_told or (is_enough and len(set(axis)) == len(axis)):
            roles[axis] = "followed"


def _settle_numbers(
    groups: dict[tuple[int, ...], list[Column]], roles: dict[tuple[int, ...], str], last_level: int
) -> None:
    """Take the one number in file names that is left as the time; wavelengths are channels."""
    free = [axis for axis, role in roles.items() if not role]
    if "channel" not in roles.values():
        waves = [axis for axis in free if any(map(_are_wavelengths, groups[axis]))]
        if len(waves) == 1 and (len(free) > 1 or "time" in roles.values()):
            roles[waves[0]] = "channel"
            free.remove(waves[0])
    is_in_file = len(free) == 1 and any(c.level == last_level for c in groups[free[0]])
    if "time" not in roles.values() and is_in_file:
        roles[free[0]] = "time"
        free = []
    for axis in free:
        roles[axis] = "unknown"


def _are_wavelengths(column: Column) -> bool:
    """Tell whether numbers are nm of light, as in ``AMPKAR_405`` and ``AMPKAR_480``."""
    if column.kind != "number" or any(len(text) != 3 for text in column.texts):
        return False
    values = sorted({int(text) for text in column.texts})
    apart = min(b - a for a, b in itertools.pairwise(values))
    return len(values) <= 7 and apart >= 10 and all(v in WAVELENGTHS_NM for v in values)


def _role_in_group(
    column: Column,
    groups: dict[tuple[int, ...], list[Column]],
    roles: dict[tuple[int, ...], str],
    channels: set[str],
) -> str:
    """Give the role of a group to the column of it that says most; the others tell nothing."""
    if not column.varies:
        return ""
    axis = _partition(column)
    role, group = roles[axis], groups[axis]
    if role not in (*ORDER, "unknown"):
        return ""
    if role == "time" and all(c.kind == "clock" for c in group if _role(c, channels) == "time"):
        own = [c for c in group if c.kind == "clock"] or group
    else:
        own = [c for c in group if _role(c, channels) == role] or group
    if role == "time":  # a day and a time of day may vary together; else the plainest number
        clocks = [c for c in own if c.kind == "clock" or c.unit]
        own = clocks or own
        return role if column in (own if clocks else own[:1]) else ""
    named = [c for c in own if c.kind in ("word", "words")]
    return role if column is (named or own)[0] else ""


def is_clock_of_day(texts: tuple[str, ...]) -> bool:
    """Tell whether bare numbers are times of day: even by the clock, with steps over full hours."""
    if any(len(text) not in (4, 6) for text in texts) or len({len(t) for t in texts}) > 1:
        return False
    seconds = sorted({seconds_of(text) or -1.0 for text in texts})
    values = sorted({int(text) for text in texts})
    if len(values) < 3 or (seconds[0] < 0 and values[0] > 0):
        return False
    by_clock, by_number = (
        [b - a for a, b in itertools.pairwise(each)] for each in (seconds, values)
    )
    return max(by_clock) - min(by_clock) <= 0.1 * min(by_clock) and len(set(by_number)) > 1
