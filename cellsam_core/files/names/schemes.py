"""Names that acquisition programs give, where their pieces alone would not tell what they are."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from cellsam_core.files.names.tokens import Column, align

SQUID = r"(?P<well>[A-Za-z]+\d*)_(?P<field>\d+)_(?P<z>\d+)_(?P<channel>(?:BF|Fluorescence)_.+)"
"""Names of Cephla's Squid, in a folder for each time point."""

# Groups: time, ms, channel, row, col, well, field, z; base is what the user named.
SCHEMES = {
    "Operetta, Opera Phenix": (
        r"(?P<row>r\d+)(?P<col>c\d+)f(?P<field>\d+)(?:p(?P<z>\d+))?(?:rc\d+)?"
        r"-ch(?P<channel>\d+)(?:(?:sk|t)(?P<time>\d+))?(?:fk\d+)?(?:fl\d+)?"
    ),
    "Yokogawa CV7000, CV8000": (
        r"(?P<base>.*)_(?P<well>[A-P]\d\d)_T(?P<time>\d+)F(?P<field>\d+)L\d+A\d+Z(?P<z>\d+)"
        r"C(?P<channel>\d+)"
    ),
    "Yokogawa CV1000": (
        r"W(?P<position>\d+)F(?P<field>\d+)T(?P<time>\d+)Z(?P<z>\d+)C(?P<channel>\d+)"
    ),
    "IN Cell": (
        r"(?P<row>[A-P]) - (?P<col>\d+)\(fld (?P<field>\d+)(?: wv (?P<channel>.+?))??"
        r"(?: z (?P<z>\d+))?(?: time (?P<time>\d+)(?: - (?P<ms>\d+) ms)?)?\)"
    ),
    "Micro-Manager 1.4": r"img_(?P<time>\d{9})_(?P<channel>.*)_(?P<z>\d{3})",
    "scanR": (
        r"(?P<base>.*)--W(?P<position>\d+)--P(?P<field>\d+)--Z(?P<z>\d+)--T(?P<time>\d+)"
        r"--(?P<channel>.+)"
    ),
    "LAS X, matrix screener": (
        r"(?P<base>.*)--L\d+--S\d+--(?P<position>U\d+--V\d+)--J\d+--E\d+--O\d+--(?P<x>X\d+)"
        r"--(?P<field>Y\d+)--T(?P<time>\d+)--Z(?P<z>\d+)--C(?P<channel>\d+)"
    ),
    "EVOS": (
        r"(?P<base>.*)_[A-Z]_p(?P<time>\d+)_(?P<z>\d+)_(?P<well>[A-P]\d\d)f(?P<field>\d+)"
        r"d(?P<channel>\d+)"
    ),
    "ArrayScan": r"(?P<base>.*)_(?P<well>[A-P]\d\d)f(?P<field>\d+)d(?P<channel>\d+)",
    "Keyence": (
        r"(?P<base>(?:.*_)?)Image_(?:T(?P<time>\d+)_)?(?:(?P<position>XY\d+)_)?(?P<field>\d{5})"
        r"(?:_Z(?P<z>\d+))?_(?P<channel>CH\d)"
    ),
    "Squid": SQUID,
    "Incucyte, archive": r"(?P<well>[A-P]\d{1,2})-(?P<field>\d+)-(?P<channel>Ph?|C\d)",
    "Cytation": (
        r"(?P<well>[A-P]\d{1,2})_-?\d+_\d+_(?P<field>\d+)_(?P<channel>[^_]*[^\W\d][^_]*)"
        r"_(?P<time>\d+)"
    ),
}
MIN_SHARE_OF_OTHERS = 4
"""Names of no scheme are left out if they are fewer than one in so many."""

_ARCHIVE = re.compile(r"(?:.*/)?(\d\d)(\d\d)/(\d\d)/(\d\d)(\d\d)/\d+")
KEYS = {"field": "f", "channel": "ch", "position": "p"}
ROLES = {
    **dict.fromkeys(("well", "position", "field", "x"), "position"),
    **{"time": "time", "ms": "time", "channel": "channel", "z": "z"},
}


