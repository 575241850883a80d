"""Purity of cells: shares of rings against a simulated leak, refusals, and the same bytes."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from skimage.segmentation import expand_labels

import cellsam_core as cc
from cellsam_core.assignment.inputs import place
from cellsam_core.assignment.options import AssignInputOptions
from cellsam_core.assignment.purity import molecules as molecules_module
from cellsam_core.assignment.purity import windows as windows_module
from cellsam_core.assignment.purity.hashing import hashed, molecule_keys, occurrences, text_keys
from cellsam_core.assignment.purity.lift import exclusivity_lift
from cellsam_core.assignment.purity.masks import grown_um
from cellsam_core.assignment.purity.molecules import choose_windows, read_molecules
from cellsam_core.assignment.purity.shares import Share, calibrated, own_share
from cellsam_core.assignment.purity.stage import measure_purity, windows_of
from cellsam_core.labels.image import as_label_image
from cellsam_core.labels.rows import rows_of
from cellsam_core.labels.tiles import LabelTiles, measure_cells
from cellsam_core.samples import transcripts as transcripts_module
from cellsam_core.simulation.leak import LeakyTissue, draw_leak
from cellsam_core.simulation.options import LeakOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cellsam_core.assignment.purity.result import Purity


def purity_of(tissue: LeakyTissue) -> Purity:
    return cc.estimate_purity(tissue.transcripts, tissue.labels, pixel_size_um=tissue.pixel_size_um)


def true_shares(tissue: LeakyTissue) -> pd.Series[float]:
    """Own share of each zone by the true cells."""
    image = as_label_image(tissue.labels, "labels")
    source = place(tissue.transcripts, None, tissue.pixel_size_um, image, AssignInputOptions())
    windows = windows_of(source, image.tiles, measure_cells(image.tiles))
    xy = tissue.transcripts[["x_um", "y_um"]].to_numpy() / tissue.pixel_size_um
    found = windows.find(xy[:, 0], xy[:, 1])
    near = found.zone < windows.zones.far
    return pd.Series(found.nearest == tissue.cell_id)[near].groupby(found.zone[near]).mean()


@pytest.fixture(scope="module")
def leaky() -> LeakyTissue:
    return draw_leak(np.random.default_rng(11), LeakOptions(cells=400, displaced_share=0.4))


@pytest.fixture(scope="module")
def measured(leaky: LeakyTissue) -> Purity:
    return purity_of(leaky)


def test_own_shares_are_those_of_the_simulation(leaky: LeakyTissue, measured: Purity) -> None:
    rings = measured.rings
    told = rings["n_informative"] >= 200
    wrong = (rings["own_share"] - true_shares(leaky)).abs()
    assert told.sum() >= 6
    assert wrong[told].max() < 0.1
    assert measured.reason == ""
    shares = rings[["own_share", "neighbour_share", "ambient_share"]].sum(axis=1)
    assert np.allclose(shares, 1)


def test_upper_bound_holds_and_uncertain_rings_are_marked(
    leaky: LeakyTissue, measured: Purity
) -> None:
    rings, true = measured.rings, true_shares(leaky)
    inside = rings["to_um"] <= 0
    truth = np.average(true[inside], weights=rings["n_transcripts"][inside])
    assert measured.purity < measured.at_most <= measured.purity + 0.06
    assert truth <= measured.at_most
    assert (rings["is_certain"] == (rings["own_share_error"] <= 0.025)).all()
    assert rings["is_certain"].sum() >= 3
    few = purity_of(draw_leak(np.random.default_rng(3), LeakOptions(cells=60)))
    assert few.error > 2 * measured.error
    assert few.rings["is_certain"].sum() < rings["is_certain"].sum()


def test_displaced_transcripts_are_not_taken_for_ambient() -> None:
    options = LeakOptions(cells=150, displaced_share=0.4, ambient_share=0)
    rings = purity_of(draw_leak(np.random.default_rng(4), options)).rings
    assert rings["ambient_share"].max() < 0.02


def test_ambient_transcripts_in_cells_do_not_hide_the_neighbours() -> None:
    """Types are learnt from cells with ambient transcripts, which are of the neighbours' genes."""
    options = LeakOptions(
        cells=600, pitch_um=13, displaced_share=0.4, ambient_share=0.15, pattern="domains"
    )
    tissue = draw_leak(np.random.default_rng(5), options)
    rings = purity_of(tissue).rings
    error = (rings["own_share"] - true_shares(tissue))[1:5]
    assert error.abs().max() < 0.04
    assert rings["neighbour_share"][2:5].mean() > 0.03


