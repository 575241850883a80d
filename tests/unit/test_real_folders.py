"""Folders with the names and columns that instruments and programs really write."""

from __future__ import annotations

import base64
import itertools
import json
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from refusals import follow

import cellsam_core as cc
from cellsam_core.errors import InputError
from cellsam_core.files.planes import read_plane
from cellsam_core.files.stack import read_stack
from cellsam_core.samples.transcripts import iter_transcripts

SIZE = (30, 40)


def image(path: Path, shape: tuple[int, ...] = SIZE, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(90, 110, shape).astype(np.uint16)
    tifffile.imwrite(path, pixels, **options)


def spots(path: Path, **columns: object) -> None:
    table = pd.DataFrame({"x": [2.0, 35.0, 20.0], "y": [3.0, 25.0, 10.0]} | columns)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".txt" else ",")


GENES = ["Gad1", "Sst", "Gad1"]
# File and its columns: Baysor, pciSeq, EEL FISH, MERFISH of the Allen Institute, STARmap.
TABLES = {
    "segmentation.csv": {"gene": GENES, "cell": "", "is_noise": True},
    "pciseq_input.csv": {"Gene": GENES},
    "LBEXP_RNA_transformed.parquet": {"decoded_genes": GENES},
    "spots_mouse1sample1.csv": {"target_molecule_name": GENES},
    "goodPoints.csv": {"Gene": GENES, "z": 1},
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_transcripts_is_known_by_its_columns(tmp_path, name):
    """Each was proposed as a movie of one frame, its table unread and unmentioned."""
    image(tmp_path / "dapi.tif")
    spots(tmp_path / name, **TABLES[name])
    pd.DataFrame({"cell": [1], "x": [1], "y": [1]}).to_csv(tmp_path / "cell_stats.csv")
    (proposal,) = cc.propose_sheet([tmp_path])
    assert proposal.row["assay"] == "merfish"
    assert set(proposal.to_fill) == {"pixel_size_um"}
    options = cc.InspectOptions(pixel_size_um=0.5)
    assert cc.inspect(tmp_path, assay="merfish", options=options).transcripts.n_rows == 3


def test_columns_of_other_names_are_renamed_as_told(tmp_path):
    image(tmp_path / "DAPI.tif")
    table = tmp_path / "QT_0.35_details_noNNNN.csv"
    right = pd.DataFrame({"x_px": [2.0], "y_px": [3.0], "Gene": ["Gad1"]})
    for x, y in (("PosX", "PosY"), ("c_px_stitched", "r_px_stitched")):
        right.rename(columns={"x_px": x, "y_px": y}).to_csv(table, index=False)
        read = lambda: cc.inspect(  # noqa: E731
            tmp_path, assay="merfish", options=cc.InspectOptions(pixel_size_um=0.5)
        )
        words = f"rename the columns '{x}', '{y}' to x_um, y_um .* or x_px, y_px"
        assert follow(read, words, lambda: right.to_csv(table, index=False)).transcripts.n_rows == 1


def test_a_text_table_is_renamed_and_given_a_header_as_told(tmp_path):
    image(tmp_path / "nuclear.tif")
    spots(tmp_path / "spots.txt", z=0, gene=GENES)
    rows = (tmp_path / "spots.txt").read_text().partition("\n")[2]
    (tmp_path / "spots.txt").write_text(rows)
    (proposal,) = cc.propose_sheet([tmp_path])
    assert (proposal.row["assay"], proposal.can_be_read) == ("merfish", False)

    def mend() -> None:
        (tmp_path / "spots.tsv").write_text("x_px\ty_px\tz\tgene\n" + rows)
        (tmp_path / "spots.txt").unlink()

    options = cc.InspectOptions(pixel_size_um=0.5)
    read = lambda: cc.inspect(tmp_path, assay="merfish", options=options)  # noqa: E731
    found = follow(read, r"rename it to end in \.tsv .* x_px, y_px, z, gene", mend)
    assert found.transcripts.n_rows == 3


def test_rounds_and_counts_of_other_methods_are_no_movies(tmp_path):
    """Rounds were taken for frames, and a slide's picture for a movie of one frame."""
    starfish, visium, stereo = (tmp_path / name for name in ("starfish", "visium", "stereo"))
    for r in range(3):
        image(starfish / f"primary-fov_000-c0-r{r}-z0.tiff")
    (starfish / "experiment.json").write_text("{}")
    (starfish / "codebook.json").write_text('{"mappings": [{"codeword": []}]}')
    image(visium / "outs" / "spatial" / "tissue_hires_image.tif")
    (visium / "outs" / "spatial" / "tissue_positions.csv").write_text("barcode\n")
    image(stereo / "SS2000_D1_regist.tif")
    (stereo / "SS2000_D1.tissue.gem.gz").write_bytes(b"")

    def decode() -> None:
        (starfish / "codebook.json").unlink()
        for file in starfish.glob("*-r[12]-*"):
            file.unlink()
        spots(starfish / "transcripts.csv", gene=GENES)

    options = cc.InspectOptions(pixel_size_um=0.5)
    found = follow(
        lambda: cc.inspect(starfish, assay="movie"),
        "save the transcripts beside the stain, as transcripts.csv",
        decode,
        lambda: cc.inspect(starfish, assay="merfish", options=options),
    )
    assert found.transcripts.n_rows == 3
    for folder in (visium, stereo):
        alone = folder / "alone"

        def move(folder: Path = folder, alone: Path = alone) -> None:
            alone.mkdir()
            next(folder.rglob("*.tif")).rename(alone / "image.tif")

        found = follow(
            lambda folder=folder: cc.inspect(folder, assay="movie"),
            "put its images into a folder of their own",
            move,
            lambda alone=alone: cc.inspect(alone, assay="movie"),
        )
        assert found.n_frames == 1


def test_spots_that_starfish_rejected_are_left_out(tmp_path):
    image(tmp_path / "nuclei.tiff")
    image(tmp_path / "nuclei_thumbnail.tiff", (8, 8))
    good = [True, True, False]
    for name in ("spots.csv", "spots.parquet"):
        spots(tmp_path / name, target=GENES, passes_thresholds=good, z=[0.0, 0.0, 0.0])
        options = cc.InspectOptions(pixel_size_um=0.05)
        found = cc.inspect(tmp_path, assay="merfish", options=options)
        rows = [row for batch in iter_transcripts(found.transcripts) for row in batch.to_pylist()]
        assert [row["x_px"] for row in rows] == [2.0, 35.0]
        assert "Spots that starfish rejected" in " ".join(found.warnings)
        assert "nuclei_thumbnail.tiff" in " ".join(found.warnings)
        (tmp_path / name).unlink()
    spots(tmp_path / "spots.csv", target=GENES, passes_thresholds=good, z=[0.0, 0.0, 0.0])
    options = cc.InspectOptions(pixel_size_um=0.05, z_policy="one")
    found = follow(
        lambda: cc.inspect(tmp_path, assay="merfish", options=options),
        "remove the rows whose passes_thresholds is False",
        lambda: spots(tmp_path / "spots.csv", target=GENES, z=[0.0, 0.0, 0.0]),
    )
    assert found.transcripts.n_rows == 3


@pytest.mark.parametrize("cells", ["labels", "polygons"])
def test_rejected_spots_are_in_no_count_of_a_table_alone(tmp_path, cells):
    """The command `assign` counted them, the workflow did not."""
    spots(tmp_path / "s.csv", target=["Gad1"] * 3, passes_thresholds=[True, True, False])
    table = pd.read_csv(tmp_path / "s.csv").rename(columns={"x": "x_um", "y": "y_um"})
    table.to_csv(tmp_path / "s.csv", index=False)
    if cells == "labels":
        where: dict[str, object] = {"labels": np.ones(SIZE, np.uint16)}
    else:
        corners = [[0, 0], [40, 0], [40, 30], [0, 30], [0, 0]]
        shape = {"type": "Polygon", "coordinates": [corners], "cell": 1}
        path = tmp_path / "cells.json"
        path.write_text(json.dumps({"type": "GeometryCollection", "geometries": [shape]}))
        where = {"polygons": path}
    for transcripts in (tmp_path / "s.csv", table):
        assert cc.assign(transcripts, pixel_size_um=1.0, **where).X.sum() == 2


def test_outlines_in_the_place_of_labels_are_given_as_told(tmp_path):
    """They were called a damaged TIFF, to be copied again from the microscope."""
    corners = [[0, 0], [40, 0], [40, 30], [0, 30], [0, 0]]
    shape = {"type": "Polygon", "coordinates": [corners], "cell": 1}
    path = tmp_path / "cells.geojson"
    path.write_text(json.dumps({"type": "GeometryCollection", "geometries": [shape]}))
    table = pd.DataFrame({"x_um": [2.0], "y_um": [3.0], "gene": "Gad1"})
    found = follow(
        lambda: cc.assign(table, path, pixel_size_um=1.0),
        "to the command assign with --polygons",
        then=lambda: cc.assign(table, polygons=path, pixel_size_um=1.0),
    )
    assert found.X.sum() == 1


def test_images_of_a_tissue_alone_are_no_movie(tmp_path):
    """A bundle without its table was proposed as a movie of its stains."""
    bundle = tmp_path / "output-XETG00000__0000__Region_1"
    for i in range(4):
        image(bundle / "morphology_focus" / f"morphology_focus_{i:04d}.ome.tif")
    (bundle / "experiment.xenium").write_text(json.dumps({"pixel_size": 0.2125}))
    (proposal,) = cc.propose_sheet([bundle])
    assert proposal.row["assay"] == "merfish"
    assert "transcripts.parquet" in proposal.problem


def test_each_region_of_a_run_gets_a_row(tmp_path):
    from test_spatial import make_merscope

    run = tmp_path / "202301011010_brain_VMSC00101"
    for region in ("region_0", "region_1"):
        make_merscope(run / region)
    for path in (run, tmp_path):
        rows = [proposal.row for proposal in cc.propose_sheet([path])]
        assert [row["sample"] for row in rows] == ["region_0", "region_1"]
    with pytest.raises(InputError, match="give each region folder its own row"):
        cc.inspect(run, assay="merfish")


T = range(3)


def plate(root: Path, name: str, **axes: list[object]) -> None:
    """Write an image for each combination of the axes, whose values fill the name."""
    for values in itertools.product(*axes.values()):
        image(root / name.format(**dict(zip(axes, values, strict=True))))


def look(path: Path, **options: object) -> cc.Manifest:
    return cc.inspect(path, assay="movie", options=cc.InspectOptions(**options))


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("E_S0000(P4)_T{t:06d}_Z0000_C0{c[0]}({c[1]})_M0000_ORG.tif", ["AF488", "H3342"]),
        ("E_S0000(P4)_T{t:06d}_Z0000_C0{c[0]}({c[1]})_M0000_ORG.tif", ["AF488", "AF594", "AF647"]),
        ("e_w{c[0]}{c[1]}_t{t}.tif", ["CSU405", "CSU488"]),
        ("e_w{c[0]}{c[1]}_t{t}.tif", ["DAPI", "YFP"]),
        ("e_t{t}_{c[1]}.tif", ["GFP1", "RFP1"]),
    ],
)
def test_channels_have_their_whole_names(tmp_path, name, channels):
    """`AF488` and `H3342` of ZEN were called AF and H; `w1CSU405` of VisiView w1."""
    plate(tmp_path, name, t=T, c=list(enumerate(channels, 1)))
    assert look(tmp_path).channels == channels


