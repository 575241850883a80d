from __future__ import annotations

import gzip
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cellsam_core.errors import InputError
from cellsam_core.samples.manifest import TranscriptSource
from cellsam_core.samples.placement import place_in_um, place_transcripts
from cellsam_core.samples.sources import words_of_unit
from cellsam_core.samples.transcripts import find_columns, iter_transcripts
from cellsam_core.verdict.tissue import transcript_check

if TYPE_CHECKING:
    from pathlib import Path

IDENTITY = np.eye(3).tolist()


def write(path: Path, text: str) -> Path:
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def source(path: Path, **changes: object) -> TranscriptSource:
    plain = TranscriptSource(str(path), "x_um", "y_um", "gene", None, "um", IDENTITY, 0)
    return replace(plain, **changes)


def rows(table: TranscriptSource, chunk_rows: int = 1_000_000) -> list[dict[str, object]]:
    return [row for batch in iter_transcripts(table, chunk_rows) for row in batch.to_pylist()]


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.tsv", "t.tsv.gz"])
def test_text_tables_keep_order_and_names(tmp_path, name):
    # "NA" and "nan" are symbols like any other; the id would not survive a float.
    lines = ["id,x_um,y_um,gene", "9007199254740993,1,2,NA", "9007199254740995,3.5,4e0,nan"]
    text = "\n".join(lines) + "\n"
    path = write(tmp_path / name, text.replace(",", "\t") if ".tsv" in name else text)
    found = rows(source(path))
    assert [row["feature"] for row in found] == ["NA", "nan"]
    assert [(row["x_um"], row["y_um"]) for row in found] == [(1, 2), (3.5, 4)]
    assert [row["z"] for row in found] == [None, None]


def test_a_parquet_column_z_without_a_value_is_two_dimensional(tmp_path):
    path = tmp_path / "transcripts.parquet"
    places = pa.array([1.0, 2.0])
    table = {"x_um": places, "y_um": places, "gene": ["a", "b"]}
    for z, column in (([None, None], None), ([None, 1.0], "z")):
        pq.write_table(pa.table(table | {"z": pa.array(z, pa.float64())}), path)
        assert find_columns(path).z == column
    with pytest.raises(InputError, match=r"no number in column 'z', row 1"):
        rows(source(path, z="z"))


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv"])
def test_a_text_column_z_without_a_value_is_two_dimensional(tmp_path, suffix):
    separator = "\t" if suffix == ".tsv" else ","
    table = pd.DataFrame({"x_px": [1.0, 2.0], "y_px": 3.0, "z": ["", ""], "gene": "NA"})
    table.to_csv(tmp_path / f"t{suffix}", index=False, sep=separator)
    assert find_columns(tmp_path / f"t{suffix}").z is None
    table["z"] = ["", "1"]
    table.to_csv(tmp_path / f"t{suffix}", index=False, sep=separator)
    assert find_columns(tmp_path / f"t{suffix}").z == "z"


def test_ids_beside_missing_ones_are_whole_numbers_again(tmp_path):
    # pandas writes 7 as 7.0 where another row has no id.
    path = write(
        tmp_path / "t.csv", "x_um,y_um,gene,cell\n1,2,a,7.0\n1,2,a,\n1,2,a,0.0\n1,2,a,7.5\n"
    )
    found = [row["vendor_cell_id"] for row in rows(source(path, cell="cell"))]
    assert found == ["7", None, None, "7.5"]


@pytest.mark.parametrize("number", ["0", "-1"])
@pytest.mark.parametrize("ending", ["", ".0", ".00", "."])
def test_the_number_of_no_cell_is_none_however_it_is_written(tmp_path, number, ending):
    path = write(tmp_path / "t.csv", f"x_um,y_um,gene,cell\n1,2,a,{number}{ending}\n1,2,a,7\n")
    found = [row["vendor_cell_id"] for row in rows(source(path, cell="cell"))]
    assert found == [None, "7"]


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())],
)
def test_parquet_features_of_any_text_type(tmp_path, kind):
    path = tmp_path / "t.parquet"
    genes = pa.array(["NANOG", "Blank-1", "NANOG"])
    table = pa.table(
        {
            "x_um": pa.array([1, 2, 3], pa.float32()),
            "y_um": pa.array([4, 5, 6], pa.int64()),
            "gene": genes.dictionary_encode() if pa.types.is_dictionary(kind) else genes.cast(kind),
        }
    )
    pq.write_table(table, path)
    found = rows(source(path))
    assert [row["feature"] for row in found] == genes.to_pylist()
    assert [row["y_um"] for row in found] == [4, 5, 6]


