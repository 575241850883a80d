"""Corrections that the page of `cellsam-core view` writes."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from cellsam_core.errors import InputError
from cellsam_core.tracking.corrections_table import read_corrections
from cellsam_core.viewer.app import make_app
from cellsam_core.viewer.edit_table import EditTable
from cellsam_core.viewer.editing import Editing
from cellsam_core.viewer.samples import Library

BY_HAND = "operation,frame,label,other_frame,other_label,note\nlink,3,1,2,1,seen by eye\n\n"


@pytest.fixture
def folder(shown_results: Path, tmp_path: Path) -> Path:
    shutil.copytree(shown_results / "movie", tmp_path / "results/movie")
    return tmp_path


def client_of(folder: Path, *, read_only: bool = False) -> TestClient:
    library = Library(folder / "results")
    editing = Editing(library, folder / "corrections", is_read_only=read_only)
    return TestClient(make_app(library, "t", editing), base_url="http://127.0.0.1/t/api/movie/")


def post(client: TestClient, action: str, *objects: tuple[int, int], seen: str | None = None):
    if seen is None:
        seen = client.get("corrections").json()["seen"]
    body = {"seen": seen, "action": action, "objects": [list(o) for o in objects]}
    return client.post("corrections", json=body)


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
    assert [row["waiting"] for row in listed["rows"]] == [True] * len(rows)
    cells = (folder / "results/movie/2_masks/cells.parquet").read_bytes()
    assert written[0]["masks"] == hashlib.sha256(cells).hexdigest()


def test_a_row_names_a_pixel_inside_of_the_object(folder: Path):
    from cellsam_core.files import omezarr

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
    gone = client.request("DELETE", f"corrections/{key}", json={"seen": second.json()["seen"]})
    assert gone.status_code == 200
    assert len(gone.json()["removed"]) == 2
    assert path.read_bytes() == before
    again = client.post(
        "corrections", json={"seen": gone.json()["seen"], "again": gone.json()["removed"]}
    )
    assert again.status_code == 200
    assert again.json()["written"][1]["id"] == key
    assert len(read_corrections(path)) == 4
    assert first.json()["written"][0]["id"] in path.read_text()


def test_a_table_that_was_changed_outside_is_not_overwritten(folder: Path):
    client = client_of(folder)
    seen = post(client, "unlink", (5, 2)).json()["seen"]
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
    assert "no contradiction" in answer.json()["error"]
    assert "movie.tracks.csv, row 3" in answer.json()["error"]
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("action", "objects", "said"),
    [
        ("link", [(5, 1)], "1 chosen, expected two cells"),
        ("link", [(5, 1), (5, 2)], "two cells of one frame"),
        ("merge", [(5, 1), (6, 1)], "cells of two frames"),
        ("swap", [(4, 1), (5, 1)], "cells of two frames"),
        ("swap", [(11, 1), (11, 2)], "both end here"),
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
    assert client_of(folder).post("corrections", json=body).status_code == 422


def test_a_page_that_only_looks_writes_nothing(folder: Path):
    client = client_of(folder, read_only=True)
    assert post(client, "unlink", (5, 2)).status_code == 403
    deleted = client.request("DELETE", "corrections/ab", json={"seen": ""})
    assert deleted.status_code == 403
    assert client.get("corrections").json()["read_only"] is True
    assert not (folder / "corrections").exists()


def test_notes_are_one_line_and_no_formula(tmp_path: Path):
    table = EditTable(tmp_path / "t.csv", ("operation", "note", "id", "group"), lambda _: None)
    table.append("", [{"operation": "delete", "note": "=1+1\nsecond"}])
    text = (tmp_path / "t.csv").read_text()
    assert len(text.splitlines()) == 2
    assert ",'=1+1 second," in text


def test_a_quoted_line_break_of_the_user_is_kept(tmp_path: Path):
    path = tmp_path / "t.csv"
    path.write_text('operation,note\ndelete,"two\nlines"\n')
    table = EditTable(path, ("operation", "note", "id", "group"), lambda _: None)
    row = table.append(table.checksum(), [{"operation": "unlink"}])[0]
    table.remove(table.checksum(), row["id"])
    assert path.read_text() == 'operation,note,id,group\ndelete,"two\nlines"\n'
    with pytest.raises(InputError, match="no row 99"):
        table.remove(table.checksum(), "99")