def test_numbers_with_a_meaning_of_their_own_are_no_part_of_a_channel(tmp_path):
    plate(tmp_path, "{c}{t:03d}.tif", t=T, c=["DAPI", "FITC"])
    assert look(tmp_path).channels == ["DAPI", "FITC"]
    plate(tmp_path / "keys", "a_c{c}s1z1t{t}.tif", t=T, c=[1, 2])
    assert look(tmp_path / "keys").channels == ["c1", "c2"]


def test_images_that_correct_others_are_not_read(tmp_path):
    """Yokogawa's CV7000 and CV8000; it was refused as "28 channels in 1 frame"."""
    name = "AssayPlate_Corning_#3683_D12_T{t:04d}F{f:03d}L01A0{c}Z01C0{c}.tif"
    plate(tmp_path, name, t=T, f=[1, 2], c=[1, 2])
    for other in ("SC_BP445-45_40x_M10_CH01.tif", "DC_sCMOS #1_CAM1.tif"):
        image(tmp_path / other)
    found = look(tmp_path, position="f001")
    assert (found.n_frames, found.channels) == (3, ["ch01", "ch02"])
    assert "2 image(s) do not have the names of the others" in found.warnings[0]


def test_projections_and_overlays_are_no_frames_planes_or_channels(tmp_path):
    """Yokogawa's CQ1, whose projection was plane 0; Keyence, Leica LAS X."""
    cq1, keyence = tmp_path / "cq1", tmp_path / "keyence"
    plate(cq1, "Image/W0025F0001T{t:04d}Z{z:03d}C1.tif", t=T, z=[1, 2])
    plate(cq1, "Projection/W0025F0001T{t:04d}Z000C1.tif", t=T)
    found = look(cq1, z_policy="max")
    assert {q.path.split("/")[-2] for row in found.planes for p in row for q in [p]} == {"Image"}
    assert found.warnings == ["Images in sub-folders are not read: Projection."]
    plate(keyence, "XY01/Image_T{t:04d}_XY01_00001_CH{c}.tif", t=T, c=[1, 4])
    for t in T:
        image(keyence / f"XY01/Image_T{t:04d}_XY01_00001_Overlay.tif", (*SIZE, 3))
    (proposal,) = cc.propose_sheet([keyence])
    assert "channels CH1, CH4" in " ".join(proposal.found)
    assert "Pictures of all channels are not read: Image_T0000" in proposal.found[-1]
    plate(tmp_path / "own", "cells_t{t}_merged.tif", t=T)
    assert look(tmp_path / "own").n_frames == 3


