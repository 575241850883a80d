"""Tracks edited in another program come back as corrections: a new run equals the edit."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile
from disc_movies import division_movie
from geff.core_io import read_to_memory, write_arrays
from refusals import follow

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.labels.source import open_labels
from cellsam_core.tracking.edited import graph_of, read_edited
from cellsam_core.tracking.stage import track


@pytest.fixture
def results(tmp_path):
    """Results of a tracked movie with a division."""
    folder = tmp_path / "results/m"
    frames = np.stack(division_movie()).astype(np.uint32)
    (folder / "2_masks").mkdir(parents=True)
    masks = folder / "2_masks/masks.zarr"
    store = omezarr.create(masks, shape=frames.shape, axes="tyx", dtype="uint32")
    store.array[:] = frames
    pd.DataFrame({"label": [1]}).to_parquet(folder / "2_masks/cells.parquet")
    track(masks).write(folder / "3_tracks")
    settings = {"config": {"sample": {}, "track": {"division": "mitosis"}}}
    (folder / "provenance.json").write_text(json.dumps(settings))
    return folder


def graph_in(folder):
    objects = pd.read_parquet(folder / "objects.parquet")
    return graph_of(objects, pd.read_csv(folder / "tracks.csv"))


def run_again(results, edited):
    """Turn an edit into a table, track with it, and return the wanted and the new graph."""
    masks = results / "2_masks/masks.zarr"
    objects = pd.read_parquet(results / "3_tracks/objects.parquet")
    wanted = read_edited(edited, objects, open_labels(masks))
    assert main(["corrections", "from", str(edited), str(results)]) == 0
    table = results.parents[1] / "corrections/m.tracks.csv"
    tracks = track(masks, corrections=table)
    assert (tracks.outcomes["found"] == "yes").all()
    return wanted, graph_of(tracks.objects, tracks.tracks)


def test_an_edited_ctc_folder_comes_back(results, tmp_path):
    edited = tmp_path / "edited"
    shutil.copytree(results / "3_tracks/ctc", edited)
    rows = np.loadtxt(edited / "res_track.txt", dtype=int)
    dividing = next(row for row in rows if row[0] in rows[:, 3])
    daughters = [row for row in rows if row[3] == dividing[0]]
    daughters[0][3] = 0  # no daughter: the other one goes on as the parent
    np.savetxt(edited / "res_track.txt", rows, fmt="%d")
    last = sorted(edited.glob("mask*.tif"))[-1]
    labels = tifffile.imread(last)
    labels[labels == daughters[1][0]] = 0  # no cell
    tifffile.imwrite(last, labels)
    wanted, again = run_again(results, edited)
    before = graph_in(results / "3_tracks")
    assert (wanted.nodes, wanted.past) != (before.nodes, before.past)
    assert (again.nodes, again.past) == (wanted.nodes, wanted.past)


def test_without_an_edit_there_is_nothing_to_correct(results, tmp_path):
    for edited in (results / "3_tracks/ctc", results / "3_tracks/tracks.geff"):
        output = tmp_path / f"{edited.name}.csv"
        assert main(["corrections", "from", str(edited), str(results), "-o", str(output)]) == 0
        assert len(output.read_text().splitlines()) == 1
        assert main(["corrections", "from", str(edited), str(results), "-o", str(output)]) == 1


def test_a_folder_without_tracks_is_refused(results, tmp_path):
    masks = results / "2_masks/masks.zarr"
    objects = pd.read_parquet(results / "3_tracks/objects.parquet")
    (tmp_path / "edited").mkdir()
    follow(
        lambda: read_edited(tmp_path / "edited", objects, open_labels(masks)),
        "for the Cell Tracking Challenge, and give the folder",
        lambda: shutil.copytree(results / "3_tracks/ctc", tmp_path / "edited", dirs_exist_ok=True),
    )


def test_a_cell_that_is_not_in_the_masks_is_refused(results, tmp_path):
    edited = tmp_path / "edited"
    shutil.copytree(results / "3_tracks/ctc", edited)
    first = sorted(edited.glob("mask*.tif"))[0]
    labels = tifffile.imread(first)
    labels[:5, :5] = 99
    tifffile.imwrite(first, labels)
    objects = pd.read_parquet(results / "3_tracks/objects.parquet")
    with pytest.raises(InputError, match="1 cells that are not in the masks"):
        read_edited(edited, objects, open_labels(results / "2_masks/masks.zarr"))


def test_an_edit_made_with_funtracks_comes_back(results, tmp_path):
    files = pytest.importorskip("funtracks.import_export")
    actions = pytest.importorskip("funtracks.user_actions")
    opened = files.import_from_geff(
        results / "3_tracks/tracks.geff", segmentation_path=results / "2_masks/masks.zarr/0"
    )
    edges = sorted(tuple(edge) for edge in opened.graph_solution.edge_list())
    actions.UserDeleteEdge(opened, edges[2])
    actions.UserDeleteNode(opened, max(opened.graph_solution.node_ids()))
    files.export_to_geff(opened, tmp_path / "edited.zarr")
    wanted, again = run_again(results, tmp_path / "edited.zarr")
    before = graph_in(results / "3_tracks")
    assert len(wanted.nodes) == len(before.nodes) - 1
    assert (again.nodes, again.past) == (wanted.nodes, wanted.past)


def test_nodes_that_an_editor_has_numbered_anew_are_named_by_their_labels(results, tmp_path):
    memory = read_to_memory(results / "3_tracks/tracks.geff")
    objects = pd.read_parquet(results / "3_tracks/objects.parquet")
    order = np.argsort(memory["node_ids"])
    last = int(objects["frame"].max())
    gone = int(np.flatnonzero(objects["frame"] == last)[0])  # of the last frame, row from 0
    kept = np.delete(np.arange(len(objects)), gone)
    new = {int(row) + 1: number for number, row in enumerate(kept, start=1)}
    edges = [e for e in memory["edge_ids"].tolist() if gone + 1 not in e]
    write_arrays(
        tmp_path / "edited.geff",
        np.arange(1, len(kept) + 1, dtype=np.uint64),
        {
            name: {"values": prop["values"][order][kept], "missing": None}
            for name, prop in memory["node_props"].items()
        },
        np.array([[new[a], new[b]] for a, b in edges], dtype=np.uint64),
        {},
        memory["metadata"],
    )
    wanted, again = run_again(results, tmp_path / "edited.geff")
    deleted = (last, int(objects["label"][gone]))
    assert wanted.nodes == graph_in(results / "3_tracks").nodes - {deleted}
    assert (again.nodes, again.past) == (wanted.nodes, wanted.past)


@pytest.fixture
def edited(results, tmp_path):
    """Copy the folder of the Cell Tracking Challenge, and its rows."""
    folder = tmp_path / "edited"
    shutil.copytree(results / "3_tracks/ctc", folder)
    return folder, np.loadtxt(folder / "res_track.txt", dtype=int)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[rows[:, 3] == 0], "no row names it"),
        (lambda rows: rows - [0, 0, 1, 0], "its row has frames 0 to"),
        (lambda rows: np.where(rows[:, [3]] > 0, rows + np.array([0, 0, 0, 70]), rows), "no row"),
        (lambda rows: np.concatenate([rows, rows[:1]]), "two rows"),
        (lambda rows: rows + (rows[:, :1] == 1) * [0, 0, 0, rows[-1, 0]], "begin before"),
    ],
)
def test_a_table_that_contradicts_its_images_is_refused(results, edited, change, words):
    folder, rows = edited
    objects = pd.read_parquet(results / "3_tracks/objects.parquet")
    labels = open_labels(results / "2_masks/masks.zarr")

    def write(table):
        np.savetxt(folder / "res_track.txt", table, fmt="%d")

    write(change(rows))
    with pytest.raises(InputError, match=words):
        read_edited(folder, objects, labels)
    follow(
        lambda: read_edited(folder, objects, labels),
        "change both|fourth number",
        mend=lambda: write(rows),
    )


def test_images_of_another_movie_are_refused(results, edited):
    folder, _ = edited
    objects = pd.read_parquet(results / "3_tracks/objects.parquet")
    labels = open_labels(results / "2_masks/masks.zarr")
    images = sorted(folder.glob("mask*.tif"))
    plane = tifffile.imread(images[0])
    tifffile.imwrite(images[0], plane[:-1])
    follow(
        lambda: read_edited(folder, objects, labels),
        "of this movie",
        mend=lambda: tifffile.imwrite(images[0], plane),
    )
    renumbered = folder / f"mask{len(images):03d}.tif"
    images[0].rename(renumbered)
    follow(
        lambda: read_edited(folder, objects, labels),
        "of this movie",
        mend=lambda: renumbered.rename(images[0]),
    )


def test_tracks_are_read_under_the_names_of_ground_truth_too(results, edited):
    folder, rows = edited
    for image in folder.glob("mask*.tif"):
        image.rename(image.with_name(image.name.replace("mask", "man_track")))
    rows[rows[:, 3] > 0, 3] = 0
    np.savetxt(folder / "man_track.txt", rows, fmt="%d")
    (folder / "res_track.txt").unlink()
    wanted, again = run_again(results, folder)
    assert (again.nodes, again.past) == (wanted.nodes, wanted.past)
    assert wanted.past != graph_in(results / "3_tracks").past


def test_a_parent_that_goes_on_is_one_of_the_daughters(results, edited):
    folder, rows = edited
    before = graph_in(results / "3_tracks")
    alone = next(row for row in rows if row[3] == 0 and row[0] not in rows[:, 3])
    child = next(row for row in rows if row[3] > 0)
    parent = child[3]
    child[3] = alone[0]
    np.savetxt(folder / "res_track.txt", rows, fmt="%d")
    objects = pd.read_parquet(results / "3_tracks/objects.parquet")
    wanted = read_edited(folder, objects, open_labels(results / "2_masks/masks.zarr"))
    changed = [node for node, past in wanted.past.items() if before.past[node] != past]
    assert len(changed) == 1
    assert wanted.past[changed[0]][0] == child[1] - 1
    assert parent != alone[0]


def test_links_within_a_frame_and_of_missing_nodes_are_refused(results, tmp_path):
    memory = read_to_memory(results / "3_tracks/tracks.geff")
    objects = pd.read_parquet(results / "3_tracks/objects.parquet")
    labels = open_labels(results / "2_masks/masks.zarr")

    def write(extra):
        shutil.rmtree(tmp_path / "edited.geff", ignore_errors=True)
        write_arrays(
            tmp_path / "edited.geff",
            memory["node_ids"],
            memory["node_props"],
            np.array([*memory["edge_ids"].tolist(), *extra], dtype=np.uint64),
            {},
            memory["metadata"],
        )

    for pair in ([1, 2], [1, 9999]):
        write([pair])
        follow(
            lambda: read_edited(tmp_path / "edited.geff", objects, labels),
            "remove|export",
            mend=lambda: write([]),
        )
