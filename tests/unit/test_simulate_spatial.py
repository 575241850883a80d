"""Simulated tissues: tables, images, transform and truth agree."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import tifffile

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.samples.spatial import inspect_spatial
from cellsam_core.simulation.options import TissueOptions
from cellsam_core.simulation.spatial import BLANKS, GENES, count_matrix, draw_tissue
from cellsam_core.simulation.stage import simulate_tissue

SIZE_PX, N_TRANSCRIPTS = 300, 3000


def simulate(kind, out):
    options = ["--size-px", str(SIZE_PX), "--cells", "30", "--transcripts", str(N_TRANSCRIPTS)]
    assert main(["simulate", kind, "-o", str(out), "--seed", "4", *options]) == 0
    return out


@pytest.fixture(scope="module")
def merscope(tmp_path_factory):
    return simulate("merfish", tmp_path_factory.mktemp("merscope") / "region_0")


@pytest.fixture(scope="module", params=["merfish", "seqfish"])
def sample(request, tmp_path_factory, merscope):
    if request.param == "merfish":
        return request.param, merscope
    return request.param, simulate("seqfish", tmp_path_factory.mktemp("seqfish") / "roi")


def positions_px(kind, folder):
    """Positions as a reader finds them: native columns, through the transform if any."""
    if kind == "seqfish":
        table = pd.read_csv(folder / "transcripts.csv")
        return table, table[["x_px", "y_px"]].to_numpy()
    table = pd.read_csv(folder / "detected_transcripts.csv")
    matrix = np.loadtxt(folder / "images" / "micron_to_mosaic_pixel_transform.csv", delimiter=" ")
    xy1 = np.column_stack([table[["global_x", "global_y"]], np.ones(len(table))])
    return table, (xy1 @ matrix.T)[:, :2]


def test_true_cell_is_the_label_at_the_pixel(sample):
    kind, folder = sample
    _, xy = positions_px(kind, folder)
    truth = pd.read_csv(folder / "truth" / "transcripts.csv")
    assert len(xy) == len(truth) == N_TRANSCRIPTS
    assert np.allclose(xy, truth[["x_px", "y_px"]], atol=1e-4)
    labels = tifffile.imread(folder / "truth" / "labels.tif")
    assert labels.shape == (SIZE_PX, SIZE_PX)
    column, row = np.rint(xy).astype(int).T
    assert np.mean(labels[row, column] == truth.cell_id) >= 0.99
    assert 0.8 < np.mean(truth.cell_id > 0) < 1


def test_counts_agree_with_the_transcripts(sample):
    kind, folder = sample
    table, _ = positions_px(kind, folder)
    truth = pd.read_csv(folder / "truth" / "transcripts.csv")
    assert table.gene.tolist() == truth.gene.tolist()
    counts = pd.read_csv(folder / "truth" / "cell_by_gene.csv", index_col="cell_id")
    assert counts.index.tolist() == list(range(1, len(counts) + 1))
    assert counts.columns.tolist() == [*GENES, *BLANKS]
    inside = truth[truth.cell_id > 0]
    expected = pd.crosstab(inside.cell_id, inside.gene).reindex(
        index=counts.index, columns=counts.columns, fill_value=0
    )
    assert (counts.to_numpy() == expected.to_numpy()).all()
    assert {"NANOG", "NEGR1"} <= set(table.gene)
    assert 0.002 < table.gene.str.startswith("Blank-").mean() < 0.03


def test_reader_accepts_the_folder(sample):
    kind, folder = sample
    manifest = inspect_spatial(folder, sample="s", assay=kind)
    assert manifest.shape_yx == (SIZE_PX, SIZE_PX)
    assert manifest.pixel_size_um == pytest.approx(0.108 if kind == "merfish" else 0.103, rel=1e-4)
    assert {c.lower() for c in manifest.channels} == (
        {"dapi", "polyt"} if kind == "merfish" else {"dapi", "membrane"}
    )
    assert manifest.transcripts is not None
    assert manifest.transcripts.n_rows == N_TRANSCRIPTS


def test_merscope_folder_is_consistent(merscope):
    folder = merscope
    manifest = json.loads((folder / "images" / "manifest.json").read_text())
    assert manifest["mosaic_width_pixels"] == manifest["mosaic_height_pixels"] == SIZE_PX
    for entry in manifest["mosaic_files"]:
        image = tifffile.imread(folder / "images" / entry["file_name"])
        assert image.shape == (SIZE_PX, SIZE_PX)
        assert image.dtype == np.uint16
    matrix = np.loadtxt(folder / "images" / "micron_to_mosaic_pixel_transform.csv")
    corners = np.array(manifest["bbox_microns"]).reshape(2, 2)
    mapped = np.column_stack([corners, np.ones(2)]) @ matrix.T
    assert np.allclose(mapped[:, :2], [[0, 0], [SIZE_PX, SIZE_PX]], atol=0.01)
    table = pd.read_csv(folder / "detected_transcripts.csv")
    assert table.columns[0].startswith("Unnamed")
    assert not table.duplicated([table.columns[0], "fov"]).any()
    assert (table.global_z == table.global_z.round()).all()
    assert set(table.global_z) == {0.0, 1.0, 2.0}
    # Local positions are of the field of view: 256 px tiles, counted row by row.
    _, xy = positions_px("merfish", folder)
    local = table[["x", "y"]].to_numpy()
    origin = np.column_stack([table.fov % 2, table.fov // 2]) * 256
    assert np.allclose(local + origin, xy, atol=1e-3)
    per_gene = table.groupby("gene")[["transcript_id", "barcode_id"]].nunique()
    assert (per_gene == 1).all(axis=None)


def test_cell_types_differ():
    options = TissueOptions(size_px=300, cells=30, transcripts=6000, z_planes=1)
    tissue = draw_tissue(np.random.default_rng(0), options)
    counts = count_matrix(tissue)
    inhibitory = np.array([t == "inhibitory" for t in tissue.cell_types])
    assert 0 < inhibitory.sum() < len(inhibitory)
    gad1 = counts[:, GENES.index("GAD1")] / counts.sum(axis=1)
    assert gad1[inhibitory].mean() > 5 * gad1[~inhibitory].mean()


def test_nuclear_rna_is_in_nuclei():
    options = TissueOptions(size_px=300, cells=20, transcripts=6000, z_planes=1)
    tissue = draw_tissue(np.random.default_rng(0), options)
    row, column = np.rint(tissue.y_px).astype(int), np.rint(tissue.x_px).astype(int)
    in_nucleus = tissue.nucleus_labels[row, column] > 0
    malat1 = tissue.feature == GENES.index("MALAT1")
    assert malat1.any()
    assert in_nucleus[malat1].mean() > 2 * in_nucleus[~malat1].mean()


@pytest.mark.parametrize("n_transcripts", [0, 40])
def test_tissue_without_cells_is_valid(tmp_path, n_transcripts):
    out = tmp_path / "empty"
    options = ["--cells", "0", "--size-px", "64", "--transcripts", str(n_transcripts)]
    assert main(["simulate", "merfish", "-o", str(out), *options]) == 0
    assert not tifffile.imread(out / "truth" / "labels.tif").any()
    assert len(pd.read_csv(out / "truth" / "cell_by_gene.csv")) == 0
    truth = pd.read_csv(out / "truth" / "transcripts.csv")
    assert len(truth) == n_transcripts
    assert not truth.cell_id.any()


@pytest.mark.parametrize("kind", ["merfish", "seqfish"])
def test_tables_in_memory_are_what_the_folder_holds(tmp_path, kind):
    options = TissueOptions(size_px=128, cells=8, transcripts=150, z_planes=1)
    tissue = simulate_tissue(tmp_path / "t", kind=kind, seed=2, options=options)
    assert tissue.image.shape == (2, 128, 128)
    np.testing.assert_array_equal(tissue.image[0], tissue.stains["DAPI"][0])
    truth = tmp_path / "t" / "truth"
    np.testing.assert_array_equal(tissue.labels, tifffile.imread(truth / "labels.tif"))
    np.testing.assert_array_equal(tissue.nucleus_labels, tifffile.imread(truth / "nuclei.tif"))
    rows = tissue.transcripts.assign(cell_id=tissue.true_cell_ids)
    written = pd.read_csv(truth / "transcripts.csv")
    pd.testing.assert_frame_equal(rows[written.columns], written, atol=1e-6, check_dtype=False)
    assert tissue.counts.equals(pd.read_csv(truth / "cell_by_gene.csv"))
    assert tissue.cells.equals(pd.read_csv(truth / "cells.csv"))


def test_raw_rounds_are_the_same_at_each_writing(tmp_path):
    options = TissueOptions(size_px=96, cells=4, transcripts=100, z_planes=1)
    tissue = simulate_tissue(tmp_path / "a", seed=2, options=options, raw_rounds=True)
    assert not tissue.transcripts["gene"].str.startswith("Blank").any()
    tissue.write(tmp_path / "b")
    for first in (tmp_path / "a").glob("*.*"):
        assert first.read_bytes() == (tmp_path / "b" / first.name).read_bytes()


def test_an_unknown_kind_is_refused():
    with pytest.raises(InputError, match="expected one of merfish, seqfish"):
        simulate_tissue(kind="starmap")