def test_profiles_that_are_too_even_are_corrected() -> None:
    """The own share beside types that are not there tells how far estimates are off."""
    rng = np.random.default_rng(6)
    a, b = rng.dirichlet(np.full(50, 0.3), 2)
    blurred = np.array([[0.9, 0.1], [0.1, 0.9]]) @ [a, b]  # as smoothing does
    group = rng.integers(20, size=20_000)

    def found(own: float) -> Share:
        gene = rng.choice(50, 20_000, p=own * a + (1 - own) * b)
        return own_share(*blurred[:, gene], np.ones(20_000), 0.0, group)

    control = found(1.0)
    assert control.own > 1.08
    assert found(0.95).own > 1
    for own in (0.5, 0.8, 0.95):
        assert abs(calibrated(found(own), control, 1.0).own - own) < 0.02


def test_cells_grow_to_the_best_ring(leaky: LeakyTissue, measured: Purity) -> None:
    rings, true = measured.rings, true_shares(leaky)
    n = rings["n_transcripts"]
    net = (n * (2 * true - 1)).cumsum()
    best = rings["to_um"][net.idxmax()]
    assert abs(measured.auto_um - best) <= 1
    assert abs(measured.best_um - best) <= 1


def test_purity_of_grown_cells_falls(leaky: LeakyTissue, measured: Purity) -> None:
    grown = cc.estimate_purity(
        leaky.transcripts, leaky.labels, pixel_size_um=leaky.pixel_size_um, expand_um=4.5
    )
    assert grown.expand_um == 4.5
    assert 0.5 < grown.purity < measured.purity
    beyond = cc.estimate_purity(
        leaky.transcripts, leaky.labels, pixel_size_um=leaky.pixel_size_um, expand_um=20
    )
    assert beyond.purity is None
    assert "up to 6 µm" in beyond.reason


def test_shuffled_genes_are_refused(leaky: LeakyTissue) -> None:
    genes = np.random.default_rng(0).permutation(leaky.transcripts["gene"])
    found = purity_of(leaky._replace(transcripts=leaky.transcripts.assign(gene=genes)))
    assert found.profile_gain < 0.01
    assert found.purity is None
    assert found.best_um is None
    assert found.auto_um == 0
    assert "too much alike" in found.reason


@pytest.mark.parametrize("cells", [1, 4])
def test_few_cells_are_refused(cells: int) -> None:
    found = purity_of(draw_leak(np.random.default_rng(1), LeakOptions(cells=cells)))
    assert found.purity is None
    assert "too few cells" in found.reason
    assert found.rings["own_share"].isna().all()


def test_image_without_cells_is_refused() -> None:
    table = pd.DataFrame({"gene": ["a"] * 3, "x_um": [1.0, 2, 3], "y_um": [1.0, 2, 3]})
    found = cc.estimate_purity(table, np.zeros((9, 9), np.uint8), pixel_size_um=1)
    assert found.purity is None
    assert found.reason


