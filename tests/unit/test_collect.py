"""Corrected regions become labelled images."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from cellsam_core.cli import main
from cellsam_core.corrections.cells_table import CELL_COLUMNS, read_cell_corrections
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.training.collect import collect
from cellsam_core.training.labelled import load_folder
from cellsam_core.training.regions import held_out, regions_of

HEADER = ",".join(CELL_COLUMNS)
SHAPE = (160, 200)


def row(operation: str, frame: int, **values: str) -> str:
    said = {"id": f"{operation}{frame}", "operation": operation, "frame": str(frame)} | values
    return ",".join(said.get(name, "") for name in CELL_COLUMNS)


def box(x0: float, y0: float, x1: float, y1: float) -> str:
    return f"{x0} {y0};{x1} {y0};{x1} {y1};{x0} {y1}"


def table(folder: Path, sample: str, *rows: str) -> Path:
    path = folder / "corrections" / f"{sample}.cells.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


@pytest.fixture
def folder(shown_results: Path, tmp_path: Path) -> Path:
    for sample in ("movie", "tissue"):
        shutil.copytree(shown_results / sample, tmp_path / "results" / sample)
    return tmp_path


def test_regions_are_cut_from_images_and_corrected_labels(folder: Path):
    cell = box(140, 70, 160, 90)
    rows = [
        row("add", 5, outline=cell, serial="0"),
        row("complete", 5, outline=box(60, 0, 199, 92)),
    ]
    table(folder, "movie", *rows, row("complete", 9, outline=box(0, 100, 99, 159), id="x"))
    table(folder, "tissue", row("complete", 0, outline=box(0, 0, 149, 149)))
    listed = collect(folder / "results", folder / "training")
    assert listed["is_held_out"].tolist() == [False, True, False]
    names = ["movie_f5_complete5", "movie_f9_x", "tissue_f0_complete0"]
    assert listed["image"].tolist() == [f"{name}.ome.tif" for name in names]
    first = load_folder(folder / "training")
    assert [image.name for image in first] == [names[0], names[2]]
    assert [image.name for image in load_folder(folder / "training/validation")] == [names[1]]
    assert [len(np.unique(image.labels)) - 1 for image in first] == [2, 9]
    assert listed["cells"].tolist() == [2, 1, 9]  # in the first: one of the model, one drawn
    assert first[0].labels[80, 90] > 0  # the drawn cell, (80, 150) in the movie
    assert first[1].channels[0].any()  # the names of the channels tell the nuclear one
    image = tifffile.imread(folder / f"training/{names[0]}.ome.tif").squeeze()
    frames = omezarr.open_(folder / "results/movie/1_preprocessed/frames.zarr")
    np.testing.assert_array_equal(image, frames.frame(5)[0, 0:93, 60:200])
    assert not list((folder / "training").glob(".*"))


def test_the_tables_are_those_that_the_run_reads(folder: Path):
    sample = folder / "results/movie"
    path = table(folder, "movie", row("complete", 5, outline=box(0, 0, 69, 69)))
    path.rename(folder / "mine.csv")
    config = {"sample": {"cell_corrections": "mine.csv"}}
    (sample / "provenance.json").write_text(json.dumps({"config": config}))
    assert len(collect(folder / "results", folder / "training")) == 1


def test_the_same_regions_give_the_same_bytes_and_other_folders_are_kept(folder: Path):
    table(folder, "movie", row("complete", 5, outline="60 0;199 0;199 99"))
    output = folder / "training"
    digests = []
    for _ in range(2):
        assert main(["collect", str(folder / "results/movie"), "-o", str(output)]) == 0
        content = b"".join(p.read_bytes() for p in sorted(output.iterdir()))
        digests.append(hashlib.sha256(content).hexdigest())
    assert digests[0] == digests[1]
    assert tifffile.imread(next(output.glob("*.ome.tif"))).squeeze()[-1, 0] == 0
    (folder / "mine").mkdir()
    (folder / "mine/data.tif").touch()
    with pytest.raises(InputError, match="other content"):
        collect(folder / "results", folder / "mine")
    assert (folder / "mine/data.tif").is_file()


def test_without_a_region_there_is_nothing_to_collect(folder: Path, capsys):
    assert main(["collect", str(folder / "results"), "-o", str(folder / "t")]) == 1
    assert "no region that is complete" in capsys.readouterr().err
    assert not (folder / "t").exists()


def sides(folder: Path, *rows: str) -> list[bool]:
    return held_out(regions_of("movie", read_cell_corrections(table(folder, "m", *rows)), SHAPE))


def test_one_place_stays_on_one_side_and_a_new_one_moves_none(folder: Path):
    places = [row("complete", 25 * k, outline=box(0, 0, 50, 50)) for k in range(12)]
    assert sides(folder) == []
    assert sides(folder, places[0]) == [False]
    assert [k for k, held in enumerate(sides(folder, *places)) if held] == [1, 6, 11]
    near = row("complete", 26, outline=box(40, 40, 90, 90))
    assert [k for k, held in enumerate(sides(folder, *places, near)) if held] == [1, 6, 11, 12]
    same = row("complete", 3, outline=box(40, 40, 90, 90))
    assert sides(folder, places[0], same) == [False, False]
    away = row("complete", 3, outline=box(60, 60, 90, 90))
    assert sides(folder, places[0], away) == [False, True]


def test_the_list_says_where_each_image_is_from(folder: Path):
    table(folder, "movie", row("complete", 5, outline=box(60, 0, 199.5, 99)))
    collect(folder / "results/movie", folder / "training")
    found = pd.read_csv(folder / "training/regions.csv").iloc[0]
    assert found[["sample", "frame", "y0", "x0", "y1", "x1"]].tolist() == [
        "movie",
        5,
        0,
        60,
        100,
        200,
    ]
