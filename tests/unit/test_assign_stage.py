"""``cellsam_core.assign`` on arrays and tables in memory."""

from __future__ import annotations

import json

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import shapely
import tifffile

import cellsam_core as cc
from cellsam_core.assignment.boundaries import write_boundaries
from cellsam_core.assignment.options import AssignOptions
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.labels.tiles import LabelArray, measure_cells
from cellsam_core.samples.movies import inspect_movie
from cellsam_core.samples.spatial import inspect_spatial
from cellsam_core.samples.table_rows import TableInMemory, iter_columns
from cellsam_core.samples.transcripts import find_columns

LABELS = np.zeros((40, 50), dtype=np.uint16)
LABELS[2:10, 3:9] = 7
LABELS[20:30, 20:35] = 300
UM = 0.5


@pytest.fixture
def table() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "x_um": rng.uniform(0, 24, 300),
            "y_um": rng.uniform(0, 19, 300),
            "gene": pd.Categorical(rng.choice(["NANOG", "Gad1", "Blank-1"], 300)),
            "unused": "x",
        }
    )


def scored() -> pd.DataFrame:
    cells = measure_cells(LabelArray(LABELS))
    return cells.assign(score=np.linspace(0.5, 0.9, len(cells)))


def same(a: anndata.AnnData, b: anndata.AnnData) -> None:
    assert (a.X != b.X).nnz == 0
    pd.testing.assert_frame_equal(a.obs, b.obs)
    pd.testing.assert_frame_equal(a.var, b.var)
    pd.testing.assert_frame_equal(a.obsm["controls"], b.obsm["controls"])
    np.testing.assert_array_equal(a.obsm["spatial"], b.obsm["spatial"])
    assert a.layers.keys() == b.layers.keys()


