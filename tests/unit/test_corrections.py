"""Corrections of tracks by the user are applied to every output, at every run."""

from __future__ import annotations

from pathlib import Path

import geff
import numpy as np
import pandas as pd
import pytest
import tifffile
from ctc_metrics.scripts.validate import validate_sequence
from disc_movies import budding_movie, crowd, division_movie, draw, tripolar_movie
from geff.core_io import read_to_memory
from geff.validate.data import ValidationConfig, validate_data

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.tracking.corrections import Correction, Operation, correct_frames
from cellsam_core.tracking.corrections_table import read_corrections
from cellsam_core.tracking.ctc import read_ctc
from cellsam_core.tracking.options import TrackOptions
from cellsam_core.tracking.tracker import track_labels
from cellsam_core.tracking.tracks import Tracks

HEADER = "operation,frame,label,other_frame,other_label,note\n"
Row = tuple[Operation, int, int] | tuple[Operation, int, int, int, int]


def corrected(frames: list[np.ndarray], *rows: Row, division: str = "mitosis") -> Tracks:
    corrections = [Correction(f"row {i}", *row) for i, row in enumerate(rows)]
    return track_labels(frames, TrackOptions(division=division), corrections)  # type: ignore[arg-type]


def track_of(tracks: Tracks, frame: int, label: int) -> int:
    rows = tracks.objects.query("frame == @frame and label == @label")
    return int(rows["track_id"].iloc[0])


def flagged(tracks: Tracks) -> list[tuple[int, int]]:
    rows = tracks.objects[tracks.objects["flags"].str.contains("corrected")]
    return list(rows[["frame", "label"]].itertuples(index=False, name=None))


def parents_of(tracks: Tracks, *track_ids: int) -> list[int]:
    return tracks.tracks.set_index("track_id").loc[list(track_ids), "parent_id"].tolist()


def test_swapped_cells_are_swapped_back() -> None:
    frames = [draw([(1, 40, 40, 9), (2, 40, 80, 9)]) for _ in range(8)]
    result = corrected(frames, ("link", 4, 2, 3, 1), ("link", 4, 1, 3, 2))
    assert len(result.tracks) == 2
    assert track_of(result, 0, 1) == track_of(result, 7, 2)
    assert track_of(result, 0, 2) == track_of(result, 7, 1)
    assert flagged(result) == [(4, 1), (4, 2)]
    row = result.objects.query("frame == 4 and label == 1").iloc[0]
    assert row["link_kind"] == "link"
    assert np.isnan([row["link_iou"], row["link_cost"], row["link_margin"]]).all()
    assert result.tracks["mean_iou"].tolist() == [1, 1]  # of the links that were measured


def test_a_cell_that_was_lost_for_long_is_linked_across_the_gap() -> None:
    frames = [draw([(5, 48, 60, 9)] if not 2 <= t < 7 else []) for t in range(9)]
    assert len(track_labels(frames).tracks) == 2
    result = corrected(frames, ("link", 7, 5, 1, 5))
    row = result.tracks.iloc[0]
    assert row[["first_frame", "last_frame", "n_obs", "n_gaps"]].tolist() == [0, 8, 4, 1]


def test_linking_what_is_linked_changes_nothing_but_the_flag() -> None:
    plain, result = track_labels(crowd()), None
    objects = plain.objects
    link = objects[objects["link_kind"] == "link"].iloc[0]
    before = objects.query("frame == @link.frame - 1 and track_id == @link.track_id").iloc[0]
    result = corrected(
        crowd(), ("link", link["frame"], link["label"], before["frame"], before["label"])
    )
    pd.testing.assert_frame_equal(result.tracks, plain.tracks)
    columns = objects.columns.drop("flags")
    pd.testing.assert_frame_equal(result.objects[columns], objects[columns])
    assert flagged(result) == [(link["frame"], link["label"])]


def test_a_false_daughter_is_taken_away_and_the_other_goes_on_as_the_parent() -> None:
    result = corrected(division_movie(), ("unlink", 4, 3))
    assert result.divisions.empty
    assert track_of(result, 0, 1) == track_of(result, 9, 2)
    assert parents_of(result, track_of(result, 9, 3)) == [0]
    assert set(result.tracks["sister_id"]) == {0}


