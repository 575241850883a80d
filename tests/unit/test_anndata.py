"""``cellsam-core assign`` end to end, and the files that it writes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse
import tifffile

from cellsam_core.assignment.anndata import cell_anndata, write_h5ad
from cellsam_core.assignment.assigned import Assigned
from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.samples import transcripts
from cellsam_core.samples.spatial import inspect_spatial

LABELS = np.zeros((40, 50), dtype=np.uint16)
LABELS[2:10, 3:9] = 7
LABELS[20:30, 20:35] = 300
LABELS[35:40, 0:4] = 2
GENES = ["NANOG", "NEGR1", "Gad1", "Blank-1", "Blank-2", "NegPrb3", "Never"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Hold 500 transcripts, some off the image, on an image of three cells."""
    tifffile.imwrite(tmp_path / "labels.tif", LABELS)
    rng = np.random.default_rng(3)
    table = pd.DataFrame(
        {
            "transcript_id": 9007199254740993 + np.arange(500),
            "x_um": rng.uniform(-1, 26, 500),
            "y_um": rng.uniform(-1, 21, 500),
            "global_z": rng.integers(0, 3, 500),
            "gene": rng.choice(GENES[:-1], 500),
        }
    )
    table.to_csv(tmp_path / "transcripts.csv", index=False)
    return tmp_path


def assign(folder: Path, *options: object, output: str = "out") -> Path:
    arguments = ["assign", "--sample", "s1", "-o", str(folder / output), *map(str, options)]
    assert main(arguments) == 0
    return folder / output


def on_labels(folder: Path, **options: object) -> Path:
    table = options.pop("table", folder / "transcripts.csv")
    return assign(
        folder,
        *("--labels", folder / "labels.tif", "--transcripts", table, "--pixel-size-um", 0.5),
        *(word for key, value in options.items() if key != "output" for word in (key, value)),
        output=str(options.get("output", "out")),
    )


def test_every_transcript_once_and_counts_equal_brute_force(folder):
    out = on_labels(folder)
    given = pd.read_csv(folder / "transcripts.csv", float_precision="round_trip")
    found = pq.read_table(out / "transcripts.parquet").to_pandas()
    first = ["x_um", "y_um", "z", "feature", "feature_type", "cell_id"]
    assert found.columns.tolist() == [*first, "x_image_um", "y_image_um", "sample"]
    assert found["cell_id"].dtype == np.uint32
    for column, name in {"x_um": "x_um", "y_um": "y_um", "global_z": "z"}.items():
        np.testing.assert_array_equal(given[column], found[name])
    assert given["gene"].tolist() == found["feature"].tolist()
    x, y = np.floor(given["x_um"] / 0.5 + 0.5), np.floor(given["y_um"] / 0.5 + 0.5)
    owners = [
        LABELS[int(j), int(i)] if 0 <= i < 50 and 0 <= j < 40 else 0
        for i, j in zip(x, y, strict=True)
    ]
    assert found["cell_id"].tolist() == owners

    table = anndata.read_h5ad(out / "cells.h5ad")
    assert table.obs_names.tolist() == ["s1_2", "s1_7", "s1_300"]
    assert table.var_names.tolist() == ["Gad1", "NANOG", "NEGR1"]
    assert table.obsm["controls"].columns.tolist() == ["Blank-1", "Blank-2", "NegPrb3"]
    everything = pd.concat([table.to_df(), table.obsm["controls"]], axis=1)
    expected = pd.crosstab(pd.Series(owners), given["gene"]).drop(index=0)
    np.testing.assert_array_equal(everything[expected.columns], expected)
    quality = json.loads((out / "assign_qc.json").read_text())
    n_assigned = int(np.count_nonzero(owners))
    assert table.X.sum() + table.obsm["controls"].to_numpy().sum() == n_assigned
    assert quality["n_assigned"] == n_assigned > 50
    assert quality["n_transcripts"] == 500
    outside = ~((x >= 0) & (x < 50) & (y >= 0) & (y < 40))
    assert quality["n_outside_image"] == outside.sum() > 0


