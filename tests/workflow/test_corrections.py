"""A run of the workflow with masks of one's own and a table of corrections of cells."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import tifffile
from declared_outputs import faults_of
from harness import Snakemake

import cellsam_core as cc
from cellsam_core.corrections.outlines import outline_of
from cellsam_core.corrections.result import corrections_table

pytestmark = pytest.mark.workflow


def text_of(outline: np.ndarray) -> str:
    return ";".join(f"{x:g} {y:g}" for x, y in outline)


def test_a_deleted_cell_is_in_no_result_and_a_lost_row_is_in_the_report(
    snakemake: Snakemake, tmp_path: Path
):
    options = cc.TissueOptions(size_px=160, cells=9, transcripts=300)
    tissue = cc.simulate_tissue(seed=2, options=options)
    tissue.write(tmp_path / "raw")
    labels = tissue.labels.astype(np.uint32)
    tifffile.imwrite(tmp_path / "masks.tif", labels)
    sheet = "sample\tassay\tpath\tmasks\tcell_corrections\n"
    sheet += "cortex\tmerfish\t../raw\t../masks.tif\tmine.csv\n"
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets/samples.tsv").write_text(sheet)
    gone = int(np.bincount(labels.ravel())[1:].argmax()) + 1
    rows = ["operation,frame,anchor,outline,other,serial"]
    rows.append(f"delete,0,{text_of(outline_of(labels == gone))},,,")
    rows.append("delete,0,1 1;3 1;3 3;1 3,,,")
    mine = tmp_path / "sheets/mine.csv"
    mine.write_text("\n".join(rows) + "\n")
    result = snakemake("--config", "samples=sheets/samples.tsv")
    assert result.returncode == 0, result.stdout
    folder = tmp_path / "results" / "cortex"
    table = anndata.read_h5ad(folder / "3_cells/cells.h5ad")
    assert set(table.obs["cell_id"]) == set(np.unique(labels)) - {0, gone}
    transcripts = pd.read_parquet(folder / "3_cells/transcripts.parquet")
    assert gone not in set(transcripts["cell_id"])
    outcomes = pd.read_csv(folder / "2_masks/corrected/corrections.csv")
    assert outcomes["found"].tolist() == ["yes", "no"]
    page = (folder / "4_report/report.html").read_text()
    assert "1 of 2 corrections of your table were carried out" in page
    assert faults_of(folder) == []
    assert corrections_table(folder, "cells") == mine  # which the page then writes to