@pytest.mark.parametrize(
    "copy",
    [
        *("im0_phase copy", "im0_phase copy 2", "im0_phase - Copy", "im0_phase - Copy (2)"),
        *("im0_phase (1)", "im0_phase(1)", "im0_phase (copy)", "im0_phase - Kopie"),
    ],
)
def test_copies_beside_their_originals_are_no_channels(tmp_path, copy):
    for folder in (tmp_path / "flat", tmp_path / "deep" / "images"):
        plate(folder, "im{t}_{c}.tif", t=T, c=["phase", "gfp"])
        image(folder / f"{copy}.tif")
    for folder in ("flat", "deep"):
        found = look(tmp_path / folder)
        assert (found.n_frames, found.channels) == (3, ["gfp", "phase"])
        assert found.warnings == [
            f"Copies of images that are there, too, are not read: {copy}.tif. If one is an image "
            "of its own, rename it."
        ]
    image(tmp_path / "one" / "cells.tif")
    image(tmp_path / "one" / "cells - Copy.tif")
    assert look(tmp_path / "one").n_frames == 1


def test_numbers_in_brackets_are_frames(tmp_path):
    plate(tmp_path / "a", "cells ({t}).tif", t=T)
    assert look(tmp_path / "a").n_frames == 3
    plate(tmp_path / "b", "cells{t}.tif", t=["", " (1)", " (2)"])
    with pytest.raises(InputError, match="more than one kind"):
        look(tmp_path / "b")


def test_planes_beside_their_projection_are_told(tmp_path):
    """ImageXpress writes the projections above the folders of planes."""
    run = tmp_path / "P-2Stack" / "2023-02-21" / "1334"
    plate(run, "P_E07_s1_w{w}.tif", w=[1, 2])
    plate(run, "ZStep_{z}/P_E07_s1_w{w}.tif", w=[1, 2], z=[1, 2])
    assert look(tmp_path).warnings == ["Images in sub-folders are not read: ZStep_1, ZStep_2."]


def test_the_archive_of_an_incucyte_is_read(tmp_path):
    """Its seven levels were "no images"; the day and the hour are names of folders."""
    name = "EssenFiles/ScanData/2301/{d}/{h}/644/{w}-1-{c}.tif"
    plate(tmp_path, name, d=["05", "06"], h=["0000", "1200"], w=["B2", "B3"], c=["P", "C1"])
    found = look(tmp_path, position="B03")
    assert (found.n_frames, found.channels) == (4, ["C1", "P"])
    assert found.frame_interval_s == 43200


def test_a_pattern_that_a_remedy_asks_for_is_a_column_to_fill_in(tmp_path):
    plate(tmp_path / "images", "exp_t{t}c{c}.tif", t=T, c=["1", "2", "1-2"])
    (proposal,) = cc.propose_sheet([tmp_path])
    assert "exp_t{time}c{channel}" in proposal.to_fill["pattern"]


def test_label_images_of_another_kind_are_no_frames(tmp_path):
    from cellsam_core.labels.source import open_labels

    plate(tmp_path, "r01c01f01p01-ch1sk{t}fk1fl1.tif", t=range(1, 7))
    image(tmp_path / "overview.tif")
    with pytest.raises(InputError, match="names of more than one kind"):
        open_labels(tmp_path)


