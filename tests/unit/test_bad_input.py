"""Unusable data gives one sentence of error and exit status 1, and leaves no file behind.

Errors in the config or the sample sheet are tested in tests/workflow/test_config_errors.py.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from good_data import (
    CELL,
    SIZE,
    Arguments,
    assign,
    batch,
    boxes,
    change_table,
    cut,
    inspect,
    segment,
    stitch,
    table_of,
    traces,
    write,
    write_good_data,
)

from cellsam_core.cli import main
from cellsam_core.errors import first_line
from cellsam_core.files import omezarr
from cellsam_core.segmentation.batch_files import BatchWriter

TRANSFORM = "images/micron_to_mosaic_pixel_transform.csv"


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("good")
    write_good_data(root)
    return root


@pytest.fixture
def data(good, tmp_path) -> Path:
    """A copy of the good data, to be spoilt."""
    shutil.copytree(good, tmp_path / "data")
    for name in ("movie", "merfish"):
        text = (good / f"{name}.json").read_text()
        moved = text.replace(str(good), str(tmp_path / "data"))
        (tmp_path / "data" / f"{name}.json").write_text(moved)
    return tmp_path / "data"


# Raw data. Each case spoils `data` and returns the command; then what its sentence must name.


def empty_folder(data):
    (data / "nothing").mkdir()
    return inspect(data / "nothing", "movie"), ["nothing: found no images"]


def no_folder(data):
    return inspect(data / "nowhere", "merfish"), ["nowhere: found nothing", "correct path"]


def missing_frame(data):
    (data / "movie/t1.tif").unlink()
    (data / "movie/t4.tif").write_bytes((data / "movie/t3.tif").read_bytes())
    return inspect(data / "movie", "movie"), ["movie: found no frame 1 after t0.tif"]


def truncated_tiff(data):
    cut(data / "movie/t2.tif")
    return inspect(data / "movie", "movie"), ["t2.tif: found a truncated TIFF", "copy the file"]


def mixed_shapes(data):
    tifffile.imwrite(data / "movie/t2.tif", np.zeros((SIZE, 64), np.uint16))
    return inspect(data / "movie", "movie"), ["t2.tif: found 128 x 64 px", "128 x 128 px as in t0"]


def mixed_dtypes(data):
    tifffile.imwrite(data / "movie/t2.tif", np.zeros((SIZE, SIZE), np.uint8))
    return inspect(data / "movie", "movie"), ["t2.tif: found uint8", "uint16 pixels as in t0.tif"]


def text_named_tif(data):
    write(data / "movie/t2.tif", "exported by mistake")
    return inspect(data / "movie", "movie"), ["t2.tif: found an unreadable TIFF"]


def text_named_png(data):
    return inspect(write(data / "a.png", "text"), "movie"), ["a.png: found an unreadable image"]


def negative_pixel_size(data):
    command = inspect(data / "movie", "movie", "--pixel-size-um", "-0.5")
    return command, ["`pixel_size_um`: found -0.5"]


def frame_gone_since(data):
    (data / "movie/t3.tif").unlink()
    return ["preprocess", data / "movie.json", "-o", "OUT/f.zarr"], ["t3.tif: found", "No such"]


def channel_to_segment(data):
    command = ["preprocess", data / "movie.json", "--cell-channel", "CFP", "-o", "OUT/f.zarr"]
    return command, ["no channel 'CFP'", "channel_1"]


def channel_of_ratio(data):
    return traces(data, "--ratio", "YFP/CFP"), ["`ratio`: found 'YFP/CFP'", "channel_1"]


# Spatial folders.


def transform_off_the_image(data):
    write(data / "merfish" / TRANSFORM, "9.259259 0 9000\n0 9.259259 9000\n0 0 1\n")
    (data / "merfish/images/manifest.json").unlink()
    words = ["detected_transcripts.csv: found 200 of 200 transcripts outside", "the transform"]
    return inspect(data / "merfish", "merfish"), words


def transform_of_another_region(data):
    matrix = np.loadtxt(data / "merfish" / TRANSFORM)
    matrix[:2, 2] += 40
    np.savetxt(data / "merfish" / TRANSFORM, matrix)
    return inspect(data / "merfish", "merfish"), ["transform.csv: found", "40 px off", "bbox"]


def transform_is_text(data):
    write(data / "merfish" / TRANSFORM, b"\xff\xfe no numbers")
    return inspect(data / "merfish", "merfish"), ["transform.csv: found no affine transform"]


def region_manifest_is_broken(data):
    write(data / "merfish/images/manifest.json", '{"bbox_microns": [1, 2')
    return inspect(data / "merfish", "merfish"), ["manifest.json: found a file that can't be read"]


def vendor_polygons_are_broken(data):
    write(data / "merfish/cell_boundaries.parquet", "not parquet")
    return inspect(data / "merfish", "merfish"), ["cell_boundaries.parquet: found no table"]


def no_gene_column(data):
    command = change_table(data, lambda t: t.drop(columns="gene"))
    return command, ["detected_transcripts.csv: found the columns", "named gene", "rename"]


def nan_coordinate(data):
    command = change_table(data, lambda t: t.assign(global_x=t["global_x"].where(t.index != 2)))
    return command, ["no number in column 'global_x', row 3"]


def no_transcripts(data):
    table_of(data).unlink()
    return inspect(data / "merfish", "merfish"), ["merfish: found no transcript table"]


def truncated_transcripts(data):
    write(table_of(data), table_of(data).read_text()[:-30])
    return inspect(data / "merfish", "merfish"), ["transcripts.csv: found a table that can't be"]


def transcripts_changed_since(data):
    with table_of(data).open("a") as file:
        file.write(table_of(data).read_text().splitlines()[-1] + "\n")
    return assign(data), ["transcripts.csv: found 201 transcripts", "expected 200", "inspect"]


# Results of one stage given to another.


def labels_of_another_size_to_assign(data):
    tifffile.imwrite(data / "small.tif", np.ones((64, 64), np.uint16))
    return assign(data, labels="small.tif"), ["merfish.json: found an image of 128 x 128 px"]


def labels_of_another_size_to_traces(data):
    small = omezarr.create(data / "small.zarr", shape=(4, 64, 64), axes="tyx", dtype="uint32")
    small.array[:] = 0
    return traces(data, masks="small.zarr"), ["small.zarr: found 4 frame(s) of (64, 64) px"]


def labels_of_mixed_sizes(data):
    (data / "labels").mkdir()
    for t, width in enumerate((64, 64, 32)):
        tifffile.imwrite(data / f"labels/m{t}.tif", np.ones((64, width), np.uint16))
    return ["track", data / "labels", "-o", "OUT"], ["m2.tif: found 64 x 32 px after 64 x 64 px"]


def labels_lack_a_frame(data):
    (data / "labels").mkdir()
    for t in (0, 1, 3):
        tifffile.imwrite(data / f"labels/m{t}.tif", np.ones((64, 64), np.uint16))
    return ["track", data / "labels", "-o", "OUT"], ["labels: found no frame 2 after frame 1"]


def masks_without_metadata(data):
    write(data / "masks.zarr/zarr.json", "{}")
    return ["track", data / "masks.zarr", "-o", "OUT"], ["masks.zarr: found no OME-Zarr image"]


def masks_with_odd_metadata(data):
    path = data / "masks.zarr/zarr.json"
    metadata = json.loads(path.read_text())
    metadata["attributes"]["ome"]["multiscales"] = []
    write(path, json.dumps(metadata))
    return traces(data), ["masks.zarr: found no OME-Zarr image"]


def masks_with_a_cut_chunk(data):
    cut(data / "masks.zarr/0/c/2/0/0")
    return ["track", data / "masks.zarr", "-o", "OUT"], ["masks.zarr: found a damaged chunk"]


def objects_are_gone(data):
    (data / "tracks/objects.parquet").unlink()
    return traces(data), ["objects.parquet: found no table that can be read"]


def tracks_are_of_another_run(data):
    tracks = pd.read_csv(data / "tracks/tracks.csv")
    tracks.assign(track_id=77).to_csv(data / "tracks/tracks.csv", index=False)
    return traces(data), ["tracks.csv: found no track 1, which objects.parquet has"]


def cells_are_of_other_labels(data):
    cells = pd.read_parquet(data / "cells.parquet").iloc[:1]
    ids = np.unique(tifffile.imread(data / "labels.tif"))[1:]
    cells = pd.concat([cells] * len(ids), ignore_index=True).assign(frame=0, label=ids)
    cells.to_parquet(data / "other.parquet")
    command = assign(data, "--cells", data / "other.parquet")
    return command, ["of it in its bounding box", "px of the cell table"]


def a_batch_is_missing(data):
    command = stitch(data, data / "batches/2-of-2.parquet")
    return command, ["batches: found the batches 2-of-2", "all of 1-of-2 to 2-of-2"]


def batches_of_two_numbers(data):
    paths = [data / "batches" / f"{name}.parquet" for name in ("1-of-3", "2-of-2", "3-of-3")]
    for path in (paths[0], paths[2]):
        shutil.copy(data / "batches/1-of-2.parquet", path)
    named = ["2-of-2.parquet: found one of 2 batches beside 1-of-3.parquet, one of 3"]
    return stitch(data, *paths), named


def a_batch_is_truncated(data):
    path = cut(data / "batches/2-of-2.parquet")
    return stitch(data, data / "batches/1-of-2.parquet", path), ["2-of-2.parquet: found no batch"]


def batches_of_a_longer_movie(data):
    with BatchWriter(data / "batches/2-of-2.parquet", {"weights": "tiny"}) as writer:
        writer.add(9, [CELL])
    command = stitch(data, *sorted((data / "batches").iterdir()))
    return command, ["2-of-2.parquet: found cells of frame 9", "frames 0 to 3"]


def report_of_a_damaged_table(data):
    results = data / "results"
    (results / "3_tracks").mkdir(parents=True)
    shutil.copy(data / "movie.json", results / "0_manifest.json")
    write(results / "3_tracks/objects.parquet", "not parquet")
    command = ["report", results, "-o", "OUT/r.html", "--provenance", "OUT/p.json"]
    return command, ["objects.parquet: found no table that can be read"]


# Options of the segmentation: refused before the model is run.


def unknown_weights(data):
    return batch(data, "--batch", "1-of-1", "--weights", "huge"), ["weights 'huge': found no such"]


def weights_are_text(data):
    path = write(data / "w.safetensors", "text")
    return segment(data, "--weights", path), ["w.safetensors: found", "cellsam-core train"]


def batch_number(data):
    return batch(data, "--batch", "3-of-2"), ["option `batch`: found '3-of-2'", "K-of-N"]


def masks_given_as_frames(data):
    command = batch(data, "--batch", "1-of-1", frames="masks.zarr")
    return command, ["masks.zarr: found axes tyx", "nuclear and/or cell"]


def boxes_without_columns(data):
    return boxes(data, "image,x0\nt0.tif,4\n"), ["boxes.csv: found columns image, x0", "y0, x1, y1"]


def boxes_are_not_boxes(data):
    content = "image,x0,y0,x1,y1\nt0.tif,4,4,9,9\nt0.tif,9,9,4,4\n"
    return boxes(data, content), ["boxes.csv: found no box in row 2", "x0 < x1"]


def boxes_of_another_image(data):
    return boxes(data, "image,x0,y0,x1,y1\nt7.tif,4,4,9,9\n"), ["boxes.csv: found boxes for t7.tif"]


def boxes_off_the_image(data):
    content = "image,x0,y0,x1,y1\nt0.tif,400,4,409,9\n"
    return boxes(data, content), ["boxes.csv: found a box outside of t0.tif in row 1"]


def boxes_without_dark_cells(data):
    command = boxes(data, "image,x0,y0,x1,y1\nt0.tif,4,4,9,9\n")
    return [*command, "--dark-cells", "drop"], ["option `dark_cells`: found drop beside `boxes`"]


def channel_named_twice(data):
    return segment(data, "--channels", "a, a"), ["channels: found 'a, a'", "different names"]


# Scores and outputs.


def truth_is_missing(data):
    (data / "truth").mkdir()
    shutil.copy(data / "labels.tif", data / "truth" / "t1_label.tif")
    command = ["evaluate", "segmentation", data / "movie", data / "truth"]
    return command, ["truth: found no truth for t0", "label images of the same names"]


def ctc_table_is_missing(data):
    command = ["evaluate", "tracking", data / "tracks/ctc", data / "movie"]
    return command, ["movie: found 0 label images and no man_track.txt"]


def training_image_is_missing(data):
    text = "set\timage\tlabel\tmodality\tsplit\tweight\nown\tno.tif\tlabels.tif\tx\ttrain\t1\n"
    manifest = write(data / "train.tsv", text)
    return ["train", manifest, "--data", data, "-o", "OUT"], [
        "no.tif: found no file",
        "the manifest lists",
    ]


def output_below_a_file(data):
    command = inspect(data / "movie", "movie")
    command[-1] = data / "labels.tif" / "m.json"
    return command, ["m.json: found that its folder can't be written", "another output"]


def output_is_a_folder_of_data(data):
    command = inspect(data / "movie", "movie")
    command[-1] = data / "merfish"
    return command, ["merfish: found a folder with other content", "another output"]


CASES = [
    *(empty_folder, no_folder, missing_frame, truncated_tiff, mixed_shapes, mixed_dtypes),
    *(text_named_tif, text_named_png, negative_pixel_size, frame_gone_since),
    *(channel_to_segment, channel_of_ratio),
    *(transform_off_the_image, transform_of_another_region, transform_is_text),
    *(region_manifest_is_broken, vendor_polygons_are_broken, no_gene_column, nan_coordinate),
    *(no_transcripts, truncated_transcripts, transcripts_changed_since),
    *(labels_of_another_size_to_assign, labels_of_another_size_to_traces, labels_of_mixed_sizes),
    *(labels_lack_a_frame, masks_without_metadata, masks_with_odd_metadata),
    *(masks_with_a_cut_chunk, objects_are_gone, tracks_are_of_another_run),
    *(cells_are_of_other_labels, a_batch_is_missing, batches_of_two_numbers),
    *(a_batch_is_truncated, batches_of_a_longer_movie, report_of_a_damaged_table),
    *(
        unknown_weights,
        weights_are_text,
        batch_number,
        masks_given_as_frames,
        boxes_without_columns,
        boxes_are_not_boxes,
    ),
    *(boxes_of_another_image, boxes_off_the_image, boxes_without_dark_cells),
    *(channel_named_twice, truth_is_missing),
    *(ctc_table_is_missing, training_image_is_missing, output_below_a_file),
    output_is_a_folder_of_data,
]


def refused(arguments: Arguments, out: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that must be refused; return its sentence."""
    words = [str(word).replace("OUT", str(out), 1) for word in arguments]
    assert main(words) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "Traceback" not in output.err
    said = [line for line in output.err.splitlines() if line.startswith(f"cellsam-core {words[0]}")]
    assert len(said) == 1
    assert output.err.endswith(f"{said[0]}\n")
    return said[0]


