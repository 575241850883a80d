from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from cellsam_core.assignment.uncertainty import (
    CellMeans,
    expected_false_positives,
    expected_false_share,
    owner_probability,
)
from cellsam_core.cli import main
from cellsam_core.labels.expand import expand
from cellsam_core.labels.tiles import LabelTiles, measure_cells

PIXEL_UM = 0.5


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two cells of 20 x 20 px with a gap of 10, a nucleus in the first, transcripts all over."""
    labels = np.zeros((40, 70), np.uint16)
    labels[10:30, 10:30], labels[10:30, 40:60] = 7, 9
    nuclei = np.zeros_like(labels)
    nuclei[15:25, 15:25] = 3
    nuclei[0:4, 0:4] = 1
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    tifffile.imwrite(tmp_path / "nuclei.tif", nuclei)
    rng = np.random.default_rng(0)
    gene = rng.choice(["Actb", "Gfap", "Blank-1", "Blank-2"], 3000, p=[0.6, 0.3, 0.06, 0.04])
    table = {"x_px": rng.uniform(-0.5, 69.5, 3000), "y_px": rng.uniform(-0.5, 39.5, 3000)}
    pd.DataFrame(table | {"gene": gene}).to_csv(tmp_path / "t.csv", index=False)
    return tmp_path


def assign(folder: Path, *options: str) -> tuple[anndata.AnnData, pd.DataFrame]:
    files = ["--labels", str(folder / "labels.tif"), "--transcripts", str(folder / "t.csv")]
    output = ["--pixel-size-um", str(PIXEL_UM), "-o", str(folder / "out")]
    assert main(["assign", *files, *output, *options]) == 0
    cells = anndata.read_h5ad(folder / "out/cells.h5ad")
    return cells, pd.read_parquet(folder / "out/transcripts.parquet")


def test_nuclear_counts_are_a_layer_and_a_column(folder):
    cells, found = assign(folder, "--nuclei", str(folder / "nuclei.tif"))
    given_ = pd.read_csv(folder / "t.csv")
    x, y = (np.rint(given_[name]).astype(int) for name in ("x_px", "y_px"))
    is_inside = tifffile.imread(folder / "nuclei.tif")[y, x] > 0
    np.testing.assert_array_equal(found["in_nucleus"], is_inside)
    # A nucleus outside of all cells is in no cell's counts.
    expected = pd.crosstab(found["cell_id"], found["feature"], is_inside, aggfunc="sum")
    nuclear = cells.layers["nucleus"].toarray()
    assert nuclear.dtype == np.int32
    np.testing.assert_array_equal(nuclear, expected.loc[[7, 9], ["Actb", "Gfap"]])
    assert nuclear[0].sum() > 0
    assert (nuclear <= cells.X.toarray()).all()


def test_without_nuclei_there_is_no_nuclear_layer(folder):
    cells, found = assign(folder)
    assert "nucleus" not in cells.layers
    assert "in_nucleus" not in found


def test_nuclei_of_another_image_are_refused(folder, capsys):
    tifffile.imwrite(folder / "other.tif", np.ones((10, 10), np.uint8))
    files = ["--labels", str(folder / "labels.tif"), "--transcripts", str(folder / "t.csv")]
    nuclei = ["--nuclei", str(folder / "other.tif"), "-o", str(folder / "out")]
    assert main(["assign", *files, *nuclei, "--pixel-size-um", "0.5"]) == 1
    assert "10 x 10 px" in capsys.readouterr().err
    assert not (folder / "out").exists()


def test_grown_cells_meet_in_the_middle_of_the_gap(folder):
    before, _ = assign(folder)
    after, found = assign(folder, "--expand-um", "4")
    assert before.obs["area_um2"].tolist() == [100, 100]
    # Eight pixels to three sides, with round corners; five pixels, half of the gap, to the other.
    assert after.obs["area_um2"].iloc[0] == pytest.approx(after.obs["area_um2"].iloc[1])
    assert 100 < after.obs["area_um2"].iloc[0] < (20 + 8 + 5) * 36 / 4
    between = found[(found["x_um"] > 15) & (found["x_um"] < 17) & found["y_um"].between(6, 14)]
    assert set(between["cell_id"]) == {7}
    assert (after.obs["n_transcripts"] > before.obs["n_transcripts"]).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 5), st.integers(2, 9))
def test_growth_does_not_depend_on_the_tiles(seed, distance_px, tile_px):
    rng = np.random.default_rng(seed)
    labels = np.where(rng.random((17, 23)) < 0.08, rng.integers(1, 6, (17, 23)), 0)
    whole = expand(LabelTiles(lambda y, x: labels[y, x], labels.shape), distance_px)
    tiled = expand(LabelTiles(lambda y, x: labels[y, x], labels.shape, tile_px), distance_px)
    np.testing.assert_array_equal(tiled.window(0, 17, 0, 23), whole.window(0, 17, 0, 23))
    assert measure_cells(whole)["label"].tolist() == np.unique(labels[labels > 0]).tolist()


@pytest.mark.parametrize("distance", [-2.0, -1.0, -0.3, 0.0, 0.3, 1.0, 2.0])
def test_the_chance_of_an_owner_at_a_straight_border_is_that_of_the_normal(distance):
    """A half plane, at 36 angles."""
    for angle in np.arange(36) * np.pi / 18:
        normal = np.cos(angle), np.sin(angle)
        start = np.array([distance]) * normal[0], np.array([distance]) * normal[1]
        chance = owner_probability(
            lambda x, y, n=normal: (x * n[0] + y * n[1] > 0).astype(np.uint32),
            *start,
            np.ones(1, np.uint32),
            localisation_error=1.0,
        )
        assert chance[0] == pytest.approx(norm.cdf(distance), abs=0.07)


def test_owners_are_sure_far_from_borders_and_not_at_them(folder):
    cells, found = assign(folder, "--localisation-error-um", "0.5")
    inside = found["x_um"].between(8, 11) & found["y_um"].between(8, 11)
    outside = (found["x_um"] < 2) | (found["y_um"] > 18)
    assert (found.loc[inside | outside, "owner_probability"] == 1).all()
    border = found["x_um"].sub(4.75).abs().lt(0.02) & found["y_um"].between(6, 14)
    assert found.loc[border, "owner_probability"].between(0.3, 0.7).all()
    owned = found[found["cell_id"] > 0].groupby("cell_id")["owner_probability"].mean()
    np.testing.assert_allclose(cells.obs["owner_probability"], owned, atol=1e-6)


def test_means_of_cells_leave_out_other_cells():
    means = CellMeans(np.array([2, 5], np.uint32))
    means.add(np.array([2, 0, 9, 2], np.uint32), np.array([1, 0, 0, 0.5], np.float32))
    assert means.means[0] == 0.75
    assert np.isnan(means.means[1])


def test_expected_false_positives_by_hand():
    counts = scipy.sparse.csr_matrix(np.array([[9, 5, 1, 1], [4, 4, 2, 0]]))
    kinds = np.array(["gene", "gene", "blank", "blank"])
    # Two genes with the 4 / 2 wrong calls of a blank each, three quarters of them in the second.
    wrong = expected_false_positives(counts, kinds, np.array([1.0, 3.0]))
    assert wrong.tolist() == [1.0, 3.0]
    assert np.isnan(expected_false_positives(counts[:, :2], kinds[:2], np.ones(2))).all()
    assert len(expected_false_positives(counts[:0], kinds, np.empty(0))) == 0


def test_expected_false_positives_are_in_the_table(folder):
    cells, _ = assign(folder)
    blanks = cells.obsm["controls"].to_numpy().sum()
    total = cells.obs["expected_false_positives"].sum()
    assert total == pytest.approx(blanks / 2 * 2)
    # Areas are equal, so their shares are.
    first, second = cells.obs["expected_false_positives"]
    assert first == second


def test_expected_false_share_by_hand():
    n = np.array([60, 38, 1, 3, 1, 50])
    kind = np.array(["gene", "gene", "gene", "blank", "blank", "system_control"])
    share = expected_false_share(n, kind)
    np.testing.assert_allclose(share[:3], [2 / 60, 2 / 38, 1])
    assert np.isnan(expected_false_share(n[:3], kind[:3])).all()


def test_the_share_of_each_gene_adds_up_to_the_misidentification_rate(folder):
    cells, found = assign(folder)
    counts = found["feature"].value_counts()
    blanks, genes = counts[["Blank-1", "Blank-2"]], counts[["Actb", "Gfap"]]
    rate = np.average(cells.var["expected_false_share"], weights=cells.var["n_transcripts"])
    assert rate == pytest.approx(blanks.mean() / genes.mean())
