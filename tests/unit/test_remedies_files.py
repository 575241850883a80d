"""What refusals of damaged, missing and mistaken files of a run say is done here, and works."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import shapely
import tifffile
import zarr
from refusals import follow
from test_outlines import CELLS, assign, write_geoparquet, write_transcripts
from test_spatial import inspect, make_generic
from test_vendors import make_cosmx

from cellsam_core.cli.comparison import named_file
from cellsam_core.comparison.conditions import compare_conditions
from cellsam_core.files import omezarr
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.parquet import open_parquet, parquet_writer
from cellsam_core.files.tables import read_table
from cellsam_core.labels.source import open_labels
from cellsam_core.preprocessing.images import ArrayFacts, images_of_array
from cellsam_core.reporting.results import Results
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.movies import inspect_movie
from cellsam_core.samples.options import InspectOptions
from cellsam_core.samples.stage import inspect as inspect_stage
from cellsam_core.samples.transcripts import column_names
from cellsam_core.tracking.ctc import read_ctc

SHAPE = (30, 40)
ONES = np.ones(SHAPE, np.uint16)


def images(folder: Path, *names: str, shape: tuple[int, ...] = SHAPE) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        pixels = np.ones(shape, np.uint16)
        tifffile.imwrite(folder / name, pixels, photometric="minisblack", metadata=None)
    return folder


# Files that a run writes


def write_zarr(path: Path) -> omezarr.OmeZarr:
    shutil.rmtree(path, ignore_errors=True)
    image = omezarr.create(path, shape=SHAPE, axes="yx", dtype="uint32", pixel_size_um=0.5)
    image.array[:] = ONES
    return image


def test_own_zarr_is_made_again_as_told(tmp_path):
    path = tmp_path / "masks.zarr"
    again = lambda: write_zarr(path)  # noqa: E731
    look = lambda: omezarr.open_(path)  # noqa: E731
    follow(look, "make the file again", again)
    zarr.open_group(path, mode="w")
    follow(look, "make the file again", again)
    follow(lambda: omezarr.open_(tmp_path / "b.zarr"), "check the path", then=look)


def test_own_parquet_is_made_again_as_told(tmp_path):
    path = tmp_path / "a.parquet"
    table = pd.DataFrame({"x": range(9)})

    def write() -> None:
        import pyarrow as pa

        path.unlink(missing_ok=True)
        data = pa.Table.from_pandas(table)
        with parquet_writer(path, data.schema) as writer:
            writer.write_table(data)

    write()
    content = path.read_bytes()
    at = content.rindex(b"x", 0, len(content) - 8)
    path.write_bytes(content[:at] + b"y" + content[at + 1 :])
    follow(lambda: open_parquet(path).close(), "make the file again", write)


def test_tables_are_given_as_told(tmp_path):
    path = tmp_path / "a.csv"
    look = lambda: read_table(path, ("gene", "value"))  # noqa: E731
    right = lambda: path.write_text("gene,value\nGad1,1\n")  # noqa: E731
    follow(look, "check the path", right)
    path.write_text("gene\nGad1\n")
    follow(look, "add them, or give the right table", right)


def test_outputs_are_named_as_told(tmp_path):
    def write(path: Path) -> None:
        with atomic_path(path) as temporary:
            if temporary.suffix == ".txt" or path.suffix == ".txt":
                temporary.write_text("a")
            else:
                temporary.mkdir()

    (tmp_path / "file").write_text("mine")
    follow(
        lambda: write(tmp_path / "file" / "a.txt"),
        "choose another output",
        then=lambda: write(tmp_path / "folder.txt"),
    )


def test_manifests_are_made_again_as_told(tmp_path):
    movie = images(tmp_path / "m", "t0.tif", "t1.tif")
    path = tmp_path / "0_manifest.json"
    path.write_text("{")
    again = lambda: inspect_movie(movie, sample="s", assay="movie").save(path)  # noqa: E731
    manifest = follow(lambda: Manifest.load(path), "run `cellsam-core inspect` again", again)
    tissue = tmp_path / "t"
    tissue.mkdir()
    make_generic(tissue)
    follow(
        lambda: manifest.require_transcripts("a"),
        "correct assay in the sample sheet",
        then=lambda: inspect(tissue, pixel_size_um=0.5).require_transcripts("a"),
    )
    follow(lambda: Results(tmp_path / "m"), "run `inspect` first", then=lambda: Results(tmp_path))
    follow(
        lambda: Results.load(tmp_path, tmp_path / "bulk.csv"),
        "leave it out",
        then=lambda: Results.load(tmp_path),
    )


# Positions and images of several


def test_several_label_images_in_one_file_are_saved_apart_as_told(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for _ in range(2):
            file.write(ONES, metadata={"axes": "YX"}, photometric="minisblack")
    again = lambda: images(tmp_path, "a.ome.tif")  # noqa: E731
    assert follow(lambda: open_labels(path), "file or folder of their own", again).n_frames == 1


def test_names_are_read_by_the_pattern_of_the_refusal(tmp_path):
    folder = images(tmp_path / "m", "alpha_1.tif", "alpha_2.tif", "beta_1.tif", "beta_2.tif")
    look = lambda **more: inspect_movie(folder, sample="s", assay="movie", **more)  # noqa: E731
    pattern = "{channel}_{time}"
    follow(look, "for example with {channel}_{time}", then=lambda: look(pattern=pattern))
    follow(look, "in `channels`", then=lambda: look(channels=["alpha", "beta"]))
    images(folder, "overview.tif")
    for name in ("beta_1.tif", "beta_2.tif"):
        (folder / name).unlink()
    found = follow(look, "what does not fit is left out", then=lambda: look(pattern="alpha_{time}"))
    assert found.n_frames == 2


def test_several_files_of_a_microscope_have_a_row_each_as_told(tmp_path):
    for name in ("a.ims", "b.ims"):
        (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(99))
    look = lambda: inspect_movie(tmp_path, sample="s", assay="movie")  # noqa: E731
    own = images(tmp_path / "c", "t0.tif")
    follow(
        look,
        "give each file a row|export it as OME-TIFF",
        then=lambda: inspect_movie(own, sample="s", assay="movie"),
    )


# Tissues


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frame_interval_s": 60.0}, "leave the column empty"),
        ({"pattern": "t{time}"}, "leave the columns empty"),
    ],
)
def test_columns_of_movies_are_left_empty_as_told(tmp_path, options, words):
    make_generic(tmp_path)

    def look(**more: Any) -> object:
        given = InspectOptions(pixel_size_um=0.5, **more)
        return inspect_stage(tmp_path, assay="merfish", options=given)

    follow(lambda: look(**options), words, then=look)


def test_tables_of_transcripts_are_named_as_told(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("x_um,y_um,gene\n1,2,a\n")
    (tmp_path / "parts").mkdir()
    (tmp_path / "t.txt").write_text("x_um,y_um,gene\n1,2,a\n")
    right = lambda: column_names(table)  # noqa: E731
    follow(lambda: column_names(tmp_path / "parts"), "give the table itself", then=right)
    follow(lambda: column_names(tmp_path / "u.csv"), "check the path", then=right)
    follow(lambda: column_names(tmp_path / "t.txt"), "correct its name", then=right)


def test_fields_of_cosmx_are_named_as_told(tmp_path):
    folder = make_cosmx(tmp_path)
    stains = sorted(folder.rglob("*_F00002.TIF"))
    assert stains
    tifffile.imwrite(stains[0], np.ones((2, 50, 60), np.uint16), photometric="minisblack")
    follow(
        lambda: inspect(folder, channels=["a", "b"]),
        "name one field in the column fov|correct channels",
        then=lambda: inspect(folder, fov="1"),
    )


def test_outlines_of_another_unit_or_plane_are_given_as_told(tmp_path):
    table = write_transcripts(tmp_path / "t.csv")
    path = tmp_path / "a.parquet"
    write_geoparquet(path, CELLS)
    moved = shapely.transform(CELLS, lambda xy: xy + 5000)
    write_geoparquet(path, moved)
    follow(
        lambda: assign(tmp_path, path, table),
        "give the outlines of this region in micrometres",
        lambda: write_geoparquet(path, CELLS),
    )
    write_geoparquet(path, CELLS, planes=(1,))
    follow(
        lambda: assign(tmp_path, path, table),
        "give --outlines-in-all-planes",
        lambda: write_geoparquet(path, CELLS, planes=tuple(range(7))),
    )


# Tracks and traces


def test_folders_of_the_challenge_are_given_as_told(tmp_path):
    look = lambda: read_ctc(tmp_path)  # noqa: E731
    table = tmp_path / "res_track.txt"
    images(tmp_path, "mask000.tif")
    right = lambda: table.write_text("1 0 0 0\n")  # noqa: E731
    follow(look, "in the format of the Cell Tracking Challenge", right)
    table.write_text("1 0 x 0\n")
    movie = follow(look, "correct the table", right)
    tifffile.imwrite(tmp_path / "mask000.tif", ONES.astype(np.float32))
    follow(lambda: movie.frame(0), "give label images", lambda: images(tmp_path, "mask000.tif"))


def test_traces_of_conditions_are_given_as_told(tmp_path):
    def write(name: str, times: list[float] | None) -> Path:
        path = tmp_path / name
        rows = {"track_id": 1, "frame": range(4), "compartment": "cell", "valid": True}
        table = pd.DataFrame(rows | {"r_over_r0": [1.0, 1, 2, 2]})
        table.assign(time_s=times or np.nan).to_parquet(path)
        return path

    timed, untimed = write("a.parquet", [0, 30, 60, 90]), write("b.parquet", None)
    follow(
        lambda: compare_conditions({"drug": []}),
        "give the traces of a sample",
        then=lambda: compare_conditions({"drug": [timed]}),
    )
    follow(
        lambda: compare_conditions({"drug": [timed], "none": [untimed]}),
        "give frame_interval_s for the others",
        lambda: write("b.parquet", [0, 30, 60, 90]),
    )
    follow(
        lambda: named_file("a.parquet", "CONDITION=TRACES", "drug=a.parquet"),
        "write e.g. drug=a.parquet",
        then=lambda: named_file("drug=a.parquet", "CONDITION=TRACES", "drug=a.parquet"),
    )


def test_arrays_of_images_are_given_as_told():
    follow(
        lambda: images_of_array(ONES[0], ArrayFacts()),
        "give such an array",
        then=lambda: images_of_array(ONES, ArrayFacts()),
    )
