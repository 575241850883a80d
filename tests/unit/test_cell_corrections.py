"""Corrections of cells: outlines as text, tables that keep their bytes, replay on the masks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from corrected_labels import correct_labels
from scipy.ndimage import label as pieces_of
from skimage.segmentation import expand_labels

from cellsam_core.corrections import stage
from cellsam_core.corrections.cells_file import write_cells
from cellsam_core.corrections.cells_table import CELL_COLUMNS, read_cell_corrections
from cellsam_core.corrections.outlines import (
    fill,
    format_points,
    inner_point,
    outline_of,
    parse_points,
)
from cellsam_core.corrections.stage import correct
from cellsam_core.corrections.table import append_rows, checksum_of, read_rows, remove_rows
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr, omezarr_arrays, pyramid
from cellsam_core.labels.tiles import LabelArray, measure_cells
from cellsam_core.segmentation.instances import fill_holes, largest_piece


def discs(n_side=4, spacing=24, radius=9, shift=0.0):
    """Label image of a grid of discs."""
    side = n_side * spacing
    y, x = np.mgrid[:side, :side]
    labels = np.zeros((side, side), np.uint32)
    for k in range(n_side**2):
        cy, cx = (np.array(divmod(k, n_side)) + 0.5) * spacing + shift
        labels[np.hypot(y - cy, x - cx) < radius] = k + 1
    return labels


def outline(labels, label):
    return format_points(outline_of(labels == label))


def table(tmp_path, *rows):
    """Write a table of corrections of cells; each row is given by its columns."""
    path = tmp_path / "m.cells.csv"
    rows = [{"frame": "0", **{k: str(v) for k, v in row.items()}} for row in rows]
    append_rows(path, CELL_COLUMNS, rows, seen="", check=read_cell_corrections)
    return path


def corrected(tmp_path, labels, *rows, masks=""):
    found = read_cell_corrections(table(tmp_path, *rows))
    return correct_labels(labels, found, masks)


# --- outlines


@pytest.mark.parametrize("seed", range(4))
def test_outlines_lose_no_pixel(seed):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:70, :90]
    mask = np.zeros((70, 90), bool)
    for _ in range(6):
        cy, cx, r = rng.uniform(25, 45), rng.uniform(25, 65), rng.uniform(4, 18)
        mask |= np.hypot(y - cy, (x - cx) / 1.5) < r
    mask = mask & (np.cumsum(mask, axis=1) > 0)
    largest = fill(outline_of(mask, 100, 200), (500, 500))
    again = fill(parse_points(format_points(outline_of(mask, 100, 200)), "w", "c"), (500, 500))
    assert (largest.y0, largest.x0) == (again.y0, again.x0)
    np.testing.assert_array_equal(largest.mask, again.mask)
    window = np.zeros((500, 500), bool)
    window[largest.window] = largest.mask
    np.testing.assert_array_equal(window[100:170, 200:290], fill_holes(largest_piece(mask)))


def test_a_cell_at_the_border_keeps_its_pixels():
    mask = np.zeros((20, 20), bool)
    mask[:5, 12:] = True
    region = fill(outline_of(mask), mask.shape)
    assert (region.y0, region.x0, region.area_px) == (0, 12, 40)
    y, x = inner_point(mask)
    assert mask[int(y), int(x)]


@pytest.mark.parametrize("text", ["", "1 2;3 4", "1 2;3 4;5", "0 0;1 0.25;2 2", "0 0;nan 1;2 2"])
def test_broken_outlines_are_refused(text):
    with pytest.raises(InputError, match=r"multiples of 0\.5 px"):
        parse_points(text, "cells.csv, row 2", "outline")


def test_points_of_large_images_are_exact():
    points = np.array([[123456.5, 0], [1234567.5, 99999.5], [-0.5, -0.0]])
    assert format_points(points) == "123456.5 0;1234567.5 99999.5;-0.5 0"


# --- tables

HAND = '# by Ana\r\nnote,operation,frame,anchor\r\n\r\n"a, b",delete,0,0 0;4 0;4 4\r\n'


def test_what_a_person_wrote_keeps_its_bytes(tmp_path):
    path = tmp_path / "m.cells.csv"
    path.write_bytes(HAND.encode())
    row = {"operation": "add", "frame": "0", "outline": "1 1;9 1;9 9", "serial": "0"}
    ids, seen = append_rows(
        path, CELL_COLUMNS, [row], seen=checksum_of(path), check=read_cell_corrections
    )
    lines = path.read_bytes().decode().split("\r\n")
    assert lines[0] == "# by Ana"
    assert lines[1].startswith("note,operation,frame,anchor,id,group,")
    assert lines[2:4] == HAND.split("\r\n")[2:4]
    assert [r["id"] for r in read_rows(path, ()).rows] == ["", ids[0]]
    assert len(ids[0]) == 8
    assert [c.operation for c in read_cell_corrections(path)] == ["delete", "add"]
    remove_rows(path, ids, seen=seen, check=read_cell_corrections)
    assert path.read_bytes().decode().split("\r\n")[2:4] == HAND.split("\r\n")[2:4]
    assert [c.number for c in read_cell_corrections(path)] == [4]


def test_a_number_of_a_cell_is_given_once(tmp_path):
    row = {"operation": "add", "outline": "1 1;9 1;9 9"}
    path = table(tmp_path, row | {"serial": 0}, row | {"serial": 1})
    rows = read_rows(path, ()).rows
    seen = remove_rows(path, [rows[1]["id"]], seen=checksum_of(path), check=read_cell_corrections)
    assert read_rows(path, ()).next_serial() == 2
    remove_rows(path, [rows[0]["id"]], seen=seen, check=read_cell_corrections)
    assert read_rows(path, ()).next_serial() == 2


def test_a_table_that_was_changed_outside_is_not_written(tmp_path):
    row = {"operation": "add", "outline": "1 1;9 1;9 9", "serial": 0}
    path = table(tmp_path, row)
    before = path.read_bytes()
    for attempt in (
        lambda: append_rows(path, CELL_COLUMNS, [row], seen="", check=read_cell_corrections),
        lambda: remove_rows(path, ["x"], seen="", check=read_cell_corrections),
    ):
        with pytest.raises(InputError, match="changed outside"):
            attempt()
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_row_that_can_not_be_used_is_never_written(tmp_path):
    path = tmp_path / "m.cells.csv"
    row = {"operation": "add", "frame": "0", "serial": "0"}
    with pytest.raises(
        InputError, match=r"m\.cells\.csv, row 2: found no outline for add"
    ) as error:
        append_rows(path, CELL_COLUMNS, [row], seen="", check=read_cell_corrections)
    assert ".tmp" not in str(error.value)
    assert not path.exists()


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"operation": "grow"}, "operation 'grow'"),
        ({"operation": "delete", "anchor": "1 1;9 1;9 9", "frame": "-1"}, "frame '-1'"),
        ({"operation": "delete"}, "no anchor for delete"),
        ({"operation": "delete", "anchor": "1 1;9 1;9 9", "outline": "1 1"}, "the outline of"),
        ({"operation": "add", "outline": "1 1;9 1;9 9"}, "serial ''"),
        ({"operation": "split", "anchor": "1 1;9 1;9 9", "other": "1 1", "serial": 0}, "other"),
    ],
)
def test_rows_that_can_not_be_used_are_named(tmp_path, row, found):
    path = tmp_path / "m.cells.csv"
    values = {"frame": "0"} | row
    pd.DataFrame([{c: values.get(c, "") for c in CELL_COLUMNS}]).to_csv(path, index=False)
    with pytest.raises(InputError, match=f"row 2: found {found}"):
        read_cell_corrections(path)


# --- replay


def test_delete_merge_and_split(tmp_path):
    labels = discs()
    labels[12:36, 80:84] = 16  # a bar, far from the others
    new, outcomes = corrected(
        tmp_path,
        discs(),
        {"operation": "delete", "anchor": outline(discs(), 6)},
        {"operation": "merge", "anchor": outline(discs(), 1), "other": outline(discs(), 2)},
        {"operation": "split", "anchor": outline(discs(), 16), "other": "84 60;84 95", "serial": 4},
    )
    assert [o.is_found for o in outcomes] == [True] * 3
    assert [o.label for o in outcomes] == [0, 1, 16 + 1 + 4]
    assert not (new == 6).any()
    assert not (new == 2).any()
    both = (discs() == 1) | (discs() == 2)
    assert (new[both] == 1).all()
    assert (new == 1).sum() > both.sum()  # they did not touch: the gap belongs to the cell
    parts = [(new == label).sum() for label in (16, 21)]
    assert sum(parts) == (discs() == 16).sum()
    assert min(parts) > 0.4 * sum(parts)
    untouched = np.isin(discs(), [3, 4, 5, 7, 8, 9])
    np.testing.assert_array_equal(new[untouched], discs()[untouched])


def test_add_takes_background_and_gives_way_to_a_better_model(tmp_path):
    whole = discs()
    without = np.where(whole == 6, 0, whole)
    drawn = format_points(outline_of(np.asarray(expand_labels(np.where(whole == 6, 6, 0), 6)) == 6))
    row = {"operation": "add", "outline": drawn, "serial": 0}
    new, (outcome,) = corrected(tmp_path, without, row)
    assert outcome.label == 17
    taken = new == 17
    assert (taken & (whole == 6)).sum() == (whole == 6).sum()
    np.testing.assert_array_equal(
        new[whole > 0][whole[whole > 0] != 6], whole[np.isin(whole, [6, 0], invert=True)]
    )
    exact = row | {"outline": outline(whole, 6)}
    (tmp_path / "m.cells.csv").unlink()
    new, (outcome,) = corrected(tmp_path, whole, exact)
    assert outcome.label == 6
    np.testing.assert_array_equal(new, whole)


def test_redraw_wins_over_neighbours(tmp_path):
    labels = discs()
    bar = np.zeros_like(labels, bool)
    bar[34:38, 20:76] = True  # across the middle of cells 5, 6, 7 of the second row
    row = {
        "operation": "redraw",
        "anchor": outline(labels, 6),
        "outline": format_points(outline_of(bar)),
    }
    new, (outcome,) = corrected(tmp_path, labels, row)
    assert outcome.label == 6
    np.testing.assert_array_equal(new == 6, bar)
    for neighbour in (5, 7):
        assert pieces_of(new == neighbour)[1] == 1
    cut = "cell 7 is cut by the new outline, and only its largest part is kept"
    assert outcome.notes == (cut,)  # cell 5 is only trimmed


def test_redraw_leaves_alone_what_it_does_not_cut_and_names_what_it_covers(tmp_path):
    labels = discs()
    labels[labels == 7] = 5  # a cell in two pieces, as masks of one's own may have
    wide = np.hypot(*(np.mgrid[:96, :96] - np.array([36, 36])[:, None, None])) < 17
    whole = np.hypot(*(np.mgrid[:96, :96] - np.array([12, 36])[:, None, None])) < 11
    row = {"operation": "redraw", "anchor": outline(labels, 6)}
    new, (outcome,) = corrected(
        tmp_path, labels, row | {"outline": format_points(outline_of(wide | whole))}
    )
    np.testing.assert_array_equal(new == 5, (labels == 5) & ~wide & ~whole)
    assert pieces_of(new == 5)[1] == 2
    assert outcome.notes == ("cell 2 is covered by the new outline and is gone",)


def test_a_row_that_no_longer_fits_its_own_masks_is_an_error(tmp_path):
    rows = [{"operation": "delete", "anchor": outline(discs(), 6), "masks": "abc"}] * 2
    path = table(tmp_path, *rows)
    found = read_cell_corrections(path)
    with pytest.raises(InputError, match="row 3: found no cell with an IoU"):
        correct_labels(discs(), found, "abc")
    _, outcomes = correct_labels(discs(), found, "another")
    assert [o.is_found for o in outcomes] == [True, False]
    assert outcomes[1].label == 0


@pytest.mark.parametrize("cut", ["84 60;84 80", "0 0;3 3", "60 60;60 95"])
def test_a_cut_that_does_not_divide_is_refused(tmp_path, cut):
    row = {"operation": "split", "anchor": outline(discs(), 16), "other": cut, "serial": 0}
    with pytest.raises(InputError, match="a cut that does not divide the cell"):
        corrected(tmp_path, discs(), row | {"masks": "m"}, masks="m")


def test_removing_a_row_renumbers_no_other_cell(tmp_path):
    empty = np.where(np.isin(discs(), [6, 7]), 0, discs())
    rows = [
        {"operation": "add", "outline": outline(discs(), label), "serial": serial}
        for serial, label in enumerate((6, 7))
    ]
    both, _ = corrected(tmp_path, empty, *rows)
    (tmp_path / "m.cells.csv").unlink()
    second, _ = corrected(tmp_path, empty, rows[1])
    np.testing.assert_array_equal(both == 18, second == 18)
    assert (second == 18).any()


# --- after another segmentation


def segmented_again(labels, rng):
    """Other sizes of all cells, 3 % of the cells missing, and other numbers."""
    new = np.asarray(expand_labels(labels, 2))
    numbers = np.unique(new)[1:]
    renumbered = np.zeros(int(new.max()) + 1, new.dtype)
    renumbered[numbers] = 1 + rng.permutation(len(numbers))
    renumbered[rng.choice(numbers, round(0.03 * len(numbers)), replace=False)] = 0
    return renumbered[new]


def test_corrections_survive_another_segmentation(tmp_path):
    rng = np.random.default_rng(0)
    before = discs(15, 21)  # dense: 3 px between cells
    after = segmented_again(before, rng)
    meant = rng.permutation(225)[:100] + 1
    rows = [
        {"operation": "delete", "anchor": outline(before, label), "masks": "old"} for label in meant
    ]
    found = read_cell_corrections(table(tmp_path, *rows))
    new, outcomes = correct_labels(after, found, "new")
    assert sum(o.is_found for o in outcomes) >= 95
    gone = (after > 0) & (new == 0)
    for label, outcome in zip(meant, outcomes, strict=True):
        assert outcome.is_found == bool(gone[before == label].all())
    assert not gone[np.isin(before, meant, invert=True) & (before > 0)].any()


# --- the stage


@pytest.fixture
def movie(tmp_path, monkeypatch):
    monkeypatch.setattr(pyramid, "CHUNK_PX", 32)
    monkeypatch.setattr(omezarr_arrays, "CHUNK_PX", 32)
    labels = np.stack([discs(), discs(shift=1.0), np.zeros((96, 96), np.uint32)])
    return write_movie(tmp_path / "2_masks", labels)


def write_movie(folder, labels):
    folder.mkdir(exist_ok=True)
    store = omezarr.create(
        folder / "masks.zarr", shape=labels.shape, axes="tyx", dtype="uint32", pixel_size_um=0.5
    )
    with pyramid.PyramidWriter(store) as writer:
        for frame, plane in enumerate(labels):
            writer.write((frame,), 0, plane)
    cells = pd.concat(
        measure_cells(LabelArray(plane)).assign(frame=frame) for frame, plane in enumerate(labels)
    )
    cells = cells.assign(score=0.9, predicted_iou=0.8, y_um=cells["y"] / 2, x_um=cells["x"] / 2)
    cells = cells.assign(area_um2=cells["area_px"] / 4).astype({"frame": "int32"})
    cells.to_parquet(folder / "cells.parquet")
    return folder


def files_of(store):
    return {p.relative_to(store): p.read_bytes() for p in store.rglob("*") if p.is_file()}


def test_corrected_masks_and_their_cells(movie, tmp_path):
    rows = [
        {"operation": "delete", "frame": 1, "anchor": outline(discs(shift=1.0), 6)},
        {"operation": "add", "frame": 2, "outline": outline(discs(), 3), "serial": 0},
        {"operation": "complete", "frame": 1, "outline": "0 0;90 0;90 90;0 90"},
        {"operation": "delete", "frame": 2, "anchor": outline(discs(), 9)},
    ]
    path = table(tmp_path, *rows)
    masks, cells = movie / "masks.zarr", movie / "cells.parquet"
    labels, outcomes = correct(masks, cells, path, tmp_path / "corrected")
    assert outcomes["found"].tolist() == ["yes", "yes", "yes", "no"]
    listed = pd.read_csv(tmp_path / "corrected/corrections.csv")
    assert listed["row"].tolist() == [2, 3, 4, 5]
    assert listed["label"].tolist() == [0, 1, 0, 0]
    np.testing.assert_array_equal(labels.frame(0), discs())
    assert 6 not in labels.frame(1)
    np.testing.assert_array_equal(labels.frame(2) == 1, discs() == 3)
    table_of = pd.read_parquet(tmp_path / "corrected/cells.parquet")
    assert table_of.groupby("frame").size().tolist() == [16, 15, 1]
    assert table_of["source"].tolist() == ["auto"] * 31 + ["user"]
    drawn = table_of.iloc[-1]
    assert drawn["area_px"] == (discs() == 3).sum()
    assert drawn["x_um"] == drawn["x"] / 2
    assert np.isnan(drawn["score"])
    again = write_movie(tmp_path / "again", np.stack([labels.frame(i) for i in range(3)]))
    stores = [omezarr.open_(s / "masks.zarr") for s in (again, tmp_path / "corrected")]
    for k in (1, 2):  # each level is what new masks would have
        np.testing.assert_array_equal(*(store.level(k)[:] for store in stores))


def test_the_last_cell_of_a_chunk_may_be_deleted(movie, tmp_path):
    """Zarr leaves out empty chunks, and a chunk that is absent counts as lost."""
    labels = discs()
    cells = [k for k in range(1, 17) if (labels[:32, :32] == k).any()]
    rows = [{"operation": "delete", "anchor": outline(labels, k)} for k in cells]
    path = table(tmp_path, *rows)
    found, _ = correct(movie / "masks.zarr", movie / "cells.parquet", path, tmp_path / "corrected")
    assert not found.frame(0)[:32, :32].any()
    assert found.frame(0).any()


def test_masks_that_are_corrected_again_are_another_version(movie, tmp_path):
    """The page keeps chunks by the version of the masks that they are of."""
    inputs = movie / "masks.zarr", movie / "cells.parquet"
    versions = []
    for label in (6, 7):
        path = table(tmp_path, {"operation": "delete", "anchor": outline(discs(), label)})
        correct(*inputs, path, tmp_path / "corrected")
        versions.append(omezarr.open_(tmp_path / "corrected/masks.zarr").version)
        path.unlink()
    assert versions[0] != versions[1]


def test_a_table_that_changes_meanwhile_is_an_error(movie, tmp_path, monkeypatch):
    """The outputs would be newer than the table, and the new row would wait for ever."""
    path = table(tmp_path, {"operation": "delete", "anchor": outline(discs(), 6)})

    def write_meanwhile(*cells):
        path.write_text(path.read_text() + "# a comment\n")
        return write_cells(*cells)

    monkeypatch.setattr(stage, "write_cells", write_meanwhile)
    inputs = movie / "masks.zarr", movie / "cells.parquet", path
    with pytest.raises(InputError, match="other rows than when the job began"):
        correct(*inputs, tmp_path / "corrected")
    assert list((tmp_path / "corrected").iterdir()) == []
    monkeypatch.undo()
    _, outcomes = correct(*inputs, tmp_path / "corrected")  # as the error says
    assert outcomes["found"].tolist() == ["yes"]


@pytest.mark.parametrize("gap", [1, 2, 3, 8])
def test_joined_cells_are_one_piece(tmp_path, gap):
    labels = np.zeros((40, 60), np.uint32)
    labels[10:20, 10:20], labels[10:20, 20 + gap : 30 + gap] = 1, 2
    row = {"operation": "merge", "anchor": outline(labels, 1), "other": outline(labels, 2)}
    joined, _ = corrected(tmp_path, labels, row)
    assert pieces_of(joined == 1)[1] == 1
    assert (joined == 1).sum() >= 200


def test_without_rows_the_masks_keep_their_bytes(movie, tmp_path):
    path = tmp_path / "m.cells.csv"
    path.write_text("operation,frame,anchor\n# nothing yet\n")
    correct(movie / "masks.zarr", movie / "cells.parquet", path, tmp_path / "corrected")
    assert files_of(movie / "masks.zarr") == files_of(tmp_path / "corrected/masks.zarr")


def test_an_error_leaves_no_output(movie, tmp_path):
    masks = checksum_of(movie / "cells.parquet")
    path = table(tmp_path, {"operation": "delete", "anchor": "0 0;2 0;2 2", "masks": masks})
    with pytest.raises(InputError, match="row 2: found no cell"):
        correct(movie / "masks.zarr", movie / "cells.parquet", path, tmp_path / "corrected")
    assert list((tmp_path / "corrected").iterdir()) == []
    (tmp_path / "m.cells.csv").unlink()
    path = table(tmp_path, {"operation": "delete", "anchor": "0 0;2 0;2 2", "frame": 3})
    with pytest.raises(InputError, match="found frame 3, expected a frame from 0 to 2"):
        correct(movie / "masks.zarr", movie / "cells.parquet", path, tmp_path / "corrected")