@pytest.mark.parametrize(
    "rows",
    [
        [("set-parent", 4, 2, 3, 1)],
        [("set-parent", 4, 3, 3, 1)],
        [("set-parent", 4, 3, 3, 1), ("set-parent", 4, 2, 3, 1)],
    ],
)
def test_a_missed_division_is_set(rows: list[Row]) -> None:
    """One row is enough where the parent's track goes on as the other daughter."""
    automatic = track_labels(division_movie())
    missed = track_labels(division_movie(), TrackOptions(division="none"))
    assert missed.divisions.empty
    onward = 2 if track_of(missed, 0, 1) == track_of(missed, 9, 2) else 3
    if len(rows) == 1 and rows[0][2] == onward:
        rows = [("set-parent", 4, 5 - onward, 3, 1)]
    result = corrected(division_movie(), *rows, division="none")
    columns = ["kind", "frame", "parent_id", "daughter_ids"]
    pd.testing.assert_frame_equal(result.divisions[columns], automatic.divisions[columns])
    assert result.divisions[["score", "status"]].iloc[0].tolist() == [1.0, "corrected"]
    same = ["track_id", "lineage_id", "parent_id", "sister_id", "generation", "birth_kind"]
    same += ["first_frame", "last_frame", "end_kind"]
    pd.testing.assert_frame_equal(result.tracks[same], automatic.tracks[same])


def test_a_named_daughter_takes_the_place_of_one_that_is_not() -> None:
    frames = [np.where(f == 9, 0, f) for f in division_movie()]
    for t in range(4, 10):
        frames[t] |= draw([(7, 85, 60, 8)]).astype(np.uint16)
    result = corrected(frames, ("set-parent", 4, 7, 3, 1), ("set-parent", 4, 2, 3, 1))
    a, b, other = (track_of(result, 9, label) for label in (2, 7, 3))
    assert parents_of(result, a, b, other) == [track_of(result, 0, 1)] * 2 + [0]
    assert result.divisions["daughter_ids"].tolist() == [f"{min(a, b)};{max(a, b)}"]


def test_a_third_daughter_is_added_and_taken_away() -> None:
    """One row adds a daughter; rows for all of them confirm; `unlink` leaves the other two."""
    frames = [np.where(f == 9, 0, f) for f in division_movie()]
    for t in range(4, 10):
        frames[t] |= draw([(7, 85, 60, 8)]).astype(np.uint16)
    for rows in (
        [("set-parent", 4, 7, 3, 1)],
        [("set-parent", 4, label, 3, 1) for label in (2, 3, 7)],
    ):
        result = corrected(frames, *rows)  # type: ignore[arg-type]
        ids = sorted(track_of(result, 9, label) for label in (2, 3, 7))
        assert parents_of(result, *ids) == [track_of(result, 0, 1)] * 3
        assert result.divisions["daughter_ids"].tolist() == [";".join(map(str, ids))]
        assert result.divisions["status"].tolist() == ["corrected"]
        assert set(result.tracks["sister_id"]) == {0}
    found = track_labels(tripolar_movie())
    assert found.divisions["daughter_ids"].iloc[0].count(";") == 2
    two = corrected(tripolar_movie(), ("unlink", 4, 3))
    assert two.divisions["daughter_ids"].iloc[0].count(";") == 1
    assert parents_of(two, track_of(two, 9, 3)) == [0]


def test_a_division_that_was_none_is_undone_by_a_link() -> None:
    result = corrected(division_movie(), ("link", 4, 2, 3, 1))
    assert result.divisions.empty
    assert track_of(result, 0, 1) == track_of(result, 9, 2)
    three = corrected(tripolar_movie(), ("unlink", 4, 3), ("link", 4, 2, 3, 1))
    assert three.divisions.empty
    assert track_of(three, 0, 1) == track_of(three, 9, 2)


def test_mothers_are_set_changed_and_taken_away() -> None:
    frames = budding_movie()
    result = corrected(
        frames, ("set-mother", 4, 4, 0, 2), ("set-mother", 2, 3, 8, 2), division="budding"
    )
    mother, bud, stray = (track_of(result, 8, label) for label in (2, 3, 4))
    assert parents_of(result, bud, stray) == [mother, mother]
    assert result.divisions["status"].tolist() == ["corrected"] * 2
    assert result.divisions["parent_id"].tolist() == [mother] * 2
    births = result.tracks.set_index("track_id").loc[[bud, stray], "birth_kind"]
    assert births.tolist() == ["bud", "bud"]
    none = corrected(frames, ("unlink", 2, 3), division="budding")
    assert none.divisions.empty
    with pytest.raises(InputError, match="one who appears in frame 4"):
        corrected(frames, ("set-mother", 2, 3, 6, 4), division="budding")


