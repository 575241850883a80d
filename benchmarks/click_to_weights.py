"""From clicks to weights: ``python benchmarks/click_to_weights.py DATA/usiigaci_phase WORK``.

Every crop is a sample. The cells of the first crops are corrected through the addresses of the page
of ``cellsam-core view``, as a user with the truth before them would: a missed cell is a box that
the model fills, and an outline by hand where its drawing is poor; a wrong cell is drawn anew or
deleted; then the region is done. The page fine-tunes, and the new weights segment the other crops.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

import cellsam_core as cc
from cellsam_core.cli import main as cellsam
from cellsam_core.corrections.outlines import fill, outline_of
from cellsam_core.evaluation.segmentation import score_pairs
from cellsam_core.files.planes import read_plane
from cellsam_core.files.stack import read_stack
from cellsam_core.labels.source import open_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

GOOD_IOU = 0.75
"""A user accepts a drawing that is at least so near to the cell."""
SAME_IOU = 0.5
SETS = ("set46", "set47", "set48", "set49", "set50")


def main() -> None:
    """Segment, correct, tune, segment again, and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of crops with <crop>_label.png")
    parser.add_argument("work", type=Path, help="folder for the results")
    parser.add_argument("--weights", default="tiny")
    parser.add_argument("--corrected", type=int, default=4, help="crops that are corrected")
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    crops = sorted(
        path.stem
        for path in args.data.glob("set*.png")
        if path.stem.startswith(SETS) and not path.stem.endswith("_label")
    )
    work = args.work.resolve()
    truth = {name: labels_of(args.data / f"{name}_label.png") for name in crops}
    for name in crops:
        segment(args.data / f"{name}.png", work / "results" / name, args.weights)
    mine, others = crops[: args.corrected], crops[args.corrected :]
    print(f"weights {args.weights}; corrected: {', '.join(mine)}", flush=True)
    before = {name: found_labels(work / "results" / name) for name in others}
    show("before", [(before[name], truth[name]) for name in others])
    options = cc.ViewOptions(run_command="true", finetune_steps=args.steps)
    page = cc.view(work / "results", options)
    with httpx.Client(base_url=page.url + "api/", timeout=600) as client:
        user = User(client)
        for name in mine:
            user.correct(name, found_labels(work / "results" / name), truth[name])
        print(f"clicks {dict(user.done)}, ms a box {np.median(user.box_ms):.0f}", flush=True)
        weights = tune(client, mine[0], work)
    page.close()
    pairs = []
    for name in others:
        folder = work / "again" / name
        segment(args.data / f"{name}.png", folder, weights)
        pairs.append((found_labels(folder), truth[name]))
    show("after", pairs)


def labels_of(path: Path) -> NDArray[np.int64]:
    """Read the true labels of a crop."""
    return np.asarray(read_plane(read_stack(path).planes[0][0])).astype(np.int64)


def found_labels(folder: Path) -> NDArray[np.int64]:
    """Read the automatic labels of a sample."""
    return np.asarray(open_labels(folder / "2_masks/masks.zarr").frame(0)).astype(np.int64)


def segment(image: Path, folder: Path, weights: str) -> None:
    """Run the workflow's commands up to the masks on one crop."""
    raw = folder.parent.parent / "raw" / folder.name
    raw.mkdir(parents=True, exist_ok=True)
    shutil.copy(image, raw / image.name)
    manifest, frames = folder / "0_manifest.json", folder / "1_preprocessed/frames.zarr"
    batch, masks = folder / "2_masks/1-of-1.parquet", folder / "2_masks/masks.zarr"
    if masks.is_dir():
        return
    inspect = ["inspect", raw, "--sample", folder.name, "--assay", "movie"]
    for words in (
        [*inspect, "--pixel-size-um", 0.87, "--frame-interval-s", 1, "-o", manifest],
        ["preprocess", manifest, "--weights", weights, "-o", frames],
        ["segment-batch", frames, "--batch", "1-of-1", "--weights", weights, "-o", batch],
        ["stitch", frames, batch, "--masks", masks, "--cells", folder / "2_masks/cells.parquet"],
    ):
        if cellsam([str(word) for word in words]) != 0:
            raise SystemExit(f"failed: {words}")
    batch.unlink()


