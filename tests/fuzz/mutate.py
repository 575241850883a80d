"""Seeded damage of files: bytes, words of text, tags of TIFFs, cells of tables, whole files."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

TEXT = (".csv", ".tsv", ".txt", ".json", ".geojson", ".yaml", ".xml")
TIFF = (".tif", ".tiff")
NASTY = [
    *("", "0", "-1", "nan", "inf", "-inf", "1e308", "1e-308", "99999999999999999999", "0.5", "NA"),
    *("null", "true", "[]", "{}", '"', "'", ";", "../../etc", "<script>", "größe", "a,b", "\x00"),
    *("4294967296", "2147483648", "1000000", "2", "65536", "-0.0", "1_000", "0x10", "1,5", "~"),
]
NUMBERS = (0, 1, 2, 3, 7, 8, 255, 1000, 0x7FFF, 0xFFFF, 0x10000, 10**6, 0x7FFFFFFF, 0xFFFFFFFF)
WORD = re.compile(r"[^\s,:;\"'{}\[\]<>=/]+")
Random = random.Random


def mutate(path: Path, chance: Random) -> str:
    """Damage one file in place; return in words what was done."""
    actions = [*BYTES, *BYTES, *FILES]
    if path.suffix in TEXT:
        actions += 4 * TEXTS
    if path.suffix in TIFF:
        actions += 12 * [tiff_tag]
    if path.suffix == ".parquet":
        actions += 2 * TABLES
    action = chance.choice(actions)
    try:
        done = action(path, chance)
    except (ValueError, LookupError, TypeError, OverflowError, struct.error) as error:
        # The file is of no use to this kind of damage.
        return f"{flip(path, chance)} instead of {action.__name__} ({type(error).__name__})"
    return done or action.__name__


def place(content: bytes, chance: Random) -> int:
    """Draw a byte, half of the time among the first ones, where headers are."""
    end = min(len(content), 600) if chance.random() < 0.5 else len(content)
    return chance.randrange(end)


def flip(path: Path, chance: Random) -> str:
    content = bytearray(path.read_bytes() or b"\0")
    at, bit = place(content, chance), chance.randrange(8)
    content[at] ^= 1 << bit
    path.write_bytes(content)
    return f"flip bit {bit} of byte {at}"


def number(path: Path, chance: Random) -> str:
    content = bytearray(path.read_bytes())
    at, value = place(content, chance), chance.choice(NUMBERS)
    content[at : at + 4] = struct.pack("<I", value)
    path.write_bytes(content)
    return f"write {value} at byte {at}"


def cut(path: Path, chance: Random) -> str:
    content = path.read_bytes()
    path.write_bytes(content[: place(content, chance)])
    return f"cut to {path.stat().st_size} of {len(content)} bytes"


def delete_bytes(path: Path, chance: Random) -> str:
    content = path.read_bytes()
    at, n = place(content, chance), chance.choice((1, 2, 16, 300))
    path.write_bytes(content[:at] + content[at + n :])
    return f"delete {n} bytes at {at}"


def repeat_bytes(path: Path, chance: Random) -> str:
    content = path.read_bytes()
    at, n = place(content, chance), chance.choice((1, 16, 300))
    path.write_bytes(content[: at + n] + content[at:])
    return f"repeat {n} bytes at {at}"


def blank_bytes(path: Path, chance: Random) -> str:
    content = bytearray(path.read_bytes())
    at, n, value = place(content, chance), chance.choice((8, 64, 512)), chance.choice((0, 255))
    content[at : at + n] = bytes([value]) * len(content[at : at + n])
    path.write_bytes(content)
    return f"write {n} bytes of {value} at {at}"


def append_bytes(path: Path, chance: Random) -> str:
    path.write_bytes(path.read_bytes() + chance.randbytes(100))
    return "append 100 bytes"


def empty(path: Path, chance: Random) -> str:
    path.write_bytes(b"")
    return "empty the file"


def remove(path: Path, chance: Random) -> str:
    path.unlink()
    return "delete the file"


def folder(path: Path, chance: Random) -> str:
    path.unlink()
    path.mkdir()
    return "put a folder in its place"


def copy_of_neighbour(path: Path, chance: Random) -> str:
    others = sorted(p for p in path.parent.iterdir() if p.is_file() and p != path)
    other = chance.choice(others)
    path.write_bytes(other.read_bytes())
    return f"put {other.name} in its place"


def word(path: Path, chance: Random) -> str:
    text = path.read_text(encoding="utf-8")
    found = chance.choice(list(WORD.finditer(text)))
    new = chance.choice(NASTY)
    path.write_text(text[: found.start()] + new + text[found.end() :], encoding="utf-8")
    return f"write {new!r} for {found[0][:30]!r}"


def lines(path: Path, chance: Random) -> str:
    rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
    at, how = chance.randrange(len(rows)), chance.choice(("delete", "repeat", "move"))
    row = rows.pop(at)
    if how != "delete":
        rows.insert(chance.randrange(len(rows) + 1) if how == "move" else at, row)
    if how == "repeat":
        rows.insert(at, row)
    path.write_text("".join(rows), encoding="utf-8")
    return f"{how} line {at + 1}"


def dialect(path: Path, chance: Random) -> str:
    text = path.read_text(encoding="utf-8")
    name, content = chance.choice(
        [
            ("CRLF", text.replace("\n", "\r\n").encode()),
            ("byte order mark", b"\xef\xbb\xbf" + text.encode()),
            ("UTF-16", text.encode("utf-16")),
            ("semicolons", text.replace(",", ";").encode()),
            ("tabs", text.replace(",", "\t").encode()),
            ("no last line break", text.rstrip("\n").encode()),
            ("empty lines", text.replace("\n", "\n\n").encode()),
            ("a byte that is not UTF-8", text.encode() + b"\xff\n"),
        ]
    )
    path.write_bytes(content)
    return name


def tiff_tag(path: Path, chance: Random) -> str:
    with tifffile.TiffFile(path) as tif:
        order, big = tif.byteorder, tif.is_bigtiff
        tag = chance.choice(list(chance.choice(list(tif.pages)).tags))
        offset, name = tag.offset, tag.name
    content = bytearray(path.read_bytes())
    value = chance.choice(NUMBERS)
    part, at, form = chance.choice(
        [
            *3 * [("value", offset + (12 if big else 8), "I")],
            *2 * [("short value", offset + (12 if big else 8), "H")],
            ("count", offset + 4, "I"),
            ("type", offset + 2, "H"),
            ("code", offset, "H"),
        ]
    )
    value = value % 14 if part == "type" else value & (0xFFFF if form == "H" else 0xFFFFFFFF)
    struct.pack_into(order + form, content, at, value)
    path.write_bytes(content)
    return f"{part} {value} in tag {name}"


def table_cell(path: Path, chance: Random) -> str:
    table = pd.read_parquet(path)
    name, row = chance.choice(list(table.columns)), chance.randrange(len(table))
    new: object = chance.choice([None, np.nan, np.inf, -1, 0, 2**31, 1e300, "text", b"\xff", 0.5])
    column = table[name].astype(object)
    column.iloc[row] = new
    table[name] = column
    write_table(path, table)
    return f"write {new!r} into {name}, row {row}"


def table_shape(path: Path, chance: Random) -> str:
    table = pd.read_parquet(path)
    name = chance.choice(list(table.columns))
    how, new = chance.choice(
        [
            (f"drop {name}", table.drop(columns=name)),
            (f"rename {name}", table.rename(columns={name: f"{name}2"})),
            (f"{name} as text", table.astype({name: str})),
            (f"{name} as float", table.assign(**{name: pd.to_numeric(table[name]) * 1.0})),
            ("no rows", table.iloc[:0]),
            ("rows backwards", table.iloc[::-1]),
            ("a row twice", pd.concat([table, table.iloc[:1]])),
            ("a row fewer", table.iloc[1:]),
        ]
    )
    write_table(path, new)
    return how


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Replace the rows; what the file says beside them stays."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    old = pq.read_schema(path).metadata or {}
    try:
        new = pa.Table.from_pandas(table, preserve_index=False)
    except pa.ArrowException as error:
        raise TypeError(str(error)) from error
    pq.write_table(new.replace_schema_metadata(old | (new.schema.metadata or {})), path)


Action = Callable[[Path, Random], str]
BYTES: list[Action] = [
    *(flip, number, cut, delete_bytes, repeat_bytes, blank_bytes, append_bytes),
    *(flip, number),
]
FILES: list[Action] = [empty, remove, folder, copy_of_neighbour]
TEXTS: list[Action] = [word, word, word, lines, dialect]
TABLES: list[Action] = [table_cell, table_cell, table_shape]