HARMONY = """<?xml version="1.0" encoding="utf-8"?>
<EvaluationInputData Version="1" xmlns="http://www.perkinelmer.com/PEHH/HarmonyV{version}">
<Wells><Well><id>0202</id>{wells}</Well></Wells>{maps}<Images>{images}</Images>
</EvaluationInputData>"""
INDEX = {7: "Index.xml"}
DYES = {1: "HOECHST 33342", 2: "Alexa 488"}
SIZES = '<ImageResolutionX Unit="m">5.9791666666666669E-07</ImageResolutionX>'


def harmony(folder: Path, version: int) -> None:
    """Write `Index.idx.xml` and images; from version 6 on, channels are in a list of their own."""
    images, maps = "", ""
    named = {c: f"<ChannelName>{name}</ChannelName>{SIZES}" for c, name in DYES.items()}
    for t, f, c in itertools.product((1, 2, 3), (1, 2), DYES):
        name = f"r02c02f{f:02d}p01-ch{c}sk{t}fk1fl1.tiff"
        image(folder / "Images" / name)
        images += f"<Image><id>0202K{t}F{f}P1R{c}</id><URL>{name}</URL><ChannelID>{c}</ChannelID>"
        images += named[c] if version == 5 else ""
        seconds = 300 * (t - 1) + 7 * (f - 1)
        images += f'<MeasurementTimeOffset Unit="s">{seconds}</MeasurementTimeOffset></Image>'
    if version > 5:
        entries = "".join(f'<Entry ChannelID="{c}">{text}</Entry>' for c, text in named.items())
        maps = f"<Maps><Map>{entries}</Map></Maps>"
    text = HARMONY.format(version=version, wells='<Image id="0202"/>', maps=maps, images=images)
    (folder / "Images" / INDEX.get(version, "Index.idx.xml")).write_text(text)


@pytest.mark.parametrize("version", [5, 6, 7])
def test_the_index_of_harmony_is_read(tmp_path, version):
    """Pixel size, times and channels were "not in the files"."""
    harmony(tmp_path, version)
    found = look(tmp_path, position="f02")
    assert found.channels == list(DYES.values())
    assert found.pixel_size_um == pytest.approx(0.5979167)
    assert found.frame_interval_s == 300
    assert found.sources["pixel_size_um"] == f"{INDEX.get(version, 'Index.idx.xml')} of Harmony"
    assert "ch1 is HOECHST 33342" in " ".join(found.warnings)
    assert look(tmp_path, position="f02", channels="ch2").channels == ["ch2"]
    assert look(tmp_path, position="f02", channels="Alexa 488").channels == ["Alexa 488"]
    assert look(tmp_path, position="f02", pixel_size_um=0.3).pixel_size_um == 0.3


def test_a_damaged_index_is_told(tmp_path):
    harmony(tmp_path, 5)
    index = tmp_path / "Images" / "Index.idx.xml"
    index.write_text(index.read_text()[:-200])
    found = look(tmp_path, position="f01")
    assert (found.channels, found.pixel_size_um) == (["ch1", "ch2"], None)
    assert "Index.idx.xml of Harmony can't be read" in " ".join(found.warnings)


def test_metadata_of_micro_manager_beside_single_images_are_read(tmp_path):
    """Version 2 names a file by its key and numbers channels; 1.4 names the file inside."""
    two, old = tmp_path / "Default", tmp_path / "Pos0"
    plate(two, "img_channel00{c}_position000_time{t:09d}_z000.tif", c=[0, 1], t=T)
    plate(old, "img_{t:09d}_{c}_000.tif", c=["BF", "GFP"], t=T)
    said = {"PixelSizeUm": 0.325}
    frames = {
        f"Metadata-Default/img_channel00{c}_position000_time{t:09d}_z000.tif": said
        | {"ElapsedTime-ms": 60000.0 * t + 200 * c}
        for c in (0, 1)
        for t in T
    }
    summary = {"ChNames": ["DAPI", "GFP"], "PixelSize_um": 0.325}
    (two / "metadata.txt").write_text(json.dumps({"Summary": summary} | frames))
    frames = {
        f"FrameKey-{t}-{c}-0": {
            "FileName": f"img_{t:09d}_{name}_000.tif",
            "ElapsedTime-ms": 60000 * t + 200 * c,
        }
        for t in T
        for c, name in enumerate(("BF", "GFP"))
    }
    (old / "metadata.txt").write_text(json.dumps({"Summary": summary} | frames))
    for folder, channels in ((two, ["DAPI", "GFP"]), (old, ["BF", "GFP"])):
        found = look(folder)
        assert (found.channels, found.pixel_size_um) == (channels, 0.325)
        assert found.frame_interval_s == 60
    (old / "metadata.txt").write_text("my notes on this day")
    found = look(old)
    assert (found.pixel_size_um, found.warnings) == (None, [])


def test_images_of_metaxpress_and_yokogawa_tell_their_scale(tmp_path):
    run, cv7000 = tmp_path / "Exp1", tmp_path / "cv7000"
    prop = '<prop id="{}" type="float" value="{}"/>'
    for t, w in itertools.product((1, 2, 3), (1, 2)):
        said = {
            "spatial-calibration-state": "on",
            "spatial-calibration-x": 0.65,
            "spatial-calibration-y": 0.65,
            "spatial-calibration-units": "um",
            "acquisition-time-local": f"20230221 23:{20 * t - 10}:0{w}.250",
        }
        text = "".join(prop.format(*pair) for pair in said.items())
        guid = f"{t}{w}24BD12-45E4-450A-9919-257C714278F7"
        name = f"TimePoint_{t}/Exp1_B02_s1_w{w}{guid}.tif"
        image(run / name, description=f"<MetaData>{text}</MetaData>", metadata=None)
    waves = '"HTSInfoFile", Version 1.0\n"WaveName1", "DAPI"\n"WaveName2", "FITC"\n"EndFile"\n'
    (run / "Exp1.HTD").write_text(waves)
    found = look(run)
    assert (found.channels, found.pixel_size_um) == (["DAPI", "FITC"], 0.65)
    assert found.frame_interval_s == 1200
    plate(cv7000, "P_D12_T{t:04d}F001L01A0{c}Z01C0{c}.tif", t=T, c=[1, 2])
    (cv7000 / "MeasurementDetail.mrf").write_text(
        '<bts:MeasurementDetail xmlns:bts="http://www.yokogawa.co.jp/BTS/BTSSchema/1.0">'
        '<bts:MeasurementChannel bts:Ch="1" bts:HorizontalPixelDimension="0.325"/>'
        "</bts:MeasurementDetail>"
    )
    assert look(cv7000).pixel_size_um == 0.325


