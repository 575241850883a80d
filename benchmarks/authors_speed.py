"""Time of the authors' CellSAM beside our build of it, on one image of 512 px with 100 boxes.

    OMP_NUM_THREADS=1 python benchmarks/authors_speed.py [--repeats 5]

Needs the authors' package `cellSAM`, which is not for commercial use. Both read the same file of
random weights. The authors' code finds boxes as it does by default; with random weights they would
be none or thousands, so 100 boxes of the image's cells are given when it draws the masks, and masks
of any score are kept. Ours does the same steps. The runs take turns, so that other work on the
machine slows down both. CPU seconds of all threads; `times` is the authors' median over ours.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import torch

from cellsam_core.benchmark.speed import PRESETS, simulated_field
from cellsam_core.benchmark.stages import time_stages, write_random_checkpoint

SIDE_PX = 40
"""Side of the given boxes, about that of a cell."""


def load_authors(weights: Path) -> torch.nn.Module:
    """Load the authors' model, which keeps masks of any score."""
    from cellSAM.model import get_local_model

    model = get_local_model(str(weights)).eval()
    model.iou_threshold = -np.inf
    return model


def time_authors(model: torch.nn.Module, raw: np.ndarray, n_boxes: int) -> float:
    """Return the CPU seconds of the authors' code from raw pixels to labels."""
    from cellSAM.utils import fill_holes_and_remove_small_masks, normalize_image

    corners = np.random.default_rng(0).uniform(0, raw.shape[1] - SIDE_PX, (n_boxes, 2))
    boxes = torch.tensor(np.hstack([corners, corners + SIDE_PX]), dtype=torch.float32)[None]
    start = time.process_time()
    image = normalize_image(np.stack([np.zeros_like(raw[0]), *raw], axis=-1))
    pixels = torch.from_numpy(image.transpose(2, 0, 1)).float()[None]
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.generate_bounding_boxes(pixels)
        labels = model.predict(pixels, boxes_per_heatmap=boxes)[0]
    fill_holes_and_remove_small_masks(labels, min_size=25)
    return time.process_time() - start


def main() -> None:
    """Print one row for the authors' code and one for each of our presets."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    raw, n_boxes = simulated_field()
    seconds: dict[str, list[float]] = {"authors": []} | {preset: [] for preset in PRESETS}
    with TemporaryDirectory() as folder:
        weights = Path(folder) / "random.pt"
        write_random_checkpoint(weights)
        model = load_authors(weights)
        for _ in range(args.repeats):
            seconds["authors"].append(time_authors(model, raw, n_boxes))
            for preset in PRESETS:
                stages, _ = time_stages(raw, preset, n_boxes, weights)
                seconds[preset].append(sum(stage.cpu_seconds for stage in stages))
    authors = statistics.median(seconds["authors"])
    rows = [
        (name, min(of), statistics.median(of), max(of), authors / statistics.median(of))
        for name, of in seconds.items()
    ]
    table = pd.DataFrame(rows, columns=["code", "min_s", "median_s", "max_s", "times"])
    print(f"{n_boxes} boxes")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.2f}"))


if __name__ == "__main__":
    main()
