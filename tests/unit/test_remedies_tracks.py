"""What refusals of masks, tracks, corrections and traces say is done here, and works."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from corrected_labels import correct_labels
from disc_movies import budding_movie, division_movie, tripolar_movie
from fake_results import run_traces, write_movie
from refusals import follow
from test_cell_corrections import discs, outline, table

import cellsam_core as cc
from cellsam_core.cli import correct as correct_command
from cellsam_core.corrections.cells_table import CELL_COLUMNS, read_cell_corrections
from cellsam_core.corrections.stage import correct
from cellsam_core.corrections.table import append_rows, checksum_of, remove_rows
from cellsam_core.evaluation.stage import evaluate_tracking
from cellsam_core.files import omezarr, pyramid
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.facts import Facts, read_facts, write_facts
from cellsam_core.labels.source import open_labels
from cellsam_core.labels.tiles import LabelArray, measure_cells
from cellsam_core.traces.options import TraceOptions
from cellsam_core.traces.stage import resolve, track_and_trace
from cellsam_core.tracking.corrections import Correction
from cellsam_core.tracking.edit_rows import corrections_from
from cellsam_core.tracking.edited import read_edited
from cellsam_core.tracking.options import CalibrationOptions, TrackOptions
from cellsam_core.tracking.tracker import track_labels

# Files of this program


def write_zarr(path: Path, frames: np.ndarray, axes: str = "tyx", **more: Any) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    store = omezarr.create(path, shape=frames.shape, axes=axes, dtype="uint32", **more)
    store.array[:] = frames
    return path


def test_damaged_zarr_is_deleted_and_made_again_as_told(tmp_path):
    path, frames = tmp_path / "masks.zarr", np.ones((1, 1030, 40), np.uint32)

    def again() -> None:
        shutil.rmtree(path, ignore_errors=True)
        image = omezarr.create(path, shape=frames.shape, axes="tyx", dtype="uint32")
        with pyramid.PyramidWriter(image) as writer:
            for t, labels in enumerate(frames):
                writer.write((t,), 0, labels)
        write_facts(path, Facts("s"))

    again()
    opened = omezarr.open_(path)
    chunk = next(p for p in (path / "0").rglob("*") if p.is_file() and p.name != "zarr.json")
    chunk.write_bytes(chunk.read_bytes()[:9])
    follow(lambda: opened.frame(0), "delete the folder and make it again", again)
    (path / opened.level_paths[1] / "zarr.json").write_text("{}")
    follow(lambda: opened.level(1), "delete the folder and make it again", again)
    zarr.open_group(str(path), mode="r+").attrs["cellsam_core_sample"] = "s"
    follow(lambda: read_facts(path), "make the folder again", again)


def test_a_folder_with_other_content_is_left_alone_as_told(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")

    def write(path: Path) -> None:
        with atomic_path(path) as temporary:
            temporary.mkdir()
            (temporary / "zarr.json").write_text("{}")

    follow(
        lambda: write(tmp_path / "mine"),
        "choose another output",
        then=lambda: write(tmp_path / "new"),
    )
    assert (tmp_path / "mine/notes.txt").read_text() == "mine"


# Corrections of cells

DELETE = {"operation": "delete", "anchor": outline(discs(), 6)}


@pytest.fixture
def masks(tmp_path) -> Path:
    """Masks of one frame and their cell table."""
    folder = tmp_path / "2_masks"
    folder.mkdir()
    write_zarr(folder / "masks.zarr", discs()[None])
    cells = measure_cells(LabelArray(discs())).assign(frame=0, score=0.9, predicted_iou=0.9)
    cells.to_parquet(folder / "cells.parquet")
    return folder


def corrected(folder: Path, rows: Path, **other: Path) -> None:
    files = {"masks": folder / "masks.zarr", "cells": folder / "cells.parquet"} | other
    correct(files["masks"], files["cells"], rows, folder.parent / "corrected")


def test_files_to_correct_are_given_as_told(tmp_path, masks):
    rows = table(tmp_path, DELETE)
    right = lambda: corrected(masks, rows)  # noqa: E731
    image = write_zarr(tmp_path / "f.zarr", discs()[None, None], "tcyx", channels=["cell"])
    follow(
        lambda: corrected(masks, rows, masks=image),
        "give the masks.zarr that `cellsam-core stitch` wrote",
        then=right,
    )
    other = tmp_path / "other.parquet"
    cells = pd.read_parquet(masks / "cells.parquet")
    cells[cells["label"] != 6].to_parquet(other)
    follow(
        lambda: corrected(masks, rows, cells=other),
        "give both files as `cellsam-core stitch` wrote them",
        then=right,
    )
    arguments = {"masks": masks / "masks.zarr", "cells": masks / "cells.parquet"}
    run = lambda path: correct_command.run(  # noqa: E731
        _namespace(corrections=path, output=tmp_path / "out", **arguments)
    )
    follow(lambda: run(tmp_path / "no.csv"), "check the path", then=lambda: run(rows))


def _namespace(**values: Any) -> Any:
    import argparse

    return argparse.Namespace(**values)


def test_rows_of_corrections_of_cells_are_removed_as_told(tmp_path, masks):
    path = tmp_path / "m.cells.csv"
    keep = lambda *rows: path.unlink(missing_ok=True) or table(tmp_path, *rows)  # noqa: E731
    keep(DELETE | {"frame": 3})
    words = "correct or remove the row"
    follow(lambda: corrected(masks, path), words, lambda: keep(DELETE))
    keep(*[DELETE | {"masks": "m"}] * 2)
    look = lambda: correct_labels(discs(), read_cell_corrections(path), "m")  # noqa: E731
    follow(look, "perhaps a row above it was removed", lambda: keep(DELETE | {"masks": "m"}))


def test_a_table_is_loaded_again_as_told(tmp_path):
    row = {"operation": "add", "outline": "1 1;9 1;9 9", "serial": 0, "id": "a"}
    path = table(tmp_path, row)

    def remove(one: str, seen: str) -> str:
        return remove_rows(path, [one], seen=seen, check=read_cell_corrections)

    follow(lambda: remove("a", ""), "reload it", then=lambda: remove("a", checksum_of(path)))
    append_rows(
        path,
        CELL_COLUMNS,
        [{k: str(v) for k, v in (row | {"frame": 0, "serial": 1}).items()}],
        seen=checksum_of(path),
        check=read_cell_corrections,
    )
    follow(
        lambda: remove("b", checksum_of(path)),
        "reload the page, or remove the row by hand",
        then=lambda: remove("a", checksum_of(path)),
    )


# Tracks


def test_a_mother_who_is_there_later_is_removed_as_told():
    def run(frames: list[np.ndarray], division: str, *rows: tuple[Any, ...]) -> None:
        corrections = [Correction(f"row {i}", *row) for i, row in enumerate(rows)]
        track_labels(frames, TrackOptions(division=division), corrections)  # type: ignore[arg-type]

    follow(
        lambda: run(budding_movie(), "budding", ("set-mother", 2, 3, 6, 4)),
        "remove the row, or name another mother",
        then=lambda: run(budding_movie(), "budding"),
    )


def results_of(folder: Path, frames: list[np.ndarray], division: str = "mitosis") -> Path:
    """Write what `corrections from` reads of a tracked movie."""
    masks = folder / "2_masks"
    masks.mkdir(parents=True)
    write_zarr(masks / "masks.zarr", np.stack(frames).astype(np.uint32))
    pd.DataFrame({"label": [1]}).to_parquet(masks / "cells.parquet")
    options = TrackOptions(division=division)  # type: ignore[arg-type]
    cc.track(masks / "masks.zarr", options).write(folder / "3_tracks")
    settings = {"config": {"sample": {}, "track": {"division": division}}}
    (folder / "provenance.json").write_text(json.dumps(settings))
    return folder


def test_tracks_edited_elsewhere_are_given_as_told(tmp_path):
    folder = results_of(tmp_path / "results/m", division_movie())
    objects = pd.read_parquet(folder / "3_tracks/objects.parquet")
    geff, path = folder / "3_tracks/tracks.geff", tmp_path / "tracks.geff"

    def export() -> None:
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(geff, path)

    read = lambda: read_edited(path, objects, open_labels(folder / "2_masks/masks.zarr"))  # noqa: E731
    export()
    shutil.rmtree(path / "edges")
    follow(read, "export it again", export)
    group = zarr.open_group(str(path), mode="r+")
    edges = np.asarray(group["edges/ids"][:])
    edges[0, 1] = edges[1, 1]
    group["edges/ids"][:] = edges
    follow(read, "remove one of the two links", export)
    run = lambda output: corrections_from(path, folder, output)  # noqa: E731
    table = tmp_path / "a.csv"
    table.write_text("mine")
    follow(lambda: run(table), "name another one with -o", then=lambda: run(tmp_path / "b.csv"))


def test_an_edit_that_the_kind_of_births_forbids_is_undone_as_told(tmp_path):
    folder = results_of(tmp_path / "results/m", tripolar_movie())
    record = folder / "provenance.json"
    settings = record.read_text()
    record.write_text(settings.replace("mitosis", "budding"))
    follow(
        lambda: corrections_from(folder / "3_tracks/ctc", folder, tmp_path / "a.csv"),
        "undo the edit of these cells, or set `division` to the kind of births in the movie",
        lambda: record.write_text(settings),
    )


def test_tracks_without_images_are_tracked_again_as_told(tmp_path):
    frames = np.stack(division_movie())
    follow(
        lambda: track_labels(frames, TrackOptions()).write(tmp_path),
        "track the label images with `cellsam_core.track`",
        then=lambda: cc.track(frames).write(tmp_path),
    )


def write_ctc(folder: Path, frames: np.ndarray, rows: str, name: str = "mask") -> Path:
    folder.mkdir(exist_ok=True)
    for t, labels in enumerate(frames):
        tifffile.imwrite(folder / f"{name}{t:03d}.tif", labels)
    (folder / ("res_track.txt" if name == "mask" else f"{name}.txt")).write_text(rows)
    return folder


def test_tables_of_the_challenge_are_corrected_as_told(tmp_path):
    frames = np.stack(division_movie()[:5])
    right = "9 0 4 0\n1 0 3 0\n2 4 4 1\n3 4 4 1\n"
    truth = write_ctc(tmp_path / "TRA", frames, right, "man_track")
    found = write_ctc(tmp_path / "RES", frames, right.replace("2 4 4 1", "2 3 4 1"))
    follow(
        lambda: evaluate_tracking(found, truth),
        "correct the table of tracks or the masks",
        lambda: (found / "res_track.txt").write_text(right),
    )
    (tmp_path / "SEG").mkdir()
    tifffile.imwrite(tmp_path / "SEG/man_seg007.tif", frames[0])
    scores = follow(
        lambda: evaluate_tracking(found, tmp_path),
        "give the result of the same movie, and the true masks of its frames",
        lambda: (tmp_path / "SEG/man_seg007.tif").rename(tmp_path / "SEG/man_seg000.tif"),
    )
    assert scores["tra"] == 1


# Traces


@pytest.fixture(scope="module")
def movie(tmp_path_factory) -> Path:
    return write_movie(tmp_path_factory.mktemp("movie") / "results", n_frames=4)


def test_tracks_of_one_run_are_given_as_told(movie, tmp_path):
    tables = {name: movie / "3_tracks" / name for name in ("objects.parquet", "tracks.csv")}
    run = lambda *more: run_traces(movie, *map(str, more), "-o", str(tmp_path / "out"))  # noqa: E731
    other = tmp_path / "tracks.csv"
    pd.read_csv(tables["tracks.csv"]).assign(track_id=range(70, 70 + 4)).to_csv(other, index=False)
    follow(
        lambda: run("--tracks", other),
        "give both files of one run of `cellsam-core track`",
        then=run,
    )
    objects = pd.read_parquet(tables["objects.parquet"])
    objects.loc[1, "label"] = 77
    objects.to_parquet(tmp_path / "objects.parquet")
    follow(
        lambda: run("--objects", tmp_path / "objects.parquet"), "track these masks again", then=run
    )


def ramps(n_frames: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Two cells that do not move, in two channels."""
    labels = np.zeros((n_frames, 40, 60), np.uint16)
    labels[:, 8:20, 8:20], labels[:, 8:20, 35:47] = 1, 2
    return labels, np.stack([20 + 300 * (labels > 0), 20 + 100 * (labels > 0)], 1).astype(np.uint16)


