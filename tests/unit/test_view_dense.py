"""Corrections of the page in a confluent field, carried out on masks of another segmentation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import zarr
from skimage.measure import regionprops
from starlette.testclient import TestClient
from view_results import teaching_of

import cellsam_core as cc
from cellsam_core.viewer.app import make_app
from cellsam_core.viewer.editing import Editing
from cellsam_core.viewer.prompts import Prompter
from cellsam_core.viewer.samples import Library

FRAME, HEIGHT, WIDTH, PITCH_PX, MOVED_PX = 5, 160, 200, 16, 1.5
GONE = 2
"""Cells that the other segmentation does not find."""


def tiled(centres: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Give each pixel to its nearest centre, so that every cell touches its neighbours."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    far = (y[..., None] - centres[:, 0]) ** 2 + (x[..., None] - centres[:, 1]) ** 2
    return numbers[far.argmin(axis=-1)].astype(np.uint32)


def write_masks(folder: Path, labels: np.ndarray) -> None:
    masks = folder / "2_masks"
    zarr.open_group(str(masks / "masks.zarr"), mode="r+")["0"][FRAME] = labels
    cells = pd.read_parquet(masks / "cells.parquet")
    rows = [(FRAME, r.label, *r.centroid, r.area, *r.bbox, 0.9, False) for r in regionprops(labels)]
    boxes = [f"bbox_{side}" for side in ("y0", "x0", "y1", "x1")]
    names = ["frame", "label", "y", "x", "area_px", *boxes, "score", "touches_border"]
    new = pd.DataFrame(rows, columns=names)[list(cells)].astype(cells.dtypes.to_dict())
    others = cells[cells["frame"] != FRAME]
    pd.concat([others, new], ignore_index=True).to_parquet(masks / "cells.parquet")


@pytest.fixture
def folder(shown_results: Path, tmp_path: Path) -> Path:
    shutil.copytree(shown_results / "movie", tmp_path / "results/movie")
    shutil.rmtree(tmp_path / "results/movie/3_tracks")
    return tmp_path


def client_of(folder: Path) -> TestClient:
    library = Library(folder / "results")
    editing = Editing(library, Prompter(is_off=True), is_read_only=False)
    app = make_app(library, "t", editing, teaching_of(library))
    return TestClient(app, base_url="http://127.0.0.1/t/api/movie/")


def test_corrections_in_a_confluent_field_survive_another_segmentation(folder: Path):
    rng = np.random.default_rng(4)
    grid = np.mgrid[PITCH_PX // 2 : HEIGHT : PITCH_PX, PITCH_PX // 2 : WIDTH : PITCH_PX]
    centres = grid.reshape(2, -1).T + rng.uniform(-3, 3, (grid[0].size, 2))
    n = len(centres)
    write_masks(folder / "results/movie", tiled(centres, np.arange(1, n + 1)))
    client, keys, chosen = client_of(folder), [], range(1, n + 1, 3)
    for label in chosen:
        (y, x), seen = centres[label - 1], client.get("seen").json()["cells"]
        square = [[x - 6, y - 6], [x + 6, y - 6], [x + 6, y + 6], [x - 6, y + 6]]
        actions = (
            {"operation": "delete", "label": label},
            {"operation": "redraw", "label": label, "outline": square},
            {"operation": "split", "label": label, "cut": [[x, y - 20], [x, y + 20]]},
            {"operation": "merge", "label": label, "other": label + 1},
        )
        action = actions[(label // 3) % 4 if label < n else 0]
        answer = client.post("corrections/cells", json={"seen": seen, "frame": FRAME} | action)
        assert answer.status_code == 200, answer.text
        keys.append(answer.json()["written"][0]["id"])
    kept = np.setdiff1d(np.arange(n), np.array(chosen)[[8, 20][:GONE]] - 1)
    moved = centres[kept] + rng.uniform(-MOVED_PX, MOVED_PX, (len(kept), 2))
    other = tiled(moved, rng.permutation(len(kept)) + 1)
    write_masks(folder / "results/movie", other)
    masks, table = folder / "results/movie/2_masks", folder / "corrections/movie.cells.csv"
    corrected, outcomes = cc.correct(
        masks / "masks.zarr", masks / "cells.parquet", table, masks / "corrected"
    )
    assert outcomes["id"].tolist() == keys
    is_lost = outcomes["found"] == "no"
    assert is_lost.sum() <= GONE + 1
    assert (~is_lost).mean() >= 0.95
    after = corrected.frame(FRAME)
    for label, row in zip(chosen, outcomes.itertuples(), strict=True):
        y, x = centres[label - 1].astype(int)
        if row.found == "yes" and row.operation == "delete":
            assert after[y, x] == 0
    rows = client_of(folder).get("corrections").json()["rows"]["cells"]
    assert [bool(row["lost"]) for row in rows] == is_lost.tolist()