@lru_cache(maxsize=1)
def _compiled() -> list[re.Pattern[str]]:
    return [re.compile(text) for text in SCHEMES.values()]


def match_scheme(names: list[str], level: int) -> list[Column] | None:
    """Cut names by the scheme that all of them fit; None if there is no such.

    Parameters
    ----------
    names
        File names, without suffix.
    level
        Number of folders above them.

    Returns
    -------
    list of Column or None
        Their `key` says what they are; the role follows from it.
    """
    for expression in _compiled():
        if expression.fullmatch(names[0]) is None:
            continue
        matches = [expression.fullmatch(name) for name in names]
        if all(matches):
            return _columns([m for m in matches if m], level)
    return None


def archive_clock(folders: list[str]) -> Column | None:
    """Read the time in Incucyte's folders, ``2301/05/0300/644``; None if they are others.

    Parameters
    ----------
    folders
        Names of the folders of each image, with slashes between them.
    """
    found = [_ARCHIVE.fullmatch(each) for each in folders]
    if not all(found):
        return None
    texts = tuple("20{}-{}-{} {}:{}".format(*match.groups()) for match in found if match)
    return Column("clock", folders[0].count("/") - 1, texts, ((0, 4),) * len(texts), role="time")


def folder_times(column: Column, names: list[str]) -> Column:
    """Give the meaning of time to the number of a folder, where the program of the names does."""
    is_squid = column.kind == "number" and all(re.fullmatch(SQUID, name) for name in names)
    return replace(column, role="time") if is_squid else column


def split_foreign(names: list[str]) -> tuple[list[int], list[int]]:
    """Tell names that one program gives from a few others beside them.

    Yokogawa writes ``SC_BP445-45_40x_M10_CH01`` and ``DC_sCMOS #1_CAM1``, with which it corrects
    its images, into their folder.

    Returns
    -------
    fitting, others : list of int
        Indices. All are fitting unless most, and not all, are of one scheme.
    """
    every = list(range(len(names)))
    for expression in _compiled():
        others = [i for i in every if expression.fullmatch(names[i]) is None]
        if not others:
            break
        if len(others) * MIN_SHARE_OF_OTHERS < len(names):
            foreign = set(others)
            return [i for i in every if i not in foreign], others
    return every, []


def _columns(matches: list[re.Match[str]], level: int) -> list[Column]:
    columns = []
    groups = [g for g in matches[0].re.groupindex if all(m[g] is not None for m in matches)]
    if len({m["ms"] for m in matches} if "ms" in groups else ()) > 1:
        groups.remove("time")  # the same in milliseconds
    if "row" in groups:
        texts = tuple(_well(m["row"], m["col"]) for m in matches)
        spans = tuple((m.start("row"), m.end("col")) for m in matches)
        columns.append(Column("well", level, texts, spans, role="position"))
    for group in groups:
        if group in ("row", "col"):
            continue
        texts = tuple(m[group] for m in matches)
        spans = tuple(m.span(group) for m in matches)
        if group == "base":  # named by the user, who may have numbered the frames
            columns += align(list(texts), level)
            continue
        is_number = all(text.isdecimal() for text in texts)
        kind = "number" if is_number else "well" if group == "well" else "words"
        key = KEYS.get(group, "") if is_number else ""
        unit = "ms" if group == "ms" else ""
        columns.append(Column(kind, level, texts, spans, key, unit, role=ROLES[group]))
    return columns


def _well(row: str, col: str) -> str:
    """Name a well: row ``r02`` or ``B``, column ``c03`` or ``03``, as ``B03``."""
    if row[1:].isdecimal():
        above, place = divmod(int(row[1:]) - 1, 26)  # plates of 1,536 wells go on with AA
        row = "A" * above + chr(ord("A") + place)
    return f"{row}{int(re.sub(r'[^0-9]', '', col)):02d}"