def test_same_bytes_for_other_tiles_chunks_and_rows_in_pieces(
    leaky: LeakyTissue, measured: Purity, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = as_label_image(leaky.labels, "labels")
    source = place(leaky.transcripts, None, leaky.pixel_size_um, image, AssignInputOptions())
    tiles = LabelTiles(lambda rows, columns: leaky.labels[rows, columns], image.tiles.shape_yx, 97)
    monkeypatch.setattr(transcripts_module, "CHUNK_ROWS", 1009)
    monkeypatch.setattr(transcripts_module.iter_transcripts, "__defaults__", (1009,))
    cells = measure_cells(tiles)
    windows = windows_of(source, tiles, cells)
    again = measure_purity(source, windows, cells, cc.PurityOptions())
    assert again.to_json("s", 1) == measured.to_json("s", 1)


@pytest.mark.parametrize("limit", [6_000_000, 9_000], ids=["all", "thinned"])
def test_same_bytes_for_rows_in_another_order(
    leaky: LeakyTissue, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(molecules_module, "MAX_MOLECULES", limit)
    # Molecules of one place and gene are there, too.
    table = pd.concat([leaky.transcripts, leaky.transcripts.iloc[::50]], ignore_index=True)
    found = [
        cc.estimate_purity(rows, leaky.labels, pixel_size_um=leaky.pixel_size_um).to_json("s", 1)
        for rows in (table, table.sample(frac=1, random_state=3))
    ]
    assert found[0] == found[1]


def test_molecules_that_are_alike_are_drawn_one_by_one() -> None:
    gene = text_keys(["Gad1", "Actb"])[np.r_[np.zeros(1000, int), np.ones(1000, int)]]
    key = np.sort(molecule_keys(np.zeros(2000), np.full(2000, -0.0), gene))
    assert len(np.unique(key)) == 2
    half = hashed(key + occurrences(key).astype(np.uint64), 4) >> np.uint64(63)
    assert 900 < half.sum() < 1100


def test_windows_do_not_change_distances(leaky: LeakyTissue) -> None:
    """Small windows give the zones and neighbours of one large window."""

    def looked_up(side_px: int) -> Iterator[np.ndarray]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(windows_module, "WINDOW_PX", side_px)
            image = as_label_image(leaky.labels, "labels")
            source = place(
                leaky.transcripts, None, leaky.pixel_size_um, image, AssignInputOptions()
            )
            windows = windows_of(source, image.tiles, measure_cells(image.tiles))
            xy = leaky.transcripts[["x_um", "y_um"]].to_numpy() / leaky.pixel_size_um
            return windows.find(xy[:, 0], xy[:, 1])

    one, many = looked_up(4096), looked_up(256)
    for a, b in zip(one, many, strict=True):
        # Cells that are equally far may change places.
        assert (a == b).mean() > 0.995
    assert (one.zone == many.zone).all()


def test_nearest_and_second_are_those_of_all_distances() -> None:
    tissue = draw_leak(np.random.default_rng(3), LeakOptions(cells=30, transcripts_per_cell=20))
    image = as_label_image(tissue.labels, "labels")
    source = place(tissue.transcripts, None, tissue.pixel_size_um, image, AssignInputOptions())
    windows = windows_of(source, image.tiles, measure_cells(image.tiles))
    size_um = windows.zones.size_um
    xy = tissue.transcripts[["x_um", "y_um"]].to_numpy() / tissue.pixel_size_um
    found = windows.find(xy[:, 0], xy[:, 1])
    pixel = np.floor(xy[:, ::-1] + 0.5)
    distance = np.stack(
        [
            np.sqrt(((pixel[:, None] - np.argwhere(tissue.labels == cell)) ** 2).sum(-1)).min(1)
            for cell in range(1, 31)
        ],
        axis=1,
    )
    distance *= size_um
    order, sorted_um = distance.argsort(axis=1) + 1, np.sort(distance, axis=1)
    clear = (sorted_um[:, 1] - sorted_um[:, 0] > 1.5) & (sorted_um[:, 0] < 20)
    assert clear.sum() > 300
    assert (found.nearest[clear] == order[clear, 0]).all()
    clear &= (sorted_um[:, 2] - sorted_um[:, 1] > 1.5) & (sorted_um[:, 1] < 11)
    assert clear.sum() > 100
    assert (found.second[clear] == order[clear, 1]).mean() > 0.99


def test_cells_grow_by_themselves_and_keep_their_counts(
    leaky: LeakyTissue, measured: Purity, tmp_path: Path
) -> None:
    size = {"pixel_size_um": leaky.pixel_size_um}
    auto = cc.AssignOptions(expand_um="auto")
    found = cc.assign(leaky.transcripts, leaky.labels, auto, output=tmp_path, **size)
    fixed = cc.AssignOptions(expand_um=measured.auto_um)
    given = cc.assign(leaky.transcripts, leaky.labels, fixed, **size)
    assert (found.X != given.X).nnz == 0
    record = json.loads((tmp_path / "purity.json").read_text())
    assert record["expand_um"] == record["auto_um"] == measured.auto_um > 0
    assert record["is_auto"]
    assert found.uns["provenance"]["expand_um"] == measured.auto_um
    assert found.uns["quality"]["purity"] == pytest.approx(record["purity"], abs=1e-5)
    assert grown_um(tmp_path.parent, 2.0) == 2
    (tmp_path / "s/3_cells").mkdir(parents=True)
    (tmp_path / "purity.json").rename(tmp_path / "s/3_cells/purity.json")
    assert grown_um(tmp_path / "s", "auto") == measured.auto_um


def test_purer_cells_have_less_contamination(leaky: LeakyTissue) -> None:
    options = cc.AssignOptions(expand_um=4)
    size = {"pixel_size_um": leaky.pixel_size_um}
    found = cc.assign(leaky.transcripts, leaky.labels, options, **size)
    image = expand_labels(leaky.labels, 4 / leaky.pixel_size_um)
    row, column = (
        np.floor(leaky.transcripts[name] / leaky.pixel_size_um + 0.5).astype(int)
        for name in ("y_um", "x_um")
    )
    owner = image[row, column]
    wrong = pd.Series(owner != leaky.cell_id)[owner > 0].groupby(owner[owner > 0]).mean()
    contamination = found.obs["contamination"].to_numpy()
    true = wrong.reindex(found.obs["cell_id"]).to_numpy()
    assert np.corrcoef(contamination, true)[0, 1] > 0.4
    assert abs(contamination.mean() - true.mean()) < 0.04
    assert found.obs["n_unlike_neighbours"].between(0, 12).mean() > 0.95
    assert (found.obs["second_type_share"].dropna() < 0.1).mean() > 0.8


def test_merged_cells_have_a_second_type(leaky: LeakyTissue) -> None:
    """Every tenth cell is drawn together with the next one."""
    labels = leaky.labels.copy()
    merged = np.arange(1, 400, 10)
    for cell in merged:
        labels[labels == cell + 1] = cell
    found = cc.assign(leaky.transcripts, labels, pixel_size_um=leaky.pixel_size_um)
    share = found.obs.set_index("cell_id")["second_type_share"]
    assert (share[merged] > 0.2).mean() > 0.5
    assert (share.drop(merged).dropna() > 0.2).mean() < 0.05


def test_cells_above_each_other_are_flagged(leaky: LeakyTissue) -> None:
    """Above every second cell lies the copy of another cell, in the upper plane."""
    rng = np.random.default_rng(5)
    centre = measure_cells(as_label_image(leaky.labels, "labels").tiles)[["y", "x"]].to_numpy()
    centre = np.vstack([[0, 0], centre]) * leaky.pixel_size_um
    lower = np.arange(1, 401, 2)
    upper = np.zeros(401, dtype=int)
    upper[lower] = rng.permutation(lower)  # the cell that is copied to above each
    copied_to = np.zeros(401, dtype=int)
    copied_to[upper[lower]] = lower
    goal = copied_to[leaky.cell_id]
    copy = leaky.transcripts[goal > 0].copy()
    shift = (centre[goal] - centre[leaky.cell_id])[goal > 0]
    copy["y_um"] += shift[:, 0]
    copy["x_um"] += shift[:, 1]
    z = np.repeat([0.0, 1.0], [len(leaky.transcripts), len(copy)])
    both = pd.concat([leaky.transcripts, copy]).assign(z=z)
    size = {"pixel_size_um": leaky.pixel_size_um}
    flags = [
        cc.assign(both.assign(z=heights), leaky.labels, **size).obs["vertical_overlap"] == 1
        for heights in (z, rng.permutation(z))
    ]
    has_copy = np.isin(np.arange(1, 401), lower)
    assert flags[1].mean() <= 0.02
    assert flags[0][~has_copy].mean() <= 0.02
    assert flags[0][has_copy].mean() > 0.4


def test_columns_are_empty_where_purity_is_not_known() -> None:
    tissue = draw_leak(np.random.default_rng(1), LeakOptions(cells=9))
    auto = cc.AssignOptions(expand_um="auto")
    found = cc.assign(tissue.transcripts, tissue.labels, auto, pixel_size_um=tissue.pixel_size_um)
    assert found.obs["contamination"].isna().all()
    assert found.uns["provenance"]["expand_um"] == 0


def test_growth_of_unknown_cells_is_refused(tmp_path: Path) -> None:
    with pytest.raises(cc.InputError, match="run `assign` first"):
        grown_um(tmp_path, "auto")


def test_lift_rises_with_distance_and_is_empty_for_few_cells() -> None:
    options = LeakOptions(cells=400, transcripts_per_cell=200, displaced_share=0.4)
    tissue = draw_leak(np.random.default_rng(4), options)
    image = as_label_image(tissue.labels, "labels")
    source = place(tissue.transcripts, None, tissue.pixel_size_um, image, AssignInputOptions())
    measured = measure_cells(image.tiles)
    windows = windows_of(source, image.tiles, measured)
    molecules = read_molecules(source, windows, choose_windows(windows, measured))
    found = exclusivity_lift(molecules, 8)
    assert found.n_pairs >= 20
    assert 0 < found.lift[0] < found.lift[4] < found.lift[7] < 1.1
    few = draw_leak(np.random.default_rng(4), LeakOptions(cells=50, transcripts_per_cell=200))
    assert purity_of(few).rings["lift"].isna().all()


def test_rows_are_found_by_a_table_and_by_search() -> None:
    for scale in (1, 1000):  # beyond the table's largest id, rows are searched for
        cell_id = np.array([3, 4, 9, 5000], dtype=np.uint32) * scale
        cells = np.array([[0, 3, 9], [5000, 6000, 5]], dtype=np.uint32) * scale
        assert rows_of(cells, cell_id).tolist() == [[-1, 0, 2], [3, -1, -1]]
    assert rows_of(cell_id, cell_id[:0]).tolist() == [-1] * 4


def test_a_large_sample_is_looked_at_in_six_places_or_more() -> None:
    windows = SimpleNamespace(n_y=4, n_x=10, number=lambda x, y: x.astype(np.int64))
    full = pd.DataFrame({"x": np.repeat(np.arange(0, 40, 2.0), 3000), "y": 0.0})
    chosen = choose_windows(windows, full)
    assert np.count_nonzero(chosen % 2 == 0) == 6
    thin = full.groupby("x").head(400)
    assert np.count_nonzero(choose_windows(windows, thin) % 2 == 0) == 13
    few = full.groupby("x").head(100)
    assert len(choose_windows(windows, few)) == 40
