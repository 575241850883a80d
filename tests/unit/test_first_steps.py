"""First steps: a sheet is proposed, checked and previewed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

import cellsam_core as cc
from cellsam_core.cli import main
from cellsam_core.config.sheet import load_config
from cellsam_core.errors import InputError
from cellsam_core.files.names.parts import parse_names
from cellsam_core.first_steps.check import Check, SampleCheck
from cellsam_core.first_steps.crops import Crop
from cellsam_core.first_steps.proposal import Proposal
from cellsam_core.first_steps.raw_field import RawPart


def movie(folder: Path, channels: tuple[str, ...], n_frames: int = 2) -> Path:
    folder.mkdir(parents=True)
    image = np.random.default_rng(0).integers(90, 110, (40, 56)).astype(np.uint16)
    for channel in channels:
        for frame in range(n_frames):
            tifffile.imwrite(folder / f"{channel}_t{frame}.tif", image)
    return folder


def tissue(folder: Path, *, header: str = "x_px,y_px,gene") -> Path:
    folder.mkdir(parents=True)
    tifffile.imwrite(folder / "DAPI.tif", np.ones((40, 56), np.uint16))
    (folder / "transcripts.csv").write_text(f"{header}\n10,10,NANOG\n")
    return folder


def project(tmp_path: Path, *paths: Path) -> tuple[Path, list[Proposal]]:
    proposals = cc.propose_sheet(paths)
    cc.write_project(proposals, tmp_path / "project")
    return tmp_path / "project", proposals


def test_a_proposed_sheet_is_read_by_the_workflow(tmp_path: Path):
    images = movie(tmp_path / "day 1" / "images", ("H2B", "CFP", "YFP"))
    root, proposals = project(tmp_path, images, tissue(tmp_path / "t"))
    config = load_config({"samples": "config/samples.tsv"}, [root])
    assert list(config.samples) == ["day_1", "t"]
    assert config.samples["day_1"]["nuclear_channel"] == "H2B"
    assert "pixel_size_um" not in config.samples["day_1"]
    assert config.samples["t"]["assay"] == "merfish"
    found = "\n".join(proposals[0].found)
    assert "pixel_size_um: not in the files" in found
    assert "ratio: write NUM/DEN if two of CFP, YFP" in found


def test_missing_values_stay_empty_and_are_named(tmp_path: Path):
    paths = movie(tmp_path / "m", ("GFP", "RFP")), tissue(tmp_path / "t", header="x_um,y_um,gene")
    root, (unclear, unscaled) = project(tmp_path, *paths)
    assert set(unclear.to_fill) == {"nuclear_channel", "cell_channel"}
    assert set(unscaled.to_fill) == {"pixel_size_um"}
    sheet = (root / "config" / "samples.tsv").read_text()
    assert "# m: FILL IN nuclear_channel or cell_channel: the stain to segment is not" in sheet
    assert f"\nm\tmovie\t{tmp_path / 'm'}\t\t\t\t\t\t\n" in sheet
    result = cc.check(folder=root)
    assert not result.is_ready
    assert [bool(sample.problem) for sample in result.samples] == [True, True]
    assert "pixel_size_um" in result.samples[1].problem


def test_a_folder_of_experiments_gives_a_row_for_each(tmp_path: Path):
    for name in ("a", "b"):
        tissue(tmp_path / "slides" / name)
    (tmp_path / "slides" / "notes" / "old").mkdir(parents=True)
    names = [proposal.sample for proposal in cc.propose_sheet([tmp_path / "slides"])]
    assert names == ["a", "b"]
    again = cc.propose_sheet([tmp_path / "slides" / "a", tmp_path / "slides" / "a"])
    assert [proposal.sample for proposal in again] == ["a", "a_2"]
    with pytest.raises(InputError, match="found nothing"):
        cc.propose_sheet([tmp_path / "gone"])
    with pytest.raises(InputError, match="name the folder of one experiment"):
        cc.propose_sheet([tmp_path / "slides" / "notes"])


def test_an_experiment_that_cannot_be_read_is_no_silent_loss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    movie(tmp_path / "screen" / "good", ("H2B", "YFP"))
    cut = movie(tmp_path / "screen" / "bad", ("H2B", "YFP")) / "YFP_t1.tif"
    cut.write_bytes(cut.read_bytes()[:300])
    (tmp_path / "screen" / "notes").mkdir()
    assert main(["init", str(tmp_path / "screen"), "-o", str(tmp_path / "project")]) == 0
    said = capsys.readouterr().out
    assert "  NOT READ: " in said
    assert "cellsam-core preview good --directory" in said
    sheet = (tmp_path / "project" / "config" / "samples.tsv").read_text()
    rows = [line for line in sheet.splitlines() if not line.startswith("#")]
    assert [row.split("\t")[0] for row in rows] == ["sample", "bad", "good"]


def test_numbers_that_were_taken_as_frames_are_named(tmp_path: Path):
    names = [f"good-{n}.tif" for n in (1, 2, 3)]
    (tmp_path / "fields").mkdir()
    for name in names:
        tifffile.imwrite(tmp_path / "fields" / name, np.ones((40, 56), np.uint16))
    (proposal,) = cc.propose_sheet([tmp_path / "fields"])
    told = (
        "frames: told by the names, from good-1.tif to good-3.tif (3 frames); if they are fields "
        "of view, write good-{position} into the column `pattern`"
    )
    assert told in proposal.found
    named = parse_names([tmp_path / "fields" / name for name in names], pattern="good-{position}")
    assert named.positions == ["1", "2", "3"]
    (keyed,) = cc.propose_sheet([movie(tmp_path / "keyed", ("GFP",))])
    assert "frames: told by the names, from GFP_t0.tif to GFP_t1.tif (2 frames)" in keyed.found
    (single,) = cc.propose_sheet([tmp_path / "fields" / names[0]])
    assert "told by the names" not in single.text()


def test_label_images_beside_the_images_are_named(tmp_path: Path):
    folder = movie(tmp_path / "m", ("GFP",), 3)
    for frame in range(3):
        labels = np.zeros((40, 56), np.uint16)
        labels[5:15, 5:15] = 1
        tifffile.imwrite(folder / f"GFP_t{frame}_mask1.tif", labels)
    (proposal,) = cc.propose_sheet([folder])
    told = "masks: 3 label image(s) beside the images are not read: GFP_t0_mask1.tif and 2 more"
    use = "; to use them, write the same folder as in `path` into the column `masks`"
    assert told + use in proposal.found
    with_masks = replace(proposal, row=proposal.row | {"masks": str(folder)})
    cc.write_project([with_masks], tmp_path / "project")
    assert cc.check(folder=tmp_path / "project").is_ready
    (folder / "GFP_t2_mask1.tif").unlink()
    (proposal,) = cc.propose_sheet([folder])
    assert "column `masks`" not in proposal.text()


def test_positions_are_one_row(tmp_path: Path):
    for position in (0, 1):
        movie(tmp_path / "raw" / f"Pos{position}", ("GFP",))
    (proposal,) = cc.propose_sheet([tmp_path / "raw"])
    assert "2 positions, each becomes a sample of its own: Pos0, Pos1" in proposal.found
    assert proposal.first_sample == f"{proposal.sample}-Pos0"
    for position in (0, 1):
        movie(tmp_path / "unclear" / f"Pos{position}", ("GFP", "RFP"))
    (proposal,) = cc.propose_sheet([tmp_path / "unclear"])
    assert set(proposal.to_fill) == {"nuclear_channel", "cell_channel"}


def test_the_preview_that_init_names_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for position in range(9):
        movie(tmp_path / "exp" / f"Pos{position}", ("GFP",))
    project = tmp_path / "project"
    assert main(["init", str(tmp_path / "exp"), "-o", str(project)]) == 0
    (line,) = re.findall(r"cellsam-core (preview .*)", capsys.readouterr().out)
    assert main(line.split()) == 0
    with pytest.raises(InputError, match=r"exp-Pos5 and 3 more, or a path"):
        cc.preview("exp", folder=project)


def test_movies_with_names_of_any_kind_get_a_row_each(tmp_path: Path):
    for name in ("drug", "vehicle"):
        movie(tmp_path / "screen" / name, ("H2B", "YFP"))
    rows = [proposal.row for proposal in cc.propose_sheet([tmp_path / "screen"])]
    assert [row["sample"] for row in rows] == ["drug", "vehicle"]
    for name in ("one", "two"):
        movie(tmp_path / "parts" / name, ("H2B_left",))
    (proposal,) = cc.propose_sheet([tmp_path / "parts"])
    assert set(proposal.to_fill) == {"pattern", "channels"}


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = movie(tmp_path / "m", ("DAPI",))
    command = ["init", str(folder), "-o", str(tmp_path / "project")]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "segmented as cell: DAPI, as every channel that is alone" in said
    assert "cellsam-core preview m --directory" in said
    before = (tmp_path / "project/config/samples.tsv").read_bytes()
    assert main(command) == 1
    assert "nothing is overwritten" in capsys.readouterr().err
    assert (tmp_path / "project/config/samples.tsv").read_bytes() == before


def sheet(root: Path, header: str, *rows: str) -> Path:
    (root / "config").mkdir(parents=True)
    (root / "config" / "samples.tsv").write_text("\n".join((header, *rows)) + "\n")
    return root


def test_the_check_has_a_line_for_each_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    movie(tmp_path / "m", ("H2B", "CFP", "YFP"), n_frames=4)
    (tmp_path / "fixes.csv").write_text("operation,frame\nglue,1\n")
    root = sheet(
        tmp_path / "project",
        "sample,assay,path,ratio,baseline_frames,drug_frame,condition,nuclear_channel,corrections",
        "good,movie,../../m,CFP/YFP,,,x,,",
        "named,movie,../../m,,,,x,YFP,",
        "ratio,movie,../../m,CFP/RFP,,,,,",
        "baseline,movie,../../m,CFP/YFP,9,,,,",
        "drug,movie,../../m,CFP/YFP,,7,,,",
        "stain,movie,../../m,,,,,DAPI,",
        "path,movie,../../gone,,,,,,",
        "fixed,movie,../../m,,,,,,../../fixes.csv",
    )
    assert main(["check", "--directory", str(root)]) == 1
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines()[:8])
    assert "segments H2B as nuclear (guessed from the names), 4 tile(s)" in lines["good"]
    assert "segments YFP as nuclear, 4 tile(s)" in lines["named"]
    assert "the condition is not averaged" in lines["named"]
    expected = {
        "ratio": "option `ratio`: found 'CFP/RFP'",
        "baseline": "option `baseline_frames`: found 9, expected at most the 4",
        "drug": "option `drug_frame`: found 7",
        "stain": "found no channel 'DAPI'",
        "path": "no file or folder",
        "fixed": "fixes.csv",
    }
    assert {name: text for name, text in expected.items() if text not in lines[name]} == {}
    assert all(lines[name].startswith("WRONG") for name in expected)


def test_too_little_disk_is_named(tmp_path: Path):
    result = Check([SampleCheck("a", disk_gb=3.0)], free_gb=2.0)
    assert not result.is_ready
    assert "the disk is too small" in result.text()


def test_a_preview_shows_crops_figures_and_the_row(tmp_path: Path):
    y, x = np.mgrid[:128, :160]
    discs = [np.hypot(y - 64, x - column) < 12 for column in (30, 80, 130)]
    (tmp_path / "m").mkdir()
    for frame in range(2):
        image = (100 + 900 * np.any(discs, axis=0)).astype(np.uint16)
        tifffile.imwrite(tmp_path / "m" / f"H2B_t{frame}.tif", image)
        tifffile.imwrite(tmp_path / "m" / f"YFP_t{frame}.tif", image)
    root = sheet(tmp_path / "project", "sample,assay,path,cell_diameter_px", "s 1,movie,../../m,24")
    with pytest.raises(InputError, match="write s_1"):
        cc.preview("s 1", folder=root)
    text = (root / "config/samples.tsv").read_text().replace("s 1", "s1")
    (root / "config/samples.tsv").write_text(text)
    with pytest.raises(InputError, match="one of s1, or a path"):
        cc.preview("s2", folder=root)
    page = cc.preview("s1", folder=root)
    assert page.path == root / "preview_s1.html"
    assert page.stains == {"nuclear": "H2B"}
    assert page.diameter_px == 24
    assert page.n_cells[1] == 6  # three cells in each of two frames
    assert page.seconds_per_tile > 0
    assert page.hours > 0
    html = page.path.read_text()
    assert html.count("data:image/png;base64,") == 1
    assert "as given in the config" in html
    assert "s1\tmovie\t" in html


def test_check_opens_the_masks_of_a_sample(tmp_path: Path):
    """No stain has to be clear, since nothing is segmented."""
    images = movie(tmp_path / "m", ("GFP", "RFP"))
    (tmp_path / "config").mkdir()
    sheet = "sample,assay,path,masks\nm,movie,../m,../masks.tif\n"
    (tmp_path / "config" / "samples.csv").write_text(sheet)
    (tmp_path / "config" / "config.yaml").write_text("samples: config/samples.csv")
    assert images.name == "m"
    tifffile.imwrite(tmp_path / "masks.tif", np.ones((2, 40, 56), np.uint16))
    (found,) = cc.check(folder=tmp_path).samples
    assert found.problem == ""
    assert "cells are those of your masks masks.tif" in found.line
    assert "segments" not in found.line
    assert found.hours == 0
    tifffile.imwrite(tmp_path / "masks.tif", np.ones((2, 40, 50), np.uint16))
    (found,) = cc.check(folder=tmp_path).samples
    assert "found 2 label image(s) of 50 x 40 px, expected 2 of 56 x 40 px" in found.problem


NUCLEUS = {
    "type": "Polygon",
    "coordinates": [[[2, 2], [6, 2], [6, 6], [2, 6], [2, 2]]],
}


@pytest.mark.parametrize(
    ("name", "content"),
    [("nuclei.tif", np.eye(40, 56, dtype=np.uint8)), ("nuclei.geojson", NUCLEUS)],
)
def test_check_says_whether_nuclei_are_paired(tmp_path: Path, name: str, content: object):
    """Without pairing, a mask of all nuclei is enough, and outlines are drawn first."""
    path = tmp_path / "t" / "transcripts.csv"
    tissue(path.parent)
    tifffile.imwrite(tmp_path / "masks.tif", np.ones((40, 56), np.uint16))
    if isinstance(content, np.ndarray):
        tifffile.imwrite(tmp_path / name, content)
    else:
        (tmp_path / name).write_text(json.dumps(content))
    root = sheet(
        tmp_path / "project",
        "sample,assay,path,pixel_size_um,masks,nuclei",
        f"t,merfish,../../t,0.5,../../masks.tif,../../{name}",
    )
    (found,) = cc.check(folder=root).samples
    assert found.problem == ""
    assert f"nuclei are those of {name} (transcripts in them are counted" in found.line
    tifffile.imwrite(tmp_path / "nuclei.tif", np.eye(30, 56, dtype=np.uint8))
    (found,) = cc.check(folder=root).samples
    assert ("found 1 label image(s) of 56 x 30 px" in found.problem) == name.endswith("tif")


def test_preview_decodes_a_field_of_raw_rounds(tmp_path: Path):
    small = cc.TissueOptions(size_px=96, cells=3, transcripts=150)
    cc.simulate_tissue(tmp_path / "rounds", seed=1, options=small, raw_rounds=True)
    page = cc.preview(tmp_path / "rounds", folder=tmp_path)
    assert page.stains == {"nuclear": "DAPI", "cell": "PolyT"}
    assert page.decoded.startswith("decoded field ")
    assert "of blanks, share of wrong ones" in page.text()
    assert "Decoded transcripts" in page.path.read_text()
    assert page.hours > 0
    # Nothing but the page is left behind.
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["preview_rounds.html", "rounds"]


def test_spots_of_a_crop_are_those_inside_it():
    part = RawPart(None, None, 0, "", np.array([[5.0, 7], [20, 7], [5, 40]]), np.array([0, 1, 1]))
    crop = Crop(0, 4, 15, np.zeros((2, 20, 10), np.float32))
    assert part.spots_in(crop).tolist() == [[5, 3, 1]]