def test_the_table_has_the_published_layout(folder):
    table = anndata.read_h5ad(on_labels(folder) / "cells.h5ad")
    assert isinstance(table.X, scipy.sparse.csr_matrix)
    assert table.X.dtype == np.int32
    assert table.obs["cell_id"].dtype == np.uint32
    assert table.obs["cell_id"].tolist() == [2, 7, 300]
    assert table.obs["region"].dtype == "category"
    assert table.obs["area_um2"].tolist() == [5 * 4 / 4, 8 * 6 / 4, 10 * 15 / 4]
    assert table.obs["touches_border"].tolist() == [True, False, False]
    assert table.obs["score"].isna().all()
    np.testing.assert_array_equal(table.obs["n_transcripts"], table.X.sum(axis=1).A1)
    np.testing.assert_array_equal(table.obs["n_genes"], (table.X > 0).sum(axis=1).A1)
    np.testing.assert_allclose(table.obsm["spatial"][1], [(3 + 8) / 2 / 2, (2 + 9) / 2 / 2])
    assert table.uns["spatialdata_attrs"] == {
        "region": "s1",
        "region_key": "region",
        "instance_key": "cell_id",
    }
    assert table.uns["schema_version"] == 2
    np.testing.assert_array_equal(table.var["n_assigned"], table.X.sum(axis=0).A1)
    np.testing.assert_allclose(
        table.var["frac_assigned"], table.var["n_assigned"] / table.var["n_transcripts"]
    )
    assert set(table.var["feature_type"]) == {"gene"}


def test_scores_come_from_the_cell_table_which_must_fit(folder):
    cells = pd.DataFrame(
        {
            "frame": [0, 0, 0],
            "label": np.array([300, 7, 2], np.uint32),
            "y": [24.5, 5.5, 37.0],
            "x": [27.0, 5.5, 1.5],
            "area_px": [150, 48, 20],
            "bbox_y0": [20, 2, 35],
            "bbox_x0": [20, 3, 0],
            "bbox_y1": [30, 10, 40],
            "bbox_x1": [35, 9, 4],
            "score": [0.9, 0.8, 0.7],
            "touches_border": [False, False, True],
        }
    )
    path = folder / "cells.parquet"
    cells.to_parquet(path)
    out = on_labels(folder, **{"--cells": path})
    table = anndata.read_h5ad(out / "cells.h5ad")
    np.testing.assert_allclose(table.obs["score"], [0.7, 0.8, 0.9], rtol=1e-6)
    plain = anndata.read_h5ad(on_labels(folder, output="plain") / "cells.h5ad")
    np.testing.assert_array_equal(plain.obsm["spatial"], table.obsm["spatial"])
    np.testing.assert_array_equal(plain.obs["area_um2"], table.obs["area_um2"])
    common = ["assign", "--labels", folder / "labels.tif", "--cells", path, "-o", folder / "bad"]
    common += ["--transcripts", folder / "transcripts.csv", "--pixel-size-um", 0.5]
    for wrong in (cells.assign(area_px=21), cells[cells["label"] != 7], cells.drop(columns="y")):
        wrong.to_parquet(path)
        assert main([str(word) for word in common]) == 1
        assert not (folder / "bad" / "cells.h5ad").exists()


