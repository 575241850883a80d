"""Corrections that the page of `cellsam-core view` writes."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from corrected_labels import correct_labels
from starlette.testclient import TestClient
from view_results import Discs, teaching_of

from cellsam_core.cli import main as cellsam
from cellsam_core.corrections.cells_table import CELL_COLUMNS, read_cell_corrections
from cellsam_core.corrections.stage import correct
from cellsam_core.corrections.table import append_rows, checksum_of
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.tracking.corrections_table import COLUMNS as TRACK_COLUMNS
from cellsam_core.tracking.corrections_table import read_corrections
from cellsam_core.tracking.stage import track
from cellsam_core.viewer.app import make_app
from cellsam_core.viewer.editing import Editing
from cellsam_core.viewer.prompts import Prompter
from cellsam_core.viewer.samples import Library

BY_HAND = "operation,frame,label,other_frame,other_label,note\nlink,3,1,2,1,seen by eye\n\n"


@pytest.fixture
def folder(shown_results: Path, tmp_path: Path) -> Path:
    shutil.copytree(shown_results / "movie", tmp_path / "results/movie")
    return tmp_path


def client_of(folder: Path, *, read_only: bool = False) -> TestClient:
    library = Library(folder / "results")
    editing = Editing(library, Prompter(is_off=True), is_read_only=read_only)
    app = make_app(library, "t", editing, teaching_of(library))
    return TestClient(app, base_url="http://127.0.0.1/t/api/movie/")


def post(client: TestClient, action: str, *objects: tuple[int, int], seen: str | None = None):
    if seen is None:
        seen = client.get("corrections").json()["seen"]["tracks"]
    body = {"seen": seen, "action": action, "objects": [list(o) for o in objects]}
    return client.post("corrections/tracks", json=body)


def essence(answer) -> list[tuple[str, ...]]:
    names = ("operation", "frame", "label", "other_frame", "other_label")
    return [tuple(row.get(name, "") for name in names) for row in answer.json()["written"]]


@pytest.mark.parametrize(
    ("action", "objects", "rows"),
    [
        ("unlink", [(5, 2)], [("unlink", "5", "2", "", "")]),
        ("delete", [(5, 2)], [("delete", "5", "2", "", "")]),
        ("link", [(4, 1), (5, 2)], [("link", "5", "2", "4", "1")]),
        ("link", [(5, 2), (4, 1)], [("link", "5", "2", "4", "1")]),
        ("swap", [(5, 1), (5, 2)], [("link", "6", "1", "5", "2"), ("link", "6", "2", "5", "1")]),
        ("set-parent", [(6, 4), (7, 5)], [("set-parent", "7", "5", "6", "4")]),
        ("set-mother", [(7, 5), (3, 4)], [("set-mother", "7", "5", "3", "4")]),
        ("merge", [(8, 4), (8, 5)], [("merge", "8", "4", "8", "5")]),
        ("confirm", [(5, 2)], [("link", "5", "2", "4", "2")]),
        (
            "confirm",
            [(7, 5)],
            [("set-parent", "7", "4", "6", "4"), ("set-parent", "7", "5", "6", "4")],
        ),
    ],
)
def test_an_action_is_rows_that_the_workflow_reads(folder: Path, action, objects, rows):
    client = client_of(folder)
    answer = post(client, action, *objects)
    assert answer.status_code == 200, answer.text
    assert essence(answer) == rows
    written = answer.json()["written"]
    assert len({row["group"] for row in written}) == 1
    assert len({row["id"] for row in written}) == len(rows)
    read = read_corrections(folder / "corrections/movie.tracks.csv")
    assert [(c.operation, str(c.frame), str(c.label)) for c in read] == [row[:3] for row in rows]
    listed = client.get("corrections").json()
    assert [row["waiting"] for row in listed["rows"]["tracks"]] == [True] * len(rows)
    cells = (folder / "results/movie/2_masks/cells.parquet").read_bytes()
    assert written[0]["masks"] == hashlib.sha256(cells).hexdigest()


def test_a_row_names_a_pixel_inside_of_the_object(folder: Path):
    client = client_of(folder)
    row = post(client, "link", (4, 3), (5, 3)).json()["written"][0]
    masks = omezarr.open_(folder / "results/movie/2_masks/masks.zarr")
    assert masks.frame(5)[int(row["y"]), int(row["x"])] == 3
    assert masks.frame(4)[int(row["other_y"]), int(row["other_x"])] == 3
    assert int(row["area_px"]) == (masks.frame(5) == 3).sum()


def test_undo_restores_the_bytes_and_rows_by_hand_stay(folder: Path):
    path = folder / "corrections/movie.tracks.csv"
    path.parent.mkdir()
    path.write_text(BY_HAND)
    client = client_of(folder)
    first = post(client, "unlink", (5, 2))
    before = path.read_bytes()
    assert before.decode().splitlines()[1] == BY_HAND.splitlines()[1]
    second = post(client, "swap", (5, 3), (5, 1))
    key = second.json()["written"][1]["id"]
    gone = client.request(
        "DELETE", f"corrections/tracks/{key}", json={"seen": second.json()["seen"]["tracks"]}
    )
    assert gone.status_code == 200
    assert len(gone.json()["removed"]) == 2
    assert path.read_bytes() == before
    again = client.post(
        "corrections/tracks",
        json={"seen": gone.json()["seen"]["tracks"], "again": gone.json()["removed"]},
    )
    assert again.status_code == 200
    assert again.json()["written"][1]["id"] == key
    assert len(read_corrections(path)) == 4
    assert first.json()["written"][0]["id"] in path.read_text()


def test_a_table_that_was_changed_outside_is_not_overwritten(folder: Path):
    client = client_of(folder)
    seen = post(client, "unlink", (5, 2)).json()["seen"]["tracks"]
    path = folder / "corrections/movie.tracks.csv"
    text = path.read_text() + "unlink,4,1,,,\n"
    path.write_text(text)
    answer = post(client, "unlink", (5, 3), seen=seen)
    assert answer.status_code == 409
    assert "changed outside" in answer.json()["error"]
    assert path.read_text() == text


def test_what_the_workflow_would_refuse_is_not_written(folder: Path):
    client = client_of(folder)
    post(client, "link", (4, 1), (5, 1))
    path = folder / "corrections/movie.tracks.csv"
    before = path.read_bytes()
    answer = post(client, "link", (4, 2), (5, 1))
    assert answer.status_code == 409
    assert "one correction of this cell" in answer.json()["error"]
    assert answer.json()["error"].startswith("Nothing was written: found link of label 1")
    assert "(row 2 is link)" in answer.json()["error"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("action", "objects", "said"),
    [
        ("link", [(5, 1)], "1 chosen, expected two cells"),
        ("link", [(5, 1), (5, 2)], "two cells of one frame"),
        ("merge", [(5, 1), (6, 1)], "cells of two frames"),
        ("swap", [(4, 1), (5, 1)], "cells of two frames"),
        ("swap", [(11, 1), (11, 2)], "both end here"),
        ("swap", [(6, 4), (6, 1)], "a cell that divides next"),
        ("unlink", [(5, 99)], "no cell 99 in frame 5"),
        ("confirm", [(0, 1)], "begins here"),
    ],
)
def test_an_action_on_other_cells_is_refused_with_a_sentence(folder: Path, action, objects, said):
    answer = post(client_of(folder), action, *objects)
    assert answer.status_code == 409
    assert said in answer.json()["error"]
    assert not (folder / "corrections/movie.tracks.csv").exists()


@pytest.mark.parametrize(
    "body",
    [
        {"action": "rm", "objects": [[1, 1]]},
        {"action": "link", "objects": [[1, "1"], [2, 1]]},
        {"action": "link", "objects": [[1, True], [2, 1]]},
        {"action": "link", "objects": []},
        {"action": "link", "objects": [[1]]},
        {"action": "link", "objects": [[1, 1], [2, 1]], "source": "x"},
        {"again": [{"operation": "link", "path": "x"}]},
        {"again": [{"operation": 1}]},
        [],
        "text",
    ],
)
def test_a_body_that_is_no_action_is_refused(folder: Path, body):
    assert client_of(folder).post("corrections/tracks", json=body).status_code == 422


def test_a_page_that_only_looks_writes_nothing(folder: Path):
    client = client_of(folder, read_only=True)
    assert post(client, "unlink", (5, 2)).status_code == 403
    deleted = client.request("DELETE", "corrections/tracks/ab", json={"seen": ""})
    assert deleted.status_code == 403
    assert client.get("corrections").json()["read_only"] is True
    assert not (folder / "corrections").exists()


# Cells


def outline_at(y: float, x: float, radius: float = 9) -> list[list[float]]:
    return [[x + dx * radius, y + dy * radius] for dx, dy in ((-1, -1), (1, -1), (1, 1), (-1, 1))]


def post_cell(client: TestClient, operation: str, **more: object):
    seen = client.get("corrections").json()["seen"]["cells"]
    body = {"seen": seen, "operation": operation, "frame": 5, **more}
    return client.post("corrections/cells", json=body)


def corrected(folder: Path, frame: int = 5):
    rows = read_cell_corrections(folder / "corrections/movie.cells.csv")
    before = omezarr.open_(folder / "results/movie/2_masks/masks.zarr").frame(frame)
    after, outcomes = correct_labels(before, rows)
    assert all(outcome.is_found for outcome in outcomes)
    return before, after


def test_a_deleted_a_cut_a_joined_and_a_new_cell_are_replayed(folder: Path):
    client = client_of(folder)
    assert post_cell(client, "delete", label=1).status_code == 200
    cut = [[115, 10], [115, 70]]
    assert post_cell(client, "split", label=2, cut=cut).status_code == 200
    added = post_cell(client, "add", outline=outline_at(80, 160))
    assert added.status_code == 200, added.text
    redrawn = post_cell(client, "redraw", label=3, outline=outline_at(115, 55, 12))
    assert redrawn.status_code == 200, redrawn.text
    assert post_cell(client, "complete", outline=outline_at(80, 80, 60)).status_code == 200
    before, after = corrected(folder)
    assert not (after == 1).any()
    halves = np.unique(after[before == 2])
    assert len(halves) == 2
    assert after[80, 160] not in (0, *np.unique(before))
    assert (after == 3).sum() == 25 * 25
    serials = [row["serial"] for row in added.json()["rows"]["cells"]]
    assert serials == ["", "0", "1"]


def test_cells_of_a_tissue_are_corrected_too(shown_results: Path, tmp_path: Path):
    shutil.copytree(shown_results / "tissue", tmp_path / "results/tissue")
    library = Library(tmp_path / "results")
    editing = Editing(library, Prompter(is_off=True), is_read_only=False)
    url = "http://127.0.0.1/t/api/tissue/"
    teaching = teaching_of(library)
    client = TestClient(make_app(library, "t", editing, teaching), base_url=url)
    body = {"seen": "", "operation": "delete", "frame": 0, "label": 7}
    answer = client.post("corrections/cells", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["rows"]["cells"][0]["operation"] == "delete"


@pytest.mark.parametrize(
    ("operation", "more", "said"),
    [
        ("split", {"label": 2, "cut": [[10, 10], [12, 12]]}, "does not divide"),
        ("delete", {"label": 99}, "no cell 99"),
        ("add", {"outline": [[0, 0], [9, 9], [9, 0], [0, 9]]}, "crosses itself"),
        ("add", {"outline": [[5, 5], [6, 6]]}, "3 to 2000 corners"),
        ("add", {"outline": [["a", 1]] * 3}, "no outline"),
    ],
)
def test_a_cell_that_cannot_be_corrected_is_no_row(folder: Path, operation, more, said):
    answer = post_cell(client_of(folder), operation, **more)
    assert answer.status_code == 409
    assert said in answer.json()["error"]
    assert not (folder / "corrections/movie.cells.csv").exists()


def test_a_second_deletion_of_a_cell_is_refused_and_undo_restores(folder: Path):
    client = client_of(folder)
    first = post_cell(client, "delete", label=1).json()
    path = folder / "corrections/movie.cells.csv"
    before = path.read_bytes()
    refused = post_cell(client, "delete", label=1)
    assert refused.status_code == 409
    assert "found no cell with an IoU above 0.5" in refused.json()["error"]
    assert "fits the masks it was made for and the rows above it" in refused.json()["error"]
    assert path.read_bytes() == before
    second = post_cell(client, "delete", label=2).json()
    key = second["written"][0]["id"]
    gone = client.request(
        "DELETE", f"corrections/cells/{key}", json={"seen": second["seen"]["cells"]}
    )
    assert gone.status_code == 200
    assert path.read_bytes() == before
    assert first["written"][0]["id"] in path.read_text()


IN_THE_NEW_CELL = [[154, 74], [166, 74], [166, 86], [154, 86]]
REFUSED = {
    "a cell drawn inside of one that was drawn": (
        {"operation": "add", "outline": [[150, 70], [170, 70], [170, 90], [150, 90]]},
        {"operation": "add", "outline": IN_THE_NEW_CELL},
    ),
    "a cell that was joined to one far away": (
        {"operation": "merge", "label": 1, "other": 2},
        {"operation": "delete", "label": 1},
    ),
    "a cell that goes on after it has divided": (
        {"action": "set-parent", "objects": [[6, 1], [7, 5]]},
        {"action": "link", "objects": [[6, 1], [7, 1]]},
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_page_refuses_what_the_run_refuses_with_its_sentence(
    folder: Path, tmp_path: Path, what: str
):
    one, other = REFUSED[what]
    kind, post_one = ("tracks", post_track) if "action" in one else ("cells", post_cell)
    client, path = client_of(folder), folder / f"corrections/movie.{kind}.csv"
    alone = post_one(client, **other).json()["written"]
    if alone[0].get("serial"):
        alone[0]["serial"] = "1"
    path.unlink()
    assert post_one(client, **one).status_code == 200
    before = path.read_bytes()
    body = {"seen": checksum_of(path), "again": alone}
    answer = client.post(f"corrections/{kind}", json=body)
    assert answer.status_code == 409
    assert path.read_bytes() == before
    append_rows(path, list(alone[0]), alone, seen=checksum_of(path), check=Path.exists)
    masks = folder / "results/movie/2_masks"
    files = (masks / "masks.zarr", masks / "cells.parquet")
    runs = {
        "tracks": lambda: track(files[0], corrections=path),
        "cells": lambda: correct(*files, path, tmp_path / "corrected"),
    }
    with pytest.raises(InputError) as error:
        runs[kind]()
    told = str(error.value).partition("; ")[0].removeprefix(f"{path}, row 3: ")
    assert answer.json()["error"] == f"Nothing was written: {told.replace(f'{path}, ', '')}."


@pytest.mark.parametrize("seed", range(4))
def test_what_the_page_has_written_the_run_carries_out(folder: Path, tmp_path: Path, seed: int):
    draw, client = random.Random(seed), client_of(folder)
    for _ in range(15):
        (x, y), (w, h) = (
            [draw.uniform(0, 190), draw.uniform(0, 150)],
            draw.choices(range(4, 60), k=2),
        )
        outline = [[x, y], [x + w, y], [x + w, y + h], [x, y + h]]
        body = {"outline": outline, "cut": [outline[0], outline[2]]}
        body |= dict(zip(("label", "other"), draw.choices(range(1, 6), k=2), strict=True))
        post_cell(client, draw.choice(list(CELL_ACTIONS)), **body)
        frame, (one, other) = draw.randint(2, 9), draw.choices(range(1, 6), k=2)
        for action, later in {"unlink": None, "link": 1, "set-parent": 1, "merge": 0}.items():
            if draw.random() < 0.3:
                objects = [(frame, one)] + ([] if later is None else [(frame + later, other)])
                post(client, action, *objects)
    tables, masks = folder / "corrections", folder / "results/movie/2_masks"
    files = (masks / "masks.zarr", masks / "cells.parquet")
    _, outcomes = correct(*files, tables / "movie.cells.csv", tmp_path / "corrected")
    assert len(outcomes) > 3
    assert set(outcomes["found"]) == {"yes"}
    assert len(track(files[0], corrections=tables / "movie.tracks.csv").outcomes) > 3


def post_track(client: TestClient, action: str, objects: list[list[int]]):
    return post(client, action, *map(tuple, objects))


def test_a_row_by_hand_that_a_new_one_contradicts_is_named(folder: Path):
    path = folder / "corrections/movie.tracks.csv"
    path.parent.mkdir()
    path.write_text(BY_HAND)
    answer = post(client_of(folder), "unlink", (3, 1))
    assert answer.status_code == 409
    assert "expected one correction of this cell (row 2 is link)" in answer.json()["error"]
    assert path.read_text() == BY_HAND


def test_rows_of_a_table_that_contradicts_itself_can_be_removed(folder: Path):
    path = folder / "corrections/movie.tracks.csv"
    path.parent.mkdir()
    rows = [f"unlink,{frame},1,,,{frame}{k}" for frame in (3, 4) for k in (0, 1)]
    path.write_text("operation,frame,label,other_frame,other_label,id\n" + "\n".join(rows) + "\n")
    client = client_of(folder)
    for key in ("30", "40"):
        body = {"seen": checksum_of(path)}
        answer = client.request("DELETE", f"corrections/tracks/{key}", json=body)
        assert answer.status_code == 200, answer.text
    assert len(read_corrections(path)) == 2


CELL_ACTIONS = {
    "delete": {"label": 1},
    "split": {"label": 2, "cut": [[115, 10], [115, 70]]},
    "add": {"outline": [[150, 70], [170, 70], [170, 90], [150, 90]]},
    "redraw": {"label": 3, "outline": [[45, 105], [65, 105], [65, 125], [45, 125]]},
    "merge": {"label": 1, "other": 2},
    "complete": {"outline": [[0, 0], [90, 0], [90, 90], [0, 90]]},
}


@pytest.mark.parametrize("operation", CELL_ACTIONS)
def test_what_is_taken_back_leaves_the_table_as_it_was(folder: Path, operation: str):
    client = client_of(folder)
    path = folder / "corrections/movie.cells.csv"
    path.parent.mkdir()
    by_hand = (
        "# checked by me\noperation,frame,anchor,outline,other,serial\ncomplete,5,,0 0;9 0;9 9,,\n"
    )
    path.write_text(by_hand)
    keep = post_cell(client, "delete", label=4).json()["seen"]["cells"]
    before = path.read_text()
    written = post_cell(client, operation, **CELL_ACTIONS[operation]).json()
    after = path.read_text()
    assert after.startswith(before)
    where = f"corrections/cells/{written['written'][0]['id']}"
    gone = client.request("DELETE", where, json={"seen": written["seen"]["cells"]})
    assert gone.status_code == 200, gone.text
    # A number of a new cell is not given again, which a comment keeps in mind.
    left = [line for line in path.read_text().splitlines() if not line.startswith("# serial")]
    assert left == before.splitlines()
    again = {"seen": gone.json()["seen"]["cells"], "again": gone.json()["removed"]}
    assert client.post("corrections/cells", json=again).status_code == 200
    assert path.read_text().splitlines()[-1] == after.splitlines()[-1]
    assert client.get("seen").json()["cells"] != keep


def test_a_row_that_another_one_needs_is_not_removed(folder: Path):
    client = client_of(folder)
    added = post_cell(client, "add", outline=outline_at(80, 160)).json()["written"][0]
    path = folder / "corrections/movie.cells.csv"
    corners = added["outline"]
    line = f"delete,5,,{corners},,,,,{added['masks']}"  # as the page writes it after a run
    names = "operation,frame,outline,anchor,other,serial,id,group,masks"
    path.write_text(f"{names}\nadd,5,{corners},,,0,aa,ga,{added['masks']}\n{line}\n")
    seen = client.get("seen").json()["cells"]
    answer = client.request("DELETE", "corrections/cells/aa", json={"seen": seen})
    assert answer.status_code == 409
    assert "row 3 (delete) corrects the cell that this row made" in answer.json()["error"]
    assert "remove that row first" in answer.json()["remedy"]
    path.write_text(path.read_text().replace(line + "\n", ""))
    seen = client.get("seen").json()["cells"]
    assert client.request("DELETE", "corrections/cells/aa", json={"seen": seen}).status_code == 200


def test_a_neighbour_that_a_new_outline_cuts_is_told(folder: Path):
    client = client_of(folder)
    across = [[100, 36], [190, 36], [190, 44], [100, 44]]  # the middle of cell 2
    answer = post_cell(client, "redraw", label=4, outline=across)
    assert answer.status_code == 200, answer.text
    cut = "cell 2 is cut by the new outline, and only its largest part is kept"
    assert answer.json()["notes"] == [cut]


def test_masks_that_do_not_fit_their_table_are_told(folder: Path):
    masks = zarr.open_group(str(folder / "results/movie/2_masks/masks.zarr"), mode="r+")
    masks["0"][5] = 99
    answer = post_cell(client_of(folder), "delete", label=1)
    assert answer.status_code == 409
    assert "no pixel of cell 1 in frame 5" in answer.json()["error"]


def test_without_masks_nothing_is_corrected(folder: Path):
    shutil.rmtree(folder / "results/movie/2_masks")
    answer = post_cell(client_of(folder), "add", outline=outline_at(80, 160))
    assert answer.status_code == 409
    assert "no masks to correct yet" in answer.json()["error"]
    assert not (folder / "corrections").exists()


def test_tables_that_cannot_be_written_leave_the_page_to_look_at(folder: Path):
    (folder / "corrections").write_text("a file, no folder")
    client = client_of(folder)
    listed = client.get("corrections").json()
    assert listed["read_only"] is True
    assert "start the page with --corrections" in listed["locked"]
    answer = post_cell(client, "delete", label=1)
    assert (answer.status_code, answer.json()["error"]) == (403, listed["locked"])


def record(folder: Path, **sheet: str) -> None:
    """Write the record of a run whose sample sheet named tables of corrections."""
    path = folder / "results/movie/provenance.json"
    path.write_text(json.dumps({"config": {"sample": sheet}}))


def test_the_page_writes_to_the_tables_that_the_run_reads(folder: Path):
    client = client_of(folder)
    assert client.get("corrections").json()["tables"] == [
        "corrections/movie.tracks.csv",
        "corrections/movie.cells.csv",
    ]
    assert not client.get("corrections").json()["knows_tables"]  # before the first report
    mine, cells = folder / "config/mine.csv", folder / "my cells.tsv"
    mine.parent.mkdir()
    mine.write_text(BY_HAND)
    cells.write_text("operation\tframe\toutline\n")
    record(folder, corrections="config/mine.csv", cell_corrections=str(cells))
    client = client_of(folder)
    assert post(client, "unlink", (5, 2)).status_code == 200
    assert post_cell(client, "delete", label=1).status_code == 200
    assert [row.operation for row in read_corrections(mine)] == ["link", "unlink"]
    assert [row.operation for row in read_cell_corrections(cells)] == ["delete"]
    assert not (folder / "corrections").exists()
    listed = client.get("corrections").json()
    assert listed["knows_tables"]
    assert listed["tables"] == ["config/mine.csv", f"{folder.name}/my cells.tsv"]
    assert len(listed["rows"]["tracks"]) == 2


def test_a_named_table_that_is_not_there_is_told_before_the_user_edits(folder: Path):
    record(folder, corrections="mine.csv")
    client = client_of(folder)
    locked = client.get("corrections").json()["locked"]
    assert f"{folder / 'mine.csv'} is not there" in locked
    answer = post(client, "unlink", (5, 2))
    assert (answer.status_code, answer.json()["error"]) == (403, locked)
    (folder / "mine.csv").write_text(BY_HAND)
    assert post(client, "unlink", (5, 2)).status_code == 200


def test_a_correction_that_found_no_cell_is_listed_as_lost(folder: Path):
    client = client_of(folder)
    key = post_cell(client, "delete", label=1).json()["written"][0]["id"]
    outcome = folder / "results/movie/2_masks/corrected/corrections.csv"
    outcome.parent.mkdir()
    header = "id,row,operation,frame,found,label,iou,reason"
    outcome.write_text(f"{header}\n{key},2,delete,5,no,0,0.1,gone\n")
    rows = client.get("corrections").json()["rows"]["cells"]
    assert [row["lost"] for row in rows] == ["gone"]
    assert [row["waiting"] for row in rows] == [False]


def test_rows_wait_until_they_are_in_the_results_and_those_taken_back_until_they_are_not(
    folder: Path,
):
    client, path = client_of(folder), folder / "corrections/movie.cells.csv"
    path.parent.mkdir()
    path.write_text("operation,frame,anchor,outline\ncomplete,5,,0 0;9 0;9 9\n")
    for label in (1, 2):
        post_cell(client, "delete", label=label)
    rows = path.read_text()
    masks = folder / "results/movie/2_masks"
    correct(masks / "masks.zarr", masks / "cells.parquet", path, masks / "corrected")
    told = client_of(folder).get("corrections").json()
    assert [row["waiting"] for row in told["rows"]["cells"]] == [False] * 3
    assert told["taken_back"] == {"tracks": [], "cells": []}
    # A row of an earlier time, as one that was written while the job ran, is not in the results.
    gone, new = told["rows"]["cells"][1]["id"], "delete,5,0 0;9 0;9 9,,new,,2000-01-01T00:00:00Z"
    lines = [line for line in rows.splitlines() if gone not in line]
    path.write_text("\n".join([*lines, new, "complete,5,,0 0;9 0;9 5"]) + "\n")
    told = client_of(folder).get("corrections").json()
    assert [row["waiting"] for row in told["rows"]["cells"]] == [False, False, True, True]
    assert [(row["id"], row["label"]) for row in told["taken_back"]["cells"]] == [(gone, "0")]


def test_rows_of_tracks_wait_until_the_tracker_has_seen_them(folder: Path):
    client, path = client_of(folder), folder / "corrections/movie.tracks.csv"
    path.parent.mkdir()
    path.write_text(BY_HAND)
    keys = [post(client, "unlink", (5, k)).json()["written"][0]["id"] for k in (1, 2)]
    results = folder / "results/movie"
    track(results / "2_masks/masks.zarr", corrections=path).write(results / "3_tracks")
    body = {"seen": checksum_of(path)}
    told = client.request("DELETE", f"corrections/tracks/{keys[0]}", json=body).json()
    assert [row["waiting"] for row in told["rows"]["tracks"]] == [False, False]
    assert [row["id"] for row in told["taken_back"]["tracks"]] == [keys[0]]
    path.write_text(path.read_text().replace("link,3,1,2,1", "link,3,2,2,2"))
    told = client.get("corrections").json()
    assert [row["waiting"] for row in told["rows"]["tracks"]] == [True, False]
    assert [row["id"] for row in told["taken_back"]["tracks"]] == ["", keys[0]]


def test_an_added_cell_that_the_segmentation_now_finds_is_told(folder: Path):
    client = client_of(folder)
    places = [(80, 160), (20, 160)]
    keys = [
        post_cell(client, "add", outline=outline_at(*place)).json()["written"][0]["id"]
        for place in places
    ]
    outcome = folder / "results/movie/2_masks/corrected/corrections.csv"
    outcome.parent.mkdir()
    lines = [f"{keys[0]},2,add,5,yes,3,0.912,", f"{keys[1]},3,add,5,yes,9,,"]
    outcome.write_text("\n".join(["id,row,operation,frame,found,label,iou,reason", *lines, ""]))
    rows = client.get("corrections").json()["rows"]["cells"]
    assert [row["found_anyway"] for row in rows] == [True, False]
    assert [row["lost"] for row in rows] == ["", ""]


@pytest.mark.parametrize(
    "body",
    [
        {"operation": "paint", "frame": 0},
        {"operation": "delete", "frame": 99, "label": 1},
        {"operation": "delete", "frame": 0},
        {"operation": "add", "frame": 0, "outline": "0 0;1 1;2 2"},
        {"operation": "add", "frame": 0, "outline": [], "box": [0, 0]},
    ],
)
def test_a_body_that_is_no_action_on_cells_is_refused(folder: Path, body):
    assert client_of(folder).post("corrections/cells", json=body).status_code == 422
    assert client_of(folder).post("corrections/other", json=body).status_code == 404


def test_a_box_is_drawn_from_features_that_are_kept(folder: Path):
    library, model = Library(folder / "results"), Discs()
    prompter = Prompter(lambda weights: model)
    editing = Editing(library, prompter, is_read_only=False)
    url = "http://127.0.0.1/t/api/movie/"
    teaching = teaching_of(library)
    client = TestClient(make_app(library, "t", editing, teaching), base_url=url)
    body = {"t": 5, "boxes": [[26, 26, 54, 54]]}
    assert client.post("prompt", json=body).status_code == 409
    assert client.post("model", json={}).json()["model"] in ("loading", "ready")
    for _ in range(100):
        if client.post("model", json={}).json()["model"] == "ready":
            break
        time.sleep(0.01)
    for _ in range(3):
        answer = client.post("prompt", json=body).json()
    outline = np.array(answer["cells"][0]["outline"])
    np.testing.assert_allclose(outline.mean(axis=0), [40, 40], atol=1)
    assert model.n_features == 1
    for boxes in ([], [[0, 0, 1]], [[0, 0, 1, None]], [[300, 300, 400, 400]], [[0, 0, 1, 1]] * 65):
        assert client.post("prompt", json={"t": 5, "boxes": boxes}).status_code == 422


def test_a_model_that_cannot_be_had_says_why(folder: Path):
    def fails(weights):
        raise InputError("w.safetensors", found="no file", expected="weights", remedy="give it")

    sample = Library(folder / "results").get("movie")
    prompter = Prompter(fails)
    prompter.start(sample)
    for _ in range(100):
        if prompter.state()["model"] == "failed":
            break
        time.sleep(0.01)
    assert "w.safetensors" in prompter.state()["reason"]
    assert Prompter(is_off=True).state()["model"] == "off"


def test_an_empty_table_and_no_table_give_the_same_bytes(shown_results: Path, tmp_path: Path):
    masks = shown_results / "movie/2_masks"
    tracks, cells = tmp_path / "movie.tracks.csv", tmp_path / "movie.cells.csv"
    tracks.write_text(",".join(TRACK_COLUMNS) + "\n")
    cells.write_text(",".join(CELL_COLUMNS) + "\n")
    words = ["--corrections", cells, "-o", tmp_path / "corrected"]
    assert command("correct", masks / "masks.zarr", masks / "cells.parquet", *words) == 0
    assert contents(masks / "masks.zarr") == contents(tmp_path / "corrected/masks.zarr")
    assert command("track", masks / "masks.zarr", "-o", tmp_path / "plain") == 0
    words = ["--corrections", tracks, "-o", tmp_path / "empty"]
    assert command("track", masks / "masks.zarr", *words) == 0
    assert contents(tmp_path / "plain") == contents(tmp_path / "empty")


def command(*words: str | Path) -> int:
    """Run a command and return its status."""
    return cellsam([str(word) for word in words])


def contents(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
