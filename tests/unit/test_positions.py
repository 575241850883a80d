"""Positions of one row of the sample sheet, known before anything runs."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from cellsam_core.config.sheet import read_samples
from cellsam_core.errors import InputError
from cellsam_core.run_plan.extent import read_extent
from cellsam_core.samples.frames import read_frame
from cellsam_core.samples.movie_files import MovieOptions
from cellsam_core.samples.movies import inspect_movie
from cellsam_core.samples.positions import expand_row, positions_of, read_plate_map


def write(path, value, n_frames=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (30, 40) if n_frames is None else (n_frames, 30, 40)
    tifffile.imwrite(path, np.full(shape, value, np.uint16), photometric="minisblack")


def plate(folder):
    """Two wells with two fields each, two channels, three frames, by ImageXpress."""
    for i, (well, field, t, c) in enumerate(np.ndindex(2, 2, 3, 2)):
        name = f"Exp_{('B02', 'C03')[well]}_s{field + 1}_w{c + 1}{i:08d}-1111-2222-3333-{i:012d}"
        write(folder / f"TimePoint_{t + 1}" / f"{name}.TIF", 100 * well + 10 * field + c)


ROW = {"sample": "exp", "assay": "movie", "path": "plate", "ratio": "w1/w2"}


def test_a_plate_is_expanded_to_a_sample_each(tmp_path):
    plate(tmp_path / "plate")
    rows = expand_row(ROW, tmp_path)
    assert [row["sample"] for row in rows] == [
        *("exp-B02-s1", "exp-B02-s2", "exp-C03-s1", "exp-C03-s2"),
    ]
    assert all(row["ratio"] == "w1/w2" for row in rows)
    for i, row in enumerate(rows):
        manifest = inspect_movie(
            tmp_path / row["path"], sample="s", assay="movie", position=row["position"]
        )
        assert (manifest.n_frames, manifest.channels) == (3, ["w1", "w2"])
        first = 100 * (i // 2) + 10 * (i % 2)
        assert read_frame(manifest, 2)[:, 0, 0].tolist() == [first, first + 1]
        movie = MovieOptions(position=row["position"])
        assert read_extent(tmp_path / "plate", is_movie=True, movie=movie).n_images == 3


@pytest.mark.parametrize(
    "text",
    [
        "well,condition\nB02,DMSO\nC3,drug\nD04,\n",
        ",1,2,3\nB,,DMSO,x\nC,y,,drug\n",
        "well\tcondition\nb2\tDMSO\nc03\tdrug\n",
    ],
    ids=["list", "grid", "tsv"],
)
def test_a_plate_map_fills_the_condition(tmp_path, text):
    plate(tmp_path / "plate")
    path = tmp_path / ("map.tsv" if "\t" in text else "map.csv")
    path.write_text(text)
    rows = expand_row(ROW | {"plate_map": path.name}, tmp_path)
    assert [row.get("condition") for row in rows] == ["DMSO", "DMSO", "drug", "drug"]


def test_an_empty_condition_leaves_the_sample_out_of_the_averages(tmp_path):
    plate(tmp_path / "plate")
    (tmp_path / "map.csv").write_text("well,condition\nB02,DMSO\n")
    with pytest.raises(InputError, match=r"no well C03 for sample exp.*add the well"):
        expand_row(ROW | {"plate_map": "map.csv"}, tmp_path)
    (tmp_path / "map.csv").write_text("well,condition\nB02,DMSO\nC03,\n")
    rows = expand_row(ROW | {"plate_map": "map.csv"}, tmp_path)
    assert ["condition" in row for row in rows] == [True, True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("well,condition\nB02,a\nB2,b\n", "'B2' twice"),
        ("well,condition\nX99,a\n", "well 'X99'"),
        ("well,drug\nB02,a\n", "expected well and condition"),
    ],
)
def test_a_plate_map_that_is_none(tmp_path, text, message):
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_plate_map(tmp_path / "map.csv")


def test_a_row_that_names_its_position_is_one_sample(tmp_path):
    plate(tmp_path / "plate")
    (row,) = expand_row(ROW | {"position": "C03-s1"}, tmp_path)
    assert row["sample"] == "exp"
    with pytest.raises(InputError, match="expected one of B02-s1"):
        expand_row(ROW | {"position": "C04"}, tmp_path)


def test_one_position_stays_one_sample(tmp_path):
    for t in range(3):
        write(tmp_path / "plate" / f"t{t}.tif", t)
    assert expand_row(ROW, tmp_path) == [ROW]


def test_position_of_a_pattern(tmp_path):
    for p, t in np.ndindex(2, 3):
        write(tmp_path / "plate" / f"exp_{['left', 'right'][p]}_{t}.tif", 10 * p + t)
    with pytest.raises(InputError, match=r"\{channel\}_\{time\}"):
        expand_row(ROW, tmp_path)
    rows = expand_row(ROW | {"pattern": "exp_{position}_{time}"}, tmp_path)
    assert [row["sample"] for row in rows] == ["exp-left", "exp-right"]


@pytest.mark.parametrize("names", ["Pos{p}/img_{t:09d}_GFP_000", "xy{p}_t{t}", "s{p}/t{t}_GFP"])
def test_positions_of_folders_and_names(tmp_path, names):
    for p, t in np.ndindex(2, 3):
        write(tmp_path / f"{names.format(p=p + 1, t=t)}.tif", 10 * p + t)
    found = positions_of(tmp_path)
    assert [p.key[-1] for p in found] == ["1", "2"]
    manifest = inspect_movie(tmp_path, sample="s", assay="movie", position=found[1].key)
    assert [read_frame(manifest, t)[0, 0, 0] for t in range(3)] == [10, 11, 12]


def test_names_of_positions_are_fit_for_samples(tmp_path):
    for p, t in np.ndindex(2, 2):
        write(tmp_path / f"{['ä', 'b'][p]} ö_t{t}.tif", t)
    found = positions_of(tmp_path, pattern="{position}_t{time}")
    assert len({p.key for p in found}) == 2
    assert all(p.key.isascii() and " " not in p.key and p.key for p in found)


def test_stacks_of_positions(tmp_path):
    for p in (1, 2):
        write(tmp_path / f"movie_s{p}.tif", p, n_frames=4)
    assert [p.key for p in positions_of(tmp_path)] == ["s1", "s2"]
    extent = read_extent(tmp_path, is_movie=True, movie=MovieOptions(position="s2"))
    assert extent.n_images == 4
    assert read_extent(tmp_path, is_movie=True) is None


def sheet(folder, columns, *rows):
    path = folder / "sheet.tsv"
    lines = ["\t".join(["sample", "assay", "path", *columns]), *("\t".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_sheet_has_a_sample_of_each_position(tmp_path):
    plate(tmp_path / "plate")
    (tmp_path / "map.csv").write_text("well,condition\nB02,DMSO\nC03,drug\n")
    rows = [("exp", "movie", "plate", "map.csv"), ("gone", "movie", "nowhere", "")]
    samples = read_samples(sheet(tmp_path, ["plate_map"], *rows))
    assert list(samples) == ["exp-B02-s1", "exp-B02-s2", "exp-C03-s1", "exp-C03-s2", "gone"]
    assert samples["exp-C03-s2"] == {
        **{"sample": "exp-C03-s2", "assay": "movie", "path": "plate", "plate_map": "map.csv"},
        **{"position": "C03-s2", "condition": "drug"},
    }


@pytest.mark.parametrize(
    ("columns", "row", "found"),
    [
        (["corrections"], ["map.csv"], "exp', corrections: found one table for 4 positions"),
        (["plate_map"], ["map.csv"], "exp-B02-s1', condition: found 'a=b'"),
        (["position"], ["Z9"], "exp', position: found position Z9, expected one of B02-s1"),
        (["plate_map"], ["gone.csv"], "exp'.*gone.csv"),
    ],
)
def test_a_wrong_row_of_several_positions(tmp_path, columns, row, found):
    plate(tmp_path / "plate")
    (tmp_path / "map.csv").write_text("well,condition\nB02,a=b\nC03,drug\n")
    with pytest.raises(InputError, match=found):
        read_samples(sheet(tmp_path, columns, ["exp", "movie", "plate", *row]))


def test_two_rows_must_not_give_the_same_sample(tmp_path):
    plate(tmp_path / "plate")
    rows = [("exp", "movie", "plate", ""), ("exp-B02-s2", "movie", "plate", "B02-s2")]
    with pytest.raises(InputError, match="'exp-B02-s2': found the name twice"):
        read_samples(sheet(tmp_path, ["position"], *rows))


def test_a_folder_that_may_not_be_read_is_left_to_inspect(tmp_path, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError("no access")

    monkeypatch.setattr("cellsam_core.samples.positions.find_movie", refuse)
    assert list(read_samples(sheet(tmp_path, [], ["exp", "movie", "plate"]))) == ["exp"]
