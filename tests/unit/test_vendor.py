"""Our cells beside the vendor's: themselves, renumbered, merged; and the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
from declared_outputs import faults_of
from fake_results import write_spatial

import cellsam_core as cc
from cellsam_core.assignment.inputs import place
from cellsam_core.assignment.options import AssignInputOptions
from cellsam_core.cli import main
from cellsam_core.labels.image import as_label_image
from cellsam_core.labels.source import open_labels
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.vendor_cells import may_have_cells
from cellsam_core.simulation.leak import LeakyTissue, draw_leak
from cellsam_core.simulation.options import LeakOptions
from cellsam_core.vendor.counts import BothCounts
from cellsam_core.vendor.stage import VendorComparison, compare_tiles

if TYPE_CHECKING:
    from pathlib import Path

N_CELLS = 100


@pytest.fixture(scope="module")
def tissue() -> LeakyTissue:
    return draw_leak(np.random.default_rng(2), LeakOptions(cells=N_CELLS))


def compared(tissue: LeakyTissue, ours: np.ndarray, theirs: np.ndarray) -> VendorComparison:
    image = as_label_image(tissue.labels, "labels")
    source = place(tissue.transcripts, None, tissue.pixel_size_um, image, AssignInputOptions())
    manifest = Manifest(
        sample="s",
        assay="merfish",
        format="generic",
        channels=["DAPI"],
        n_frames=1,
        shape_yx=tissue.labels.shape,
        dtype="uint16",
        pixel_size_um=tissue.pixel_size_um,
        frame_interval_s=None,
        planes=[[None]],
        transcripts=source,
    )
    tiles = [as_label_image(labels, "labels").tiles for labels in (ours, theirs)]
    return compare_tiles(manifest, source, *tiles, expand_um=0.0)


def test_cells_beside_themselves_renumbered(tissue: LeakyTissue) -> None:
    numbers = np.concatenate([[0], np.random.default_rng(0).permutation(N_CELLS) + 7])
    found = compared(tissue, tissue.labels, numbers[tissue.labels])
    for row in found.record["matches"]:
        assert (row["matched"], row["gained"], row["lost"]) == (N_CELLS, 0, 0)
        assert row["r_totals"] == pytest.approx(1)
        assert row["r_counts"] == pytest.approx(1)
        assert row["median_iou"] == 1
    assert found.record["same_cell_share"] == 1
    assert found.record["n_merged"] == found.record["n_split"] == 0
    assert found.record["places"] == []
    assert found.record["ours"]["capture"] == found.record["vendor"]["capture"]
    assert (found.genes["ratio"].dropna() == 1).all()
    assert (numbers[found.matched["ours"]] == found.matched["vendor"]).all()


def test_merged_cells_are_counted(tissue: LeakyTissue) -> None:
    merged = tissue.labels.copy()
    for cell in range(1, N_CELLS + 1, 10):
        merged[merged == cell + 1] = cell
    found = compared(tissue, merged, tissue.labels)
    assert (found.record["n_merged"], found.record["n_split"]) == (10, 0)
    assert compared(tissue, tissue.labels, merged).record["n_split"] == 10
    assert found.record["matches"][1]["lost"] >= 10
    changed = [place["n_changed"] for place in found.record["places"]]
    assert 1 < len(changed) <= 6
    assert changed == sorted(changed, reverse=True)
    assert changed[-1] > 0
    assert "10 of our cells hold most of two or more" in " ".join(found.record["sentences"])


@pytest.mark.parametrize(
    ("shape_um", "expected"),
    [((90.0, 220.0), [(0, 3), (0, 1), (0, 0)]), ((300.0, 300.0), [(1, 3), (0, 3), (0, 1), (0, 0)])],
)
def test_pictures_of_places_do_not_overlap(
    shape_um: tuple[float, float], expected: list[tuple[int, int]]
) -> None:
    # The lower of two squares of a tissue of 90 um would show 40 um of the upper one again.
    changed = np.array([[3, 8, 0, 9], [0, 0, 0, 0]])
    changed[1, 3] = 4 if shape_um[0] < 100 else 10
    counts = BothCounts([], *[None] * 2, np.zeros(0), 0, (0, 0), np.zeros(0), changed)
    assert [place[:2] for place in counts.places(shape_um)] == expected


def test_capture_and_ratio_are_those_of_a_plain_count(tissue: LeakyTissue) -> None:
    fewer = np.where(tissue.labels > 50, 0, tissue.labels)
    found = compared(tissue, fewer, tissue.labels)
    row, column = (
        np.floor(tissue.transcripts[name] / tissue.pixel_size_um + 0.5).astype(int)
        for name in ("y_um", "x_um")
    )
    inside = [(labels[row, column] > 0).sum() for labels in (fewer, tissue.labels)]
    assert found.record["ours"]["capture"] == inside[0] / len(row)
    assert (found.genes["n_ours"].sum(), found.genes["n_vendor"].sum()) == tuple(inside)
    assert sum(place["n_changed"] for place in found.record["places"]) <= inside[1] - inside[0]


def test_page_of_a_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_spatial(tmp_path / "results/s")
    labels = open_labels(folder / "2_masks/masks.zarr").frame(0).astype(np.uint32)
    theirs = tmp_path / "theirs.tif"
    tifffile.imwrite(theirs, np.roll(labels, 6, axis=1))
    out = tmp_path / "out/6_vendor"
    assert main(["compare-vendor", str(folder), "--theirs", str(theirs), "-o", str(out)]) == 0
    names = {path.name for path in out.iterdir()}
    assert names == {"compare.json", "genes.tsv", "cells_matched.parquet", "vendor.html"}
    assert faults_of(tmp_path / "out") == []
    page = (out / "vendor.html").read_text()
    assert "transcripts change their cell" in page
    first = (out / "compare.json").read_bytes()
    assert main(["compare-vendor", str(folder), "--theirs", str(theirs), "-o", str(out)]) == 0
    assert (out / "compare.json").read_bytes() == first
    capsys.readouterr()
    assert main(["compare-vendor", str(folder), "-o", str(tmp_path / "none")]) == 1
    assert "give the file of the vendor's cells" in capsys.readouterr().err
    assert main(["compare-vendor", str(folder), "--allow-none", "-o", str(tmp_path / "no")]) == 0
    assert "has no cells of the vendor" in (tmp_path / "no/vendor.html").read_text()


def test_cells_of_another_size_are_refused(tmp_path: Path) -> None:
    folder = write_spatial(tmp_path / "results/s")
    tifffile.imwrite(tmp_path / "theirs.tif", np.eye(20, dtype=np.uint16))
    with pytest.raises(cc.InputError, match="20 x 20 px"):
        cc.compare_vendor(folder, tmp_path / "theirs.tif")


def test_vendors_cells_are_recognised_by_their_names(tmp_path: Path) -> None:
    assert not may_have_cells(tmp_path / "absent")
    (tmp_path / "detected_transcripts.csv").touch()
    assert not may_have_cells(tmp_path)
    (tmp_path / "cell_boundaries.parquet").touch()
    assert may_have_cells(tmp_path)
