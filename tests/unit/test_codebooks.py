"""Codebooks as laboratories write them: read, or refused with row and column."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cellsam_core.decoding.codebook import Codebook
from cellsam_core.decoding.codebook_table import read_codebook
from cellsam_core.errors import InputError

TEXT = "name,id,bit1,bit2,bit3\nNANOG,E1,1,1,0\nGad1,E2,0,1,1\nBlank-1,,1,0,1\n"
BITS = [[1, 1, 0], [0, 1, 1], [1, 0, 1]]


def read(folder: Path, text: str, encoding: str = "utf-8") -> Codebook:
    (folder / "codebook.csv").write_bytes(text.encode(encoding))
    return read_codebook(folder / "codebook.csv")


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT + ",,,,\n" * 3,  # rows of a spreadsheet
        TEXT + "\n\n",
        "\ufeff" + TEXT.replace("\n", "\r\n"),
        TEXT.replace(",", ";"),
        TEXT.replace(",", "\t"),
        TEXT.replace(",1", ",1.0").replace(",0", ",0.0"),
        TEXT.replace("name,id", "Name , ID"),
        "\n".join(
            f"{line},{more}"
            for line, more in zip(TEXT.splitlines(), ("ensembl", "ENSG1", "ENSG2", ""), strict=True)
        ),
        "name,id,barcode\nNANOG,E1,110\nGad1,E2,011\nBlank-1,,101\n",
        "name,id,barcode\nNANOG,E1,1 1 0\nGad1,E2,0 1 1\nBlank-1,,1 0 1\n,,\n",
        "version, 1\ncodebook_name, x\nbit_names, bit1, bit2, bit3\n"
        "name, id, barcode\nNANOG, E1, 110\nGad1, E2, 011\nBlank-1, , 101\n, ,\n",
    ],
)
def test_codebooks_of_many_kinds_are_read(tmp_path, text):
    book = read(tmp_path, text)
    assert book.names == ("NANOG", "Gad1", "Blank-1")
    assert book.bit_names == ("bit1", "bit2", "bit3")
    np.testing.assert_array_equal(book.bits, BITS)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "NANOG,E1,1,1,0",
            "NANOG,E1,1,7,0",
            "'7', a bit of another value, in column 'bit2', row 1",
        ),
        ("Gad1,E2,0,1,1", "Gad1,E2,0,,1", "no value in column 'bit2', row 2 .'Gad1'."),
        ("Gad1,E2,0,1,1", "Gad1,E2,0,x,1", "'x', a bit of another value, in column 'bit2', row 2"),
        ("Gad1,E2,0,1,1", ",,,,\nGad1,E2,0,x,1", "in column 'bit2', row 3"),
        ("Gad1", "NANOG", "'NANOG' twice, in the rows 1 and 2"),
        ("Gad1,E2,0,1,1", "Gad1,E2,1,1,0", r"'Gad1' .row 2. with the codeword of 'NANOG' .row 1."),
        ("Gad1,E2,0,1,1", "Gad1,E2,0,0,0", "'Gad1' without a bit, row 2"),
        ("Gad1", "", "no name in row 2"),
    ],
)
def test_the_row_and_column_at_fault_are_named(tmp_path, old, new, message):
    assert old in TEXT
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, TEXT.replace(old, new))
    assert "row 1 is the first under the header" in str(error.value)
    assert read(tmp_path, TEXT).names == ("NANOG", "Gad1", "Blank-1")  # corrected as it says


def test_a_column_that_is_no_bit_is_removed_as_the_refusal_says(tmp_path):
    lines = TEXT.splitlines()
    more = [*(f"{a},{b}" for a, b in zip(lines, ("length", "900", "1500", "12"), strict=True))]
    with pytest.raises(InputError, match=r"'900'.*in column 'length', row 1.*remove the column"):
        read(tmp_path, "\n".join(more))
    assert read(tmp_path, "\n".join(line.rpartition(",")[0] for line in more)).names[0] == "NANOG"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,barcode\nNANOG,110\nGad1,11\n", "'11' as the barcode of 'Gad1', row 2"),
        ("name,barcode\nNANOG,110\nGad1,\n", "'' as the barcode of 'Gad1', row 2"),
        ("name,barcode\nNANOG,110\nGad1,210\n", "'210' as the barcode of 'Gad1', row 2"),
        ("symbol,bit1\nNANOG,1\n", "the columns symbol, bit1"),
        ("name,id\nNANOG,E1\n", "no row or no column of bits"),
        ("name,bit1\n", "no row or no column of bits"),
        ("name,round_1,round_2\na,1,-2\n", "'-2' in column 'round_2', row 1"),
        ("name,round_1,round_2\na,1,2\nb,1.5,2\n", "'1.5' in column 'round_1', row 2"),
    ],
)
def test_what_is_no_codebook_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)