@pytest.mark.parametrize(
    ("name", "axes", "positions", "n_frames"),
    [
        # ImageXpress: wells of row C alone were channels C03 and C04.
        ("Timepoint_{t:03d}_2205-ST_{w}.tif", {"t": [1, 2], "w": ["C03", "C04"]}, 2, 2),
        # xCELLigence eSight: day and time without a sign between; 14:30 to 15:00 was a gap.
        (
            "{w}_1_BF_{t}.tif",
            {"t": ["202301011430", "202301011500", "202301011530"], "w": ["A1", "B12"]},
            2,
            3,
        ),
        # EVOS M7000: the frame is a number in the name that the user gave.
        ("e_{t:04d}_A01f01d{c}.tif", {"t": [0, 1, 2], "c": [0, 1, 4]}, 1, 3),
        # Squid: the time is the name of the folder.
        (
            "{t}/{w}_0_0_{c}.tiff",
            {"t": [0, 1, 2], "w": ["B2", "B3"], "c": ["BF_full", "Fluorescence_405_nm_Ex"]},
            2,
            3,
        ),
        # Row 27 of 1,536 wells is AA, not A.
        ("r{r:02d}c01f01p01-ch1sk{t}fk1fl1.tiff", {"t": [1, 2], "r": [1, 27]}, 2, 2),
    ],
)
def test_names_of_more_programs(tmp_path, name, axes, positions, n_frames):
    from cellsam_core.samples.positions import positions_of

    plate(tmp_path, name, **axes)
    found = positions_of(tmp_path)
    assert len(found) == positions
    position = found[0].key or None
    manifest = look(tmp_path, position=position)
    assert manifest.n_frames == n_frames
    assert len(manifest.channels) == len(axes.get("c", [1]))


def test_stamps_give_times(tmp_path):
    stamps = ["202301012330", "202301020000", "202301020030"]
    plate(tmp_path, "A1_{t}.tif", t=stamps)
    assert look(tmp_path).frame_interval_s == 1800


def test_results_of_segmentation_programs_are_no_frames(tmp_path):
    """Cellpose, ilastik and TrackMate write them beside the images, under similar names."""
    plate(tmp_path, "t{t:03d}.tif", t=T)
    for what in ("cp_outlines", "flows", "Simple Segmentation", "Probabilities"):
        plate(tmp_path, f"t{{t:03d}}_{what}.tif", t=T)
    image(tmp_path / "LblImg_movie.tif")
    assert look(tmp_path).n_frames == 3


def test_the_pattern_for_names_of_two_kinds_is_that_of_one_kind(tmp_path):
    """LAS X writes what it has sharpened beside the images; the channel was told as the time."""
    for kind in ("", "_Lng"):
        plate(tmp_path, f"Series001{kind}_t{{t:02d}}_ch0{{c}}.tif", t=T, c=[0, 1])
    (proposal,) = cc.propose_sheet([tmp_path])
    assert "Series001_t{time}_ch{channel}" in proposal.to_fill["pattern"]
    found = look(tmp_path, pattern="Series001_t{time}_ch{channel}")
    assert (found.n_frames, len(found.channels)) == (3, 2)


def test_barcodes_of_merlin_get_their_genes_as_told(tmp_path):
    image(tmp_path / "dapi.tif")
    table = pd.DataFrame({"barcode_id": [0, 1], "global_x": [1.0, 3.0], "global_y": [1.0, 2.0]})
    table.to_csv(tmp_path / "barcodes.csv", index=False)
    (proposal,) = cc.propose_sheet([tmp_path])
    assert proposal.row["assay"] == "merfish"
    options = cc.InspectOptions(pixel_size_um=0.1)
    found = follow(
        lambda: cc.inspect(tmp_path, assay="merfish", options=options),
        "add it by the codebook",
        lambda: table.assign(gene=["Gad1", "Sst"]).to_csv(tmp_path / "barcodes.csv", index=False),
    )
    assert found.transcripts.n_rows == 2


def test_tissues_of_which_none_can_be_read_are_named_one_by_one(tmp_path):
    """The refusal had no reason: "no folder that can be read ()"."""
    for name in ("a", "b"):
        image(tmp_path / name / "morphology.ome.tif")
        (tmp_path / name / "experiment.xenium").write_text(json.dumps({"pixel_size": 0.2125}))
    proposals = cc.propose_sheet([tmp_path])
    assert [p.sample for p in proposals] == ["a", "b"]
    assert all("no stain images" in p.problem for p in proposals)


