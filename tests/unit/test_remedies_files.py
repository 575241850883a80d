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
from test_spatial import inspect, make_generic, make_merscope
from test_vendors import make_cosmx

from cellsam_core.assignment.stage import assign as assign_to
from cellsam_core.cli.comparison import named_file
from cellsam_core.comparison.conditions import compare_conditions
from cellsam_core.corrections.outlines import parse_points
from cellsam_core.decoding.open_raw import open_raw
from cellsam_core.evaluation.stage import evaluate_tracking
from cellsam_core.files import omezarr
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.parquet import open_parquet, parquet_writer
from cellsam_core.files.tables import read_table
from cellsam_core.given_masks.rois import read_rois
from cellsam_core.labels.source import open_labels
from cellsam_core.preprocessing.images import ArrayFacts, images_of_array
from cellsam_core.preprocessing.images import open_images as open_raw_images
from cellsam_core.reporting.results import Results
from cellsam_core.samples.frames import read_frame
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.movies import inspect_movie
from cellsam_core.samples.options import InspectOptions
from cellsam_core.samples.stage import inspect as inspect_stage
from cellsam_core.samples.table_rows import column_names
from cellsam_core.simulation.options import TissueOptions
from cellsam_core.simulation.stage import simulate_tissue
from cellsam_core.tracking.ctc import read_ctc
from cellsam_core.tracking.edited import read_edited
from cellsam_core.tracking.link_frames import link_frames
from cellsam_core.tracking.options import TrackOptions
from cellsam_core.tracking.stage import track
from cellsam_core.training.labelled import load_folder

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


def test_corrections_of_objects_that_are_not_there_are_removed_as_told(tmp_path):
    labels = np.zeros((3, 30, 40), np.uint16)
    labels[:, 3:9, 3:9] = 1
    path = tmp_path / "a.csv"
    header = "operation,frame,label,other_frame,other_label\n"
    path.write_text(f"{header}link,1,7,0,1\n")
    look = lambda: track(labels, corrections=path)  # noqa: E731
    follow(look, "correct or remove the row", lambda: path.write_text(header))
    negative = [labels[0].astype(np.int16) - 1]
    follow(
        lambda: link_frames(negative, TrackOptions()),
        "write the labels as unsigned integers",
        then=lambda: link_frames([labels[0]], TrackOptions()),
    )
    tracks = pd.DataFrame(
        {"track_id": [1], "first_frame": [0], "last_frame": [2], "parent_id": [0]}
    )
    follow(
        lambda: evaluate_tracking((labels[:2], tracks), (labels, tracks)),
        "give the result of the same movie",
        then=lambda: evaluate_tracking((labels, tracks), (labels, tracks)),
    )
    result = track(labels)
    result.write(tmp_path / "3_tracks")
    objects = pd.read_parquet(tmp_path / "3_tracks" / "objects.parquet")
    source = open_labels_of(labels, tmp_path)
    follow(
        lambda: read_edited(tmp_path / "nothing", objects, source),
        "give the folder that it has exported",
        then=lambda: read_edited(tmp_path / "3_tracks" / "ctc", objects, source),
    )
    short = open_labels_of(labels[:2], tmp_path)
    follow(
        lambda: read_edited(tmp_path / "3_tracks" / "ctc", objects, short),
        "give the edited folder of this movie",
        then=lambda: read_edited(tmp_path / "3_tracks" / "ctc", objects, source),
    )


def open_labels_of(labels: np.ndarray, folder: Path) -> Any:
    path = folder / f"labels_{len(labels)}.tif"
    tifffile.imwrite(path, labels, photometric="minisblack", metadata=None)
    return open_labels(path)


