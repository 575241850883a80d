"""What a refusal of a tissue's files tells the user to do is done here, and works."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tifffile
from refusals import follow
from test_spatial import inspect, make_generic, make_merscope, write_image
from test_vendors import make_cosmx, make_resolve, make_xenium

from cellsam_core.assignment.label_cells import open_label_cells, read_measured
from cellsam_core.labels.image import open_label_image
from cellsam_core.labels.tiles import LabelArray, measure_cells
from cellsam_core.samples.placement import place_in_um
from cellsam_core.samples.transcripts import iter_transcripts

Edit = Callable[[Path], None]


def replace(name: str, old: str, new: str) -> Edit:
    """Edit a text file, which may be compressed."""

    def edit(folder: Path) -> None:
        path = folder / name
        content = path.read_bytes()
        text = gzip.decompress(content).decode() if path.suffix == ".gz" else content.decode()
        assert old in text
        text = text.replace(old, new)
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())

    return edit


def columns(name: str, **renamed: str) -> Edit:
    """Rename columns of a csv file."""

    def edit(folder: Path) -> None:
        table = pd.read_csv(folder / name)
        table.rename(columns=renamed).to_csv(folder / name, index=False)

    return edit


def image(name: str, *shape: int, dtype: str = "uint16") -> Edit:
    return lambda folder: tifffile.imwrite(
        folder / name, np.zeros(shape or (40, 60), dtype), photometric="minisblack", metadata={}
    )


def z_stack(name: str, n_planes: int) -> Edit:
    """Write an image whose z planes are inside of it."""
    planes = np.zeros((n_planes, 40, 60), np.uint16)
    return lambda folder: tifffile.imwrite(
        folder / name, planes, imagej=True, metadata={"axes": "ZYX"}
    )


NUMBERED = ("dapi_z0", "dapi_z1", "polyT_z0", "polyT_z1")


def remove(name: str) -> Edit:
    return lambda folder: (folder / name).unlink()


def rename(old: str, new: str) -> Edit:
    return lambda folder: (folder / old).rename(folder / new) and None


def both(*edits: Edit) -> Edit:
    def edit(folder: Path) -> None:
        for one in edits:
            one(folder)

    return edit


RESTORE: Edit = lambda folder: None  # noqa: E731 - the file is put back as it was
TABLE, TRANSFORM = "detected_transcripts.csv", "images/micron_to_mosaic_pixel_transform.csv"
PIXEL = {"pixel_size_um": 0.5}
MAKERS: dict[str, Callable[[Path], Path]] = {
    "merscope": make_merscope,
    "generic": make_generic,
    "xenium": make_xenium,
    "cosmx": make_cosmx,
    "resolve": make_resolve,
}
FLAT = "flatFiles/slide_tx_file.csv.gz"
MORPHOLOGY = "DecodedFiles/run/CellStatsDir/Morphology2D"

# Vendor, what is wrong, options, what the refusal says, what is done about it, options then.
# None in the place of what is done: the options alone.
CASES: list[tuple[str, Edit | None, dict[str, Any], str, Edit | None, dict[str, Any]]] = [
    # Tables
    (
        "merscope",
        columns(TABLE, gene="symbol"),
        {},
        "rename the column",
        columns(TABLE, symbol="gene"),
        {},
    ),
    (
        "merscope",
        columns(TABLE, global_x="a", global_y="b"),
        {},
        "rename the columns",
        columns(TABLE, a="x_um", b="y_um"),
        {},
    ),
    (
        "merscope",
        replace(TABLE, ",global_z", ",global_x"),
        {},
        "remove or rename the others",
        replace(TABLE, "global_y,global_x", "global_y,z"),
        {},
    ),
    (
        "merscope",
        replace(TABLE, "2.0,-0.5", "x,-0.5"),
        {},
        "correct or remove the row",
        replace(TABLE, "x,-0.5", "2.0,-0.5"),
        {},
    ),
    (
        "merscope",
        replace(TABLE, "2.0,-0.5", '"2,0",-0.5'),
        {},
        "replace the commas in the numbers of the table by points",
        replace(TABLE, '"2,0"', "2.0"),
        {},
    ),
    (
        "cosmx",
        replace(FLAT, ",", ";"),
        {"fov": "1"},
        "save it with commas between the columns",
        replace(FLAT, ";", ","),
        {"fov": "1"},
    ),
    ("merscope", replace(TABLE, "Gad1", ""), {}, "correct or remove the row", RESTORE, {}),
    (
        "merscope",
        replace(TABLE, "Gad1", "Ga\0d1"),
        {},
        "remove these bytes",
        replace(TABLE, "\0", ""),
        {},
    ),
    (
        "merscope",
        rename(TABLE, "detected_transcripts.xlsx"),
        {},
        "add or rename the table",
        rename("detected_transcripts.xlsx", "my_spots.csv"),
        {},
    ),
    (
        "merscope",
        lambda f: (f / TABLE).write_bytes(b"\xfa\xfb"),
        {},
        "check the path|copy or export it again|rename the column",
        RESTORE,
        {},
    ),
    (
        "generic",
        lambda f: shutil.copy(f / "my_transcripts.csv", f / "b_spots.csv"),
        PIXEL,
        "move them out of the folder",
        remove("b_spots.csv"),
        PIXEL,
    ),
    (
        "generic",
        lambda f: shutil.copy(f / "my_transcripts.csv", f / "b_spots.csv"),
        PIXEL,
        "rename the other tables",
        rename("b_spots.csv", "b.csv"),
        PIXEL,
    ),
    ("generic", None, {}, "give pixel_size_um", None, PIXEL),
    (
        "generic",
        columns("my_transcripts.csv", x_px="x", y_px="y"),
        {"pixel_size_um": 1.0},
        "rename the columns to x_um, y_um or x_px, y_px",
        columns("my_transcripts.csv", x="x_px", y="y_px"),
        PIXEL,
    ),
    (
        "generic",
        columns("my_transcripts.csv", x_px="x", y_px="y", id="fov"),
        PIXEL,
        "rename the columns if that is done",
        columns("my_transcripts.csv", x="x_px", y="y_px"),
        PIXEL,
    ),
    # Images
    (
        "generic",
        both(remove("dapi_z0.tif"), remove("polyT_z1.tif")),
        PIXEL,
        "add the missing images or remove those of the other planes",
        both(remove("polyT_z0.tif")),
        PIXEL,
    ),
    (
        "generic",
        image("dapi_z0.tiff"),
        PIXEL,
        "move one of them out of the folder",
        remove("dapi_z0.tiff"),
        PIXEL,
    ),
    (
        "generic",
        image("merge_z0.tif", 2, 40, 60),
        PIXEL,
        "fill the column channels",
        None,
        PIXEL | {"channels": ["dapi"]},
    ),
    (
        "generic",
        image("merge_z0.tif", 50, 60),
        PIXEL,
        "fill the column channels",
        None,
        PIXEL | {"channels": ["dapi"]},
    ),
    (
        "generic",
        None,
        PIXEL | {"channels": ["DAPI"]},
        "correct channels",
        None,
        PIXEL | {"channels": ["dapi"]},
    ),
    ("generic", None, PIXEL | {"z_plane": 7}, "correct z_plane", None, PIXEL | {"z_plane": 1}),
    (
        "generic",
        image("dapi_z1.tif", 41, 60),
        PIXEL | {"z_policy": "max"},
        "export all planes alike",
        RESTORE,
        PIXEL | {"z_policy": "max"},
    ),
    (
        "generic",
        both(
            z_stack("dapi.tif", 3), z_stack("polyT.tif", 2), *(remove(f"{n}.tif") for n in NUMBERED)
        ),
        PIXEL,
        "fill the column channels",
        None,
        PIXEL | {"channels": ["dapi"]},
    ),
    (
        "generic",
        z_stack("dapi_z0.tif", 3),
        PIXEL,
        "save the maximum projection",
        image("dapi_z0.tif"),
        PIXEL,
    ),
    (
        "resolve",
        z_stack("A1-1_DAPI.tiff", 3),
        {},
        "save the maximum projection",
        image("A1-1_DAPI.tiff"),
        {},
    ),
    (
        "generic",
        columns("my_transcripts.csv", z="plane"),
        PIXEL | {"z_policy": "one"},
        "choose another z_policy",
        None,
        PIXEL,
    ),
    (
        "generic",
        replace("my_transcripts.csv", ",0,Gad1", ",9,Gad1"),
        PIXEL | {"z_policy": "one"},
        "write the planes' numbers into the column",
        replace("my_transcripts.csv", ",9,Gad1", ",0,Gad1"),
        PIXEL | {"z_policy": "one"},
    ),
    (
        "generic",
        None,
        PIXEL | {"fov": "2"},
        "leave this column of the sample sheet empty",
        None,
        PIXEL,
    ),
    (
        "generic",
        None,
        PIXEL | {"format": "zeiss"},
        "correct format in the sample sheet",
        None,
        PIXEL | {"format": "generic"},
    ),
    (
        "generic",
        None,
        PIXEL | {"z_policy": "some"},
        "correct z_policy in the sample sheet",
        None,
        PIXEL | {"z_policy": "max"},
    ),
    # Transforms
    ("merscope", remove(TRANSFORM), {}, "copy the file from the instrument's output", RESTORE, {}),
    (
        "merscope",
        lambda f: (f / TRANSFORM).write_text("1 2\n"),
        {},
        "copy the file from the instrument's output",
        RESTORE,
        {},
    ),
    (
        "merscope",
        replace("images/manifest.json", "60", "61"),
        {},
        "copy images and manifest.json of one and the same region",
        RESTORE,
        {},
    ),
    (
        "merscope",
        replace(TRANSFORM, "-20.0", "100"),
        {},
        "copy the transform and manifest.json",
        RESTORE,
        {},
    ),
    (
        "merscope",
        None,
        {"pixel_size_um": 0.2},
        "correct the one that is wrong",
        None,
        {"pixel_size_um": 0.1},
    ),
    (
        "merscope",
        both(remove("images/manifest.json"), replace(TRANSFORM, "-20.0", "500")),
        {},
        "correct the transform, the pixel size",
        replace(TRANSFORM, "500", "-20.0"),
        {},
    ),
    (
        "merscope",
        remove("images/mosaic_PolyT_z3.tif"),
        {},
        "leave the stain out of channels",
        None,
        {"channels": ["DAPI"]},
    ),
    (
        "merscope",
        lambda f: (
            shutil.copytree(f, f.parent / "run/region_1")
            and shutil.copytree(f, f.parent / "run/region_0")
        ),
        {"folder": "../run"},
        "give each region folder its own row",
        None,
        {"folder": "../run/region_1"},
    ),
    # Vendors
    (
        "xenium",
        replace("experiment.xenium", "pixel_size", "size"),
        {},
        "give pixel_size_um",
        None,
        {"pixel_size_um": 0.2125},
    ),
    (
        "xenium",
        lambda f: shutil.rmtree(f / "morphology_focus"),
        {},
        "correct path or add the images",
        RESTORE,
        {},
    ),
    (
        "xenium",
        both(remove("transcripts.parquet"), remove("transcripts.csv.gz")),
        {},
        "copy the table from the instrument's output",
        RESTORE,
        {},
    ),
    ("xenium", None, {"z_plane": 1}, "leave these columns of the sample sheet empty", None, {}),
    ("xenium", None, {"min_qv": 20.0}, "leave min_qv empty", None, {}),
    ("cosmx", None, {"fov": "9"}, "fill the column fov of the sample sheet", None, {"fov": "2"}),
    (
        "cosmx",
        replace(FLAT, "x_global_px", "x_slide"),
        {},
        "name one field in the column fov",
        None,
        {"fov": "1"},
    ),
    (
        "cosmx",
        replace(FLAT, "x_global_px", "x_slide"),
        {},
        "export the table with them",
        replace(FLAT, "x_slide", "x_global_px"),
        {},
    ),
    (
        "cosmx",
        image(f"{MORPHOLOGY}/2026_S1_F00002.TIF", 2, 50, 60),
        {"channels": ["a", "b"]},
        "name one field|correct channels",
        None,
        {"fov": "1"},
    ),
    (
        "cosmx",
        image(f"{MORPHOLOGY}/b_S1_F00002.TIF"),
        {},
        "move the others out of the folder",
        remove(f"{MORPHOLOGY}/b_S1_F00002.TIF"),
        {},
    ),
    (
        "cosmx",
        lambda f: shutil.copy(f / FLAT, f / "b_tx_file.csv.gz"),
        {},
        "give each slide a folder of its own",
        remove("b_tx_file.csv.gz"),
        {},
    ),
    (
        "cosmx",
        lambda f: (f / "S_fov_positions_file.csv").write_text(
            "fov,x_global_px,y_global_px\n1,0,0\n2,9,9\n"
        ),
        {},
        "move this one out of the folder",
        remove("S_fov_positions_file.csv"),
        {},
    ),
    (
        "cosmx",
        image("DecodedFiles/run/CellStatsDir/FOV00001/CellLabels_F00001.tif", 9, 9),
        {"fov": "1"},
        "copy image and labels of one and the same field",
        RESTORE,
        {"fov": "1"},
    ),
    (
        "resolve",
        lambda f: make_resolve(f, "B1-1"),
        {},
        "fill the column fov of the sample sheet",
        None,
        {"fov": "B1-1"},
    ),
    (
        "resolve",
        both(remove("A1-1_DAPI.tiff"), remove("A1-1_PolyT.tiff")),
        {},
        "correct path or add the images",
        image("A1-1_DAPI.tiff"),
        {},
    ),
]


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{c[0]}-{c[3][:40]}-{i}" for i, c in enumerate(CASES)]
)
def test_the_remedy_works(tmp_path, case):
    vendor, spoil, options, message, mend, then = case
    folder = tmp_path / "sample"
    folder.mkdir()
    MAKERS[vendor](folder)
    shutil.copytree(folder, tmp_path / "before")
    if spoil is not None:
        spoil(folder)

    def look(options: dict[str, Any]) -> None:
        here = options.get("folder", ".")
        given = {key: value for key, value in options.items() if key != "folder"}
        inspect((folder / here).resolve(), **given)

    def repair() -> None:
        if mend is RESTORE:
            shutil.rmtree(folder)
            shutil.copytree(tmp_path / "before", folder)
        elif mend is not None:
            mend(folder)

    words = "|".join(map(re.escape, message.split("|")))
    follow(lambda: look(options), words, repair, lambda: look(then))


def test_columns_that_contradict_are_left_out_as_told(tmp_path):
    make_generic(tmp_path)
    path = tmp_path / "my_transcripts.csv"
    x = np.array([0.0, 59.0, 10, 20, 30])
    rows = pd.DataFrame({"x_px": x, "y_px": x[::-1] / 2, "x_um": x / 2, "y_um": x * 7, "gene": "a"})
    rows.to_csv(path, index=False)
    found = follow(
        lambda: inspect(tmp_path),
        "remove the pair of columns that is wrong and give pixel",
        lambda: rows.drop(columns=["x_um", "y_um"]).to_csv(path, index=False),
        lambda: inspect(tmp_path, pixel_size_um=0.5),
    )
    assert found.format == "generic"


@pytest.mark.parametrize("ids", [pa.array(["1", "2", "3"]), None])
def test_ids_as_floats_are_stored_as_text_as_told(tmp_path, ids):
    make_xenium(tmp_path)
    path = tmp_path / "transcripts.parquet"
    table = pq.read_table(path)
    where = table.schema.get_field_index("cell_id")
    others = table.remove_column(where)
    mended = others if ids is None else table.set_column(where, "cell_id", ids)
    pq.write_table(table.set_column(where, "cell_id", pa.array([1.0, 2.0, 3.0])), path)
    batches = follow(
        lambda: list(iter_transcripts(inspect(tmp_path).require_transcripts("a"))),
        "remove the column, or store the ids as text",
        lambda: pq.write_table(mended, path),
    )
    assert sum(b.num_rows for b in batches) == 3


@pytest.mark.parametrize("size", [0.5, None])
def test_tables_for_outlines_are_renamed_or_given_a_pixel_size_as_told(tmp_path, size):
    path = tmp_path / "t.csv"
    path.write_text("x_px,y_px,gene\n1,2,a\n")
    placed = follow(
        lambda: place_in_um(path),
        "rename the columns, or give --pixel-size-um",
        None if size else lambda: path.write_text("x_um,y_um,gene\n1,2,a\n"),
        lambda: place_in_um(path, size),
    )
    assert placed.n_rows == 1


def test_cell_tables_and_nuclei_of_the_labels_are_accepted_as_told(tmp_path):
    labels = np.zeros((20, 20), np.uint16)
    labels[2:8, 2:8] = 1
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    cells, path = open_label_image(tmp_path / "labels.tif"), tmp_path / "cells.parquet"
    measured = measure_cells(LabelArray(labels))
    own = "give the cells.parquet that was written with the labels"
    measured.assign(label=[5]).to_parquet(path)
    found = follow(
        lambda: open_label_cells(cells, np.eye(3), path, expand_um=2),
        own,
        lambda: measured.to_parquet(path),
    )
    assert len(found.table) == 1
    pd.concat([measured, measured]).to_parquet(path)
    follow(lambda: read_measured(path), own, lambda: measured.to_parquet(path))
    nuclei = write_image(tmp_path / "nuclei.tif", (9, 9)) or tmp_path / "nuclei.tif"
    found = follow(
        lambda: open_label_cells(
            cells, np.eye(3), nuclei=open_label_image(tmp_path / "nuclei.tif")
        ),
        "give the nuclei of this sample",
        lambda: tifffile.imwrite(nuclei, labels),
    )
    assert found.has_nuclei


def test_a_manifest_of_a_changed_table_is_made_again_as_told(tmp_path):
    folder = make_cosmx(tmp_path)
    found = [inspect(folder)]
    replace(FLAT, "\n2,", "\n3,")(folder)

    def again() -> None:
        replace(FLAT, "\n3,", "\n2,")(folder)
        found[0] = inspect(folder)

    batches = follow(
        lambda: list(iter_transcripts(found[0].transcripts)), "run `cellsam-core inspect`", again
    )
    assert sum(b.num_rows for b in batches) == 8
