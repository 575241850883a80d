"""Positions of one row of the sample sheet, known before anything runs."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile
import zarr
from refusals import follow

from cellsam_core.config.sheet import load_config, read_samples
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


@pytest.mark.parametrize("names", [("drug_0uM", "drug_10uM"), ("exp_10x", "exp_20x")])
def test_movies_of_several_doses_are_not_joined_in_time(tmp_path, names):
    for value, name in enumerate(names):
        write(tmp_path / f"{name}.tif", value, n_frames=4)
    pattern = names[0].replace("10", "{position}").replace("0", "{position}")
    found = follow(
        lambda: positions_of(tmp_path),
        re.escape(f"fill the column `pattern` of the sample sheet, for example with {pattern}"),
        then=lambda: positions_of(tmp_path, pattern=pattern),
    )
    assert len(found) == 2


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
        (["plate_map"], ["map.csv"], "exp-B02-s1', column condition: found 'a=b'"),
        (["position"], ["Z9"], "exp', position: found position Z9, expected one of B02-s1"),
        (["plate_map"], ["gone.csv"], "exp'.*gone.csv"),
        (
            ["plate_map", "condition"],
            ["map.csv", "x"],
            "exp'.*found x in the sheet and a=b in the plate map for well B02",
        ),
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


def test_a_control_of_several_positions_names_one_of_them(tmp_path):
    for name in ("dmso", "drug"):
        plate(tmp_path / name)
    columns, own = ["position", "control"], ["drug", "movie", "drug", "B02-s1"]
    rows = [["dmso", "movie", "dmso", "", ""], [*own, "dmso"]]
    with pytest.raises(InputError, match=r"4 positions.*such as dmso-B02-s1") as refused:
        load_config({"samples": str(sheet(tmp_path, columns, *rows))}, [tmp_path])
    named = str(refused.value).rstrip(".").rpartition("such as ")[2]
    rows[1] = [*own, named]
    config = load_config({"samples": str(sheet(tmp_path, columns, *rows))}, [tmp_path])
    assert config.settings("drug", "traces")["control"] == "dmso-B02-s1"


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_plate_of_another_library_gives_a_sample_of_each_field(tmp_path, version):
    """ome-zarr-py writes the plate; time, channel and pixel size are read, too."""
    writer = pytest.importorskip("ome_zarr.writer", reason="ome-zarr-py is not installed")
    formats = pytest.importorskip("ome_zarr.format", reason="ome-zarr-py is not installed")
    fmt = formats.FormatV04() if version == "0.4" else formats.FormatV05()
    root = zarr.open_group(str(tmp_path / "plate.zarr"), mode="w", zarr_format=fmt.zarr_format)
    writer.write_plate_metadata(root, ["B"], ["2", "3"], ["B/2", "B/3"], fmt=fmt)
    units = {"t": ("time", "second"), "c": ("channel", None), "z": ("space", "micrometer")}
    axes = [
        {"name": name, "type": kind} | ({"unit": unit} if unit else {})
        for name, (kind, unit) in (units | dict.fromkeys("yx", units["z"])).items()
    ]
    scale = {"type": "scale", "scale": [120.0, 1.0, 1.0, 0.325, 0.325]}
    for i, column in enumerate("23"):
        well = root.require_group(f"B/{column}")
        writer.write_well_metadata(well, ["0"], fmt=fmt)
        pixels = np.arange(6, dtype=np.uint16).reshape(3, 2, 1, 1, 1) + 100 * i
        pixels = np.broadcast_to(pixels, (3, 2, 1, 30, 40))
        writer.write_image(
            pixels,
            well.require_group("0"),
            axes=axes,
            fmt=fmt,
            scale_factors=[],
            coordinate_transformations=[[scale]],
        )
    rows = expand_row({"sample": "exp", "assay": "movie", "path": "plate.zarr"}, tmp_path)
    assert [row["sample"] for row in rows] == ["exp-B02", "exp-B03"]
    for i, row in enumerate(rows):
        path = tmp_path / "plate.zarr"
        manifest = inspect_movie(path, sample="s", assay="movie", position=row["position"])
        assert (manifest.n_frames, len(manifest.channels)) == (3, 2)
        assert (manifest.pixel_size_um, manifest.frame_interval_s) == (0.325, 120)
        assert read_frame(manifest, 2)[:, 0, 0].tolist() == [100 * i + 4, 100 * i + 5]