# Three frames, two positions and two channels of 10 x 12 px, as ndstorage 1.0 wrote them:
# each pixel is 100 * frame + 10 * position + channel.
STACK = (
    "c-rOIJxIeq6ae6tv`rh+AKRu1x=3{ptu?JbgE$EeI*C7vxKx^<(yHhpii=Zm(#=sE9Tkd`qd!|w2L}g-;^d&<EZ%AK"
    "ikBe|Zo57ndA+<|10R=MJ2lk@c>p*p1i?p+G<)8=p^Y4O(lezkyF6Fgwihbtu`Vk+lpooR04RP?$oViy#i?6Js*3Ns"
    "Zl&`$HBGIljywGglBuTgHm9cZv^za-Bs-MAcl|)J)2W|G_B#Fade5&_=%+n&K!v|Ke^a)Xt6QckJy|ZSZ`#HAQpFyq"
    "Y|<0EAV%{{#c7_XO!HLbH3w)9c~kfCnu=uMSu<w|^W5{}JU9HzbKB2*W@%3V;5fj0wn!EjPfO6<c2>iAPH4<?T66cD"
    "2m-7Jc~3*K@a~xt=9v!RJQE@2*%9JB2WgK^Om*I~C|P*+9JMTQciayhC)&`N=&SB7+8`e`4PMliED)jspP^R<PPAq)"
    "(M!W!v_>xICCrPiN*3Nla{|}sQ3NMijWE%Jh`VSt3UCqSMb{(?gs8wZx)Q^QF2<PXa*P+XXb<_~{Z?M|MzZj}FUniu"
    "cDmznoM<M_M2F+<qL~E1Qi2z~l`Jr#;`X}HBu?}*!9=yByXYqw&zijGon(O!75HoP*~E#~O(yzix{KCRKmUFG7rmD("
    "FrsvgegR;hRFw"
)
ENTRIES = (
    "c-qrtU|^_LD#$O+EXmBzQ?gPp&{0rI&PdG5OU(iDlw2GGJe7b#C7HRYAlX`epawsekj%8S;F84TY`v1qv?o9z9w6od"
    "VnzlCxB_HoL)kh6>~MDrAY{cRCQK_9F*7jeLfN|LRv01~h{Z?P>}X=aw4;cXfk6+&8<_6KVJkK(g4i&vaAHST0r3XZ"
    "1VdD_iS>pO2c{iDoD2;5DBd8-4v+`2S@DGv(~2it2rKY;!;naC9OK5cV;c`1Z{Uv@Y*x(R#k8V>4~I95u;&Zpz{6%o"
    "7C)vPQ34DM2H3n|M93Rht*{Zqv_eM+VFiXa$cPO-VN5&z3FGkwZaZ)#ss|#NR$LH8SOEa;*Yd^"
)


def test_ndtiff_is_read_by_its_index(tmp_path):
    """Positions without time were frames, and channels had no names."""
    for name, text in (("NDTiffStack.tif", STACK), ("NDTiff.index", ENTRIES)):
        (tmp_path / name).write_bytes(zlib.decompress(base64.b85decode(text)))
    (proposal,) = cc.propose_sheet([tmp_path])
    assert "2 positions, each becomes a sample of its own: Pos0, Pos1" in proposal.found
    found = look(tmp_path, position="Pos1")
    assert (found.n_frames, found.channels) == (3, ["DAPI", "GFP"])
    assert (found.pixel_size_um, found.frame_interval_s) == (0.325, 60)
    pixels = [[int(read_plane(plane)[0, 0]) for plane in row] for row in found.planes]
    assert pixels == [[10, 11], [110, 111], [210, 211]]
    index = (tmp_path / "NDTiff.index").rename(tmp_path / "moved")
    back = lambda: index.rename(tmp_path / "NDTiff.index")  # noqa: E731
    follow(
        lambda: look(tmp_path / "NDTiffStack.tif"),
        "copy it there from the microscope",
        back,
        lambda: look(tmp_path / "NDTiffStack.tif", position="Pos0"),
    )
    follow(
        lambda: read_stack(tmp_path / "NDTiffStack.tif"),
        "fill the column `position`",
        lambda: None,
        lambda: look(tmp_path, position="Pos0"),
    )


def entries_of_ndtiff() -> list[bytes]:
    """Entries of the index, one a plane: two texts, then eight numbers."""
    content = zlib.decompress(base64.b85decode(ENTRIES))
    found, at = [], 0
    while at < len(content):
        start = at
        for _ in range(2):
            at += 4 + int.from_bytes(content[at : at + 4], "little")
        at += 4 * 8
        found.append(content[start:at])
    return found


def test_ndtiff_that_was_stopped_ends_with_its_last_whole_frame(tmp_path):
    """It was refused, with the advice to copy it again."""
    (tmp_path / "NDTiffStack.tif").write_bytes(zlib.decompress(base64.b85decode(STACK)))
    (tmp_path / "NDTiff.index").write_bytes(b"".join(entries_of_ndtiff()[:-1]))
    whole, stopped = (look(tmp_path, position=name) for name in ("Pos0", "Pos1"))
    assert (whole.n_frames, stopped.n_frames) == (3, 2)
    assert stopped.frame_times_s == [0, 60]
    assert "1 of 3 frames, at the end, were not acquired" in str(stopped.warnings)


def test_tiles_of_keyence_are_no_frames(tmp_path):
    plate(tmp_path / "XY01", "Image_XY01_0000{i}_CH{c}.tif", i=range(1, 5), c=[1, 4])
    found = look(tmp_path, position="f00002")
    assert (found.n_frames, found.channels) == (1, ["CH1", "CH4"])
    plate(tmp_path / "time", "s_Image_T{t:04d}_XY01_00001_Z00{z}_CH1.tif", t=T, z=[1, 2])
    assert look(tmp_path / "time", z_policy="max").n_frames == 3


def test_the_properties_of_las_x_tell_the_size_of_a_pixel(tmp_path):
    axis = (
        '<DimensionDescription DimID="X" NumberOfElements="40" Length="{}" Unit="µm" Voxel="{}"/>'
    )
    for series, (length, voxel) in {"01": (27.832, 0.714), "02": (100.0, 0.5)}.items():
        plate(tmp_path, f"P_Series0{series}_t{{t}}_ch0{{c}}.tif", t=T, c=[0, 1])
        path = tmp_path / "MetaData" / f"P_Series0{series}_Properties.xml"
        path.parent.mkdir(exist_ok=True)
        text = f"<Data><Image>{axis.format(length, voxel)}</Image></Data>"
        path.write_text(text, encoding="utf-8")
    found = look(tmp_path, position="Series001")
    assert found.pixel_size_um == pytest.approx(27.832 / 39)
    assert found.sources["pixel_size_um"] == "P_Series001_Properties.xml of LAS X"
    assert look(tmp_path, position="Series002").pixel_size_um == 0.5


