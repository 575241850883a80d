"""Nuclei and cells in one run: pairs, compartments of counts and traces, refusals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

import cellsam_core as cc
from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.labels import shared_pixels


def squares(*boxes: tuple[int, int, int, int, int], shape: tuple[int, int] = (40, 60)):
    """Labels of boxes (label, y0, x0, y1, x1)."""
    labels = np.zeros(shape, np.uint32)
    for label, y0, x0, y1, x1 in boxes:
        labels[y0:y1, x0:x1] = label
    return labels


CELLS = squares((1, 2, 2, 22, 22), (2, 2, 22, 22, 42), (70_000, 24, 2, 38, 22))


@pytest.mark.parametrize(
    ("nuclei", "cell_id", "state", "n_nuclei", "split"),
    [
        (squares(), [], [], [0, 0, 0], [0, 0, 0]),
        (squares((5, 6, 6, 12, 12)), [1], ["in a cell"], [1, 0, 0], [0, 0, 0]),
        # Two nuclei in one cell, the larger of which is the primary one.
        (
            squares((5, 6, 6, 10, 10), (3, 12, 6, 18, 12)),
            [1, 1],
            ["in a cell"] * 2,
            [2, 0, 0],
            [0, 0, 0],
        ),
        # Half in each of two cells: the smaller number wins, both are flagged.
        (squares((9, 6, 17, 12, 27)), [1], ["in a cell"], [1, 0, 0], [1, 1, 0]),
        # A nucleus over two cells, 60 to 40.
        (squares((9, 6, 16, 12, 26)), [1], ["in a cell"], [1, 0, 0], [1, 1, 0]),
        # A nucleus larger than its cell: less than half of it is inside.
        (squares((4, 24, 2, 38, 38)), [70_000], ["in a cell"], [0, 0, 1], [0, 0, 0]),
        (squares((4, 23, 2, 40, 46)), [0], ["partly in a cell"], [0, 0, 0], [0, 0, 0]),
        (squares((80_000, 30, 50, 40, 60)), [0], ["in no cell"], [0, 0, 0], [0, 0, 0]),
    ],
)
def test_a_nucleus_belongs_to_the_cell_that_holds_half_of_it(
    nuclei, cell_id, state, n_nuclei, split
):
    paired, found, table = cc.pair_nuclei(CELLS, nuclei)
    assert found["cell_id"].tolist() == cell_id
    assert found["state"].tolist() == state
    assert table["label"].tolist() == [1, 2, 70_000]
    assert table["n_nuclei"].tolist() == n_nuclei
    assert table["nucleus_split"].tolist() == [bool(flag) for flag in split]
    words = {0: "none", 1: "one"}
    assert table["nucleus_state"].tolist() == [words.get(n, "several") for n in n_nuclei]
    # Nothing of a nucleus lies outside of its cell, and each cell has at most one primary nucleus.
    assert (paired[paired > 0] == CELLS[paired > 0]).all()
    assert found[found["is_primary"]]["cell_id"].is_unique
    areas = [int((paired == label).sum()) for label in table["label"]]
    assert table["nucleus_area_px"].tolist() == areas
    assert found["area_px"].sum() == (nuclei > 0).sum()


def test_pairs_do_not_depend_on_tiles_or_memory(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    cells = ndimage.zoom(rng.integers(0, 9, (2, 6, 7)), (1, 13, 11), order=0).astype(np.uint32)
    nuclei = ndimage.zoom(rng.integers(0, 5, (2, 13, 11)), (1, 6, 7), order=0).astype(np.uint32)
    for name, labels in (("cells", cells), ("nuclei", nuclei)):
        store = omezarr.create(
            tmp_path / name, shape=labels.shape, axes="tyx", dtype="uint32", pixel_size_um=0.5
        )
        store.array[:] = labels
    paired, *tables = cc.pair_nuclei(cells, nuclei)
    monkeypatch.setattr(shared_pixels, "TILE_PX", 10)
    written, *read = cc.pair_nuclei(tmp_path / "cells", tmp_path / "nuclei", tmp_path / "out")
    np.testing.assert_array_equal(np.stack([written.frame(0), written.frame(1)]), paired)
    for ours, theirs in zip(tables, read, strict=True):
        areas = [name for name in theirs if name.endswith("_um2")]
        pd.testing.assert_frame_equal(
            ours.drop(columns=[*areas, "sample"]), theirs.drop(columns=[*areas, "sample"])
        )
        assert np.isfinite(theirs[areas]).all(axis=None)
    with pytest.raises(InputError, match="labels of shape"):
        cc.pair_nuclei(cells, nuclei[:, :-1])
    with pytest.raises(InputError, match="leave `output` out"):
        cc.pair_nuclei(cells, nuclei, tmp_path / "out2")


def test_nuclei_without_cell_are_left_out_on_request(tmp_path, caplog):
    nuclei = squares((5, 6, 6, 12, 12), (4, 23, 2, 40, 46), (80_000, 30, 50, 40, 60))
    kept = cc.pair_nuclei(CELLS, nuclei)
    dropped = cc.pair_nuclei(CELLS, nuclei, options=cc.PairOptions(orphan_nuclei="drop"))
    assert kept[1]["cell_id"].tolist() == [0, 1, 0]
    assert dropped[1]["nucleus_id"].tolist() == [5]
    np.testing.assert_array_equal(dropped[0], kept[0])
    pd.testing.assert_frame_equal(dropped[2], kept[2])
    for name, labels in (("cells", CELLS), ("nuclei", nuclei)):
        store = omezarr.create(
            tmp_path / name, shape=labels.shape, axes="yx", dtype="uint32", pixel_size_um=0.5
        )
        store.array[:] = labels
    command = ["pair", tmp_path / "cells", tmp_path / "nuclei", "--orphan-nuclei", "drop"]
    with caplog.at_level("INFO"):
        assert main([str(part) for part in [*command, "-o", tmp_path / "out"]]) == 0
    assert "3 nuclei, 2 of them in no cell and left out; 2 cells without nucleus" in caplog.text
    written = pd.read_parquet(tmp_path / "out/nuclei.parquet")
    assert written["nucleus_id"].tolist() == [5]


def disturbed(labels: np.ndarray, rng: np.random.Generator, amount_px: int) -> np.ndarray:
    """Labels in another order, shifted and with other edges, as a segmentation finds them."""
    shift = rng.integers(-amount_px, amount_px + 1, 2)
    moved = ndimage.shift(labels, shift, order=0)
    grown = ndimage.grey_dilation(moved, size=3)
    moved = np.where(moved == 0, grown, moved) if rng.random() < 0.5 else moved
    order = np.append(0, rng.permutation(int(labels.max())) + 1)
    return order[moved].astype(np.uint32)


def test_simulated_nuclei_find_their_cells():
    rng = np.random.default_rng(1)
    right = n_all = 0
    for seed in range(3):
        tissue = cc.simulate_tissue(
            seed=seed, options=cc.TissueOptions(size_px=512, cells=150, transcripts=0)
        )
        nuclei = disturbed(tissue.nucleus_labels, rng, 2)
        # Some nuclei without a cell, and cells without nucleus as the simulator leaves them.
        bare = np.unique(tissue.labels)[1::30]
        cells = np.where(np.isin(tissue.labels, bare), 0, tissue.labels).astype(np.uint32)
        _, found, table = cc.pair_nuclei(cells, nuclei)
        for row in found.itertuples():
            under = tissue.labels[(nuclei == row.nucleus_id) & (tissue.labels > 0)]
            truth = np.bincount(under).argmax() if len(under) else 0
            right += row.cell_id == (0 if truth in bare else truth)
            n_all += 1
        known = set(np.unique(tissue.nucleus_labels)) - {0}
        empty = {label for label in table["label"] if label not in known}
        assert empty <= set(table.loc[table["nucleus_state"] == "none", "label"])
    assert n_all > 300
    assert right / n_all >= 0.98


def test_counts_of_compartments_add_up_transcript_by_transcript(tmp_path):
    tissue = cc.simulate_tissue(
        seed=3, options=cc.TissueOptions(size_px=256, cells=40, transcripts=4000)
    )
    cells = tissue.labels.astype(np.uint32)
    paired, _, table = cc.pair_nuclei(cells, tissue.nucleus_labels.astype(np.uint32))
    rows = tissue.transcripts[["x_px", "y_px", "gene"]]
    adata = cc.assign(
        rows,
        cells,
        cc.AssignOptions(expand_um=1.0),
        pixel_size_um=0.5,
        nuclei=paired,
        nuclei_of_cells=table,
        output=tmp_path,
    )
    assert (adata.layers["nucleus"] + adata.layers["cytoplasm"] != adata.X).nnz == 0
    assert adata.layers["nucleus"].sum() > 100
    assert adata.layers["cytoplasm"].sum() > 100
    found = pd.read_parquet(tmp_path / "transcripts.parquet")
    found = found[found["feature"].isin(adata.var_names)]
    inside = found[found["in_nucleus"]]
    assert (inside["cell_id"] > 0).all()
    for layer, part in (("nucleus", inside), ("cytoplasm", found[~found["in_nucleus"]])):
        counted = part[part["cell_id"] > 0].groupby("cell_id").size()
        sums = pd.Series(np.asarray(adata.layers[layer].sum(1)).ravel(), adata.obs["cell_id"])
        assert sums[sums > 0].to_dict() == counted.to_dict()
    share = adata.layers["nucleus"].sum(1).A1 / np.maximum(adata.X.sum(1).A1, 1)
    has_counts = adata.obs["n_transcripts"] > 0
    np.testing.assert_allclose(adata.obs["nuclear_fraction"][has_counts], share[has_counts])
    assert (adata.obs["n_nuclei"] == table["n_nuclei"].to_numpy()).all()
    with pytest.raises(InputError, match="no cell"):
        cc.assign(rows, cells, pixel_size_um=0.5, nuclei_of_cells=table.iloc[1:])


def ktr_movie() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Four cells whose reporter leaves the nucleus; the last one has no nucleus."""
    y, x = np.mgrid[:120, :120]
    labels, nuclei = np.zeros((6, 120, 120), np.uint32), np.zeros((6, 120, 120), np.uint32)
    images = np.full((6, 1, 120, 120), 50.0)
    for label, (cy, cx) in enumerate(((30, 30), (30, 90), (90, 30), (90, 90)), start=1):
        cell = np.hypot(y - cy, x - cx) < 20
        # The nucleus is not in the middle: a ring around it would leave the cell.
        nucleus = np.hypot(y - cy, x - cx + 10) < 8
        labels[:, cell] = label
        if label < 4:
            nuclei[:, nucleus] = label + 10
        for t in range(6):
            images[t, 0][cell] += 300.0 if t < 2 else 600.0
            images[t, 0][nucleus] += 300.0 if t < 2 else 0.0
    return images, labels, nuclei


