"""What refusals of raw rounds, codebooks, outlines, masks and options say is done here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
import tifffile
from refusals import follow
from test_outlines import CELLS, IDS, open_outlines, write_geoparquet
from test_raw import raw as rounds  # noqa: F401 a fixture
from test_spatial import inspect, make_generic, make_merscope
from test_spotiflow import stand_in  # noqa: F401 a fixture

from cellsam_core.assignment.stage import assign
from cellsam_core.benchmark.methods import choose_methods
from cellsam_core.cli import main
from cellsam_core.decoding.codebook_table import read_codebook
from cellsam_core.decoding.decode_field import register
from cellsam_core.decoding.open_raw import open_raw
from cellsam_core.decoding.spotiflow import open_spotiflow
from cellsam_core.exports.options import ExportOptions
from cellsam_core.files.batch_names import parse_batch, sort_batches
from cellsam_core.given_masks.source import open_masks
from cellsam_core.labels.movie import open_label_movie
from cellsam_core.preprocessing.channels import choose_roles
from cellsam_core.preprocessing.images import images_of_manifest
from cellsam_core.samples.frames import refuse_missing_frames
from cellsam_core.samples.movies import inspect_movie
from cellsam_core.samples.panel import read_panel
from cellsam_core.segmentation.given_boxes import boxes_of_array, read_boxes
from cellsam_core.simulation.options import TissueOptions
from cellsam_core.simulation.stage import simulate_tissue
from cellsam_core.traces.inputs import open_images, refuse_other_movie
from cellsam_core.tracking.stage import track
from cellsam_core.training.finetune import hold_out
from cellsam_core.training.labelled import load_folder, refuse_without_cells

Edit = Callable[[Path], object]
SIZE = ("--size-px", "64", "--cells", "2", "--transcripts", "20", "--seed", "2")


@pytest.fixture(scope="module", params=["merfish", "seqfish"])
def raw(request, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("raw") / request.param
    assert main(["simulate", request.param, "--raw-rounds", "-o", str(folder), *SIZE]) == 0
    return folder


def change(name: str, edit: Callable[[pd.DataFrame], pd.DataFrame]) -> Edit:
    """Change a table."""

    def make(folder: Path) -> None:
        table = pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        edit(table).to_csv(folder / name, index=False)

    return make


def cell(name: str, row: int, column: str, value: str) -> Edit:
    def edit(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[row, column] = value
        return table

    return change(name, edit)


def first_image(folder: Path) -> Path:
    found = (path for path in folder.rglob("*.tif") if path.parent.name != "truth")
    return min(found, key=lambda path: path.name)


ORGANISATION, SHEET = "dataorganization.csv", "rounds.csv"
# Layout, what is wrong, words of the remedy. Then the folder is as it was, which is the remedy.
RAW: dict[str, tuple[str, Edit, str]] = {
    "a bit without a channel": (
        "merfish",
        lambda f: change(ORGANISATION, lambda t: t.iloc[1:])(f),
        "correct the data organization or the codebook",
    ),
    "two channels of a bit": (
        "merfish",
        cell(ORGANISATION, 0, "readoutName", "bit2"),
        "correct the column readoutName",
    ),
    "other planes": (
        "merfish",
        cell(ORGANISATION, 0, "frame", "[0, 1, 2, 3, 4]"),
        "correct the column frame|correct the row|add the image",
    ),
    "no expression": (
        "merfish",
        cell(ORGANISATION, 0, "imageRegExp", "(?<fov>"),
        "correct imageRegExp",
    ),
    "no number": ("merfish", cell(ORGANISATION, 0, "imagingRound", "x"), "correct the row"),
    "no codebook": ("merfish", lambda f: (f / "codebook.csv").unlink(), "add it"),
    "two codebooks": (
        "merfish",
        lambda f: shutil.copy(f / "codebook.csv", f / "codebook_2.csv"),
        "leave one of them",
    ),
    "no image": ("merfish", lambda f: first_image(f).unlink(), "add the image"),
    "positions": (
        "merfish",
        lambda f: (f / "positions.csv").write_text("1,2\n"),
        "correct the table",
    ),
    "no pixel size": (
        "merfish",
        lambda f: (f / "microscope.json").write_text("{}"),
        "give pixel_size_um in the sample sheet",
    ),
    "no file of a round": ("seqfish", lambda f: first_image(f).unlink(), "add the image"),
    "a kind": ("seqfish", cell(SHEET, 0, "kind", "gene"), "correct the table"),
    "a page": ("seqfish", cell(SHEET, 0, "page", "x"), "correct the table"),
    "no such images": (
        "seqfish",
        lambda f: change(SHEET, lambda t: t.assign(file="x_{field}.tif"))(f),
        "correct the column file",
    ),
}


@pytest.mark.parametrize("case", RAW)
def test_raw_rounds_are_mended_as_told(raw, tmp_path, case):
    layout, spoil, words = RAW[case]
    if layout != raw.name:
        pytest.skip("of the other layout")
    folder = shutil.copytree(raw, tmp_path / "raw")
    spoil(folder)

    def mend() -> None:
        shutil.rmtree(folder)
        shutil.copytree(raw, folder)

    assert follow(lambda: open_raw(folder), words, mend).fields


def of_field(folder: Path) -> list[Path]:
    """List the images of the second field, round by round."""
    return sorted(folder.rglob("Pos2.tif")) or sorted(folder.glob("*_1_*.tif"))


def test_images_of_raw_rounds_are_exported_alike_or_left_out_as_told(rounds, tmp_path):  # noqa: F811
    folder = shutil.copytree(rounds, tmp_path / "raw")
    path = of_field(folder)[-1]
    content, pages = path.read_bytes(), tifffile.imread(path)

    def look() -> None:
        found = open_raw(folder, "auto", None)
        for field in found.fields[1:3]:
            register(found, field)

    tifffile.imwrite(path, pages[..., :32], photometric="minisblack")
    words = "export all of them with one binning and crop"
    follow(look, words, lambda: path.write_bytes(content))
    tifffile.imwrite(path, np.full_like(pages, 200), photometric="minisblack")
    words = "move the images of this field out of the folder"
    follow(look, words, lambda: [one.unlink() for one in of_field(folder)])


def test_models_of_spotiflow_are_named_as_told(stand_in):  # noqa: F811
    follow(
        lambda: open_spotiflow("smfish"),
        "correct spotiflow in the configuration",
        then=lambda: open_spotiflow("general"),
    )


def test_raw_rounds_are_given_a_pixel_size_as_told(raw, tmp_path):
    folder = shutil.copytree(raw, tmp_path / "raw")
    if raw.name == "merfish":
        (folder / "microscope.json").write_text("{}")
    else:
        change(SHEET, lambda t: t.drop(columns="pixel_size_um", errors="ignore"))(folder)
        for path in folder.rglob("*.tif"):
            tifffile.imwrite(path, tifffile.imread(path), photometric="minisblack", metadata=None)
    follow(
        lambda: open_raw(folder),
        "give pixel_size_um in the sample sheet",
        then=lambda: open_raw(folder, "auto", 0.1),
    )


CODEBOOK = "name,id,bit1,bit2\nGad1,a,1,0\nSst,b,0,1\n"


@pytest.mark.parametrize(
    "wrong",
    [
        "Gad1,a,1,7\nSst,b,0,1\n",
        "Gad1,a,1,0\nGad1,b,0,1\n",
        "Gad1,a,1,0\nSst,b,1,0\n",
        "Gad1,a,0,0\nSst,b,0,1\n",
    ],
)
def test_codebooks_are_corrected_as_told(tmp_path, wrong):
    path = tmp_path / "codebook.csv"
    path.write_text("name,id,bit1,bit2\n" + wrong)
    follow(
        lambda: read_codebook(path),
        "correct the (value|codebook)",
        lambda: path.write_text(CODEBOOK),
    )


def test_panels_are_corrected_as_told(tmp_path):
    path = tmp_path / "panel.txt"
    path.write_text("\n")
    follow(lambda: read_panel([path]), "correct the file", lambda: path.write_text("Gad1\n"))
    path.write_text("\n")
    follow(lambda: read_panel([path]), "leave the panel out", then=lambda: read_panel([]))


# Outlines


def test_outlines_are_written_again_as_told(tmp_path):
    path = tmp_path / "a.parquet"
    look = lambda: open_outlines(path)  # noqa: E731
    write_geoparquet(path, CELLS, EntityID=IDS.astype(float))
    follow(
        look,
        "store the ids as text",
        lambda: write_geoparquet(path, CELLS, EntityID=IDS.astype(str)),
    )
    ids = pa.array([None, *map(str, IDS[1:])], pa.string())
    pq.write_table(pa.table({"EntityID": ids, "Geometry": list(shapely.to_wkb(CELLS))}), path)
    follow(look, "remove these rows, or give them ids", lambda: write_geoparquet(path, CELLS))
    path.write_bytes(b"x")
    follow(
        look, "or write the outlines in one of these ways", lambda: write_geoparquet(path, CELLS)
    )


# Masks of the user


@pytest.fixture
def movie(tmp_path):
    for t in range(2):
        tifffile.imwrite(tmp_path / f"t{t}.tif", np.ones((30, 40), np.uint16))
    return inspect_movie(tmp_path, sample="s", assay="movie")


def outline(path: Path, size: float = 9) -> None:
    corners = [[[2, 2], [2, size], [size, size], [size, 2], [2, 2]]]
    feature = {
        "type": "Feature",
        "id": "1",
        "properties": {},
        "geometry": {"type": "Polygon", "coordinates": corners},
    }
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))


def test_masks_of_a_movie_are_given_as_told(tmp_path, movie):
    one, folder = tmp_path / "a.geojson", tmp_path / "outlines"
    folder.mkdir()
    outline(one)
    for t in range(2):
        outline(folder / f"t{t}.geojson")
    follow(
        lambda: open_masks(tmp_path / "b", movie, None),
        "the column `masks` or `nuclei`",
        then=lambda: open_masks(folder, movie, None),
    )
    follow(
        lambda: open_masks(one, movie, None),
        "give a folder with one GeoJSON",
        then=lambda: open_masks(folder, movie, None),
    )
    (folder / "t1.geojson").rename(tmp_path / "aside.geojson")
    empty = json.dumps({"type": "FeatureCollection", "features": []})
    follow(
        lambda: open_masks(folder, movie, None),
        "add an empty file of the same kind",
        lambda: (folder / "t1.geojson").write_text(empty),
    )
    labels = tmp_path / "labels.tif"
    tifffile.imwrite(
        labels, np.ones((2, 30, 40), np.uint16), photometric="minisblack", metadata=None
    )
    follow(
        lambda: open_masks(labels, movie, "um"),
        "leave the column `masks_unit`, .*, empty",
        then=lambda: open_masks(labels, movie, None),
    )


# Options and arguments of stages


def test_boxes_are_corrected_as_told(tmp_path):
    path, images = tmp_path / "boxes.csv", [tmp_path / "a.tif"]
    right = lambda: path.write_text("image,x0,y0,x1,y1\na.tif,1,1,9,9\n")  # noqa: E731
    look = lambda: read_boxes(path, images)  # noqa: E731
    follow(look, "check the option `boxes`", right)
    for wrong, words in (
        ("file,x0,y0,x1,y1\na.tif,1,1,9,9\n", "name the columns"),
        ("image,x0,y0,x1,y1\na,1,1,9,9\n", "with its extension"),
        ("image,x0,y0,x1,y1\na.tif,9,1,1,9\n", "correct the row"),
    ):
        path.write_text(wrong)
        follow(look, words, right)
    box = np.array([1.0, 1, 9, 9])
    in_image = lambda: boxes_of_array(box[None], (30, 40))  # noqa: E731
    follow(lambda: boxes_of_array(box, (30, 40)), "give one row for each cell", then=in_image)
    follow(lambda: boxes_of_array(box[None] + 90, (30, 40)), "correct the row", then=in_image)


def test_batches_are_given_as_told(tmp_path):
    a, b, c = (tmp_path / name for name in ("1-of-2.parquet", "2-of-2.parquet", "2-of-3.parquet"))
    both = lambda: sort_batches([a, b], "segment-batch")  # noqa: E731
    follow(lambda: parse_batch("3-of-2"), "correct it", then=lambda: parse_batch("2-of-2"))
    follow(
        lambda: sort_batches([a, a], "segment-batch"), "as `segment-batch` wrote them", then=both
    )
    follow(lambda: sort_batches([a, c], "segment-batch"), "written with one N", then=both)
    follow(lambda: sort_batches([a], "segment-batch"), "for what is missing first", then=both)


def test_programs_to_export_for_are_corrected_as_told():
    follow(
        lambda: ExportOptions(programs="qupaht").check(),
        "correct it",
        then=lambda: ExportOptions(programs="qupath").check(),
    )


def test_label_images_in_memory_are_given_as_told():
    labels = np.zeros((2, 20, 20), np.int16)
    labels[:, 3:9, 3:9] = 1
    look = lambda: track(labels)  # noqa: E731
    follow(lambda: track(labels - 1), "label TIFFs|unsigned integers", then=look)
    follow(lambda: track([labels[0], labels[1, :9]]), "frames of one movie only", then=look)
    follow(
        lambda: track([labels[0] > 0, labels[1] > 0]),
        "give label images|number the cells",
        then=look,
    )


def test_images_in_memory_are_named_as_told(movie):
    frames = np.ones((2, 2, 30, 40), np.uint16)
    follow(
        lambda: open_images(frames, channels=["a"]),
        "give the names along c",
        then=lambda: open_images(frames, channels=["a", "b"]),
    )
    follow(
        lambda: open_images(movie, channels=["a"]),
        "leave the argument out",
        then=lambda: open_images(movie),
    )


# Folders of tissues


def test_options_of_tissues_are_corrected_as_told(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    make_generic(folder)
    good: dict[str, Any] = {"pixel_size_um": 0.5}
    look = lambda **more: inspect(folder, **(good | more))  # noqa: E731
    follow(
        lambda: look(outside="leave"),
        "correct the column outside",
        then=lambda: look(outside="drop"),
    )
    follow(
        lambda: inspect(folder / "my_transcripts.csv", **good),
        "correct path in the sample sheet",
        then=look,
    )
    follow(
        lambda: look(orientation="turned_180"),
        "leave this column of the sample sheet empty",
        then=look,
    )
    vendor = tmp_path / "b"
    vendor.mkdir()
    make_merscope(vendor)
    manifest = vendor / "images" / "manifest.json"
    content = manifest.read_text()
    manifest.write_text("{")
    follow(
        lambda: inspect(vendor),
        "copy the file from the instrument",
        lambda: manifest.write_text(content),
    )


def test_methods_of_a_benchmark_are_corrected_as_told(monkeypatch):
    own = lambda: choose_methods([])  # noqa: E731
    follow(
        lambda: choose_methods(["otzu"]),
        "correct it",
        then=lambda: choose_methods(["otsu_watershed"]),
    )
    monkeypatch.setattr("cellsam_core.benchmark.methods.is_installed", lambda _: False)
    follow(lambda: choose_methods(["stardist"]), "or leave the method out", then=own)


def test_a_simulation_is_written_elsewhere_as_told(tmp_path):
    (tmp_path / "mine").mkdir()
    options = TissueOptions(size_px=64, cells=2, transcripts=20)
    tissue = simulate_tissue(seed=1, options=options)
    follow(
        lambda: tissue.write(tmp_path / "mine"),
        "choose another output",
        then=lambda: tissue.write(tmp_path / "new"),
    )


def test_masks_of_the_right_unit_and_place_are_given_as_told(tmp_path, movie):
    single = inspect_movie(tmp_path / "t0.tif", sample="s", assay="movie")
    path = tmp_path / "a.geojson"
    outline(path)
    follow(
        lambda: open_masks(path, single, "um"),
        "fill the column `pixel_size_um`",
        then=lambda: open_masks(path, replace(single, pixel_size_um=0.5), "um"),
    )
    follow(
        lambda: open_masks(path, replace(single, pixel_size_um=0.01), "um"),
        "set the column `masks_unit`, .*, to px",
        then=lambda: open_masks(path, replace(single, pixel_size_um=0.01), "px"),
    )


def test_channels_that_some_frames_lack_are_not_segmented_as_told(tmp_path):
    names = (*(f"phase_t{t}.tif" for t in range(4)), "GFP_t0.tif", "GFP_t2.tif")
    for name in names:
        tifffile.imwrite(tmp_path / name, np.ones((30, 40), np.uint16))
    manifest = inspect_movie(tmp_path, sample="s", assay="movie")
    follow(
        lambda: refuse_missing_frames(manifest, ["GFP"]),
        "segment another channel, such as phase",
        then=lambda: refuse_missing_frames(manifest, ["phase"]),
    )
    images = images_of_manifest(manifest)
    follow(
        lambda: choose_roles(images, None, "phase,phase"),
        "name each channel once",
        then=lambda: choose_roles(images, None, "phase"),
    )
    follow(
        lambda: choose_roles(images, None, "GFP"),
        "name another channel, such as phase",
        then=lambda: choose_roles(images, None, "phase"),
    )


def test_cells_are_given_once_as_told(tmp_path):
    table, labels = tmp_path / "t.csv", np.zeros((20, 20), np.uint16)
    labels[2:9, 2:9] = 1
    table.write_text("x_px,y_px,gene\n4,4,Gad1\n5,5,Sst\n")
    options: dict[str, Any] = {"transcripts": table, "pixel_size_um": 0.5}
    right = lambda: assign(labels=labels, **options)  # noqa: E731
    words = "either as labels or as polygons"
    follow(lambda: assign(**options), words, then=right)
    follow(lambda: assign(labels=labels, polygons=table, **options), words, then=right)


def test_labels_and_images_of_one_movie_are_given_as_told(movie):
    frames = np.ones((2, 1, 30, 40), np.uint16)
    labels = open_label_movie(np.ones((3, 30, 40), np.uint16))
    images = open_images(frames, channels=["a"])
    other = open_label_movie(np.ones((2, 30, 40), np.uint16))
    follow(
        lambda: refuse_other_movie(labels, images),
        "of the same sample",
        then=lambda: refuse_other_movie(other, images),
    )


def test_images_to_learn_from_are_labelled_as_told(tmp_path):
    def write(labels: np.ndarray) -> None:
        tifffile.imwrite(tmp_path / "a.tif", np.arange(1200, dtype=np.uint16).reshape(30, 40))
        tifffile.imwrite(tmp_path / "a_label.tif", labels)

    one, two = np.zeros((2, 30, 40), np.uint16)
    one[3:9, 3:9] = two[3:9, 3:9] = 1
    two[20:27, 20:27] = 2
    write(one)
    follow(lambda: hold_out(load_folder(tmp_path)), "label more cells", lambda: write(two))
    write(one * 0)
    images = lambda: load_folder(tmp_path)  # noqa: E731
    follow(lambda: refuse_without_cells(tmp_path, images()), "label some cells", lambda: write(two))