@pytest.mark.parametrize("expand_um", [0.0, 1.5])
def test_memory_and_files_give_the_same_table(table, tmp_path, monkeypatch, expand_um):
    options = AssignOptions(expand_um=expand_um, localisation_error_um=0.3)
    paths = [tmp_path / name for name in ("t.csv", "labels.tif", "cells.parquet", "nuclei.tif")]
    table.to_csv(paths[0], index=False)
    tifffile.imwrite(paths[1], LABELS)
    scored().to_parquet(paths[2])
    nuclei = np.roll(LABELS, 3, axis=1) > 0
    tifffile.imwrite(paths[3], nuclei.astype(np.uint8))
    rest = {"pixel_size_um": UM, "sample": "s1"}
    found = cc.assign(
        *(paths[0], paths[1], options),
        **rest,
        **{"cells": paths[2], "nuclei": paths[3], "output": tmp_path / "out"},
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.chdir(empty)
    held = cc.assign(table, LABELS, options, **rest, cells=scored(), nuclei=nuclei)
    assert not list(empty.iterdir())
    stored = anndata.read_h5ad(tmp_path / "out/cells.h5ad")
    same(stored, held)
    assert "controls" not in found.obsm  # they may not fit in memory: in the file only
    found.obsm["controls"] = stored.obsm["controls"]
    same(held, found)
    assert "quality" not in stored.uns
    figures = json.loads((tmp_path / "out/assign_qc.json").read_text())
    assert figures.pop("schema_version")
    assert figures.pop("sample") == "s1"
    assert held.uns["quality"] == {k: v for k, v in figures.items() if v is not None}
    held.write_h5ad(tmp_path / "own.h5ad")
    same(anndata.read_h5ad(tmp_path / "own.h5ad"), held)


@pytest.mark.parametrize("chunk_rows", [7, 150, 1000])
def test_a_table_in_memory_is_streamed_as_a_file_is(table, tmp_path, chunk_rows):
    table = table.assign(z=np.nan, cell=np.arange(300) % 3)
    table.to_parquet(tmp_path / "t.parquet", row_group_size=40)
    held = TableInMemory("held", pa.Table.from_pandas(table, preserve_index=False))
    found = [find_columns(path, cell=["cell"]) for path in (held, tmp_path / "t.parquet")]
    assert found[0] == found[1]
    assert found[0].z is None  # a column without any value
    chunks = [
        list(iter_columns(path, ["x_um"], ["gene"], chunk_rows, ["cell"], ("y_um", table.y_um[5])))
        for path in (held, tmp_path / "t.parquet")
    ]
    assert [len(chunk) for chunk in chunks[0]] == [len(chunk) for chunk in chunks[1]]
    rows = [pa.Table.from_batches(c).unify_dictionaries().to_pylist() for c in chunks]
    assert rows[0] == rows[1]
    assert [row["cell"] for row in rows[0]] == ["2"]


def test_labels_are_taken_in_every_form(table, tmp_path):
    expected = cc.assign(table, LABELS, pixel_size_um=UM)
    written = omezarr.create(
        tmp_path / "masks.zarr", shape=LABELS.shape, axes="yx", dtype="uint32", pixel_size_um=UM
    )
    written.array[:] = LABELS
    for labels in (LABELS[None], LABELS.astype(np.int64), written, tmp_path / "masks.zarr"):
        same(cc.assign(table, labels, pixel_size_um=UM), expected)
    same(cc.assign(table, written), expected)  # which says the size of its pixels


def test_a_manifest_has_its_own_table_and_transform(table, tmp_path):
    table.to_csv(tmp_path / "transcripts.csv", index=False)
    tifffile.imwrite(tmp_path / "DAPI.tif", LABELS)
    manifest = inspect_spatial(tmp_path, sample="s", assay="merfish", pixel_size_um=UM)
    path = tmp_path / "m.json"
    path.write_text(manifest.to_json())
    expected = cc.assign(table, LABELS, pixel_size_um=UM)
    for given in (manifest, path, str(path)):
        same(cc.assign(given, LABELS), expected)
    for given, where in ((manifest, "^sample s: "), (path, "m.json: ")):
        with pytest.raises(InputError, match=where + "found an image of 50 x 40 px"):
            cc.assign(given, LABELS[:-1])


def test_the_purity_of_labels_does_not_stay_beside_outlines(table, tmp_path):
    write_boundaries(tmp_path / "b.parquet", [(1, shapely.box(0, 0, 24, 19))])
    cc.assign(table, LABELS, pixel_size_um=UM, output=tmp_path / "out")
    assert (tmp_path / "out/purity.json").is_file()
    cc.assign(table, polygons=tmp_path / "b.parquet", output=tmp_path / "out")
    assert not (tmp_path / "out/purity.json").exists()


def test_outlines_in_place_of_labels(table, tmp_path):
    boxes = [(1, shapely.box(1.5, 1, 4.5, 5)), (2, shapely.box(10, 10, 17.5, 15))]
    write_boundaries(tmp_path / "b.parquet", boxes)
    found = cc.assign(table, polygons=tmp_path / "b.parquet")
    inside = table["x_um"].between(10, 17.5) & table["y_um"].between(10, 15)
    is_gene = table["gene"] != "Blank-1"
    assert found.obs["n_transcripts"].iloc[1] == (inside & is_gene).sum() > 0
    with pytest.raises(InputError, match="option `expand_um`: found the option beside polygons"):
        cc.assign(table, options=AssignOptions(expand_um=1), polygons=tmp_path / "b.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "labels, polygons: found neither"),
        ({"polygons": "b.parquet"}, "labels, polygons: found both"),
        ({"labels": LABELS.astype(float)}, "labels: found an array of shape .* type float64"),
        ({"labels": LABELS > 0}, "labels: found an array of shape .* type bool"),
        ({"labels": np.stack([LABELS] * 2)}, r"labels: found an array of shape \(2, 40, 50\)"),
        ({"labels": LABELS.astype(int) - 1}, "labels: found labels from -1"),
        ({"nuclei": LABELS[:9]}, "--nuclei: found an image of 50 x 9 px"),
        ({"pixel_size_um": 0.0}, "option `pixel_size_um`: found 0.0, expected a number above 0"),
        ({"pixel_size_um": None}, "transcripts: found coordinates in one unit and no pixel size"),
        ({"cells": scored()[1:]}, "--cells: found no cell 7"),
        ({"cells": scored().assign(area_px=60)}, "cell 7: found 48 px of it"),
        ({"cells": scored().drop(columns="area_px")}, "cells: found the columns .* also area_px"),
        ({"cells": scored().assign(frame=1)}, "cells: found cells of several frames"),
    ],
)
def test_what_cannot_be_used_is_named(table, change, message):
    given = {"labels": LABELS, "pixel_size_um": UM} | change
    with pytest.raises(InputError, match=message):
        cc.assign(table, **given)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("x_um", np.nan, "transcripts: found no number in column 'x_um', row 3"),
        ("gene", None, "transcripts: found no value for 'gene' in row 3"),
        ("y_um", "north", "transcripts: found no table that can be read .*north"),
        ("unused", {1, 2}, "transcripts: found no table that can be read"),
    ],
)
def test_a_bad_row_of_a_table_in_memory_is_named(table, column, value, message):
    values = table[column].tolist()
    table[column] = pd.Series([*values[:2], value, *values[3:]], dtype=object)
    with pytest.raises(InputError, match=message):
        cc.assign(table, LABELS, pixel_size_um=UM)


def test_a_sample_without_transcripts_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "t0.tif", LABELS)
    manifest = inspect_movie(tmp_path, sample="s", assay="movie")
    with pytest.raises(InputError, match="a sample of assay movie without transcripts"):
        cc.assign(manifest, LABELS)


def test_a_pixel_size_in_metres_counts_the_same(table):
    table = table.assign(x_px=table["x_um"] / UM, y_px=table["y_um"] / UM)
    table = table.drop(columns=["x_um", "y_um"])
    counts = [cc.assign(table, LABELS, pixel_size_um=size).X.toarray() for size in (UM, 1e-8)]
    np.testing.assert_array_equal(*counts)