def test_a_translocation_reporter_needs_no_ring_where_nuclei_are_known():
    images, labels, nuclei = ktr_movie()
    paired, _, _ = cc.pair_nuclei(labels, nuclei)
    options = cc.TraceOptions(reporter="ktr", ratio="KTR", baseline_frames=2)
    known = {"channels": ["KTR"], "frame_interval_s": 60}
    traces = cc.trace(images, labels, cc.track(labels), options, nuclei=paired, **known)
    table = traces.table
    assert set(table["compartment"]) == {"cell", "nucleus", "cytoplasm"}
    by_part = table.pivot_table(index=["label", "frame"], columns="compartment", values="n_px")
    assert (by_part["nucleus"] + by_part["cytoplasm"] == by_part["cell"]).all()
    cells = table[table["compartment"] == "cell"].set_index(["label", "frame"])
    for label in (1, 2, 3):
        ratio = cells.loc[label, "ratio"].to_numpy()
        np.testing.assert_allclose(ratio, [0.5, 0.5, 1, 1, 1, 1], rtol=1e-6)
    assert (cells.loc[4, "invalid_reason"].str.contains("no pixels")).all()
    with pytest.raises(InputError, match="`ring_px`: found 0"):
        cc.trace(images, labels, cc.track(labels), options, **known)
    ring = cc.TraceOptions(reporter="ktr", ratio="KTR", baseline_frames=2, ring_px=4)
    with pytest.raises(InputError, match="beside nuclei"):
        cc.trace(images, labels, cc.track(labels), ring, nuclei=paired, **known)


def test_nuclei_are_searched_for_in_the_nuclear_stain_only():
    tissue = cc.simulate_tissue(
        seed=5, options=cc.TissueOptions(size_px=256, cells=40, transcripts=0)
    )
    stains = tissue.image[:2]
    options = cc.SegmentOptions(cell_diameter_px=20)
    model = cc.load_model("tiny", device="cpu", target="nucleus")
    assert model.settings(options)["target"] == "nucleus"
    nuclei, _ = cc.segment(stains, model, options, channels=["DAPI", "PolyT"])
    blank = np.stack([stains[0], np.full_like(stains[1], 7)])
    again, _ = cc.segment(blank, model, options, channels=["DAPI", "PolyT"])
    np.testing.assert_array_equal(nuclei, again)
    with pytest.raises(InputError, match="option `target`"):
        cc.segment(stains[0], model, options)
