"""Tables and files of raw rounds as laboratories and other programs leave them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from refusals import follow

import cellsam_core as cc
from cellsam_core.decoding.experiment import RawExperiment
from cellsam_core.decoding.open_raw import open_raw

ORGANIZATION = "dataorganization.csv"
OPTIONS = cc.TissueOptions(size_px=96, cells=3, transcripts=60, z_planes=3)


@pytest.fixture(scope="module")
def rounds_of(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounds")
    deep = cc.RawRoundsOptions(resolve_z=True)
    for kind in ("merfish", "seqfish"):
        cc.simulate_tissue(folder / kind, kind=kind, options=OPTIONS, raw_rounds=True)
    cc.simulate_tissue(folder / "deep", kind="merfish", options=OPTIONS, raw_rounds=deep)
    return folder


@pytest.fixture
def copy(rounds_of, tmp_path):
    return lambda kind: shutil.copytree(rounds_of / kind, tmp_path / "raw")


def change(path: Path, mend=lambda table: table, **options) -> None:
    header = None if path.name == "positions.csv" and options.get("header") is False else 0
    table = pd.read_csv(path, dtype=str, keep_default_na=False, header=header)
    mend(table).to_csv(path, index=False, **options)


def planes(raw: RawExperiment) -> list[object]:
    def name(plane):
        return Path(plane.path).name, plane.page

    return [
        (
            *(field.name, field.origin_um, [[name(p) for p in bits] for bits in field.bits]),
            [name(p) for p in field.fiducials.values()],
            {stain: plane.page for stain, plane in field.stains.items()},
        )
        for field in raw.fields
    ]


def spaced(table: pd.DataFrame) -> pd.DataFrame:
    return table.map(lambda value: f" {value} ").rename(columns=lambda name: f" {name}")


def with_commas(table: pd.DataFrame) -> pd.DataFrame:
    return table.map(lambda value: value.replace(".", ","))


def of_windows(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(file=".\\" + table["file"].str.replace("/", "\\"))


@pytest.mark.parametrize(
    ("kind", "file", "mend", "options"),
    [
        ("merfish", ORGANIZATION, lambda t: t, {"sep": ";", "encoding": "utf-8-sig"}),
        ("merfish", ORGANIZATION, spaced, {}),
        ("merfish", ORGANIZATION, lambda t: t.assign(imagingRound=t["imagingRound"] + ".0"), {}),
        ("merfish", "positions.csv", lambda t: t, {"sep": " ", "header": False}),
        ("merfish", "positions.csv", with_commas, {"sep": ";", "header": False}),
        ("seqfish", "rounds.csv", lambda t: t, {"sep": "\t"}),
        ("seqfish", "rounds.csv", spaced, {}),
        ("seqfish", "rounds.csv", lambda t: t.assign(page=t["page"] + ".0"), {}),
        ("seqfish", "rounds.csv", lambda t: t.assign(kind=t["kind"].str.title()), {}),
        ("seqfish", "rounds.csv", of_windows, {}),
        ("seqfish", "positions.csv", with_commas, {"sep": ";"}),
    ],
)
def test_tables_of_spreadsheets_say_the_same(rounds_of, copy, kind, file, mend, options):
    folder = copy(kind)
    change(folder / file, mend, **options)
    assert planes(open_raw(folder)) == planes(open_raw(rounds_of / kind))


def test_images_of_other_types_are_no_fields(copy):
    folder = copy("merfish")
    shutil.copy(folder / "merfish_0_0.tif", folder / "snapshot_77_0.tif")
    for field in range(4):  # a stain of its own, whose expression fits the images of the bits, too
        shutil.copy(folder / f"merfish_{field}_0.tif", folder / f"stain_{field}.tif")

    def apart(table):
        own = table["channelName"] == "PolyT"
        columns = ["imageType", "imagingRound", "imageRegExp"]
        fiducials = ["fiducialImageType", "fiducialImagingRound", "fiducialRegExp"]
        table.loc[own, columns + fiducials] = [
            "stain",
            "-1",
            r"(?P<imageType>\w+)_(?P<fov>\d+)",
        ] * 2
        return table

    change(folder / ORGANIZATION, apart)
    raw = open_raw(folder)
    assert [field.name for field in raw.fields] == ["0", "1", "2", "3"]
    assert [Path(field.stains["PolyT"].path).name for field in raw.fields] == [
        f"stain_{field}.tif" for field in range(4)
    ]


def test_a_second_set_of_images_is_not_read_in_place_of_the_first(rounds_of, copy):
    folder = copy("merfish")
    for path in list(folder.glob("merfish_*.tif")):
        shutil.copy(path, path.with_name(path.stem + "-bleached.tif"))
    assert planes(open_raw(folder)) == planes(open_raw(rounds_of / "merfish"))
    one = folder / "merfish_1_3.tif"
    two = one.with_suffix(".tiff")
    shutil.copy(one, two)
    follow(lambda: open_raw(folder), "out of the folder", two.unlink)


def backwards(text: str) -> str:
    return "[" + " ".join(text.strip("[]").split()[::-1]) + "]"


def test_planes_of_a_round_may_be_scanned_down(rounds_of, copy):
    folder = copy("deep")

    def down(table):
        odd = table["imagingRound"].isin(["1", "3"]) & table["channelName"].str.startswith("bit")
        for column in ("frame", "zPos"):
            table[column] = table[column].mask(odd, table[column].map(backwards))
        return table

    change(folder / ORGANIZATION, down)
    assert planes(open_raw(folder)) == planes(open_raw(rounds_of / "deep"))


def test_bits_at_other_heights_are_corrected_as_told(copy):
    folder = copy("deep")
    text = (folder / ORGANIZATION).read_text()
    row = next(line for line in text.splitlines() if line.startswith("bit3,"))
    wrong = text.replace(row, row.replace(",[0 1 2],merfish,(?P", ",[1 2 3],merfish,(?P"))
    assert wrong != text
    (folder / ORGANIZATION).write_text(wrong)
    mend = lambda: (folder / ORGANIZATION).write_text(text)  # noqa: E731
    follow(lambda: open_raw(folder), "correct the columns frame and zPos", mend)


def from_zero(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(name=table["name"].replace("round_2=1", "round_2=0"))


def of_one_field(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(file=table["file"].mask(table.index == 0, "HybCycle_0/Pos0.tif"))


@pytest.mark.parametrize(
    ("kind", "file", "wrong"),
    [
        ("merfish", "positions.csv", lambda t: t.reset_index(names="field")),
        ("merfish", "positions.csv", lambda t: t.iloc[:-1]),
        ("seqfish", "positions.csv", lambda t: t.assign(x_um="here")),
        ("seqfish", "positions.csv", lambda t: t.assign(field="0" + t["field"])),
        ("seqfish", "rounds.csv", from_zero),
        ("seqfish", "rounds.csv", lambda t: t.assign(file=t["file"].str.replace("field", "Field"))),
        ("seqfish", "rounds.csv", of_one_field),
    ],
)
def test_tables_are_corrected_as_told(copy, kind, file, wrong):
    folder = copy(kind)
    text = (folder / file).read_text()
    change(folder / file, wrong, header=kind != "merfish")
    follow(lambda: open_raw(folder), "correct the table", lambda: (folder / file).write_text(text))


def test_a_field_has_one_position_as_told(copy):
    path = copy("seqfish") / "positions.csv"
    text = path.read_text()
    path.write_text(text + "0,500,500\n")
    remedy = "leave the row of the images"
    follow(lambda: open_raw(path.parent), remedy, lambda: path.write_text(text))


def test_a_bit_that_no_word_has_is_told(copy, caplog):
    folder = copy("seqfish")
    add = lambda t: pd.concat([t, t.iloc[[0]].assign(name="round_1=99")])  # noqa: E731
    change(folder / "rounds.csv", add)
    open_raw(folder)
    assert "no column for the bits round_1=99" in caplog.text


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        *(("merfish", "codebook"), ("merfish", "dataorganization")),
        *(("seqfish", "codebook"), ("seqfish", "rounds")),
    ],
)
def test_a_spreadsheet_is_saved_as_csv_as_told(copy, kind, name):
    folder = copy(kind)
    right, wrong = folder / f"{name}.csv", folder / f"{name}.xlsx"
    right.rename(wrong)
    follow(lambda: open_raw(folder), f"save it as {name}.csv", lambda: wrong.rename(right))