@pytest.mark.parametrize("chunk_rows", [1, 3, 4, 7, 1000])
def test_row_groups_of_parquet_may_have_other_features(tmp_path, chunk_rows):
    genes = [f"g{i % 5 if i < 11 else 40 - i}" for i in range(20)]
    table = pa.table({"x_um": np.arange(20.0), "y_um": np.arange(20.0), "gene": genes})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=4)
    assert [row["feature"] for row in rows(source(tmp_path / "t.parquet"), chunk_rows)] == genes


@pytest.mark.parametrize("nothing", ["", None])
def test_a_feature_without_a_name_is_refused_in_parquet_too(tmp_path, nothing):
    table = pa.table({"x_um": [1.0, 2.0], "y_um": [1.0, 2.0], "gene": ["a", nothing]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(InputError, match="no value for 'gene' in row 2"):
        rows(source(tmp_path / "t.parquet"))


@pytest.mark.parametrize("chunk_rows", [1, 3, 7, 1000])
def test_chunks_have_the_size_asked_for_and_the_same_rows(tmp_path, chunk_rows):
    lines = [f"{i},{i + 0.25},g{i % 4}" for i in range(20)]
    path = write(tmp_path / "t.csv", "x_um,y_um,gene\n" + "\n".join(lines) + "\n")
    sizes = [batch.num_rows for batch in iter_transcripts(source(path), chunk_rows)]
    assert sizes[:-1] == [chunk_rows] * (len(sizes) - 1)
    found = rows(source(path), chunk_rows)
    assert [row["x_um"] for row in found] == list(range(20))
    assert [row["feature"] for row in found] == [f"g{i % 4}" for i in range(20)]


def test_a_stream_does_not_keep_what_it_has_read(tmp_path):
    path, rng = tmp_path / "t.parquet", np.random.default_rng(0)
    schema = pa.schema([("x_um", pa.float64()), ("y_um", pa.float64()), ("gene", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(60):
            columns = [rng.random(20_000), rng.random(20_000), np.full(20_000, "a")]
            writer.write_batch(pa.record_batch(columns, schema=schema))
    before = pa.total_allocated_bytes()
    held = [pa.total_allocated_bytes() - before for _ in iter_transcripts(source(path), 20_000)]
    assert len(held) == 60
    assert max(held) < path.stat().st_size / 3


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz"])
def test_a_table_without_rows_is_an_empty_stream(tmp_path, name):
    assert rows(source(write(tmp_path / name, "x_um,y_um,gene\n"))) == []


def test_units_go_through_the_affine(tmp_path):
    affine = [[2.0, 0.5, 10.0], [0.0, -4.0, 7.0], [0.0, 0.0, 1.0]]
    path = write(tmp_path / "t.csv", "x_um,y_um,gene\n3,5,a\n")
    um = rows(source(path, um_to_px=affine))[0]
    assert (um["x_px"], um["y_px"]) == (2 * 3 + 0.5 * 5 + 10, -4 * 5 + 7)
    px = rows(source(path, unit="px", um_to_px=affine))[0]
    assert (px["x_px"], px["y_px"]) == (3, 5)
    np.testing.assert_allclose([px["y_um"], px["x_um"]], [0.5, (3 - 10 - 0.25) / 2])


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("1,2,a\nnan,2,a\n", "no number in column 'x_um', row 2"),
        ("1,2,a\n1,2,a\n1,inf,a\n", "inf in column 'y_um', row 3"),
        ("1,2,a\n1,,a\n", "no number in column 'y_um', row 2"),
        ("1,2,a\n1,2,a\n1,2,a\n1,oops,a\n", "'oops' in column 'y_um', row 4"),
        ("1,2,a\n1,2,\n", "no value for 'gene' in row 2"),
        ("1,2,a\n1,2\n", "can't be read"),
    ],
)
@pytest.mark.parametrize("chunk_rows", [1, 1000])
def test_bad_rows_are_refused_by_number(tmp_path, body, found, chunk_rows):
    path = write(tmp_path / "t.csv", "x_um,y_um,gene\n" + body)
    with pytest.raises(InputError, match=found) as error:
        rows(source(path), chunk_rows)
    assert str(path) in str(error.value)


def test_a_truncated_gzip_is_refused(tmp_path):
    path = write(tmp_path / "t.csv.gz", "x_um,y_um,gene\n" + "1,2,abc\n" * 50_000)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match="can't be read"):
        rows(source(path))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("x_um,y_um,symbol", "gene of each transcript"),
        ("x_um,gene", "coordinates named x_um, y_um"),
        ("x_um,y_um,geneID", "rename the column 'geneID' to gene"),
        ("exon,X_pos,Y_pos,gene", "rename the columns 'X_pos', 'Y_pos' to x_um, y_um"),
        ("x,y,fov,gene", "local to a field of view"),
        ("x_um,x_um,y_um,gene", "'x_um' as the name of more than one"),
    ],
)
def test_columns_that_are_missing_or_double_are_named(tmp_path, header, message):
    path = write(tmp_path / "t.csv", header + "\n")
    with pytest.raises(InputError, match=message):
        find_columns(path)