@pytest.mark.parametrize("spoil", CASES, ids=lambda case: case.__name__)
def test_one_sentence_and_nothing_left(data, tmp_path, capsys, spoil):
    arguments, named = spoil(data)
    out = tmp_path / "out"
    before = {p: p.stat().st_mtime_ns for p in data.rglob("*") if p.is_file()}
    capsys.readouterr()
    sentence = refused(arguments, out, capsys)
    for words in (*named, ": found ", ", expected ", "; "):
        assert words in sentence
    assert sentence.endswith(".")
    assert list(out.rglob("*")) == []
    assert {p: p.stat().st_mtime_ns for p in data.rglob("*") if p.is_file()} == before


def test_a_gpu_that_is_not_there(data, tmp_path, capsys):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    command = batch(data, "--batch", "1-of-1", "--device", "cuda")
    assert "option `device`: found cuda" in refused(command, tmp_path / "out", capsys)


def test_debug_shows_the_traceback(data):
    with pytest.raises(ValueError, match="found no images"):
        main(["--debug", *(str(word) for word in empty_folder(data)[0])])


def test_a_long_message_of_a_library_is_cut():
    assert first_line(ValueError("\n  \nshort\nmore")) == "short"
    assert first_line(KeyError()) == "KeyError"
    told = first_line(ValueError(repr(bytes(2000))))
    assert len(told) < 350
    assert told.endswith("...")
