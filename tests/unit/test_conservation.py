"""No transcript is lost, doubled, moved or renamed between a folder and its tables."""

from __future__ import annotations

import json
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import tifffile

from cellsam_core.cli import main

N_TRANSCRIPTS = 3000


@pytest.fixture(scope="module", params=["merfish", "seqfish"])
def folders(request, tmp_path_factory) -> tuple[Path, Path]:
    """A simulated folder, and the tables that come of it with its true labels."""
    root = tmp_path_factory.mktemp(request.param)
    raw, out = root / "raw", root / "3_cells"
    size = ("--size-px", "256", "--cells", "20", "--transcripts", str(N_TRANSCRIPTS))
    assert main(["simulate", request.param, "-o", str(raw), "--seed", "4", *size]) == 0
    manifest = ("--manifest", str(root / "0_manifest.json"))
    sample = ("--sample", "s", "--assay", request.param)
    pixel = ("--pixel-size-um", "0.103") if request.param == "seqfish" else ()
    assert main(["inspect", str(raw), *sample, *pixel, "-o", manifest[1]]) == 0
    labels = ("--labels", str(raw / "truth/labels.tif"))
    assert main(["assign", *labels, *manifest, "--sample", "s", "-o", str(out)]) == 0
    return raw, out


def read_input(raw: Path) -> pd.DataFrame:
    return pd.read_csv(next(raw.glob("*transcripts.csv")), float_precision="round_trip")


def test_every_row_of_the_input_is_there_once_and_in_order(folders):
    raw, out = folders
    given, found = read_input(raw), pd.read_parquet(out / "transcripts.parquet")
    assert len(found) == len(given) == N_TRANSCRIPTS
    assert found["feature"].tolist() == given["gene"].tolist()
    if "global_x" in given:
        np.testing.assert_array_equal(found[["x_um", "y_um"]], given[["global_x", "global_y"]])
    else:
        pixel_um = 0.103
        expected = given[["x_px", "y_px"]] * pixel_um
        np.testing.assert_allclose(found[["x_um", "y_um"]], expected, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(found["z"], given.filter(regex="^(global_)?z$").iloc[:, 0])


def test_each_row_has_the_cell_under_it(folders):
    raw, out = folders
    truth = pd.read_csv(raw / "truth/transcripts.csv")
    found = pd.read_parquet(out / "transcripts.parquet")
    labels = tifffile.imread(raw / "truth/labels.tif")
    y, x = (np.rint(truth[name]).astype(int) for name in ("y_px", "x_px"))
    inside = (y >= 0) & (y < len(labels)) & (x >= 0) & (x < len(labels))
    under = np.where(inside, labels[y.clip(0, len(labels) - 1), x.clip(0, len(labels) - 1)], 0)
    np.testing.assert_array_equal(found["cell_id"], under)
    # Coordinates have an error, the true cell has none: few may differ, at the cells' edges.
    assert (found["cell_id"] == truth["cell_id"]).mean() > 0.995


def test_counts_equal_the_table_gene_by_gene(folders):
    _, out = folders
    table, rows = (
        anndata.read_h5ad(out / "cells.h5ad"),
        pd.read_parquet(out / "transcripts.parquet"),
    )
    inside = rows[rows["cell_id"] > 0]
    counts = pd.crosstab(inside["cell_id"], inside["feature"].astype(str))
    counts = counts.reindex(index=table.obs["cell_id"], fill_value=0)
    for gene in ("NANOG", "NEGR1"):  # begin as controls are named, and are none
        assert table.to_df()[gene].sum() > 0
    assert not [name for name in table.var_names if name.startswith("Blank")]
    # var also has the genes that are in no cell at all.
    expected = counts.reindex(columns=table.var_names, fill_value=0)
    np.testing.assert_array_equal(table.to_df(), expected)
    controls = table.obsm["controls"]
    np.testing.assert_array_equal(controls, counts.reindex(columns=controls.columns, fill_value=0))


def test_genes_controls_and_unassigned_add_up_to_all_rows(folders):
    _, out = folders
    table, rows = (
        anndata.read_h5ad(out / "cells.h5ad"),
        pd.read_parquet(out / "transcripts.parquet"),
    )
    n_genes, n_controls = int(table.X.sum()), int(table.obsm["controls"].to_numpy().sum())
    n_unassigned = int((rows["cell_id"] == 0).sum())
    assert min(n_genes, n_controls, n_unassigned) > 0
    assert n_genes + n_controls + n_unassigned == N_TRANSCRIPTS
    assert n_genes == table.obs["n_transcripts"].sum() == table.var["n_assigned"].sum()
    quality = json.loads((out / "assign_qc.json").read_text())
    assert quality["n_assigned"] + n_unassigned == quality["n_transcripts"] == N_TRANSCRIPTS