def show(name: str, pairs: list[tuple[Any, Any]]) -> None:
    """Print the scores of some crops."""
    scores = score_pairs(pairs)
    kept = {key: scores[key] for key in ("f1_50", "f1_50_pooled", "pq", "n_true", "n_predicted")}
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in kept.items()}
    print(f"{name} {json.dumps(rounded)}", flush=True)


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Return the intersection over union of two masks."""
    return float((a & b).sum() / max(1, (a | b).sum()))


class User:
    """Someone who knows the truth and uses the page.

    Parameters
    ----------
    client
        Client of the addresses below ``api/``.

    Attributes
    ----------
    done
        Number of actions of each kind.
    box_ms
        Milliseconds in which each box was answered.
    """

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.done: Counter[str] = Counter()
        self.box_ms: list[float] = []

    def correct(self, name: str, found: NDArray[Any], truth: NDArray[Any]) -> None:
        """Correct all cells of a sample and mark it as done."""
        wait_for_model(self._client, name)
        partner = {}
        for label in np.unique(found[found > 0]).tolist():
            cell = found == label
            ids, counts = np.unique(truth[cell], return_counts=True)
            best = int(ids[np.argmax(counts * (ids > 0))])
            share = iou(cell, truth == best) if best else 0.0
            if share < SAME_IOU:
                self._write(name, "delete", label=label)
            else:
                partner[best] = (label, share)
        for best, (label, share) in partner.items():
            if share < GOOD_IOU:
                self._write(name, "redraw", label=label, **self._drawn(name, truth == best))
        for missed in sorted(set(np.unique(truth[truth > 0]).tolist()) - set(partner)):
            self._write(name, "add", **self._drawn(name, truth == missed))
        height, width = truth.shape
        right, low = width - 0.5, height - 0.5
        corners = [[-0.5, -0.5], [right, -0.5], [right, low], [-0.5, low]]
        self._write(name, "complete", outline=corners)

    def _drawn(self, name: str, cell: NDArray[np.bool_]) -> dict[str, Any]:
        """Drag a box around a cell; draw it by hand if the model's drawing is poor."""
        y, x = np.nonzero(cell)
        box = [x.min() - 0.5, y.min() - 0.5, x.max() + 0.5, y.max() + 0.5]
        box = [float(v) for v in box]
        began = time.perf_counter()
        answer = self._client.post(f"{name}/prompt", json={"t": 0, "boxes": [box]}).json()
        self.box_ms.append(1000 * (time.perf_counter() - began))
        one = answer["cells"][0]
        if one is not None:
            region = fill(np.array(one["outline"]), cell.shape)
            drawn = np.zeros(cell.shape, bool)
            drawn[region.window] = region.mask
            if iou(drawn, cell) >= GOOD_IOU:
                self.done["box accepted"] += 1
                return {"outline": one["outline"], "box": box}
        self.done["outline by hand"] += 1
        return {"outline": outline_of(cell).tolist()}

    def _write(self, name: str, operation: str, **more: Any) -> None:
        seen = self._client.get(f"{name}/corrections").json()["seen"]["cells"]
        body = {"seen": seen, "operation": operation, "frame": 0, **more}
        answer = self._client.post(f"{name}/corrections/cells", json=body)
        self.done[operation if answer.is_success else f"{operation} refused"] += 1
        if not answer.is_success:
            print(name, operation, answer.text[:200], flush=True)


def wait_for_model(client: httpx.Client, name: str) -> None:
    """Load the model that draws boxes."""
    while (state := client.post(f"{name}/model", json={}).json())["model"] == "loading":
        time.sleep(0.5)
    if state["model"] != "ready":
        raise SystemExit(str(state))


def tune(client: httpx.Client, sample: str, work: Path) -> str:
    """Fine-tune from the page, print scores and time, and return the new weights."""
    regions = client.get("regions").json()["regions"]
    held = [r["sample"] for r in regions if r["held_out"]]
    n_cells = sum(r["cells"] for r in regions)
    print(f"regions {len(regions)}, cells {n_cells}, held out {', '.join(held)}", flush=True)
    began, busy = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    client.post("jobs", json={"job": "finetune", "sample": sample}).raise_for_status()
    while (job := client.get("jobs").json()["job"])["state"] == "running":
        time.sleep(2)
    took, spent = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = spent.ru_utime + spent.ru_stime - busy.ru_utime - busy.ru_stime
    print(f"fine-tuning {job['state']}: {took / 60:.1f} min, {cpu / 60:.1f} CPU min", flush=True)
    if job["state"] != "done":
        raise SystemExit("\n".join(job["lines"]))
    print(json.dumps(job["scores"]), flush=True)
    return str(work / job["scores"]["weights"])


if __name__ == "__main__":
    main()
