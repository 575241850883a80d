"""Print the verdict on simulated samples that are made worse step by step.

``python benchmarks/measure_verdict.py OUT [--levels 0 0.25 0.5 0.75 1] [--only noise defocus]``

Each line is a change, its level, the F1 score of the masks against the truth at IoU 0.5, the
verdict, and the checks that are red. A sample of F1 above 0.8 should not be red, and one below 0.4
not green.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import tifffile
from bad_inputs import IMAGE_CHANGES, change_movie

import cellsam_core as cc
from cellsam_core.evaluation.segmentation import find_overlaps, match

FRAMES, SIZE_PX, SEED = 6, 256, 0
USABLE_F1, UNUSABLE_F1 = 0.8, 0.4


def main() -> None:
    """Simulate, change, run all stages, judge."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--levels", type=float, nargs="+", default=[0, 0.25, 0.5, 0.75, 1])
    parser.add_argument("--only", nargs="+", choices=sorted(IMAGE_CHANGES))
    args = parser.parse_args()
    model = cc.load_model("tiny", device="cpu")
    false = {"green": 0, "red": 0}
    for change in args.only or sorted(IMAGE_CHANGES):
        for level in args.levels:
            folder = args.output / f"{change}_{level:g}"
            score, verdict = judged(folder, change, level, model)
            red = ",".join(check.name for check in verdict.of_colour("red"))
            print(change, f"{level:g}", f"{score:.2f}", verdict.colour, red, sep="\t", flush=True)
            false["red"] += verdict.colour == "red" and score > USABLE_F1
            false["green"] += verdict.colour == "green" and score < UNUSABLE_F1
    print(f"false red: {false['red']}, false green: {false['green']}")


def judged(folder: Path, change: str, level: float, model: cc.Model) -> tuple[float, cc.Verdict]:
    """Run all stages on a changed movie; return the F1 score of its masks and its verdict."""
    shutil.rmtree(folder, ignore_errors=True)
    raw, results = folder / "raw", folder / "results"
    options = cc.MovieOptions(frames=FRAMES, size_px=SIZE_PX)
    cc.simulate_movie(raw, seed=SEED, options=options)
    change_movie(raw / "images", change, level, SEED)
    scale = cc.InspectOptions(pixel_size_um=0.65, frame_interval_s=300)
    sample = cc.inspect(raw / "images", sample=change, assay="movie", options=scale)
    sample.save(results / "0_manifest.json")
    frames = results / "1_preprocessed/frames.zarr"
    cc.preprocess(sample, frames)
    cc.segment_frames(frames, model, results / "2_masks")
    masks = results / "2_masks/masks.zarr"
    cc.track(masks).write(results / "3_tracks")
    ratio = cc.TraceOptions(ratio="AMPKAR_480/AMPKAR_405")
    cc.trace(sample, masks, results / "3_tracks", ratio).write(results / "3_tracks")
    return mean_f1(cc.Results(results), raw / "truth"), cc.judge(results)


def mean_f1(results: cc.Results, truth: Path) -> float:
    """Return the mean F1 score of the masks of all frames at IoU 0.5."""
    masks = results.masks()
    assert masks is not None
    scores = []
    for frame in range(masks.n_frames):
        wanted = tifffile.imread(truth / f"man_track{frame:03d}.tif")
        found = np.asarray(masks.read((frame, slice(None), slice(None))))
        n_right = len(match(find_overlaps(found, wanted), 0.5))
        n = len(np.unique(found[found > 0])) + len(np.unique(wanted[wanted > 0]))
        scores.append(2 * n_right / n if n else 1.0)
    return float(np.mean(scores))


if __name__ == "__main__":
    main()
