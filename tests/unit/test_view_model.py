"""The page of `cellsam-core view` with the shipped weights: boxes, new masks, and new weights."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from starlette.testclient import TestClient
from view_results import teaching_of

import cellsam_core as cc
from cellsam_core.cli import main
from cellsam_core.corrections.outlines import fill
from cellsam_core.labels.source import open_labels
from cellsam_core.viewer.app import make_app
from cellsam_core.viewer.editing import Editing
from cellsam_core.viewer.prompts import Prompter, load_segmenter
from cellsam_core.viewer.samples import Library

SIZE_PX, DIAMETER_PX, PATIENCE_S = 224, 30, 300
GOOD_IOU = 0.8


def run(*words: object) -> None:
    assert main([str(word) for word in words]) == 0


def segment(folder: Path, diameter_px: int = DIAMETER_PX, *options: object) -> None:
    frames, batch = folder / "1_preprocessed/frames.zarr", folder / "2_masks/1-of-1.parquet"
    masks, cells = folder / "2_masks/masks.zarr", folder / "2_masks/cells.parquet"
    words = ("--batch", "1-of-1", "--cell-diameter-px", diameter_px, *options)
    run("segment-batch", frames, *words, "-o", batch)
    run("stitch", frames, batch, "--masks", masks, "--cells", cells)
    batch.unlink()


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Results of a simulated image, and its true labels."""
    root = tmp_path_factory.mktemp("model")
    options = cc.MovieOptions(size_px=SIZE_PX, cells=24, frames=1)
    truth = cc.simulate_movie(root / "raw", seed=3, options=options).labels[0]
    folder = root / "results/field"
    manifest = folder / "0_manifest.json"
    run("inspect", root / "raw", "--sample", "field", "--assay", "movie", "-o", manifest)
    run(
        "preprocess",
        manifest,
        "--cell-channel",
        "AMPKAR_480",
        "-o",
        folder / "1_preprocessed/frames.zarr",
    )
    segment(folder)
    return root, truth


@pytest.fixture
def folder(simulated: tuple[Path, np.ndarray], tmp_path: Path) -> Path:
    shutil.copytree(simulated[0] / "results", tmp_path / "results")
    return tmp_path


def client_of(folder: Path) -> TestClient:
    library = Library(folder / "results")
    prompter = Prompter()
    editing = Editing(library, prompter, is_read_only=False)
    teaching = teaching_of(library, prompter, "true", load_segmenter)
    app = make_app(library, "t", editing, teaching)
    return TestClient(app, base_url="http://127.0.0.1/t/api/")


def mask_of(outline: list[list[float]]) -> np.ndarray:
    drawn = np.zeros((SIZE_PX, SIZE_PX), bool)
    region = fill(np.array(outline), drawn.shape)
    drawn[region.window] = region.mask
    return drawn


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def draw(client: TestClient, cells: list[np.ndarray]) -> list[dict[str, Any] | None]:
    """Load the model as the page does, and draw the cells in the boxes of some masks."""
    end = time.monotonic() + PATIENCE_S
    while (state := client.post("field/model", json={}).json())["model"] == "loading":
        assert time.monotonic() < end
        time.sleep(0.05)
    assert state["model"] == "ready", state
    boxes = []
    for cell in cells:
        y, x = np.nonzero(cell)
        boxes.append([x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5])
    sent = [[float(v) for v in box] for box in boxes]
    answer = client.post("field/prompt", json={"t": 0, "boxes": sent})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any] | None] = answer.json()["cells"]
    return found


def write(client: TestClient, operation: str, **more: object) -> str:
    seen = client.get("field/corrections").json()["seen"]["cells"]
    body = {"seen": seen, "operation": operation, "frame": 0, **more}
    answer = client.post("field/corrections/cells", json=body)
    assert answer.status_code == 200, answer.text
    key: str = answer.json()["written"][0]["id"]
    return key