def test_zarr_and_tiff_labels_give_the_same_bytes(folder):
    options = {"shape": LABELS.shape, "axes": "yx", "dtype": "uint32", "pixel_size_um": 0.5}
    omezarr.create(folder / "masks.zarr", **options).array[:] = LABELS
    first = on_labels(folder)
    # The image says its pixel size, so the option is not needed.
    options = ["--labels", folder / "masks.zarr", "--transcripts", folder / "transcripts.csv"]
    second = assign(folder, *options, output="zarr")
    for name in ("transcripts.parquet", "cells.h5ad", "boundaries.parquet", "assign_qc.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_parquet_and_chunks_give_the_same_result(folder, monkeypatch):
    first = on_labels(folder)
    table = pd.read_csv(folder / "transcripts.csv")
    table.to_parquet(folder / "transcripts.parquet")
    monkeypatch.setattr(transcripts.iter_transcripts, "__defaults__", (7,))
    second = on_labels(folder, table=folder / "transcripts.parquet", output="chunks")
    for name in ("cells.h5ad", "boundaries.parquet", "assign_qc.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    one, other = (pq.read_table(out / "transcripts.parquet") for out in (first, second))
    assert pq.ParquetFile(second / "transcripts.parquet").num_row_groups > 1
    pd.testing.assert_frame_equal(
        one.to_pandas().astype({"feature": str, "feature_type": str}),
        other.to_pandas().astype({"feature": str, "feature_type": str}),
    )


def test_features_are_those_of_transcripts_and_not_of_a_dictionary(folder):
    """As categories, a parquet table may name a whole panel."""
    table = pd.read_csv(folder / "transcripts.csv")
    table["gene"] = pd.Categorical(table["gene"], categories=[*GENES, "Blank-9"])
    table.to_parquet(folder / "transcripts.parquet")
    first, second = (
        on_labels(folder, table=folder / name, output=f"out_{name}")
        for name in ("transcripts.csv", "transcripts.parquet")
    )
    for name in ("cells.h5ad", "assign_qc.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_features_of_other_planes_are_none(folder):
    raw = folder / "raw"
    raw.mkdir()
    for z in range(3):
        tifffile.imwrite(raw / f"dapi_z{z}.tif", LABELS)
    table = pd.read_csv(folder / "transcripts.csv").rename(columns={"global_z": "z"})
    is_other = table["z"] == 2
    table.loc[is_other, "gene"] = np.where(table["x_um"] > 13, "Elsewhere", "Blank-9")[is_other]
    table[table["x_um"].between(0, 24) & table["y_um"].between(0, 19)].to_csv(
        raw / "transcripts.csv", index=False
    )
    options = {"pixel_size_um": 0.5, "z_plane": 1, "z_policy": "one"}
    manifest = inspect_spatial(raw, sample="s1", assay="merfish", **options)
    (folder / "m.json").write_text(manifest.to_json())
    out = assign(folder, "--manifest", folder / "m.json", "--labels", folder / "labels.tif")
    found = anndata.read_h5ad(out / "cells.h5ad")
    assert found.var_names.tolist() == ["Gad1", "NANOG", "NEGR1"]
    assert (found.var["n_transcripts"] > 0).all()
    assert found.obsm["controls"].columns.tolist() == ["Blank-1", "Blank-2", "NegPrb3"]
    assert json.loads((out / "assign_qc.json").read_text())["n_blanks_seen"] == 2


def counted(n_cells: int, n_genes: int, n_controls: int) -> Assigned:
    """Cells of which each has transcripts of about 20 genes and of one control."""
    rng = np.random.default_rng(0)
    parts = [
        scipy.sparse.random(n_cells, n, density=min(1, k / n), format="csr", random_state=rng)
        for n, k in ((n_genes, 20), (n_controls, 1))
    ]
    counts = scipy.sparse.hstack(parts, format="csr")
    counts.data = rng.integers(1, 2**30, len(counts.data), dtype=np.int32)
    cells = pd.DataFrame({"cell_id": np.arange(n_cells, dtype=np.uint32) + 1})
    cells[["area_um2", "x_um", "y_um"]] = rng.uniform(1, 2, (n_cells, 3))
    features = pd.DataFrame({"name": [f"f{i}" for i in range(n_genes + n_controls)]})
    features["feature_type"] = ["gene"] * n_genes + ["blank"] * n_controls
    features["n_transcripts"] = 1
    return Assigned(cells, features, counts.astype(np.int32), None, {})


def test_controls_written_column_by_column_are_the_same(tmp_path):
    assigned = counted(200, 30, 12)
    write_h5ad(tmp_path / "a.h5ad", cell_anndata("s", assigned))
    write_h5ad(tmp_path / "b.h5ad", cell_anndata("s", assigned, with_controls=False), assigned)
    one, other = (anndata.read_h5ad(tmp_path / name) for name in ("a.h5ad", "b.h5ad"))
    assert one.obsm["controls"].to_numpy().any()
    pd.testing.assert_frame_equal(one.obsm["controls"], other.obsm["controls"])
    assert (one.X != other.X).nnz == 0
    pd.testing.assert_frame_equal(one.obs, other.obs)


def test_memory_does_not_grow_with_cells_times_controls(tmp_path):
    assigned = counted(10_000, 100, 300)
    tracemalloc.start()
    table = cell_anndata("s", assigned, with_controls=False)
    write_h5ad(tmp_path / "cells.h5ad", table, assigned)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * 4 * 10_000 * 300


def test_the_file_is_not_held_in_memory_while_it_is_written(tmp_path):
    assigned, path = counted(30_000, 100, 3), tmp_path / "cells.h5ad"
    table = cell_anndata("s", assigned, with_controls=False)
    tracemalloc.start()
    write_h5ad(path, table, assigned)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 0.5 * path.stat().st_size


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_disk_that_is_full_at_any_point_is_one_sentence(tmp_path, capfd, share):
    assigned, path = counted(2000, 100, 20), tmp_path / "cells.h5ad"
    table = cell_anndata("s", assigned, with_controls=False)
    write_h5ad(path, table, assigned)
    whole = path.read_bytes()
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(share * len(whole)), hard))
    try:
        with pytest.raises(InputError, match=r"can't be written .*free some room"):
            write_h5ad(path, table, assigned)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert path.read_bytes() == whole
    assert list(tmp_path.iterdir()) == [path]
    assert capfd.readouterr() == ("", "")


def test_bytes_do_not_depend_on_the_hash_seed(folder):
    arguments = ["assign", "--sample", "s1", "--labels", str(folder / "labels.tif")]
    arguments += ["--transcripts", str(folder / "transcripts.csv"), "--pixel-size-um", "0.5"]
    command = [sys.executable, "-m", "cellsam_core", *arguments, "-o", str(folder / "other")]
    here = os.environ.get("PYTHONHASHSEED", "random")
    environment = os.environ | {"PYTHONHASHSEED": "2" if here == "1" else "1"}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    first, second = (
        {file.name: file.read_bytes() for file in sorted(out.iterdir())}
        for out in (on_labels(folder), folder / "other")
    )
    assert len(first) == 5
    assert first == second


def test_no_cells_and_no_transcripts_give_empty_valid_tables(folder):
    tifffile.imwrite(folder / "labels.tif", np.zeros_like(LABELS))
    table = anndata.read_h5ad(on_labels(folder) / "cells.h5ad")
    assert table.shape == (0, 3)
    assert table.var["n_transcripts"].sum() > 0
    (folder / "transcripts.csv").write_text("x_um,y_um,gene\n")
    out = on_labels(folder)
    assert anndata.read_h5ad(out / "cells.h5ad").shape == (0, 0)
    assert pq.read_table(out / "transcripts.parquet").num_rows == 0
    assert pq.read_table(out / "boundaries.parquet").num_rows == 0
    tifffile.imwrite(folder / "labels.tif", LABELS)
    out = on_labels(folder)
    table = anndata.read_h5ad(out / "cells.h5ad")
    assert table.shape == (3, 0)
    assert pq.read_table(out / "boundaries.parquet").num_rows == 3
    assert json.loads((out / "assign_qc.json").read_text())["frac_assigned"] is None


def test_a_feature_type_column_is_used(folder):
    table = pd.read_csv(folder / "transcripts.csv")
    is_control = table["gene"] == "Gad1"
    table["feature_type"] = np.where(is_control, "Negative Control Probe", "Gene Expression")
    table.to_csv(folder / "transcripts.csv", index=False)
    out = on_labels(folder)
    found = anndata.read_h5ad(out / "cells.h5ad")
    assert found.obsm["controls"].columns.tolist() == ["Gad1"]
    assert "Blank-1" in found.var_names
    table.loc[0, "feature_type"] = "Something Else"
    table.to_csv(folder / "transcripts.csv", index=False)
    arguments = ["--labels", folder / "labels.tif", "--transcripts", folder / "transcripts.csv"]
    arguments += ["--pixel-size-um", 0.5, "-o", folder / "x"]
    assert main(["assign", *map(str, arguments)]) == 1


@pytest.mark.parametrize("word", ["mRNA", "Endogenous", "fish"])
def test_words_for_genes_are_known_and_no_gene_is_an_error(folder, capsys, word):
    table = pd.read_csv(folder / "transcripts.csv")
    table["feature_type"] = np.where(table["gene"] == "Blank-1", "blank", word)
    table.to_csv(folder / "transcripts.csv", index=False)
    arguments = ["--labels", folder / "labels.tif", "--transcripts", folder / "transcripts.csv"]
    arguments += ["--pixel-size-um", 0.5, "-o", folder / "x"]
    status = main(["assign", *map(str, arguments)])
    if word == "fish":
        assert status == 1
        assert "found no gene, features are blank, fish" in capsys.readouterr().err
        assert not (folder / "x" / "cells.h5ad").exists()
    else:
        controls = anndata.read_h5ad(folder / "x" / "cells.h5ad").obsm["controls"]
        assert controls.columns.tolist() == ["Blank-1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pixel-size-um", "-1"], "option `pixel_size_um`: found -1.0"),
        ([], "give pixel_size_um"),
        (["--pixel-size-um", "0.5", "--cells", "absent.parquet"], "absent.parquet"),
        (["--pixel-size-um", "0.05"], "outside the image"),
    ],
)
def test_bad_options_give_one_sentence_and_leave_nothing(folder, capsys, options, message):
    arguments = ["--labels", folder / "labels.tif", "--transcripts", folder / "transcripts.csv"]
    assert main(["assign", *map(str, arguments), *options, "-o", str(folder / "out")]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(folder.glob("out/*"))


def test_a_stack_of_labels_is_refused(folder, capsys):
    tifffile.imwrite(folder / "labels.tif", np.stack([LABELS] * 3), photometric="minisblack")
    arguments = ["--labels", folder / "labels.tif", "--transcripts", folder / "transcripts.csv"]
    assert main(["assign", *map(str, arguments), "-o", str(folder / "out")]) == 1
    assert "3 label images" in capsys.readouterr().err


@pytest.mark.data
def test_real_published_matrix_of_the_mouse_liver(shared_data, tmp_path):
    data = shared_data / "spatial" / "merscope_vpt_mouseliver"
    polygons = data / "cells_cellpose.parquet"
    table = data / "detected_transcripts.csv.gz"
    out = assign(tmp_path, "--polygons", polygons, "--transcripts", table)
    found = anndata.read_h5ad(out / "cells.h5ad")
    cells = pd.concat([found.to_df(), found.obsm["controls"]], axis=1)
    cells = cells.set_index(found.obs["vendor_cell_id"].astype(str))
    published = pd.read_csv(data / "cell_by_gene_reference.csv", index_col="cell")
    published.index = published.index.astype(str)
    assert published.shape == (94, 274)
    assert cells.shape == published.shape
    assert set(cells.index) == set(published.index)
    np.testing.assert_array_equal(cells.loc[published.index, published.columns], published)
    assert cells.to_numpy().sum() == 1484
    assert found.obsm["controls"].columns.str.startswith("Blank-").all()
    assert found.n_vars == 259
    transcripts = pq.read_table(out / "transcripts.parquet")
    assert transcripts.num_rows == 5936


@pytest.mark.data
def test_real_pixel_lookup_of_the_mouse_brain(shared_data, tmp_path):
    data = shared_data / "spatial" / "vizgen_mousebrain_mini"
    given = pd.read_csv(data / "transcripts.csv.gz")
    plane = given[given["z"] == 0].drop(columns=["z"])
    # The reference cuts coordinates to whole numbers; here pixel centres are at integers.
    plane[["x_px", "y_px"]] -= 0.5
    plane = plane.rename(columns={"x": "x_um", "y": "y_um"})
    plane.to_parquet(tmp_path / "plane.parquet")
    labels, table = data / "cells_label_z0.tif", tmp_path / "plane.parquet"
    out = assign(tmp_path, "--labels", labels, "--transcripts", table)
    found = anndata.read_h5ad(out / "cells.h5ad")
    cells = pd.concat([found.to_df(), found.obsm["controls"]], axis=1)
    cells = cells.set_index(found.obs["cell_id"].astype(int))
    reference = pd.read_csv(data / "cell_by_gene_pixel_lookup_z0.csv", index_col=0)
    assert cells.to_numpy().sum() == reference.to_numpy().sum() == 15_228
    # The reference leaves out cells and features without counts.
    cells = cells.reindex(index=reference.index, columns=reference.columns)
    np.testing.assert_array_equal(cells, reference)


@pytest.mark.data
@pytest.mark.parametrize("fov", [2, 3])
def test_real_vendor_ids_of_cosmx(shared_data, tmp_path, fov):
    data = shared_data / "spatial" / "cosmx_lung12_mini"
    given = pd.read_csv(data / "transcripts.csv.gz")
    given = given[given["fov"] == fov].rename(columns={"x": "x_px", "y": "y_px"})
    given.to_csv(tmp_path / "t.csv", index=False)
    labels = data / f"cells_label_F00{fov}.tif"
    options = ["--transcripts", tmp_path / "t.csv", "--pixel-size-um", 0.18]
    out = assign(tmp_path, "--labels", labels, *options)
    found = pq.read_table(out / "transcripts.parquet").to_pandas()
    agree = (found["cell_id"].to_numpy() == given["cell_ID"].to_numpy()).mean()
    assert agree > 0.998
    table = anndata.read_h5ad(out / "cells.h5ad")
    assert table.obsm["controls"].columns.str.startswith("NegPrb").all()
    assert not table.var_names.str.startswith("NegPrb").any()


@pytest.mark.data
@pytest.mark.parametrize("crop", [1, 2])
def test_real_vendor_ids_of_xenium(shared_data, tmp_path, crop):
    data = shared_data / "spatial" / "xenium_mousebrain_tiny" / f"sample{crop}"
    given = pd.read_csv(data / "transcripts.csv", dtype={"cell_id": str})
    files = ["--polygons", data / "cell_boundaries.csv", "--transcripts", data / "transcripts.csv"]
    out = assign(tmp_path, *files)
    cells = anndata.read_h5ad(out / "cells.h5ad")
    name = {0: "none"} | dict(zip(cells.obs["cell_id"], cells.obs["vendor_cell_id"], strict=True))
    found = pq.read_table(out / "transcripts.parquet")["cell_id"].to_pandas().map(name)
    assert len(found) == len(given)
    # The polygons are coarse, with 13 vertices each: transcripts at the rim are in none.
    is_in = found.to_numpy() != "none"
    assert is_in.mean() > 0.9
    assert (found.to_numpy() == given["cell_id"].to_numpy())[is_in].mean() >= 0.98


def test_vertices_become_polygons_and_ids_keep_their_digits(folder):
    big = "2667026000000000003"
    rows = [(big, 0, 0), ("aaaaficg-1", 10, 10), (big, 10, 0), ("aaaaficg-1", 25, 10)]
    rows += [(big, 10, 10), ("aaaaficg-1", 25, 20), (big, 0, 10), ("aaaaficg-1", 10, 20)]
    table = pd.DataFrame(rows, columns=["cell_id", "vertex_x", "vertex_y"])
    table.to_csv(folder / "v.csv", index=False)
    raw = table.assign(cell_id=table["cell_id"].str.encode("ascii"))
    raw.to_parquet(folder / "v.parquet")
    for name in ("v.csv", "v.parquet"):
        files = ["--polygons", folder / name, "--transcripts", folder / "transcripts.csv"]
        cells = anndata.read_h5ad(assign(folder, *files) / "cells.h5ad")
        assert cells.obs["vendor_cell_id"].tolist() == [big, "aaaaficg-1"]
        assert cells.obs["area_um2"].tolist() == [100, 150]
    table.iloc[:3].to_csv(folder / "v.csv", index=False)
    files = ["--polygons", folder / "v.csv", "--transcripts", folder / "transcripts.csv"]
    assert main(["assign", *map(str, files), "-o", str(folder / "bad")]) == 1


def test_scanpy_squidpy_and_spatialdata_read_and_plot(folder):
    import matplotlib as mpl

    mpl.use("Agg")
    import scanpy as sc
    import squidpy as sq
    from spatialdata.models import TableModel

    table = sc.read_h5ad(on_labels(folder) / "cells.h5ad")
    TableModel().validate(table)
    sc.pp.calculate_qc_metrics(table, percent_top=None, inplace=True)
    assert table.obs["total_counts"].tolist() == table.obs["n_transcripts"].tolist()
    sc.pl.embedding(table, "spatial", color="NANOG", show=False)
    sq.pl.spatial_scatter(table, shape=None, color="n_transcripts", save=str(folder / "map.png"))
    assert (folder / "map.png").stat().st_size > 1000


def test_polygon_ids_and_planes(folder):
    import shapely

    big = [2667026000000000003, 2667026000000000001, 2667026000000000001]
    boxes = shapely.box([0, 10, 10], [0, 10, 10], [10, 25, 25], [10, 20, 20])
    polygons = pa.table(
        {
            "EntityID": pa.array(big, pa.int64()),
            "ZIndex": pa.array([0, 0, 1], pa.int64()),
            "Geometry": pa.array(shapely.to_wkb(boxes), pa.binary()),
        }
    )
    pq.write_table(polygons, folder / "p.parquet")
    common = ["--polygons", folder / "p.parquet", "--transcripts", folder / "transcripts.csv"]
    out = assign(folder, *common)
    table = anndata.read_h5ad(out / "cells.h5ad")
    assert table.obs["vendor_cell_id"].tolist() == ["2667026000000000001", "2667026000000000003"]
    assert table.obs["area_um2"].tolist() == [150, 100]
    given = pd.read_csv(folder / "transcripts.csv")
    found = pq.read_table(out / "transcripts.parquet")["cell_id"].to_numpy()
    x, y, z = given["x_um"], given["y_um"], given["global_z"]
    first = (x >= 10) & (x <= 25) & (y >= 10) & (y <= 20) & (z < 2)
    second = (x >= 0) & (x <= 10) & (y >= 0) & (y <= 10) & (z == 0)
    np.testing.assert_array_equal(found, np.where(first, 1, np.where(second, 2, 0)))
    assert first.sum() > 10 < second.sum()
    floats = polygons.set_column(0, "EntityID", polygons["EntityID"].cast(pa.float64(), safe=False))
    pq.write_table(floats, folder / "p.parquet")
    assert main(["assign", *map(str, common), "-o", str(folder / "bad")]) == 1
