"""Folders as users report them: refused with a remedy that is done here, and works."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from refusals import follow
from test_spatial import inspect as inspect_tissue

import cellsam_core as cc
from cellsam_core.first_steps.recognise import kind_of

SIZE = (30, 40)


def image(path: Path, value: int = 1, n_pages: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((n_pages, *SIZE) if n_pages else SIZE, value, np.uint16)
    tifffile.imwrite(path, pixels, photometric="minisblack", metadata=None)
    return path


def look(folder: Path, **options: str) -> cc.Manifest:
    return cc.inspect(folder, assay="movie", options=cc.InspectOptions(**options))


def test_movies_before_and_after_a_drug_are_numbered_as_told(tmp_path):
    for name in ("pre_01", "pre_02", "post_01", "post_02"):
        image(tmp_path / f"{name}.tif")

    def number() -> None:
        for frame, name in enumerate(("pre_01", "pre_02", "post_01", "post_02")):
            (tmp_path / f"{name}.tif").rename(tmp_path / f"cells_{frame:02d}.tif")

    words = "if they follow each other in time, rename the files so that one number counts all"
    assert follow(lambda: look(tmp_path), words, number).n_frames == 4


def test_frames_with_letters_are_numbered_as_told(tmp_path):
    for letter in "abc":
        image(tmp_path / f"cell{letter}.tif")

    def number() -> None:
        for frame, letter in enumerate("abc"):
            (tmp_path / f"cell{letter}.tif").rename(tmp_path / f"cell{frame}.tif")

    assert follow(lambda: look(tmp_path), "one number counts all frames", number).n_frames == 3


def test_frames_before_0_are_numbered_as_told(tmp_path):
    for frame in range(-2, 3):
        image(tmp_path / f"cell_t{frame}.tif")

    def number() -> None:
        for frame in range(2, -3, -1):
            (tmp_path / f"cell_t{frame}.tif").rename(tmp_path / f"cell_t{frame + 2}.tif")

    words = "number the frames from 0 on, since signs of numbers are not read"
    assert follow(lambda: look(tmp_path), words, number).n_frames == 5


def test_parts_that_do_not_tell_their_frames_are_joined_as_told(tmp_path):
    """Its pattern read one frame of the first part, as three channels."""
    names = ("run_MMStack_Pos0.ome.tif", "run_MMStack_Pos0_1.ome.tif")
    parts = [image(tmp_path / name, n_pages=3) for name in names]
    joined = tmp_path / "joined" / "movie.tif"
    joined.parent.mkdir()

    def join() -> None:
        pixels = np.concatenate([tifffile.imread(part) for part in parts])
        tifffile.imwrite(joined, pixels, photometric="minisblack", metadata=None)

    found = follow(
        lambda: look(tmp_path),
        "join the parts, .* and set the column `format` to tiff_stack",
        join,
        lambda: look(joined, format="tiff_stack"),
    )
    assert (found.n_frames, len(found.channels)) == (6, 1)


def test_zarr_without_the_metadata_of_ome_is_exported_as_told(tmp_path):
    path = tmp_path / "movie.zarr"
    group = zarr.open_group(str(path), mode="w")
    group.create_array("data", shape=(3, *SIZE), dtype="uint16")[:] = 1
    follow(
        lambda: look(path),
        "export it as OME-TIFF or OME-Zarr",
        lambda: tifffile.imwrite(
            tmp_path / "movie.ome.tif", np.asarray(group["data"][:]), metadata={"axes": "TYX"}
        ),
        lambda: look(tmp_path / "movie.ome.tif"),
    )


TABLE = pd.DataFrame({"x_um": [2.5, 9.5], "y_um": [2.5, 9.5], "gene": ["Gad1", "Sst"]})
WHOLE = TABLE.to_csv(index=False)
TABLES: dict[str, tuple[bytes, str, str]] = {
    "European": (
        TABLE.to_csv(index=False, sep=";", decimal=",").encode(),
        "commas between the columns and points in the numbers",
        "transcripts.csv",
    ),
    "tabs": (
        TABLE.to_csv(index=False, sep="\t").encode(),
        "commas between the columns",
        "transcripts.csv",
    ),
    "UTF-16": (WHOLE.encode("utf-16"), "save it as UTF-8", "transcripts.csv"),
    "compressed": (
        gzip.compress(WHOLE.encode()),
        r"rename it, for example to transcripts\.csv\.gz",
        "transcripts.csv.gz",
    ),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_of_transcripts_are_saved_as_told(tmp_path, case):
    content, words, name = TABLES[case]
    image(tmp_path / "DAPI.tif")
    table = tmp_path / "transcripts.csv"
    table.write_bytes(content)

    def mend() -> None:
        if name == table.name:
            table.write_text(WHOLE)
        else:
            table.rename(tmp_path / name)

    found = follow(lambda: inspect_tissue(tmp_path, pixel_size_um=0.5), words, mend)
    assert found.transcripts.n_rows == 2


def test_tables_with_tabs_are_renamed_as_told(tmp_path):
    image(tmp_path / "DAPI.tif")
    table = tmp_path / "transcripts.csv"
    TABLE.to_csv(table, index=False, sep="\t")
    rename = lambda: table.rename(tmp_path / "transcripts.tsv")  # noqa: E731
    read = lambda: inspect_tissue(tmp_path, pixel_size_um=0.5)  # noqa: E731
    follow(read, r"or rename it to end in \.tsv", rename)


def test_coordinates_in_nm_are_converted_as_told(tmp_path):
    image(tmp_path / "DAPI.tif")
    xy = np.random.default_rng(0).uniform(0, 1, (200, 2)) * [19, 14]
    table = pd.DataFrame({"x": 1000 * xy[:, 0], "y": 1000 * xy[:, 1], "gene": "a"})
    table.to_csv(tmp_path / "transcripts.csv", index=False)
    right = pd.DataFrame({"x_um": table["x"] / 1000, "y_um": table["y"] / 1000, "gene": "a"})
    follow(
        lambda: inspect_tissue(tmp_path, pixel_size_um=0.5),
        "convert other units, such as nm, to um first",
        lambda: right.to_csv(tmp_path / "transcripts.csv", index=False),
    )


def test_two_tissues_get_folders_of_their_own_as_told(tmp_path):
    for name in "AB":
        image(tmp_path / f"{name}_DAPI.tif")
        TABLE.to_csv(tmp_path / f"{name}_transcripts.csv", index=False)
    assert kind_of(tmp_path).assay == "merfish"

    def move() -> None:
        (tmp_path / "A").mkdir()
        for file in tmp_path.glob("A_*"):
            file.rename(tmp_path / "A" / file.name)

    follow(
        lambda: inspect_tissue(tmp_path, pixel_size_um=0.5),
        "put the images and the table of each into a folder of its own",
        move,
        lambda: inspect_tissue(tmp_path / "A", pixel_size_um=0.5),
    )