def test_transcripts_in_a_folder_of_their_own_are_not_left_out(tmp_path):
    """G4X; `init` proposed the images as a movie and said nothing of the table."""
    image(tmp_path / "h_and_e" / "nuclear.tif")
    table = pd.DataFrame({"x_pixel_coordinate": [1.0], "y_pixel_coordinate": [1.0]})
    (tmp_path / "rna").mkdir()
    table.assign(gene_name="Gad1").to_csv(tmp_path / "rna" / "transcript_table.csv.gz")
    rows = {proposal.sample: proposal for proposal in cc.propose_sheet([tmp_path])}
    assert rows["rna"].row["assay"] == "merfish"
    assert "no stain images" in rows["rna"].problem


def test_single_images_of_ome_tiff_name_their_channels(tmp_path):
    for t, (c, name) in itertools.product(T, enumerate(("DAPI", "GFP"))):
        metadata = {"axes": "YX", "Channel": {"Name": [name]}}
        image(tmp_path / f"exp_t{t:03d}_c{c}.ome.tif", metadata=metadata)
    found = look(tmp_path)
    assert (found.n_frames, found.channels) == (3, ["DAPI", "GFP"])
    assert "c0 is DAPI, c1 is GFP" in found.warnings[-1]
    assert look(tmp_path, channels="c1").channels == ["c1"]
    unnamed = tmp_path / "unnamed"
    for t, c in itertools.product(T, (0, 1)):
        image(unnamed / f"exp_t{t:03d}_c{c}.ome.tif", metadata={"axes": "YX"})
    assert look(unnamed).channels == ["c0", "c1"]


def test_pages_that_may_be_channels_are_told(tmp_path):
    """NIS-Elements saves the channels of a frame as pages; a split movie has many pages."""
    for t in T:
        image(tmp_path / f"WellA01_Seq{t:04d}.tif", (2, *SIZE), metadata=None)
    found = look(tmp_path)
    assert found.n_frames == 6
    assert "if they are channels, write 2 names into the column `channels`" in found.warnings[-1]
    found = look(tmp_path, channels="DAPI,FITC")
    assert (found.n_frames, found.channels, found.warnings) == (3, ["DAPI", "FITC"], [])


def test_a_stain_in_the_colour_of_its_display_is_one_channel(tmp_path):
    """ZEN and LAS X save so; it was refused as three channels in the images of c1."""
    stain = np.random.default_rng(0).integers(1, 200, SIZE).astype(np.uint8)
    for t, (c, colours) in itertools.product(T, enumerate(([1], [0, 2]), 1)):
        pixels = np.zeros((*SIZE, 3), np.uint8)
        pixels[..., colours] = (stain + t)[..., None]
        tifffile.imwrite(tmp_path / f"e_t{t}c{c}.tif", pixels, photometric="rgb")
    found = look(tmp_path)
    assert (found.n_frames, found.channels) == (3, ["c1", "c2"])
    for t in T:
        for plane in found.planes[t]:
            np.testing.assert_array_equal(read_plane(plane), stain + t)
    assert "Red, green and blue show one stain in e_t0c1.tif" in found.warnings[0]
    composite = tmp_path / "composite"
    composite.mkdir()
    for t in T:
        pixels = np.zeros((*SIZE, 3), np.uint8)
        pixels[..., 0], pixels[..., 1] = stain, stain[::-1]
        tifffile.imwrite(composite / f"e_t{t}.tif", pixels, photometric="rgb")
    assert look(composite).channels == ["R", "G", "B"]


def test_a_column_is_to_fill_in_only_if_the_remedy_means_the_column(tmp_path):
    for t, c in itertools.product(T, (1, 2)):
        image(tmp_path / f"e_t{t}c{c}.tif", (*SIZE, 3), photometric="rgb")
    (proposal,) = cc.propose_sheet([tmp_path])
    assert "split the channels into files" in proposal.problem
    assert proposal.to_fill == {}


def test_channels_of_fiji_whose_first_was_removed_are_no_wells(tmp_path):
    plate(tmp_path / "fiji", "C{c}-movie_t{t:02d}.tif", c=[2, 3], t=T)
    found = cc.inspect(
        tmp_path / "fiji", assay="movie", options=cc.InspectOptions(channels="C2,C3")
    )
    assert (found.n_frames, found.channels) == (3, ["C2", "C3"])
    plate(tmp_path / "plate", "C{c:02d}_t{t:02d}.tif", c=[3, 4], t=T)
    assert look(tmp_path / "plate", position="C03").n_frames == 3


def test_the_overlay_of_one_number_is_not_that_of_another(tmp_path):
    image(tmp_path / "pos1_merged.tif")
    plate(tmp_path, "pos{p}.tif", p=[10, 11])
    with pytest.raises(InputError, match="pos1_merged"):
        look(tmp_path)


def test_texts_and_codebooks_of_other_kinds_do_not_make_a_movie_a_tissue(tmp_path):
    plate(tmp_path, "cells_t{t}.tif", t=T)
    (tmp_path / "hotspots of the camera.txt").write_text("dead pixels: 3 and 7\n")
    (tmp_path / "codebook.json").write_text('{"plate": "A"}')
    (proposal,) = cc.propose_sheet([tmp_path])
    assert (proposal.row["assay"], proposal.problem) == ("movie", "")


def test_several_files_of_a_microscope_get_a_row_each(tmp_path):
    for name in ("a.nd2", "b.nd2", "c.czi"):
        (tmp_path / name).write_bytes(bytes(300))
    rows = [proposal.row for proposal in cc.propose_sheet([tmp_path])]
    assert [row["sample"] for row in rows] == ["a", "b", "c"]


