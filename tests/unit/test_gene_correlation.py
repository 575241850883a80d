"""Counts of genes compared with bulk expression and with other samples."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_results import write_movie, write_spatial

from cellsam_core.cli import main
from cellsam_core.comparison.bulk import read_bulk
from cellsam_core.comparison.genes import correlate_genes
from cellsam_core.reporting.figures import common as figures_common
from cellsam_core.reporting.sections.bulk import bulk_section

TABLE = "gene\tvalue\nGapdh\t900\nActb\t500\n<b>Neg$r1\t300\nOther\t7\nSilent\t0\n"


@pytest.fixture(autouse=True)
def _coarse_figures(monkeypatch):
    monkeypatch.setattr(figures_common, "DPI", 30)  # for speed


def test_genes_that_both_have_are_correlated_on_logarithms():
    a = pd.Series({"A": 1, "B": 10, "C": 100, "D": 1000, "X": 5, "Zero": 0})
    b = pd.Series({"D": 2000.0, "B": 20, "A": 2, "C": 200, "Zero": 9, "X": 0, "Y": 3})
    found = correlate_genes(a, b)
    assert found.common.index.tolist() == ["A", "B", "C", "D"]
    assert (found.n_only_a, found.n_only_b) == (1, 2)
    assert found.pearson_r_log10 == pytest.approx(1)
    b["D"] = 1.0
    found = correlate_genes(a, b)
    x, y = np.log10([1, 10, 100, 1000]), np.log10([2, 20, 200, 1])
    assert found.pearson_r_log10 == pytest.approx(np.corrcoef(x, y)[0, 1])
    # Ranks 1 2 3 4 and 2 3 4 1: 1 - 6 (1 + 1 + 1 + 9) / (4 (16 - 1))
    assert found.spearman_rho == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({}, {}),
        ({"A": 1, "B": 2}, {"A": 1, "B": 3}),
        ({"A": 1, "B": 2, "C": 3}, {"A": 4, "B": 4, "C": 4}),
    ],
)
def test_too_few_genes_and_constants_have_no_correlation(a, b):
    found = correlate_genes(pd.Series(a, dtype=float), pd.Series(b, dtype=float))
    assert not found.is_defined
    assert np.isnan(found.spearman_rho)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    return write_spatial(tmp_path_factory.mktemp("spatial") / "results")


def report(folder: Path, table: Path) -> int:
    outputs = ["-o", str(table.parent / "r.html"), "--provenance", str(table.parent / "p.json")]
    return main(["report", str(folder), *outputs, "--bulk", str(table)])


def test_bulk_is_a_section_of_the_report(results, tmp_path):
    table = tmp_path / "tpm of me.tsv"
    table.write_text(TABLE)
    assert report(results, table) == 0
    html = (tmp_path / "r.html").read_text()
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html))
    counts = pd.read_parquet(results / "3_cells/transcripts.parquet")["feature"].value_counts()
    log = np.log10([counts[["Gapdh", "Actb", "<b>Neg$r1"]], [900, 500, 300]])
    assert f"Pearson r of log10 values {np.corrcoef(log)[0, 1]:.3g} Spearman rho 1 " in text
    assert "genes compared 3 " in text
    assert '"tpm of me.tsv"' in (tmp_path / "p.json").read_text()
    assert "genes of the table above 0 that the sample lacks 1 " in text
    assert "in cells or not, beside its value in tpm of me.tsv." in text
    assert "<b>" not in html


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("gene\ttpm\nA\t1\n", "also value"),
        ("gene\tvalue\nA\t1\nB\tmuch\n", "the value 'much' of gene B"),
        ("gene\tvalue\nA\t1\nB\t\n", "the value '' of gene B"),
        ("gene\tvalue\nA\t-1\n", "the value '-1' of gene A"),
        ("gene\tvalue\nA\tinf\n", "the value 'inf' of gene A"),
        ("gene\tvalue\nA\t1\nA\t2\n", "gene A more than once"),
        ("gene\tvalue\nGapdh\t1\nActb\t2\nOther\t3\n", "2 of the 3 genes of the sample"),
        ("", "no table that can be read"),
    ],
)
def test_a_bulk_table_that_cannot_be_used_is_named(results, tmp_path, capsys, rows, message):
    table = tmp_path / "bulk.tsv"
    table.write_text(rows)
    assert report(results, table) == 1
    error = capsys.readouterr().err
    assert "bulk.tsv" in error
    assert message in error
    assert [path.name for path in tmp_path.iterdir()] == ["bulk.tsv"]


def test_genes_are_text_and_further_columns_are_allowed(tmp_path):
    table = tmp_path / "bulk.csv"
    table.write_text("value,gene,more\n1.5,NA,x\n2,7,y\n")
    assert read_bulk(table).to_dict() == {"NA": 1.5, "7": 2.0}


def test_bulk_beside_what_has_no_genes(tmp_path, capsys):
    table = tmp_path / "bulk.tsv"
    table.write_text(TABLE)
    none = pd.DataFrame({"n_transcripts": np.zeros(0, np.int64)})
    assert "0 genes were seen" in bulk_section(table, none).paragraphs[0]
    assert "no 3_cells/cells.h5ad" in bulk_section(table, None).paragraphs[0]
    movie = write_movie(tmp_path / "movie", n_frames=1)
    assert report(movie, table) == 1
    assert "--bulk: found the option for a movie" in capsys.readouterr().err
