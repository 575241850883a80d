"""cells.h5ad in the hands of others: older anndata, and names that HDF5 can't hold."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile

from cellsam_core.assignment.anndata import write_h5ad
from cellsam_core.cli import main

# Environments with nothing but an older anndata, as `uv venv` and `uv pip install` make them;
# CELLSAM_ANNDATA_ENVIRONMENTS names the folder that holds them.
OLDER = ("0.10.9", "0.11.4")
READ = """
import json, sys
import anndata
table = anndata.read_h5ad(sys.argv[1])
both = anndata.concat([table, table], index_unique="-")
print(json.dumps({
    "obs": table.obs_names.tolist(),
    "var": table.var_names.tolist(),
    "sum": int(both.X.sum()),
    "controls": table.obsm["controls"].columns.tolist(),
    "names": table.uns["controls"]["name"].tolist(),
    "raw": table.raw is None,
}))
"""


def environment_of(version: str) -> Path:
    folder = os.environ.get("CELLSAM_ANNDATA_ENVIRONMENTS")
    if folder is None:
        pytest.skip("CELLSAM_ANNDATA_ENVIRONMENTS names no folder of environments")
    python = Path(folder) / f"anndata_{version}" / "bin" / "python"
    if not python.is_file():
        pytest.skip(f"no environment with anndata {version}")
    return python


def assigned(folder: Path, genes: list[str], types: list[str] | None = None) -> Path:
    """Give each gene three transcripts in a cell and one beside it."""
    labels = np.zeros((30, 30), np.uint16)
    labels[5:15, 5:15], labels[18:28, 18:28] = 1, 2
    tifffile.imwrite(folder / "labels.tif", labels)
    x = np.tile([7.0, 8.0, 20.0, 1.0], len(genes))
    table = pd.DataFrame({"x_px": x, "y_px": x, "gene": np.repeat(genes, 4)})
    if types is not None:
        table["feature_type"] = np.repeat(types, 4)
    table.to_csv(folder / "t.csv", index=False)
    files = ("--labels", folder / "labels.tif", "--transcripts", folder / "t.csv")
    out = folder / "out"
    arguments = ["assign", *files, "--pixel-size-um", "1", "--sample", "s", "-o", out]
    assert main([*map(str, arguments)]) == 0
    return out / "cells.h5ad"


@pytest.mark.parametrize("version", OLDER)
def test_older_anndata_reads_the_table(tmp_path, version):
    python = environment_of(version)
    path = assigned(tmp_path, ["HLA-DQB1/2", "Gad1", "Blank/3"])
    done = subprocess.run([python, "-c", READ, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "obs": ["s_1", "s_2"],
        "var": ["Gad1", "HLA-DQB1/2"],
        "sum": 12,
        "controls": ["Blank_3"],
        "names": ["Blank/3"],
        "raw": True,
    }


def test_the_file_has_no_empty_elements(tmp_path):
    path = assigned(tmp_path, ["Gad1", "Blank-1"])
    with h5py.File(path) as file:
        kinds = []
        file.visititems(lambda _, item: kinds.append(item.attrs.get("encoding-type")))
        assert "null" not in kinds
        assert file.attrs["encoding-type"] == "anndata"
    table = anndata.read_h5ad(path)
    write_h5ad(tmp_path / "again.h5ad", table)
    assert anndata.read_h5ad(tmp_path / "again.h5ad").raw is None


@pytest.mark.filterwarnings("error::FutureWarning")
@pytest.mark.parametrize(
    ("controls", "columns"),
    [
        (["Blank/3", "Blank/4"], ["Blank_3", "Blank_4"]),
        (["Neg", "Neg/A"], ["Neg", "Neg_A"]),
        (["Neg/A", "Neg_A"], ["Neg_A_", "Neg_A"]),
        (["_index"], ["_index_"]),
        ([".", "..", "._", "a/../b"], [".__", ".._", "._", "a_.._b"]),
        (["Blank-1", "blank 1", "BLANK_0001", "β"], ["BLANK_0001", "Blank-1", "blank 1", "β"]),
    ],
)
def test_controls_of_any_name_are_kept(tmp_path, controls, columns):
    path = assigned(tmp_path, ["Gad1", *controls], ["gene", *["negative"] * len(controls)])
    table = anndata.read_h5ad(path)
    assert sorted(table.obsm["controls"].columns) == sorted(columns)
    assert table.uns["controls"]["name"].tolist() == sorted(controls)
    assert table.uns["controls"].index.tolist() == table.obsm["controls"].columns.tolist()
    assert set(table.uns["controls"]["feature_type"]) == {"negative"}
    assert table.obsm["controls"].to_numpy().tolist() == [[2] * len(controls), [1] * len(controls)]


def test_genes_of_any_name_are_kept(tmp_path):
    genes = ["HLA-DQB1/2", "CCL3/L1/L3", "β-actin", "12", "7SK", '5"HT', "A,B", "_index", "True"]
    table = anndata.read_h5ad(assigned(tmp_path, genes))
    assert table.var_names.tolist() == sorted(genes)
    assert len(table.uns["controls"]) == 0