def test_controls_are_named_as_told():
    labels, images = ramps()
    options = TraceOptions(ratio="a/b", baseline_frames=2)
    turned = TraceOptions(ratio="b/a", baseline_frames=2)

    def run(control: Any, given: TraceOptions = options) -> Any:
        tracks = cc.track(labels)
        return cc.trace(images, labels, tracks, given, channels=("a", "b"), control=control)

    right, other = run(None), run(None, turned)
    follow(
        lambda: run(other),
        "name a control that was imaged and traced in the same way",
        then=lambda: run(right),
    )
    short = cc.trace(*(images[:2], labels[:2], cc.track(labels[:2])), options, channels=("a", "b"))
    follow(lambda: run(short), "name another control, or none", then=lambda: run(None))


def test_a_ring_beside_nuclei_is_left_out_as_told():
    labels, images = ramps()
    from cellsam_core.traces.inputs import open_images

    raw = open_images(images, channels=["a", "b"])
    look = lambda **more: resolve(TraceOptions(**more), raw, None, has_nuclei=True)  # noqa: E731
    follow(lambda: look(ring_px=3), "leave it out", then=look)
    assert labels.any()


def test_raw_frames_of_a_ratio_are_given_as_told(tmp_path):
    labels, images = ramps()
    tifffile.imwrite(tmp_path / "labels.tif", labels, photometric="minisblack")
    for t, frame in enumerate(images):
        for name, plane in zip(("GFP", "RFP"), frame, strict=True):
            (tmp_path / "raw" / name).mkdir(parents=True, exist_ok=True)
            tifffile.imwrite(tmp_path / "raw" / name / f"t{t}.tif", plane)

    def run(**more: Any) -> Any:
        given: dict[str, Any] = {"calibration": CalibrationOptions(), "ratio": "GFP/RFP"} | more
        labels_path = tmp_path / "labels.tif"
        return track_and_trace(labels_path, tmp_path / "out", TrackOptions(), **given)

    follow(run, "give the raw frames", then=lambda: run(images=tmp_path / "raw"))
