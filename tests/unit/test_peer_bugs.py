"""Tests of silent errors that were found in other programs.

Further errors of this kind are tested in other files: genes that begin like controls and
transcripts in two cells in ``test_assign.py``, 19-digit ids and hash seeds in ``test_anndata.py``,
the order of channels in ``test_spatial.py``, plain ``x, y`` that are local to a field in
``test_transcripts.py``, correction with codebooks that can't correct in ``test_decode.py``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import tifffile

from cellsam_core.cli import main
from cellsam_core.files import omezarr
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.transcripts import iter_transcripts


def write_transcripts(path: Path, x: np.ndarray, y: np.ndarray, **more: object) -> None:
    pd.DataFrame({"x_px": x, "y_px": y, "gene": "NANOG"} | more).to_csv(path, index=False)


def test_cell_ids_above_16_bits_survive(tmp_path):
    labels = np.arange(1, 270 * 260 + 1, dtype=np.uint32).reshape(270, 260)
    tifffile.imwrite(tmp_path / "labels.tif", labels, compression="zlib")
    x, y = np.array([0.0, 259, 3]), np.array([0.0, 269, 265])
    write_transcripts(tmp_path / "t.csv", x, y)
    files = ["--labels", str(tmp_path / "labels.tif"), "--transcripts", str(tmp_path / "t.csv")]
    assert main(["assign", *files, "--pixel-size-um", "0.1", "-o", str(tmp_path / "out")]) == 0
    found = pd.read_parquet(tmp_path / "out/transcripts.parquet")
    assert found["cell_id"].tolist() == [1, 70_200, 265 * 260 + 4]
    cells = anndata.read_h5ad(tmp_path / "out/cells.h5ad")
    assert cells.obs["cell_id"].max() == 70_200
    assert cells.obs["cell_id"].is_unique


def test_the_sides_of_a_pixel_are_not_swapped(tmp_path):
    folder = tmp_path / "region"
    (folder / "images").mkdir(parents=True)
    tifffile.imwrite(folder / "images/mosaic_DAPI_z3.tif", np.zeros((40, 90), np.uint16))
    transform = folder / "images/micron_to_mosaic_pixel_transform.csv"
    transform.write_text("9 0 0\n0 4 0\n0 0 1\n")
    table = pd.DataFrame({"global_x": [1.0, 9.0], "global_y": [1.0, 9.0], "gene": ["a", "b"]})
    table.to_csv(folder / "detected_transcripts.csv", index=False)
    output = str(tmp_path / "m.json")
    assert main(["inspect", str(folder), "--sample", "s", "--assay", "merfish", "-o", output]) == 0
    source = Manifest.load(output).transcripts
    assert source is not None
    (batch,) = iter_transcripts(source)
    np.testing.assert_allclose(batch["x_px"].to_numpy(), [9, 81])
    np.testing.assert_allclose(batch["y_px"].to_numpy(), [4, 36])


def test_a_vendor_s_unassigned_is_no_cell(tmp_path):
    labels = np.zeros((20, 20), np.uint16)
    labels[5:15, 5:15] = 1
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    x = np.array([1.0, 7.0, 9.0, 18.0])
    vendor = ["UNASSIGNED", "aaaaficg-1", "UNASSIGNED", "UNASSIGNED"]
    write_transcripts(tmp_path / "t.csv", x, x, cell_id=vendor)
    files = ["--labels", str(tmp_path / "labels.tif"), "--transcripts", str(tmp_path / "t.csv")]
    assert main(["assign", *files, "--pixel-size-um", "0.1", "-o", str(tmp_path / "out")]) == 0
    cells = anndata.read_h5ad(tmp_path / "out/cells.h5ad")
    assert cells.obs_names.tolist() == ["sample_1"]
    assert cells.obs["n_transcripts"].tolist() == [2]
    found = pd.read_parquet(tmp_path / "out/transcripts.parquet")
    assert found["cell_id"].tolist() == [0, 1, 1, 0]


def test_a_tile_that_can_not_be_read_is_no_empty_tile(tmp_path):
    frames = tmp_path / "frames.zarr"
    store = omezarr.create(
        frames,
        shape=(1, 64, 64),
        axes="cyx",
        dtype="uint16",
        channels=("nuclear",),
        pixel_size_um=None,
        frame_interval_s=None,
    )
    store.array[:] = np.random.default_rng(0).integers(1, 999, size=(1, 64, 64), dtype=np.uint16)
    chunks = [p for p in frames.rglob("*") if p.is_file() and p.name != "zarr.json"]
    assert chunks
    for chunk in chunks:
        chunk.write_bytes(chunk.read_bytes()[:40])
    out = tmp_path / "batch.parquet"
    command = ["segment-batch", str(frames), "--batch", "1-of-1", "--device", "cpu", "-o", str(out)]
    result = subprocess.run(
        [sys.executable, "-m", "cellsam_core", *command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert result.returncode != 0
    assert not out.exists()


@pytest.mark.parametrize("blank", ["Blank-1", "blank7"])
def test_blanks_are_kept_so_that_an_error_rate_can_be_given(tmp_path, blank):
    tifffile.imwrite(tmp_path / "labels.tif", np.ones((20, 20), np.uint16))
    x = np.arange(5.0)
    write_transcripts(tmp_path / "t.csv", x, x, gene=["NANOG"] * 4 + [blank])
    files = ["--labels", str(tmp_path / "labels.tif"), "--transcripts", str(tmp_path / "t.csv")]
    assert main(["assign", *files, "--pixel-size-um", "0.1", "-o", str(tmp_path / "out")]) == 0
    cells = anndata.read_h5ad(tmp_path / "out/cells.h5ad")
    assert cells.obsm["controls"][blank].tolist() == [1]
    assert cells.var_names.tolist() == ["NANOG"]


def test_the_table_has_no_background_row_no_stored_zeros_and_names(tmp_path):
    labels = np.zeros((20, 20), np.uint16)
    labels[:, :5], labels[:, 10:15], labels[:, 15:] = 1, 2, 3
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    x = np.array([1.0, 2.0, 7.0, 7.0, 12.0])
    write_transcripts(tmp_path / "t.csv", x, x, gene=["NANOG", "Gad1", "NANOG", "Only", "Gad1"])
    files = ["--labels", str(tmp_path / "labels.tif"), "--transcripts", str(tmp_path / "t.csv")]
    assert main(["assign", *files, "--pixel-size-um", "0.1", "-o", str(tmp_path / "out")]) == 0
    cells = anndata.read_h5ad(tmp_path / "out/cells.h5ad")
    assert cells.obs["cell_id"].tolist() == [1, 2, 3]  # the third is empty and stays
    assert cells.var_names.tolist() == ["Gad1", "NANOG", "Only"]
    assert cells.X.nnz == 3
    assert (cells.X.data > 0).all()
    # Transcripts in no cell stay rows, with the number of no cell.
    found = pd.read_parquet(tmp_path / "out/transcripts.parquet")
    assert found["cell_id"].tolist() == [1, 1, 0, 0, 2]