def test_the_model_draws_the_true_cell_in_a_box(simulated, folder: Path):
    _, truth = simulated
    cells = [truth == k for k in range(1, truth.max() + 1) if (truth == k).any()]
    drawn = draw(client_of(folder), cells)
    ious = [
        iou(mask_of(one["outline"]), cell) if one else 0.0
        for one, cell in zip(drawn, cells, strict=True)
    ]
    assert len(cells) == 24
    assert min(ious) > GOOD_IOU, np.round(ious, 2)


def test_rows_of_the_page_are_carried_out_on_other_masks(folder: Path):
    client = client_of(folder)
    sample = folder / "results/field"
    before = open_labels(sample / "2_masks/masks.zarr").frame(0)
    labels = np.unique(before[before > 0]).tolist()
    drawn = draw(client, [before == k for k in labels])
    keys = []
    for label, one in zip(labels, drawn, strict=True):
        if label % 3 == 0 or one is None:
            keys.append(write(client, "delete", label=label))
        elif label % 3 == 1:
            keys.append(write(client, "redraw", label=label, outline=one["outline"]))
        else:
            y, x = (float(v) for v in np.argwhere(before == label).mean(axis=0))
            keys.append(write(client, "split", label=label, cut=[[x, y - 40], [x, y + 40]]))
    segment(sample, 20, "--mask-threshold", 0.2)
    after = open_labels(sample / "2_masks/masks.zarr").frame(0)
    n_same = sum(iou(before == k, after == k) > 0.5 for k in labels)
    assert n_same < len(labels)  # other numbers, and other pixels
    assert (after != before).mean() > 0.02
    table = folder / "corrections/field.cells.csv"
    inputs = [sample / "2_masks" / name for name in ("masks.zarr", "cells.parquet")]
    corrected, outcomes = cc.correct(*inputs, table, sample / "2_masks/corrected")
    assert outcomes["id"].tolist() == keys
    assert (outcomes["found"] == "yes").mean() >= 0.95
    is_deleted = (outcomes["operation"] == "delete") & (outcomes["found"] == "yes")
    for label in np.array(labels)[is_deleted]:
        assert (corrected.frame(0)[before == label] == 0).mean() > 0.7
    rows = client_of(folder).get("field/corrections").json()["rows"]["cells"]
    assert [bool(row["lost"]) for row in rows] == (outcomes["found"] == "no").tolist()


def test_weights_that_were_tuned_from_the_page_are_tried(folder: Path):
    client = client_of(folder)
    for x0, x1 in ((-0.5, 110), (113, SIZE_PX - 0.5)):
        write(client, "complete", outline=[[x0, -0.5], [x1, -0.5], [x1, 223.5], [x0, 223.5]])
    started = client.post("jobs", json={"job": "finetune", "sample": "field"})
    assert started.status_code == 200, started.text
    end = time.monotonic() + PATIENCE_S
    while (job := client.get("jobs").json()["job"])["state"] == "running":
        assert time.monotonic() < end
        time.sleep(0.1)
    assert job["state"] == "done", job["lines"]
    told = [region["cells"] for region in client.get("regions").json()["regions"]]
    images = [tifffile.imread(path) for path in (folder / "training").rglob("*_label.tif")]
    assert sorted(len(np.unique(image)) - 1 for image in images) == sorted(told)
    assert any("step 5 of 5" in line for line in job["lines"])
    assert 0 < job["scores"]["before"]["f1_50"] <= 1
    assert 0 < job["scores"]["after"]["f1_50"] <= 1
    tried = client.post("field/try", json={"t": 0, "box": [0, 0, SIZE_PX - 1, SIZE_PX - 1]})
    assert tried.status_code == 200, tried.text
    old, new = tried.json()["old"], tried.json()["new"]
    assert old["weights"] == "tiny"
    assert new["weights"].endswith("weights_1.safetensors")
    assert old["n"] == len(old["outlines"]) > 0
    assert new["n"] == len(new["outlines"]) > 0