def test_rois_are_saved_as_told(tmp_path):
    roifile = pytest.importorskip("roifile")
    path = tmp_path / "a.roi"
    corners = np.array([[2, 2], [9, 2], [9, 9], [2, 9]], float)

    def save(kind: str = "POLYGON", frame: int = 0) -> None:
        roi = roifile.ImagejRoi.frompoints(corners, name="a")
        roi.roitype = roifile.ROI_TYPE[kind]
        roi.position = frame
        roi.tofile(path)

    path.write_bytes(b"Iout" + bytes(9))
    follow(lambda: read_rois(path, 1), "save the ROIs again", save)
    save("POLYLINE")
    follow(lambda: read_rois(path, 1), "save polygons", save)
    save()
    follow(lambda: read_rois(path, 2), "in ImageJ set it", lambda: save(frame=2))


def test_images_to_learn_from_are_named_as_told(tmp_path):
    folder = tmp_path / "labelled"
    images(folder, "a_label.tif")
    labels = np.zeros(SHAPE, np.uint16)
    labels[3:9, 3:9] = 1
    tifffile.imwrite(folder / "a_label.tif", labels)
    pixels = np.arange(2400, dtype=np.uint16).reshape(2, *SHAPE)
    tifffile.imwrite(folder / "a.tif", pixels, imagej=True, metadata={"axes": "CYX"})
    look = lambda **roles: load_folder(folder, roles)  # noqa: E731
    follow(look, "name the nuclear and the cell channel", then=lambda: look(nuclear="1"))
    follow(
        lambda: look(nuclear="3"),
        "correct the channel's name or number",
        then=lambda: look(nuclear="2"),
    )
    tifffile.imwrite(folder / "a.tif", pixels, imagej=True, metadata={"axes": "TYX"})
    one = lambda: tifffile.imwrite(folder / "a.tif", pixels[0])  # noqa: E731
    follow(look, "save each frame as a file of its own", one)


def test_features_are_named_as_told(tmp_path):
    labels, table = tmp_path / "labels.tif", tmp_path / "t.csv"
    pixels = np.zeros(SHAPE, np.uint16)
    pixels[2:9, 2:9] = 1
    tifffile.imwrite(labels, pixels)
    look = lambda: assign_to(labels=labels, transcripts=table, pixel_size_um=0.5)  # noqa: E731
    head = "x_px,y_px,gene,feature_type\n"
    right = lambda: table.write_text(f"{head}4,4,a,gene\n5,5,b,gene\n")  # noqa: E731
    table.write_text(f"{head}4,4,a,blank\n5,5,b,blank\n")
    follow(look, "write `gene` into the column feature_type", right)
    table.write_text(f"{head}4,4,a,gene\n5,5,a,blank\n")
    follow(look, "correct the column feature_type", right)
    manifest = inspect_movie(images(tmp_path / "m", "t0.tif"), sample="s", assay="movie")
    follow(
        lambda: open_raw_images(manifest, ArrayFacts(channels="a")),
        "leave it out",
        then=lambda: open_raw_images(manifest, ArrayFacts()),
    )


def test_pixel_sizes_and_channels_are_corrected_as_told(tmp_path):
    region = make_merscope(tmp_path / "region")
    follow(
        lambda: inspect(region, pixel_size_um=0.2),
        "correct the one that is wrong|correct or remove pixel_size_um",
        then=lambda: inspect(region),
    )
    manifest = inspect(region)
    follow(
        lambda: read_frame(manifest, 0, ["RFP"]),
        "correct the channel's name",
        then=lambda: read_frame(manifest, 0, ["DAPI"]),
    )
    follow(lambda: open_raw(region), "correct path or format", then=lambda: inspect(region))
    follow(
        lambda: simulate_tissue(kind="visium"),  # type: ignore[arg-type]
        "correct it",
        then=lambda: simulate_tissue(options=TissueOptions(size_px=64, cells=2, transcripts=20)),
    )
    follow(
        lambda: parse_points("0 x", "row 2", "outline"),
        "correct or remove the row",
        then=lambda: parse_points("0 0;0 9;9 9", "row 2", "outline"),
    )
