"""Folders of raw rounds are read, or refused if inconsistent, and decoded to a vendor's layout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from cellsam_core.cli import main
from cellsam_core.decoding.codebook_table import read_codebook
from cellsam_core.decoding.field import decode_plane, prepare_bits
from cellsam_core.decoding.open_raw import open_raw
from cellsam_core.decoding.registration import find_beads, measure_drift
from cellsam_core.errors import InputError
from cellsam_core.reporting.results import Results
from cellsam_core.reporting.sections.decoding import (
    decoding_section,
    density_by_field,
    figure_density_by_field,
)

SIZE = ("--size-px", "160", "--cells", "6", "--transcripts", "250", "--seed", "2")


@pytest.fixture(scope="module", params=["merfish", "seqfish"])
def raw(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("raw") / request.param
    assert main(["simulate", request.param, "--raw-rounds", "-o", str(folder), *SIZE]) == 0
    return folder


def test_both_layouts_give_fields_rounds_and_stains(raw):
    found = open_raw(raw)
    assert found.format == {"merfish": "merlin", "seqfish": "rounds"}[raw.name]
    assert [f.name for f in found.fields] == ["0", "1", "2", "3"]
    assert found.shape_yx == (92, 92)
    assert len(found.round_of_bit) == len(found.codebook.bit_names)
    assert found.round_of_bit == sorted(found.round_of_bit)
    assert list(found.round_of_stain) == (
        ["DAPI", "PolyT"] if raw.name == "merfish" else ["DAPI", "membrane"]
    )
    assert found.codebook.is_blank.sum() == 30
    corner = {"merfish": (120 + 68 * 0.108, -45.0), "seqfish": (68 * 0.103, 0.0)}[raw.name]
    assert found.fields[1].origin_um == pytest.approx(corner, abs=1e-5)
    images = [found.read(plane) for plane in found.fields[3].bits[0]]
    # All planes are different pages.
    assert len({image.tobytes() for image in images}) == len(images)


def test_a_decoded_folder_is_read_like_a_vendor_s(raw, tmp_path):
    out, assay = tmp_path / "0_decoded", raw.name
    assert main(["decode", str(raw), "-o", str(out)]) == 0
    manifest = tmp_path / "0_manifest.json"
    sample = ["--sample", "s", "--assay", assay]
    assert main(["inspect", str(out), *sample, "-o", str(manifest)]) == 0
    truth, cells = raw / "truth", tmp_path / "3_cells"
    labels = ["--labels", str(truth / "labels.tif"), "--manifest", str(manifest)]
    assert main(["assign", *labels, "-o", str(cells)]) == 0
    found = pd.read_parquet(cells / "transcripts.parquet")
    decoded = pd.read_parquet(out / "transcripts.parquet")
    assert len(found) == len(decoded)
    true = pd.read_csv(truth / "transcripts.csv")
    assert 0.8 * len(true) < len(found) < 1.15 * len(true)
    counts = found[found["cell_id"] > 0].groupby("cell_id").size()
    expected = true[true["cell_id"] > 0].groupby("cell_id").size()
    both = pd.concat([counts, expected], axis=1).fillna(0)
    assert both.corr().iloc[0, 1] > 0.95
    # The mosaic is the stain that was cut into fields.
    stain = tifffile.imread(out / "DAPI.tif")
    assert stain.shape == (160, 160)
    quality = json.loads((out / "decode_qc.json").read_text())
    assert quality["n_gene_calls"] + quality["n_blank_calls"] == len(decoded)
    fields = {f["field"]: f for f in quality["fields"]}
    n_genes = decoded[~decoded["gene"].astype(str).str.startswith("Blank")].groupby("field").size()
    assert {name: f["n_gene_calls"] for name, f in fields.items()} == n_genes.to_dict()
    pixel_um2 = {"merfish": 0.108, "seqfish": 0.103}[assay] ** 2
    area = sum(f["area_um2"] for f in fields.values())
    assert area == pytest.approx(160 * 160 * pixel_um2)
    density = density_by_field(quality["fields"])
    assert np.mean([*density.values()]) == pytest.approx(1000 * n_genes.sum() / area, rel=0.2)
    shifts = [r["residual_px"] for f in quality["fields"] for r in f["rounds"]]
    assert max(shifts) < 0.3
    assert [p.name for p in out.iterdir() if p.name.startswith(".")] == []
    results = Results.load(tmp_path)
    section = decoding_section(results)
    assert section is not None
    n_rounds = {"merfish": 8, "seqfish": 20}[assay]
    assert [len(table.rows) for table in section.tables][1] in (n_rounds, n_rounds - 1)
    assert "asked for: 5.0%" in section.paragraphs[0]
    assert len(section.pictures) == 2


def test_density_by_field():
    fields = [{"field": f"f{i}", "n_gene_calls": 10 * i, "area_um2": 500.0} for i in range(3)]
    fields.append({"field": "under another", "n_gene_calls": 0, "area_um2": 0.0})
    density = density_by_field(fields)
    assert density == {"f0": 0, "f1": 20, "f2": 40}
    (axes,) = figure_density_by_field(density).axes
    assert [bar.get_height() for bar in axes.patches] == [0, 20, 40]
    assert axes.lines[0].get_ydata()[0] == 20


def test_the_same_folder_gives_the_same_bytes(raw, tmp_path):
    for name in ("a", "b"):
        assert main(["decode", str(raw), "-o", str(tmp_path / name)]) == 0
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_without_a_stain_all_spots_are_projected(raw, tmp_path):
    if raw.name == "merfish":
        pytest.skip("the same code serves both layouts")
    folder = shutil.copytree(raw, tmp_path / "raw")
    sheet = pd.read_csv(folder / "rounds.csv")
    sheet[sheet["kind"] != "stain"].to_csv(folder / "rounds.csv", index=False)
    assert main(["decode", str(folder), "-o", str(tmp_path / "out")]) == 0
    spots = tifffile.imread(tmp_path / "out/spots.tif").astype(float)
    assert spots.shape == (160, 160)
    true = pd.read_csv(raw / "truth/transcripts.csv")
    at = np.rint(true[["y_px", "x_px"]].to_numpy()).astype(int)
    assert np.median(spots[at[:, 0], at[:, 1]]) > 4 * np.median(spots)
    sample = ["--sample", "s", "--assay", "seqfish", "-o", str(tmp_path / "m.json")]
    assert main(["inspect", str(tmp_path / "out"), *sample]) == 0
    assert json.loads((tmp_path / "m.json").read_text())["channels"] == ["spots"]


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("kind", "file", "old", "new", "message"),
    [
        ("merfish", "codebook.csv", "bit16", "bit99", "no channel for bit99"),
        ("merfish", "codebook.csv", "Blank-2,", "Blank-1,", "twice"),
        ("merfish", "codebook.csv", ",0,", ",7,", "a bit of another value"),
        ("merfish", "dataorganization.csv", "frame", "page", "also frame"),
        ("merfish", "dataorganization.csv", "bit3,bit3,1,", "bit3,bit3,77,", "imaging round 77"),
        ("merfish", "dataorganization.csv", "(?P<imageType>", "(?P<imageType>(", "imageRegExp"),
        ("merfish", "microscope.json", "microns_per_pixel", "other", "no pixel size"),
        ("merfish", "dataorganization.csv", "bit3,bit3,1,0,", "bit3,bit3,1,[0 1],", "2 z planes"),
        ("merfish", "positions.csv", "1", "x", "'x20.000000, -45.000000' in row 1"),
        ("merfish", "microscope.json", "{", "", "no table that can be read"),
        ("seqfish", "codebook.csv", "round_4", "round_5", "no bit 'round_5="),
        ("seqfish", "rounds.csv", "fiducial,,3,", "fiducial,,99,", "no fiducial of imaging round"),
        ("seqfish", "rounds.csv", "bit,", "bits,", "the kind 'bits'"),
        ("seqfish", "rounds.csv", ",0,1,", ",0,x,", "'x' in column 'page'"),
        ("seqfish", "rounds.csv", "0.103000", "0.2", "as pixel_size_um"),
        ("seqfish", "positions.csv", "\n3,", "\n9,", "no position of field '3'"),
        ("seqfish", "rounds.csv", "stain,DAPI", "stain,DAPI_z1", "the stain 'DAPI_z1'"),
    ],
)
def test_what_does_not_fit_is_refused(raw, tmp_path, capsys, kind, file, old, new, message):
    if raw.name != kind:
        pytest.skip("of the other layout")
    folder = shutil.copytree(raw, tmp_path / "raw")
    edit(folder / file, old, new)
    assert main(["decode", str(folder), "-o", str(tmp_path / "out")]) == 1
    assert message in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["raw"]


def test_a_missing_or_dark_image_is_named(raw, tmp_path, capsys):
    folder = shutil.copytree(raw, tmp_path / "raw")
    name = "merfish_2_1.tif" if raw.name == "merfish" else "HybCycle_1/Pos2.tif"
    pages = tifffile.imread(folder / name)
    tifffile.imwrite(folder / name, np.full_like(pages, 200), photometric="minisblack")
    assert main(["decode", str(folder), "-o", str(tmp_path / "out")]) == 1
    assert "0 fiducials" in capsys.readouterr().err
    (folder / name).unlink()
    assert main(["decode", str(folder), "-o", str(tmp_path / "out")]) == 1
    assert "no image of type" in (err := capsys.readouterr().err) or "no file" in err
    assert not (tmp_path / "out").exists()


def test_a_bit_is_the_channel_of_its_readout_whatever_the_channel_is_called(raw, tmp_path):
    if raw.name != "merfish":
        pytest.skip("of MERlin's layout")
    shutil.copytree(raw, tmp_path / "raw")
    path = tmp_path / "raw" / "dataorganization.csv"
    table = pd.read_csv(path, dtype=str)
    is_bit = table["readoutName"].str.startswith("bit")
    planes = [plane.path for plane in open_raw(raw).fields[0].bits[0]]
    # Channels are numbered in the order of imaging, here the other way round.
    table.loc[is_bit, "channelName"] = table.loc[is_bit, "channelName"].to_numpy()[::-1]
    table.to_csv(path, index=False)
    found = [plane.path for plane in open_raw(tmp_path / "raw").fields[0].bits[0]]
    assert [Path(p).name for p in found] == [Path(p).name for p in planes]
    # Without a readout of that name, the name of the channel tells the bit.
    table["readoutName"] = "RS" + table["readoutName"]
    table.to_csv(path, index=False)
    found = [plane.path for plane in open_raw(tmp_path / "raw").fields[0].bits[0]]
    assert [Path(p).name for p in found] == [Path(p).name for p in planes[::-1]]


@pytest.mark.parametrize("light", [None, 0, 15])
def test_a_bit_without_light_is_told(raw, tmp_path, caplog, light):
    if raw.name != "merfish":
        pytest.skip("bits of fewer than five genes are not judged")
    shutil.copytree(raw, tmp_path / "raw")
    rng = np.random.default_rng(0)
    for path in (tmp_path / "raw").glob("merfish_*_3.tif"):
        pages = tifffile.imread(path)
        if light is not None:
            pages[0] = rng.normal(200, light, pages[0].shape)
        tifffile.imwrite(path, pages, photometric="minisblack")
    assert main(["decode", str(tmp_path / "raw"), "-o", str(tmp_path / "out")]) == 0
    quality = json.loads((tmp_path / "out" / "decode_qc.json").read_text())
    expected = [] if light is None else ["bit7"]
    assert quality["dark_bits"] == expected
    assert ("Hardly any light is in bit7," in caplog.text) == bool(expected)


def test_inspect_says_that_raw_rounds_are_decoded_first(raw, tmp_path, capsys):
    options = ["--sample", "s", "--assay", raw.name, "-o", str(tmp_path / "m.json")]
    assert main(["inspect", str(raw), *options]) == 1
    assert "run `cellsam-core decode` first" in capsys.readouterr().err


def test_a_folder_without_rounds_is_refused(tmp_path):
    with pytest.raises(InputError, match="no raw rounds"):
        open_raw(tmp_path)


def test_old_and_foreign_codebooks(tmp_path):
    (tmp_path / "old.csv").write_text(
        "version, 1.0\ncodebook_name, x\nbit_names, b1, b2, b3\n"
        "name, id, barcode\nNANOG, ENST1, 011\nBlank-1, , 110\n"
    )
    book = read_codebook(tmp_path / "old.csv")
    assert book.names == ("NANOG", "Blank-1")
    assert book.bit_names == ("b1", "b2", "b3")
    np.testing.assert_array_equal(book.bits, [[0, 1, 1], [1, 1, 0]])
    np.testing.assert_array_equal(book.is_blank, [False, True])
    (tmp_path / "na.csv").write_text("name,b1,b2\nNA,1,0\nnull,0,1\n")
    assert read_codebook(tmp_path / "na.csv").names == ("NA", "null")
    (tmp_path / "polaris.csv").write_text(",Gene,r0c0,r0c1\n1,Negr1,1,0\n2,NANOG,0,1\n")
    assert read_codebook(tmp_path / "polaris.csv").names == ("Negr1", "NANOG")


@pytest.mark.data
def test_real_rounds_of_merlin(shared_data, tmp_path):
    source = shared_data / "spatial" / "merlin_raw_merfish_test"
    with pytest.raises(InputError, match=r"2 files for the codebook"):
        open_raw(source)
    for file in source.iterdir():
        if file.name != "test_codebook2.csv":
            (tmp_path / file.name).symlink_to(file)
    found = open_raw(tmp_path)
    field = found.fields[0]
    beads = {n: find_beads(found.read(p)) for n, p in field.fiducials.items()}
    drifts = {n: measure_drift(beads[0], one) for n, one in beads.items()}
    # As MERlin's own registration finds, in its axes before the transposition and flip.
    last = drifts[7].shift_yx
    assert np.hypot(*last) == pytest.approx(np.hypot(1.87, 5.80), abs=0.5)
    of_bit = [drifts[n] for n in found.round_of_bit]
    stack = prepare_bits((found.read(p) for p in field.bits[0]), of_bit, 1.3)
    calls, _ = decode_plane(stack, found.codebook)
    is_blank = found.codebook.is_blank[calls.codeword][np.argsort(-calls.log_odds, kind="stable")]
    # By chance half of the calls are blanks.
    assert is_blank[:28].mean() <= 0.15
    assert is_blank.mean() > 0.3


def test_a_stain_of_several_planes_is_its_middle_one_and_a_bit_has_one_row(raw, tmp_path, caplog):
    if raw.name != "seqfish":
        pytest.skip("of the other layout")
    folder = shutil.copytree(raw, tmp_path / "raw")
    sheet = pd.read_csv(folder / "rounds.csv", dtype=str, keep_default_na=False)
    stain = sheet[sheet["name"] == "DAPI"]
    others = [stain.assign(z=str(z), page=str(page)) for z, page in ((0, 2), (2, 0))]
    many = pd.concat([sheet[sheet["name"] != "DAPI"], *others, stain.assign(z="1")])
    many["z"] = many["z"].fillna("0")
    many.to_csv(folder / "rounds.csv", index=False)
    page = int(stain["page"].iloc[0])
    with (folder / "positions.csv").open("a") as positions:
        positions.write("77,0,0\n")
    assert open_raw(folder).fields[0].stains["DAPI"].page == page
    assert "no images of the fields 77" in caplog.text
    bit = sheet[sheet["kind"] == "bit"].iloc[[0]]
    pd.concat([sheet, bit.assign(imaging_round="1")]).to_csv(folder / "rounds.csv", index=False)
    with pytest.raises(InputError, match="for what another row names"):
        open_raw(folder)


def test_a_codebook_without_blanks_is_told(raw, tmp_path, caplog):
    folder = shutil.copytree(raw, tmp_path / "raw")
    codebook = folder / "codebook.csv"
    codebook.write_text(codebook.read_text().replace("Blank-", "Gene"))
    assert main(["decode", str(folder), "-o", str(tmp_path / "out")]) == 0
    assert "no word of the codebook is named a blank" in caplog.text
