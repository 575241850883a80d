"""Tracks edited in another program come back as corrections: a new run equals the edit."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import tifffile
from disc_movies import division_movie

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