def test_global_coordinates_win_over_those_of_one_field_of_view(tmp_path):
    path = write(tmp_path / "t.csv", "x,y,global_x,global_y,global_z,gene\n9,9,1,2,0,a\n")
    placed, _ = place_transcripts(path, shape_yx=(10, 10), pixel_size_um=1.0)
    assert (placed.x, placed.y, placed.z, placed.unit) == ("global_x", "global_y", "global_z", "um")


def grid(columns: str, *pairs: tuple[float, float, float, float]) -> str:
    """Rows on a grid of a 100 x 80 px image; pairs are (scale, offset) of x and y."""
    lines = [columns]
    for y in range(0, 80, 8):
        for x in range(0, 100, 10):
            values = [f"{a * x + b!r},{c * y + d!r}" for a, b, c, d in pairs]
            lines.append(",".join([*values, "a"]))
    return "\n".join(lines) + "\n"


def test_plain_columns_take_the_unit_in_which_they_span_the_image(tmp_path):
    px = write(tmp_path / "px.csv", grid("x,y,gene", (1, 0, 1, 0)))
    um = write(tmp_path / "um.csv", grid("x,y,gene", (0.1, 0, 0.1, 0)))
    for path, unit in [(px, "px"), (um, "um")]:
        placed, warnings = place_transcripts(path, shape_yx=(80, 100), pixel_size_um=0.1)
        assert (placed.unit, placed.n_rows, warnings) == (unit, 100, [])
        assert rows(placed)[-1]["x_px"] == pytest.approx(90)
        assert rows(placed)[-1]["x_um"] == pytest.approx(9)
        told = f", coordinates x, y read as {unit} (in this unit they span the image)"
        assert words_of_unit(placed) == told


def test_a_guessed_unit_is_told_with_the_names_of_columns_that_change_it(tmp_path):
    text = grid("x,y,gene", (1, 0, 1, 0)) + "300,0,a\n" * 20
    sheet = {"header": "x,y,gene"}

    def place():
        path = write(tmp_path / "t.csv", text.replace("x,y,gene", sheet["header"]))
        return place_transcripts(path, shape_yx=(80, 100), pixel_size_um=0.1)

    placed, warnings = place()
    assert "if they are in um, rename them to x_um, y_um, and check pixel_size_um" in warnings[0]
    quality = {"n_transcripts": 120, "n_assigned": 5, "median_transcripts_per_cell": 1}
    assert "rename them to x_um, y_um" in transcript_check(quality, placed).measures[0].detail
    sheet["header"] = "x_px,y_px,gene"
    placed, warnings = place()
    assert (placed.unit, words_of_unit(placed)) == ("px", "")
    assert "rename" not in warnings[0]
    assert "rename" not in transcript_check(quality, placed).measures[0].detail


def test_plain_columns_that_fit_both_units_or_neither_are_refused(tmp_path):
    path = write(tmp_path / "t.csv", grid("x,y,gene", (1, 0, 1, 0)))
    with pytest.raises(InputError, match="both as um and px"):
        place_transcripts(path, shape_yx=(80, 100), pixel_size_um=1.01)
    with pytest.raises(InputError, match="neither as um nor px"):
        place_transcripts(path, shape_yx=(800, 1000), pixel_size_um=0.01)


