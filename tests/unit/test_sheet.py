"""The sample sheet: as tsv, csv, with semicolons or from Excel; refusals name row and column."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from refusals import follow

from cellsam_core.config.sheet import find_sheet, load_config, read_samples
from cellsam_core.errors import InputError

HEADER = ["sample", "assay", "path", "pixel_size_um", "channels"]
ROW = ["a", "merfish", "x y", "0.65", "DAPI,PolyT"]
EXPECTED = {
    "a": {
        **{"sample": "a", "assay": "merfish", "path": "x y"},
        **{"pixel_size_um": 0.65, "channels": "DAPI,PolyT"},
    }
}


def quoted(rows: list[list[str]], sign: str) -> str:
    return "\n".join(sign.join(f'"{c}"' if sign in c else c for c in row) for row in rows)


@pytest.mark.parametrize("sign", ["\t", ";", ","])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_is_read_whatever_separates_its_cells(tmp_path: Path, sign: str, encoding: str):
    sheet = tmp_path / "sheet.csv"
    text = "# a comment; with, signs\n" + quoted([HEADER, ROW], sign) + "\n\n"
    sheet.write_bytes(text.replace("\n", "\r\n").encode(encoding))
    assert read_samples(sheet) == EXPECTED


def test_excel_is_read(tmp_path: Path):
    pytest.importorskip("openpyxl")
    sheet = tmp_path / "sheet.xlsx"
    table = pd.DataFrame([["a", "Merfish", "x y", 0.65, "DAPI,PolyT"]], columns=HEADER)
    table.columns = ["Sample", *HEADER[1:]]
    table.to_excel(sheet, index=False)
    assert read_samples(sheet) == EXPECTED
    sheet.write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(InputError, match=r"sheet\.xlsx: found no sheet that can be read"):
        read_samples(sheet)


def test_capitals_of_words_and_columns_do_not_matter(tmp_path: Path):
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("Sample,Assay,Path,division\na,SeqFISH,.,Mitosis\n")
    assert read_samples(sheet)["a"] == {
        **{"sample": "a", "assay": "seqfish", "path": ".", "division": "mitosis"}
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "sample;assay;path;pixel_size_um\n\na;merfish;.;0,65\n",
            ["row 3, column pixel_size_um: found '0,65'", "decimal comma", "write 0.65"],
        ),
        ("sample,assay,path\nB3 drug,movie,.\n", ["row 2, sample 'B3 drug'", "write B3_drug"]),
        ("sample  assay  path\na  movie  .\n", ["row 1", "without a tab, semicolon or comma"]),
        ("sample,assay,path\na,movie,x,y\n", ["row 2", "more cells than columns", "quotes"]),
        ("sample,path,assay,path\na,b,movie,.\n", ["row 1", "the column 'path' twice"]),
        ("sample,assay,path,pixel_size\na,movie,.,1\n", ["did you mean 'pixel_size_um'?"]),
        ("sample,assay,path\na,film,.\n", ["row 2, sample 'a', column assay: found 'film'"]),
    ],
)
def test_a_refusal_names_row_and_column(tmp_path: Path, text: str, words: list[str]):
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(text)
    with pytest.raises(InputError) as caught:
        read_samples(sheet)
    assert [word for word in words if word not in str(caught.value)] == []
    assert len(str(caught.value)) < 400


def test_an_excel_file_under_another_name_is_named(tmp_path: Path):
    sheet = tmp_path / "samples.tsv"
    sheet.write_bytes(b"PK\x03\x04rest")
    with pytest.raises(InputError, match=r"a file of Excel.*ends in \.xlsx"):
        read_samples(sheet)


def test_samples_are_left_out(tmp_path: Path):
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("sample,assay,path,control\na,movie,.,\nb,movie,.,a\nc,merfish,.,\n")

    def names(without: str) -> list[str]:
        config = load_config({"samples": str(sheet), "without": without}, [Path()])
        assert {*config.samples, *config.left_out} == {"a", "b", "c"}
        return list(config.samples)

    assert names("c") == ["a", "b"]
    assert names("a, b") == ["c"]
    for without, words in [("d", "found 'd'"), ("a", "add b to the"), ("a,b,c", "all samples")]:
        with pytest.raises(InputError, match=words):
            names(without)


def test_a_folder_in_the_place_of_the_sheet_is_refused(tmp_path: Path):
    """The sheet of the program's own example was taken, without a word."""
    own, example = tmp_path / "own", tmp_path / "example"
    (own / "config" / "samples.tsv").mkdir(parents=True)
    example.mkdir()
    (example / "config").mkdir()
    (example / "config" / "samples.tsv").write_text("sample,assay,path\n")
    with pytest.raises(InputError, match=r"found a folder .*; name the sheet in the folder"):
        find_sheet("config/samples.tsv", [own, example])
    sheet = own / "config" / "samples.tsv" / "samples.tsv"
    found = follow(
        lambda: find_sheet("config/samples.tsv", [own, example]),
        "name the sheet in the folder",
        lambda: sheet.write_text("sample,assay,path\n"),
        lambda: find_sheet("config/samples.tsv/samples.tsv", [own, example]),
    )
    assert found == sheet
