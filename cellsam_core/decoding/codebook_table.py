"""Codebook tables: MERlin's (new and old), Polaris' and pseudocolours by round."""

from __future__ import annotations

import logging
import re
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cellsam_core.decoding.codebook import Codebook, from_pseudocolours
from cellsam_core.decoding.sheets import separator_of
from cellsam_core.errors import InputError
from cellsam_core.files.tables import read_table, table_errors

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

log = logging.getLogger(__name__)

BARCODE = "barcode"
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
        one column ``barcode`` of words such as ``0011``, whose bits are then ``bit1``, ``bit2``,
        ...; or MERlin's old layout with three header lines and barcodes. Columns of text and empty
        rows are left out.

    Raises
    ------
    InputError
        It is none of these, a feature is named twice or dark in all bits, or two features have
        the same codeword.
    """
    path = Path(path)
    table = _read_old(path) if _is_old(path) else _read_new(path)
    table.columns = [str(c).strip() for c in table.columns]
    table = table.apply(lambda column: column.fillna("").str.strip())
    table = table[(table != "").any(axis=1)]  # spreadsheets leave empty rows at the end
    name = next((c for c in table.columns if c.lower() in NAME_COLUMNS), None)
    if name is None:
        raise _unusable(path, f"the columns {', '.join(table.columns)}", "also name")
    words = table.drop(columns=[name, *filter(_is_other, table.columns)])
    words = _without_text(path, _split_barcodes(path, words, table[name]))
    values = _whole_numbers(path, words, table[name])
    names = table[name].to_list()
    if all(PSEUDOCOLOUR.fullmatch(c) for c in words.columns):
        book = from_pseudocolours(names, values, list(words.columns))
    else:
        book = Codebook(tuple(names), tuple(words.columns), values.astype(bool))
    _check(path, book, [int(row) + 1 for row in table.index])
    return book


def _read_new(path: Path) -> pd.DataFrame:
    options: dict[str, Any] = {"dtype": str, "keep_default_na": False, "skip_blank_lines": False}
    return read_table(path, sep=separator_of(path), **options)


def _split_barcodes(path: Path, words: pd.DataFrame, names: pd.Series[str]) -> pd.DataFrame:
    """Turn a column of words such as ``0011`` into a column for each bit."""
    column = next((c for c in words.columns if c.lower() == BARCODE), None)
    if column is None:
        return words
    codes = words[column].str.replace(r"[\s,;]", "", regex=True)
    length = int(codes.str.len().max()) if len(codes) else 0
    for row, code in zip(codes.index.tolist(), codes.to_list(), strict=True):
        if len(code) != length or not re.fullmatch("[01]+", code):
            found = f"{words[column][row]!r} as the barcode of {names[row]!r}, row {row + 1}"
            raise _unusable(path, found, f"{length} digits 0 or 1, as in the other rows")
    bits = pd.DataFrame([list(code) for code in codes], index=codes.index)
    bits.columns = [f"bit{i + 1}" for i in range(length)]
    return bits


def _without_text(path: Path, words: pd.DataFrame) -> pd.DataFrame:
    """Leave out columns without any number: ids and notes of another kind."""
    is_number = words.apply(pd.to_numeric, errors="coerce").notna()
    text = [c for c in words.columns if not is_number[c].any()]
    if text and len(words):
        log.warning("%s: the columns %s hold no numbers and are no bits", path, ", ".join(text))
    return words.drop(columns=text)


def _whole_numbers(path: Path, words: pd.DataFrame, names: pd.Series[str]) -> npt.NDArray[np.int64]:
    """Convert the words' values; the first that is none is named by row and column."""
    if words.empty:
        raise _unusable(path, "no row or no column of bits", "whole numbers in columns of bits")
    numbers = words.apply(pd.to_numeric, errors="coerce")
    is_colour = all(PSEUDOCOLOUR.fullmatch(c) for c in words.columns)
    bad = numbers.isna() | (numbers % 1 != 0) | (numbers < 0)
    bad |= (numbers > 1) & (not is_colour)
    if bad.to_numpy().any():
        row, column = next((r, c) for r in words.index for c in words.columns if bad[c][r])
        value = words[column][row]
        place = f"in column {column!r}, row {int(row) + 1} ({names[row]!r})"
        what = "no value" if value == "" else f"{value!r}"
        if is_colour:
            raise _unusable(path, f"{what} {place}", "pseudocolours, whole numbers from 0")
        found = f"{what}, a bit of another value, {place}" if value else f"{what} {place}"
        raise _unusable(
            path,
            found,
            "0 or 1 in each column of bits, or pseudocolours in columns round_1, round_2",
            "correct the value (row 1 is the first under the header), or remove the column if it "
            "is no bit",
        )
    values: npt.NDArray[np.int64] = numbers.to_numpy().astype("int64")
    return values


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
        table = table[(table.fillna("") != "").any(axis=1)]
        names = table.iloc[:, 0]
        words = _split_barcodes(path, table[["barcode"]].fillna(""), names)
        if len(words.columns) != len(bit_names):
            found = f"barcodes of {len(words.columns)} digits and {len(bit_names)} bit_names"
            raise _unusable(path, found, "a name for each bit")
        words.columns = bit_names
    return pd.concat([table.drop(columns="barcode"), words], axis=1)


def _check(path: Path, book: Codebook, rows: list[int]) -> None:
    by_word: dict[bytes, int] = {}
    by_name: dict[str, int] = {}
    for i, (name, word) in enumerate(zip(book.names, book.bits, strict=True)):
        if name == "":
            raise _unusable(path, f"no name in row {rows[i]}", "a name in each row")
        if not word.any():
            found = f"{name!r} without a bit, row {rows[i]}"
            raise _unusable(path, found, "one bit or more for each name")
        first = by_name.setdefault(name, i)
        if first != i:
            found = f"{name!r} twice, in the rows {rows[first]} and {rows[i]}"
            raise _unusable(path, found, "one codeword for each name")
        first = by_word.setdefault(word.tobytes(), i)
        if first != i:
            found = f"{name!r} (row {rows[i]}) with the codeword of {book.names[first]!r} (row "
            raise _unusable(path, f"{found}{rows[first]})", "a codeword of its own for each name")


def _unusable(
    path: Path,
    found: str,
    expected: str,
    remedy: str = "correct the codebook (row 1 is the first under the header)",
) -> InputError:
    return InputError(path, found=found, expected=expected, remedy=remedy)