def test_um_and_px_columns_give_the_affine(tmp_path):
    text = grid("x_um,y_um,x_px,y_px,gene", (0.1, 640, -0.1, 470), (1, 0, 1, 0))
    path = write(tmp_path / "t.csv", text)
    placed, warnings = place_transcripts(path, shape_yx=(80, 100))
    expected = [[10, 0, -6400], [0, -10, 4700], [0, 0, 1]]
    np.testing.assert_allclose(placed.um_to_px, expected, atol=1e-6)
    assert warnings == []
    with pytest.raises(InputError, match=r"a pixel size of 0\.1 um"):
        place_transcripts(path, shape_yx=(80, 100), pixel_size_um=0.2)


@pytest.mark.parametrize("scale", [1, 0.1, 1e-4])  # px again, um and mm
def test_plain_columns_beside_px_are_not_taken_for_um(tmp_path, scale):
    text = grid("x,y,x_px,y_px,gene", (scale, 0, scale, 0), (1, 0, 1, 0))
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(InputError, match=r"no pixel size.*rename x, y to x_um, y_um"):
        place_transcripts(path, shape_yx=(80, 100))
    placed, warnings = place_transcripts(path, shape_yx=(80, 100), pixel_size_um=0.2)
    assert (placed.x, placed.y, placed.unit) == ("x_px", "y_px", "px")
    assert rows(placed)[-1]["x_um"] == pytest.approx(18)
    assert warnings == ["The columns x, y are not used: the table does not say what their unit is."]


def test_plain_columns_beside_px_are_um_where_the_pixel_size_agrees(tmp_path):
    text = grid("x,y,x_px,y_px,gene", (0.1, 640, -0.1, 470), (1, 0, 1, 0))
    path = write(tmp_path / "t.csv", text)
    placed, warnings = place_transcripts(path, shape_yx=(80, 100), pixel_size_um=0.1005)
    assert (placed.x, placed.y, placed.unit, warnings) == ("x", "y", "um", [])
    assert placed.unit_from == "beside x_px, y_px, by the pixel size"
    np.testing.assert_allclose(np.linalg.inv(placed.um_to_px)[:2, 2], [640, 470])


def test_um_and_px_columns_that_disagree_are_refused(tmp_path):
    text = grid("x_um,y_um,x_px,y_px,gene", (0.1, 0, 0.1, 0), (1, 0, 1, 0)) + "5,5,50,53,a\n"
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(InputError, match="px off between"):
        place_transcripts(path, shape_yx=(80, 100))


def test_transcripts_off_the_image_warn_and_then_refuse(tmp_path):
    path = write(tmp_path / "t.csv", "x_px,y_px,gene\n-0.5,0,a\n9.49,9.49,a\n9.5,0,a\n")
    _, warnings = place_transcripts(path, shape_yx=(10, 10), pixel_size_um=1.0)
    assert warnings[0].startswith("1 of 3 transcripts (33 %)")
    with pytest.raises(InputError, match="2 of 3 transcripts outside"):
        place_transcripts(path, shape_yx=(5, 5), pixel_size_um=1.0)


@pytest.mark.parametrize(
    ("header", "scale", "told"),
    [
        ("x_um,y_um,gene", 0.1, ""),
        ("x_um,y_um,gene", 0.0001, "x_um and y_um are not in um (but in px or mm"),
        ("x_px,y_px,gene", 0.1, "x_px and y_px are not in px (but in um or mm"),
    ],
)
def test_transcripts_crowded_in_a_part_of_the_image_are_told(tmp_path, header, scale, told):
    path = write(tmp_path / "t.csv", grid(header, (scale, 0, scale, 0)))
    _, warnings = place_transcripts(path, shape_yx=(80, 100), pixel_size_um=0.1)
    assert len(warnings) == bool(told)
    assert told in " ".join(warnings)


def test_one_unit_without_a_pixel_size_asks_for_it(tmp_path):
    path = write(tmp_path / "t.csv", "x_px,y_px,gene\n0,0,a\n")
    with pytest.raises(InputError, match="give pixel_size_um in the sample sheet"):
        place_transcripts(path, shape_yx=(5, 5))
    with pytest.raises(InputError, match="columns x_um, y_um beside polygons"):
        place_in_um(path)
    assert rows(place_in_um(write(tmp_path / "u.csv", "x_um,y_um,gene\n7,8,a\n")))[0]["x_um"] == 7
