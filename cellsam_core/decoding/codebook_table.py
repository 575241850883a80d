"""Codebook tables: MERlin's (new and old), Polaris' and pseudocolours by round."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import pandas as pd

from cellsam_core.decoding.codebook import Codebook, from_pseudocolours
from cellsam_core.errors import InputError
from cellsam_core.files.tables import read_table, table_errors

NAME_COLUMNS = ("name", "gene")
OTHER_COLUMNS = ("id", "barcodetype", "index", "")
PSEUDOCOLOUR = re.compile(r"round_\d+")
MERLIN_1_HEADER = re.compile(r"version\b")


def read_codebook(path: str | Path) -> Codebook:
    """Read a codebook.

    Parameters
    ----------
    path
        Csv with a column ``name`` (or ``Gene``), maybe ``id``, and one column of 0 and 1 for each
        bit; or columns ``round_1``, ``round_2``, ... with pseudocolours from 1, 0 for dark; or
        MERlin's old layout with three header lines and barcodes such as ``0011``.

    Raises
    ------
    InputError
        It is none of these, a feature is named twice or dark in all bits, or two features have
        the same codeword.
    """
    path = Path(path)
    table = _read_old(path) if _is_old(path) else read_table(path, dtype=str, keep_default_na=False)
    name = next((c for c in table.columns if str(c).strip().lower() in NAME_COLUMNS), None)
    if name is None:
        raise _unusable(path, f"the columns {', '.join(map(str, table.columns))}", "also name")
    names = table[name].fillna("").str.strip().tolist()
    words = table.drop(columns=[name, *(c for c in table.columns if _is_other(str(c)))])
    words.columns = [str(c).strip() for c in words.columns]
    numbers = words.apply(pd.to_numeric, errors="coerce")
    if numbers.empty or numbers.isna().to_numpy().any() or (numbers % 1 != 0).to_numpy().any():
        raise _unusable(path, "an empty or broken table", "whole numbers in every column of bits")
    values = numbers.to_numpy().astype("int64")
    if all(PSEUDOCOLOUR.fullmatch(c) for c in words.columns):
        if values.min() < 0:
            raise _unusable(path, "a negative pseudocolour", "numbers from 0")
        book = from_pseudocolours(names, values, list(words.columns))
    elif values.min() < 0 or values.max() > 1:
        raise _unusable(path, "a bit of another value", "0 or 1, or columns round_1, round_2")
    else:
        book = Codebook(tuple(names), tuple(words.columns), values.astype(bool))
    _check(path, book)
    return book


def _is_other(column: str) -> bool:
    column = column.strip().lower()
    return column in OTHER_COLUMNS or column.startswith("unnamed:")


def _is_old(path: Path) -> bool:
    with table_errors(path), path.open(encoding="utf-8-sig") as file:
        return MERLIN_1_HEADER.match(file.readline().lower()) is not None


def _read_old(path: Path) -> pd.DataFrame:
    """Read MERlin's layout of before 2019: the bits of a codeword as one word."""
    with table_errors(path):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        bit_names = [part.strip() for part in lines[2].split(",")[1:] if part.strip()]
        table = pd.read_csv(
            StringIO("\n".join(lines[3:])), dtype=str, keep_default_na=False, skipinitialspace=True
        )
        table.columns = [c.strip() for c in table.columns]
        words = table.pop("barcode").str.replace(" ", "")
        bits = pd.DataFrame([list(word) for word in words], columns=bit_names)
    return pd.concat([table, bits], axis=1)


def _check(path: Path, book: Codebook) -> None:
    seen: dict[bytes, str] = {}
    for name, word in zip(book.names, book.bits, strict=True):
        other = seen.setdefault(word.tobytes(), name)
        if name == "" or book.names.count(name) > 1 or other != name:
            found = f"{name!r} with the codeword of {other!r}" if other != name else f"{name!r}"
            raise _unusable(path, f"{found} twice or nameless", "one codeword for each name")
        if not word.any():
            raise _unusable(path, f"{name!r} without a bit", "one bit or more for each name")


def _unusable(path: Path, found: str, expected: str) -> InputError:
    return InputError(path, found=found, expected=expected, remedy="correct the codebook")
