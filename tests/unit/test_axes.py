"""Axes of a transcript table: exchanged or backwards ones are told by the stains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from refusals import follow

import cellsam_core as cc

SHAPE = (300, 420)
PIXEL_UM = 0.25


def write(folder: Path, *, n: int = 3000, share_in_cells: float = 0.7, unit: str = "um") -> Path:
    """Write a stain with discs at random, and transcripts most of which lie in them."""
    rng = np.random.default_rng(5)
    folder.mkdir()
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    centres = rng.uniform((0, 0), SHAPE, (60, 2))
    distance = np.min([np.hypot(y - cy, x - cx) for cy, cx in centres], axis=0)
    stain = np.where(distance < 12, 1000, 200) + rng.normal(0, 50, SHAPE)
    tifffile.imwrite(folder / "DAPI.tif", stain.clip(0).astype(np.uint16))
    p = np.where(distance < 12, share_in_cells / (distance < 12).mean(), 1 - share_in_cells)
    chosen = rng.choice(p.size, n, p=p.ravel() / p.sum())
    yx = np.stack(np.unravel_index(chosen, SHAPE)) * (PIXEL_UM if unit == "um" else 1)
    table = pd.DataFrame({f"x_{unit}": yx[1], f"y_{unit}": yx[0], "gene": "A"})
    table.to_csv(folder / "transcripts.csv", index=False)
    return folder


def change(folder: Path, **columns: object) -> None:
    path = folder / "transcripts.csv"
    table = pd.read_csv(path)
    pd.DataFrame({c: columns.get(c, table[c]) for c in table}).to_csv(path, index=False)


def exchange(folder: Path) -> None:
    path = folder / "transcripts.csv"
    table = pd.read_csv(path)
    x, y = table.columns[:2]
    table.rename(columns={x: y, y: x}).to_csv(path, index=False)


def look(folder: Path, **options: object) -> cc.Manifest:
    chosen = cc.InspectOptions(pixel_size_um=PIXEL_UM, **options)
    return cc.inspect(folder, assay="merfish", options=chosen)


def test_axes_that_fit_are_not_remarked(tmp_path):
    assert look(write(tmp_path / "s")).warnings == []
    # A stain that tells nothing, and few transcripts, are no reason to doubt.
    assert look(write(tmp_path / "alike", share_in_cells=0.2)).warnings == []
    assert look(write(tmp_path / "few", n=30)).warnings == []


@pytest.mark.parametrize("unit", ["um", "px"])
def test_exchanged_axes_are_exchanged_back_as_told(tmp_path, unit):
    folder = write(tmp_path / "s", unit=unit)
    expected = look(folder).transcripts
    exchange(folder)
    found = follow(
        lambda: look(folder),
        f"exchange the names of the columns x_{unit} and y_{unit} of the table",
        lambda: exchange(folder),
    )
    assert (found.transcripts, found.warnings) == (expected, [])


def test_an_axis_that_runs_backwards_is_turned_as_told(tmp_path):
    folder = write(tmp_path / "s")
    table = pd.read_csv(folder / "transcripts.csv")
    total = (SHAPE[0] - 1) * PIXEL_UM
    change(folder, y_um=total - table["y_um"])
    found = follow(
        lambda: look(folder),
        f"replace y_um by {total:.6g} - y_um in the table",
        lambda: change(folder, y_um=table["y_um"]),
    )
    assert found.warnings == []


def test_the_user_may_know_better(tmp_path):
    folder = write(tmp_path / "s")
    exchange(folder)
    found = follow(
        lambda: look(folder),
        r"orientation of the sample sheet \(--orientation\) with as_is",
        then=lambda: look(folder, orientation="as_is"),
    )
    assert "only with x and y exchanged" in found.warnings[-1]


def test_exchanged_axes_of_which_most_lie_outside_are_told(tmp_path):
    folder = write(tmp_path / "s")
    table = pd.read_csv(folder / "transcripts.csv")
    right = table["x_um"] > SHAPE[0] * PIXEL_UM
    table[right | (np.arange(len(table)) % 3 == 0)].to_csv(folder / "transcripts.csv", index=False)
    exchange(folder)
    follow(
        lambda: look(folder),
        "exchange the names of the columns x_um and y_um, with which transcripts would lie",
        lambda: exchange(folder),
    )


def test_check_says_it(tmp_path):
    folder = write(tmp_path / "s")
    exchange(folder)
    (tmp_path / "config").mkdir()
    row = f"s,merfish,{folder},{PIXEL_UM}"
    (tmp_path / "config/samples.tsv").write_text(f"sample,assay,path,pixel_size_um\n{row}\n")
    checked = cc.check(folder=tmp_path)
    assert not checked.is_ready
    assert "only with x and y exchanged" in checked.samples[0].problem