def test_coloured_frames_are_proposed_as_they_are_segmented(tmp_path):
    """Red was "guessed from the name", and the sheet left the grey of the colours out."""
    for t in T:
        pixels = np.random.default_rng(t).integers(90, 255, (*SIZE, 3)).astype(np.uint8)
        tifffile.imwrite(tmp_path / f"e_t{t}.tif", pixels, photometric="rgb")
    (proposal,) = cc.propose_sheet([tmp_path])
    assert not {"nuclear_channel", "cell_channel"} & set(proposal.row)
    assert "segmented as nuclear: R (red, which haematoxylin absorbs)" in proposal.found
    assert "segmented as cell: grey of the colours" in proposal.found
    assert not any("ratio" in sentence for sentence in proposal.found)


def test_colours_of_fluorescence_are_no_stained_section(tmp_path):
    """The red of a green reporter was taken for haematoxylin, and its noise was segmented."""
    rng = np.random.default_rng(0)
    for t in T:
        green = rng.gamma(0.5, 30, SIZE).clip(0, 255)
        pixels = np.stack((0.1 * green + rng.random(SIZE), green, 0.6 * green), axis=-1)
        tifffile.imwrite(tmp_path / f"e_t{t}.tif", pixels.astype(np.uint8), photometric="rgb")
    (proposal,) = cc.propose_sheet([tmp_path])
    assert "segmented as cell: grey of the colours" in proposal.found
    assert not any("haematoxylin" in sentence for sentence in proposal.found)
    assert any("write R, G or B" in sentence for sentence in proposal.found)
    stains = np.stack([rng.integers(900, 1500, SIZE) for _ in range(3)], axis=-1)
    (tmp_path / "stains").mkdir()
    tifffile.imwrite(tmp_path / "stains" / "s.tif", stains.astype(np.uint16), photometric="rgb")
    (other,) = cc.propose_sheet([tmp_path / "stains"])
    assert "segmented as cell: grey of the colours" in other.found
    assert not any("haematoxylin" in sentence for sentence in other.found)
    cc.write_project([proposal], tmp_path / "project")
    checked = cc.check(folder=tmp_path / "project")
    assert "segments grey of the colours as cell, " in checked.text()


def test_a_store_of_spatialdata_is_named_as_such(tmp_path):
    import zarr

    store = zarr.open_group(str(tmp_path / "tissue.zarr"), mode="w")
    store.attrs["spatialdata_attrs"] = {"version": "0.2"}
    for assay in ("movie", "merfish"):
        with pytest.raises(InputError, match=r"a store of SpatialData.* the instrument wrote"):
            cc.inspect(tmp_path / "tissue.zarr", assay=assay)
    # Its image alone is read, and is not proposed as a movie.
    from cellsam_core.files import omezarr

    dapi = tmp_path / "tissue.zarr" / "images" / "dapi"
    dapi.parent.mkdir()
    image_in = omezarr.create(dapi, shape=(1, *SIZE), axes="cyx", dtype="uint16", channels=("d",))
    image_in.array[:] = np.arange(SIZE[0] * SIZE[1], dtype=np.uint16).reshape(1, *SIZE)
    with pytest.raises(InputError, match=r"/tissue\.zarr: found a store of SpatialData"):
        cc.propose_sheet([tmp_path / "tissue.zarr"])
    sheet = {"path": tmp_path / "tissue.zarr"}

    def name_its_image() -> None:
        sheet["path"] = dapi

    told = r"for an image, a folder in its folder images"
    assert follow(lambda: look(sheet["path"]), told, name_its_image).n_frames == 1


def test_old_names_of_channels_are_kept_as_told(tmp_path):
    """A sheet of before names `ch1`, which now bears the name that Harmony gave it."""
    from cellsam_core.preprocessing.channels import choose_roles
    from cellsam_core.preprocessing.images import images_of_manifest

    harmony(tmp_path, 5)
    options: dict[str, object] = {"position": "f01"}

    def keep() -> None:
        options["channels"] = "ch1,ch2"

    def choose() -> object:
        return choose_roles(images_of_manifest(look(tmp_path, **options)), "ch1", None)

    told = r"write one of these names, or, to keep the names in the file names, .* `channels`"
    assert follow(choose, told, keep) == {"nuclear": ["ch1"]}


def test_a_picture_of_several_channels_is_a_channel_if_the_user_names_it(tmp_path):
    plate(tmp_path, "t{t}_{c}.tif", t=T, c=["phase", "merged"])
    told: dict[str, object] = {}
    assert "one channel, name it and the others in the column `channels`" in str(look(tmp_path))
    told["channels"] = "phase,merged"
    assert look(tmp_path, **told).channels == ["phase", "merged"]


def test_the_time_to_read_names_grows_with_their_number_only(tmp_path, monkeypatch):
    """The hash of a column, which holds a piece of each name, was made for each name."""
    from cellsam_core.files.names.parts import parse_names
    from cellsam_core.files.names.tokens import Column

    hashed, own = [], Column.__hash__
    monkeypatch.setattr(Column, "__hash__", lambda column: hashed.append(1) or own(column))
    counts = []
    for n in (10, 200):
        names = [f"r01c01f{f:03d}p01-ch{c}sk1fk1fl1.tiff" for f in range(n) for c in (1, 2)]
        hashed.clear()
        parse_names([tmp_path / name for name in names], tmp_path)
        counts.append(len(hashed))
    assert counts[0] == counts[1]


def test_images_of_one_bit_ask_for_no_column(tmp_path):
    tifffile.imwrite(tmp_path / "cells.tif", np.ones(SIZE, bool), photometric="minisblack")
    (proposal,) = cc.propose_sheet([tmp_path / "cells.tif"])
    assert "one bit" in proposal.problem
    assert not proposal.to_fill