def test_pieces_are_merged_and_debris_is_deleted() -> None:
    whole = [draw([(1, 48, 60, 12)]) for _ in range(9)]
    frames = [f.copy() for f in whole]
    for t in (3, 4):
        frames[t][:, 60:][whole[t][:, 60:] == 1] = 3
        frames[t][:20, :20] = 8
    rows: list[Row] = [("merge", t, 1, t, 3) for t in (3, 4)]
    rows += [("delete", t, 8) for t in (3, 4)]
    result, expected = corrected(frames, *rows), track_labels(whole)
    assert flagged(result) == [(3, 1), (4, 1)]
    assert result.objects["merged_labels"].tolist() == ["", "", "", "3", "3", "", "", "", ""]
    pd.testing.assert_frame_equal(result.tracks, expected.tracks)
    same = expected.objects.columns.drop(["flags", "merged_labels"])
    pd.testing.assert_frame_equal(result.objects[same], expected.objects[same])


def test_frames_without_corrections_are_passed_on_as_they_are() -> None:
    frames = division_movie()
    edit = Correction("row 2", "delete", 3, 1)
    out = list(correct_frames(frames, [edit]))
    assert [a is b for a, b in zip(frames, out, strict=True)] == [t != 3 for t in range(10)]
    assert (frames[3] == 1).any()
    assert not (out[3] == 1).any()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("link", 5, 77, 4, 2), "label 77 in frame 5"),
        (("link", 5, 2, 4, 77), "label 77 in frame 4"),
        (("unlink", 50, 2), "label 2 in frame 50"),
        (("delete", 50, 2), "label 2 in frame 50"),
        (("delete", 5, 77), "label 77 in frame 5"),
        (("merge", 5, 2, 5, 77), "label 77 in frame 5"),
        (("merge", 5, 77, 5, 2), "label 77 in frame 5"),
    ],
)
def test_objects_that_are_not_there_are_named(row: Row, message: str) -> None:
    with pytest.raises(InputError, match=f"row 0: found {message}, where there is none"):
        corrected(division_movie(), row)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("join,1,2,0,2,\n", "row 2: found operation 'join', expected one of link, unlink"),
        ("unlink,1,2,,,\n\nlink,one,2,0,2,\n", "row 4: found frame 'one'"),
        ("link,1,0,0,2,\n", "row 2: found label '0'"),
        ("link,1,2,,,\n", "row 2: found other_frame ''"),
        ("delete,1,2,0,2,\n", "row 2: found delete of two objects"),
        ("merge,1,2,0,3,\n", "row 2: found label 3 in frame 0, expected another of frame 1"),
        ("merge,1,2,1,2,\n", "expected another of frame 1"),
        ("set-parent,1,2,1,3,\n", "row 2: found other_frame 1, expected a frame before frame 1"),
        ("unlink,1,2,,,\nlink,1,2,0,3,\n", r"row 3: found link of label 2 in frame 1, .*row 2 is"),
        ("link,1,2,0,3,\nlink,1,4,0,3,\n", r"row 3: found link of label 3 in frame 0"),
        ("delete,1,2,,,\nlink,1,2,0,3,\n", r"row 3: .*one correction .*row 2 is delete\)"),
        ("merge,1,2,1,3,\nmerge,1,3,1,4,\n", r"row 3: found merge of label 3 in frame 1"),
        ("merge,1,2,1,3,\nmerge,1,4,1,3,\n", r"row 3: found merge of label 3 in frame 1"),
        ("set-parent,4,2,3,1,\nlink,5,9,3,1,\n", r"row 3: found link of label 1 .*row 2 is set"),
    ],
)
def test_a_bad_table_is_refused_in_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "corrections.csv").write_text(HEADER + text)
    with pytest.raises(InputError, match=message):
        read_corrections(tmp_path / "corrections.csv")


