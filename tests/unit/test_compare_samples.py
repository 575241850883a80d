"""``cellsam-core compare-samples``, on small tables of genes."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from fake_results import write_spatial

from cellsam_core.assignment.anndata import read_gene_counts, write_h5ad
from cellsam_core.assignment.stage import assign
from cellsam_core.cli import main
from cellsam_core.comparison.samples import compare_samples
from cellsam_core.errors import InputError
from cellsam_core.reporting.figures import correlation as figures_correlation

FILES = ["correlation.png", "correlation.tsv", "gene_counts.tsv"]


def sample(path: Path, counts: dict[str, int]) -> str:
    """Write a cell table of no cells; return the command's argument."""
    return listed(path, [*counts], [*counts.values()])


def listed(path: Path, genes: list[str], counts: list[int]) -> str:
    var = pd.DataFrame({"n_transcripts": np.array(counts, np.int64)}, index=genes)
    table = anndata.AnnData(X=scipy.sparse.csr_matrix((0, len(counts)), dtype=np.int32), var=var)
    write_h5ad(path, table)
    return f"{path.stem}={path}"


def compare(folder: Path, *arguments: str) -> int:
    return main(["compare-samples", *arguments, "-o", str(folder)])


def test_counts_and_their_correlation(tmp_path, capsys):
    a = sample(tmp_path / "gene.h5ad", {"A": 1, "B": 10, "C": 100, "X": 4})
    b = sample(tmp_path / "b$.h5ad", {"C": 20, "B": 200, "A": 2, "Y": 5, "Z": 1})
    for out in ("one", "two"):
        assert compare(tmp_path / out, a, b) == 0
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == FILES
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    table = (tmp_path / "one/gene_counts.tsv").read_text()
    rows = ["gene gene b$", "A 1 2", "B 10 200", "C 100 20", "X 4 0", "Y 0 5", "Z 0 1"]
    assert table.replace("\t", " ").splitlines() == rows
    row = pd.read_csv(tmp_path / "one/correlation.tsv", sep="\t").iloc[0].to_dict()
    r = np.corrcoef(np.log10([1, 10, 100]), np.log10([2, 200, 20]))[0, 1]
    assert row == {
        **{"sample_a": "gene", "sample_b": "b$"},
        **{"n_genes": 3, "n_genes_only_a": 1, "n_genes_only_b": 2},
        **{"pearson_r_log10": pytest.approx(r, abs=1e-6), "spearman_rho": 0.5},
    }
    assert "0.5" in capsys.readouterr().out


def test_many_samples_are_a_heat_map_and_a_sample_may_be_empty(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    drawn = []
    draw = figures_correlation.figure_matrix
    monkeypatch.setattr(
        figures_correlation, "figure_matrix", lambda *a: drawn.append(a) or draw(*a)
    )
    arguments = [
        sample(tmp_path / f"s{k}.h5ad", {f"G{i}": int(rng.integers(1, 99)) for i in range(9)})
        for k in range(4)
    ]
    assert compare(tmp_path / "few", *arguments) == 0
    assert not drawn
    assert compare(tmp_path / "many", *arguments, sample(tmp_path / "empty.h5ad", {})) == 0
    ((names, r),) = drawn
    assert names == ["s0", "s1", "s2", "s3", "empty"]
    np.testing.assert_array_equal(np.isnan(r), np.isnan(r.T))
    assert np.isnan(r[4]).all()
    assert np.isnan(np.diag(r)).all()
    assert np.isfinite(r[:4, :4]).sum() == 12
    table = pd.read_csv(tmp_path / "many/correlation.tsv", sep="\t").set_index(
        ["sample_a", "sample_b"]
    )
    assert len(table) == 10
    assert table.loc[("s0", "s3"), "pearson_r_log10"] == pytest.approx(r[3, 0], abs=1e-5)
    assert table.loc[("s1", "empty"), "n_genes_only_a"] == 9
    assert np.isnan(table.loc[("s1", "empty"), "spearman_rho"])


def test_the_counts_are_those_of_assign(tmp_path):
    cells = write_spatial(tmp_path / "results") / "3_cells"
    found = pd.read_parquet(cells / "transcripts.parquet")
    expected = found.loc[found["feature_type"] == "gene", "feature"].astype(str).value_counts()
    assert read_gene_counts(cells / "cells.h5ad").to_dict() == expected.to_dict()


def test_what_cannot_be_compared_is_named(tmp_path, capsys):
    a = sample(tmp_path / "a.h5ad", {"A": 1})
    twice = listed(tmp_path / "twice.h5ad", ["A", "A"], [1, 2])
    (tmp_path / "text.h5ad").write_text("no HDF5")
    for arguments, message in (
        ([a], "found one sample"),
        ([a, a], "a name that no other sample has"),
        ([a, str(tmp_path / "a.h5ad")], "an equals sign"),
        ([a, f"b={tmp_path / 'text.h5ad'}"], "text.h5ad: found no table that can be read"),
        ([a, f"b={tmp_path / 'gone.h5ad'}"], "gone.h5ad: found no table that can be read"),
        ([a, twice], "twice.h5ad: found gene A more than once"),
    ):
        assert compare(tmp_path / "out", *arguments) == 1
        assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def counted(name: str, genes: str) -> anndata.AnnData:
    """Count transcripts, a letter each, in one cell."""
    table = pd.DataFrame({"gene": list(genes), "x_px": 1.0, "y_px": 1.0})
    return assign(table, np.ones((4, 4), np.uint8), pixel_size_um=1.0, sample=name)


def test_tables_in_memory_and_in_files_are_the_same_to_it(tmp_path):
    tables = {"d_1": counted("d_1", "ABBCCCD"), "d_2": counted("d_2", "AABBBBCCCCCCCE")}
    found = compare_samples(tables)
    assert found.counts.loc["B"].to_dict() == {"d_1": 2, "d_2": 4}
    for name, table in tables.items():
        write_h5ad(tmp_path / f"{name}.h5ad", table)
    for other in (list(tables.values()), {name: tmp_path / f"{name}.h5ad" for name in tables}):
        again = compare_samples(other)
        pd.testing.assert_frame_equal(again.counts, found.counts)
        pd.testing.assert_frame_equal(again.correlation, found.correlation)
    assert found.r_matrix[0, 1] == found.correlation["pearson_r_log10"].iloc[0]
    found.write(tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES[1:]


def test_tables_in_memory_that_can_not_be_compared_are_named():
    table = counted("d", "AB")
    foreign = anndata.AnnData(np.ones((1, 2), np.float32))
    for samples, message in (
        ([table, table], "samples: found the sample d twice"),
        ({"d": table}, "samples: found one sample"),
        ([], "samples: found no sample"),
        ({"d": table, "other": foreign}, "sample other: found no table that can be read"),
    ):
        with pytest.raises(InputError, match=message):
            compare_samples(samples)
