"""Image names cut into numbers, words, wells and clocks, and laid side by side."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile

SECONDS_OF_UNIT = {
    **dict.fromkeys(("ms", "msec"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
AMOUNTS = {"pM", "nM", "uM", "µM", "μM", "mM", "ng", "ug", "µg", "mg", "pct", "percent", "x", "X"}
"""Words behind a dose or a magnification; small ``nm`` and ``um`` are of light and planes."""
_UNITS = "|".join(sorted(SECONDS_OF_UNIT, key=len, reverse=True))
_DAY = r"(?<!\d)(?:19|20)\d\d(?:[-_.]|y)?(?:0[1-9]|1[0-2])(?:[-_.]|m)?(?:0[1-9]|[12]\d|3[01])d?"
_HOUR = r"(?:[01]\d|2[0-3])"
_TIME = rf"{_HOUR}[-_.:h]?[0-5]\d(?:[-_.:m]?[0-5]\d)?(?:m|s)?"
_STAMP = rf"(?<!\d)20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]){_HOUR}[0-5]\d(?:[0-5]\d)?(?!\d)"
_ELAPSED = r"(?<![^\W_])(?:\d+d)?\d+h\d+m(?:in)?(?:\d+s(?:ec)?)?|(?<![^\W_])\d+m(?:in)?\d+s(?:ec)?"
_CLOCK = rf"(?<![^\W_]){_HOUR}[-:.h][0-5]\d[-:.m][0-5]\ds?"
_WELL = r"[A-P](?:0[1-9]|1\d|2[0-4]|[1-9])(?![^\W_])"
_NO_WELL = re.compile(r"(?<![^\W_])([A-P])00?(?![^\W_])")
TOKEN = re.compile(
    rf"(?P<clock>{_STAMP}(?![^\W_])|{_DAY}[ _T\-]+{_TIME}(?![^\W_])|{_DAY}(?![^\W_])"
    rf"|(?:{_ELAPSED})(?![^\W_])|{_CLOCK}(?![^\W_]))"
    rf"|(?P<prefix>(?<![^\W_])(?:[Ww]ell|[Pp]oint)(?={_WELL}))"
    rf"|(?P<well>(?:(?<![^\W_])|(?<=[Ww]ell)|(?<=[Pp]oint)){_WELL})"
    rf"|(?P<number>\d+(?:\.\d+(?= ?(?:{_UNITS})(?![^\W_])))?)"
    r"|(?P<word>[^\W\d_]+)"
    r"|(?P<gap>[\W_]+)"
)
_MOMENT = re.compile(
    r"(\d{4})\D?(\d\d)\D?(\d\d)d?(?:[ _T\-]*(\d\d)[-_.:h]?(\d\d)(?:[-_.:m]?(\d\d))?[ms]?)?"
)
_ELAPSED_PARTS = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s(?:ec)?)?")
GUID = re.compile(r"_?[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}", re.IGNORECASE)


@dataclass(frozen=True)
class Token:
    """One piece of a name.

    Attributes
    ----------
    kind
        ``number``, ``word``, ``well``, ``clock`` or ``gap`` (all else).
    text, start
        The piece and its place in the name.
    """

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """Place behind the last character."""
        return self.start + len(self.text)


@dataclass(frozen=True)
class Column:
    """The same piece of all names.

    Attributes
    ----------
    kind
        As of :class:`Token`; ``words`` for pieces that are not cut alike, such as ``GFP low``
        beside ``BF``.
    level
        Index of the folder, or file name, in the relative path.
    texts, spans
        One a name: the piece, and its first and last place there.
    key, unit
        Letters before and behind a number, the same in all names; else empty.
    follows_well, is_glued
        True if it comes right after the name of a well; true if it is part of a run of letters
        and numbers such as ``helaxy01t01c1``.
    role
        Meaning, where an acquisition program's scheme gives it; else empty.
    is_amount
        True for a number of a dose or a magnification, as in ``10uM`` and ``20x``.
    """

    kind: str
    level: int
    texts: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    key: str = ""
    unit: str = ""
    follows_well: bool = False
    is_glued: bool = False
    role: str = ""
    is_amount: bool = False

    @property
    def varies(self) -> bool:
        """True if the column tells names apart."""
        return len(set(self.texts)) > 1


def tokenize(name: str) -> list[Token]:
    """Cut a name into tokens, which together are the name."""
    return [
        Token("word" if m.lastgroup == "prefix" else str(m.lastgroup), m[0], m.start())
        for m in TOKEN.finditer(name)
    ]


def seconds_of(text: str) -> float | None:
    """Seconds that a clock in a name tells: since the year 1, or since it started; None if none.

    Understood are ``2026-03-01_12-30-05``, ``20260301_123005``, ``2026y03m01d_12h30m``,
    ``00d01h30m``, ``1h30min``, ``12-30-05`` and dates alone.
    """
    moment = _MOMENT.fullmatch(text)
    if moment and text[:2] in ("19", "20"):
        year, month, day, hour, minute, second = (int(g or 0) for g in moment.groups())
        try:
            days = datetime(year, month, 1, tzinfo=UTC).toordinal() + day - 1
        except ValueError:
            return None
        return float(((days * 24 + hour) * 60 + minute) * 60 + second)
    parts = _ELAPSED_PARTS.fullmatch(text)
    if parts and any(parts.groups()):
        day, hour, minute, second = (int(g or 0) for g in parts.groups())
        return float(((day * 24 + hour) * 60 + minute) * 60 + second)
    clock = re.fullmatch(r"(\d\d)\D?(\d\d)(?:\D?(\d\d))?s?", text)
    if clock:
        hour, minute, second = (int(g or 0) for g in clock.groups())
        if hour < 24 and minute < 60 and second < 60:
            return float((hour * 60 + minute) * 60 + second)
    return None


def is_day(text: str) -> bool:
    """Tell whether a clock in a name is a date without a time of day."""
    return re.fullmatch(_DAY, text) is not None


def align(names: list[str], level: int) -> list[Column]:
    """Lay names side by side.

    Names with the same kinds of pieces are compared piece by piece. Else what all names begin
    and end with alike is, and the rest between is one piece.
    """
    rows = [tokenize(name) for name in names]
    if numbered := {m for name in names for m in _NO_WELL.findall(name)}:
        rows = [_cut_wells(row, numbered) for row in rows]
    kinds = [[_kind(token) for token in row] for row in rows]
    if all(row == kinds[0] for row in kinds):
        return [c for i in range(len(rows[0])) for c in _column(rows, [i] * len(rows), level)]
    signatures = [[_signature(token) for token in row] for row in rows]
    n_first = _n_common(signatures)
    n_last = min(_n_common([row[::-1] for row in signatures]), min(map(len, signatures)) - n_first)
    if any(len(row) == n_first + n_last for row in rows):
        n_first -= _n_word_before(rows[0][:n_first])
    columns = [c for i in range(n_first) for c in _column(rows, [i] * len(rows), level)]
    columns.append(_between(names, rows, n_first, n_last, level))
    for i in range(n_last, 0, -1):
        columns += _column(rows, [len(row) - i for row in rows], level)
    return columns


def _cut_wells(row: list[Token], letters: set[str]) -> list[Token]:
    """Cut ``C01`` into a key and its number where another name has ``C00``, which is no well."""
    cut = []
    for token in row:
        if token.kind == "well" and token.text[0] in letters:
            cut += [
                Token("word", token.text[0], token.start),
                Token("number", token.text[1:], token.start + 1),
            ]
        else:
            cut.append(token)
    return cut


def _n_word_before(tokens: list[Token]) -> int:
    """Count the last tokens that are one word, as ``GFP`` before ``_long``, with the gap behind."""
    i = len(tokens)
    while i and tokens[i - 1].kind == "gap":
        i -= 1
    start = i
    while start and tokens[start - 1].kind in ("word", "number"):
        start -= 1
    has_letters = any(token.kind == "word" for token in tokens[start:i])
    return len(tokens) - start if has_letters else 0


def _kind(token: Token) -> str:
    return token.text if token.kind == "gap" else token.kind


def _signature(token: Token) -> str:
    return token.text if token.kind in ("gap", "word") else f"<{token.kind}>"


def _n_common(rows: list[list[str]]) -> int:
    return sum(1 for _ in takewhile(lambda c: len(set(c)) == 1, zip(*rows, strict=False)))


def _column(rows: list[list[Token]], at: list[int], level: int) -> list[Column]:
    tokens = [row[i] for row, i in zip(rows, at, strict=True)]
    if tokens[0].kind == "gap":
        return []
    texts = tuple(t.text for t in tokens)
    spans = tuple((t.start, t.end) for t in tokens)
    keys = {_key(row, i) for row, i in zip(rows, at, strict=True)}
    units = {_unit(row, i) for row, i in zip(rows, at, strict=True)}
    is_number = tokens[0].kind == "number"
    return [
        Column(
            tokens[0].kind,
            level,
            texts,
            spans,
            keys.pop() if is_number and len(keys) == 1 else "",
            units.pop() if is_number and len(units) == 1 else "",
            all(i > 1 and row[i - 2].kind == "well" for row, i in zip(rows, at, strict=True)),
            all(_is_glued(row, i) for row, i in zip(rows, at, strict=True)),
            is_amount=all(_is_amount(row, i) for row, i in zip(rows, at, strict=True)),
        )
    ]


def _key(row: list[Token], i: int) -> str:
    """Return the word before a number: next to it, or with a gap between and more than a letter."""
    if i and row[i - 1].kind == "word":
        return row[i - 1].text
    if i > 1 and row[i - 2].kind == "word" and row[i - 1].text.strip() in ("", "_", "-", "="):
        word = row[i - 2].text
        is_key = len(word) > 1 or row[i - 1].text == "=" or _n_spaced_keys(row) > 1
        return word if is_key else ""
    return ""


def _n_spaced_keys(row: list[Token]) -> int:
    """Count single letters with a number of their own behind a gap, as in ``t_001_c_1``.

    One alone may be part of the base name, as in ``strain_c_001``.
    """
    found = {
        a.text.lower()
        for a, gap, b in zip(row, row[1:], row[2:], strict=False)
        if len(a.text) == 1 and a.kind == "word" and gap.text == "_" and b.kind == "number"
    }
    return len(found & set("tczspwf"))


def _is_glued(row: list[Token], i: int) -> bool:
    """Tell whether a number and its key are part of a run such as ``helaxy01t01c1``."""
    if row[i].kind != "number" or not i or row[i - 1].kind != "word":
        return False
    before, after = row[i - 2 : i - 1] if i > 1 else [], row[i + 1 : i + 2]
    return any(t.kind in ("number", "word") for t in before + after)


def _unit(row: list[Token], i: int) -> str:
    """Return the word behind a number, if it is a unit of time and ends there."""
    after = row[i + 1 : i + 3]
    if after and after[0].text == " ":
        after = after[1:]
    is_last = after and (after[0] is row[-1] or row[row.index(after[0]) + 1].kind == "gap")
    if is_last and after[0].kind == "word" and after[0].text.lower() in SECONDS_OF_UNIT:
        return after[0].text.lower()
    return ""


def _is_amount(row: list[Token], i: int) -> bool:
    """Tell whether a number has one of `AMOUNTS` right behind it, which ends there."""
    after = row[i + 1 : i + 3]
    is_last = len(after) == 1 or (len(after) == 2 and after[1].kind == "gap")
    return row[i].kind == "number" and is_last and after[0].text in AMOUNTS


def _between(
    names: list[str], rows: list[list[Token]], n_first: int, n_last: int, level: int
) -> Column:
    spans = []
    for name, row in zip(names, rows, strict=True):
        start = row[n_first].start if n_first < len(row) else len(name)
        end = row[len(row) - n_last].start if n_last else len(name)
        text = name[start:end]
        start += len(text) - len(text.lstrip(" _-."))
        spans.append((start, max(start, start + len(text.strip(" _-.")))))
    texts = tuple(name[a:b] for name, (a, b) in zip(names, spans, strict=True))
    return Column("words", level, texts, tuple(spans))