def test_a_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "corrections.csv"
    path.write_text("\ufeff" + HEADER + "link,4,2,3,1,looks so\n,,,,,\nmerge, 1,2 ,1,3,\n")
    first, second = read_corrections(path)
    assert (first.operation, first.frame, first.label, first.other) == ("link", 4, 2, (3, 1))
    assert second == Correction(f"{path}, row 4", "merge", 1, 2, 1, 3, number=4)
    path.write_text(HEADER + "link,5,9,3,1,\nset-parent,4,2,3,1,\n")
    assert len(read_corrections(path)) == 2  # what goes on is a daughter, too
    path.write_text(HEADER)
    assert read_corrections(path) == []
    path.write_text("operation,frame\n")
    with pytest.raises(InputError, match="also label, other_frame, other_label"):
        read_corrections(path)


def write_case(folder: Path, name: str) -> tuple[Path, Path, list[np.ndarray], list[str]]:
    """A movie and its corrections, every operation being in one of both."""
    if name == "mitosis":
        frames, options = division_movie(), ["--division", "none"]
        for t in (2, 6):
            frames[t][:, 20 + t :][frames[t][:, 20 + t :] == 9] = 8
        frames[5][:6, :6] = 12
        table = "set-parent,4,3,3,1,\nmerge,2,9,2,8,\nmerge,6,9,6,8,\ndelete,5,12,,,\n"
        table += "unlink,8,9,,,\nlink,9,9,6,9,\n"
    else:
        frames, options = budding_movie(), ["--division", "budding"]
        table = "set-mother,4,4,0,2,\nset-mother,2,3,0,2,\nunlink,6,1,,,\n"
    folder.mkdir()
    tifffile.imwrite(folder / "labels.tif", np.stack(frames), photometric="minisblack")
    (folder / "corrections.csv").write_text(HEADER + table)
    return folder / "labels.tif", folder / "corrections.csv", frames, options


@pytest.mark.parametrize("name", ["mitosis", "budding"])
def test_every_output_follows_and_replay_gives_the_same_bytes(tmp_path: Path, name: str) -> None:
    labels, table, frames, options = write_case(tmp_path / "in", name)
    for run in ("a", "b"):
        arguments = ["track", labels, "-o", tmp_path / run, "--corrections", table, *options]
        assert main([str(word) for word in arguments]) == 0
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert len(files) > len(frames)
    for path in files:
        assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()
    out = tmp_path / "a"
    objects = pd.read_parquet(out / "objects.parquet")
    tracks, divisions = (pd.read_csv(out / f"{t}.csv") for t in ("tracks", "divisions"))
    assert set(divisions["status"]) == {"corrected"}
    assert validate_sequence(str(out / "ctc"), threads=1) == {"Valid": 1}
    movie = read_ctc(out / "ctc")
    pieces = {int(v) for t in range(len(frames)) for v in np.unique(movie.frame(t)) if v}
    assert pieces == set(movie.tracks[:, 0].tolist())
    for t, frame in enumerate(frames):
        gone = frame == 12
        assert ((movie.frame(t) > 0) == ((frame > 0) & ~gone)).all()
        n_objects = (objects["frame"] == t).sum()
        assert len(np.unique(movie.frame(t))) - 1 == n_objects
    geff.validate_structure(out / "tracks.geff")
    memory = read_to_memory(out / "tracks.geff")
    validate_data(memory, ValidationConfig(graph=True, lineage=True, tracklet=True))
    assert len(memory["node_ids"]) == len(objects)
    nodes = memory["node_ids"].astype(int)
    order = np.argsort(nodes)
    identity = memory["node_props"]["track_id"]["values"][order]
    family = identity[np.searchsorted(nodes[order], memory["edge_ids"].astype(int))]
    expected = tracks.query("parent_id > 0")[["parent_id", "track_id"]].to_numpy().tolist()
    assert {tuple(f) for f in family.tolist() if f[0] != f[1]} == set(map(tuple, expected))


def test_a_wrong_row_leaves_nothing_behind(tmp_path: Path, capsys) -> None:
    labels, table, _, _ = write_case(tmp_path / "in", "mitosis")
    table.write_text(HEADER + "delete,5,99,,,\n")
    arguments = ["track", labels, "-o", tmp_path / "out", "--corrections", table]
    assert main([str(word) for word in arguments]) == 1
    assert "corrections.csv, row 2: found label 99 in frame 5" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
