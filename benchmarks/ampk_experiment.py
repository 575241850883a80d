"""A simulated AMPK experiment through the whole workflow, compared with the truth.

    python benchmarks/ampk_experiment.py OUT --seed 11

Two movies of 60 frames in 120 minutes, one without drug for the bleaching, one with the drug before
frame 15; uneven background, bleaching, touching and dividing cells. Prints, for the true masks and
for those that the workflow finds and tracks, how many valid values of R/R0 lie within 1 % and
5 % of the truth, and how many cells' response time lies within a frame of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from tifffile import imread

from cellsam_core.cli import main as cellsam_core
from cellsam_core.evaluation.segmentation import find_overlaps, match
from cellsam_core.files import omezarr
from cellsam_core.traces.files import read_responses

N_FRAMES, INTERVAL_S, DRUG_FRAME, BASELINE_FRAMES = 60, 120, 15, 10
RATIO = "AMPKAR_480/AMPKAR_405"
MIN_BEFORE, MIN_AFTER = 5, 20
"""Valid frames that a cell needs before and after the drug for its response time to count."""


def main() -> None:
    """Simulate, run, compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--size-px", type=int, default=384)
    parser.add_argument("--cells", type=int, default=40)
    args = parser.parse_args()
    raw = args.output / "raw"
    common = ["--frames", N_FRAMES, "--size-px", args.size_px, "--cells", args.cells]
    for k, (name, drug) in enumerate((("control", 10 * N_FRAMES), ("drug", DRUG_FRAME))):
        options = [*common, "--cycle-frames", 70, "--drug-frame", drug, "--seed", args.seed + k]
        cellsam_core(["simulate", "movie", "-o", str(raw / name), *map(str, options)])
    _run_workflow(args.output, raw)
    rows = [_score(args.output / "results/drug", raw / "drug/truth", "found and tracked")]
    rows.append(_score(_trace_true_masks(args.output, raw), raw / "drug/truth", "true"))
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.3f}"))


def _run_workflow(output: Path, raw: Path) -> None:
    config = {
        "samples": "samples.tsv",
        "preprocess": {"nuclear_channel": "H2B", "cell_channel": "AMPKAR_405"},
        "track": {"division": "mitosis"},
        "traces": {
            "ratio": RATIO,
            "baseline_frames": BASELINE_FRAMES,
            "drug_frame": DRUG_FRAME,
        },
    }
    (output / "config").mkdir(exist_ok=True)
    (output / "config" / "config.yaml").write_text(json.dumps(config))
    sheet = "sample\tassay\tpath\tframe_interval_s\tcondition\tcontrol\n"
    for name, control in (("control", ""), ("drug", "control")):
        path = (raw / name / "images").absolute()
        sheet += f"{name}\tmovie\t{path}\t{INTERVAL_S}\t{name}\t{control}\n"
    (output / "samples.tsv").write_text(sheet)
    snakefile = Path(__file__).parents[1] / "Snakefile"
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
    subprocess.run([*command, "-s", snakefile, "--directory", output], check=True)


def _trace_true_masks(output: Path, raw: Path) -> Path:
    """Run `traces` on the true masks and tracks of both movies; return the treated one's folder."""
    for name in ("control", "drug"):
        truth, folder = raw / name / "truth", output / "true_masks" / name
        labels = [imread(truth / f"man_track{t:03d}.tif") for t in range(N_FRAMES)]
        (folder / "3_tracks").mkdir(parents=True, exist_ok=True)
        masks = omezarr.create(
            folder / "masks.zarr",
            shape=(N_FRAMES, *labels[0].shape),
            axes="tyx",
            dtype="uint32",
            pixel_size_um=None,
            frame_interval_s=INTERVAL_S,
        )
        ids = []
        for t, frame in enumerate(labels):
            masks.array[t] = frame
            ids += [(t, i, i) for i in np.unique(frame) if i]
        objects = pd.DataFrame(ids, columns=["frame", "label", "track_id"])
        objects.to_parquet(folder / "objects.parquet")
        columns = ["track_id", "first_frame", "last_frame", "parent_id"]
        tracks = pd.read_csv(truth / "man_track.txt", sep=" ", names=columns)
        tracks.assign(lineage_id=tracks["track_id"]).to_csv(folder / "tracks.csv", index=False)
        arguments = ["traces", output / "results" / name / "0_manifest.json"]
        arguments += ["--masks", folder / "masks.zarr", "--objects", folder / "objects.parquet"]
        arguments += ["--tracks", folder / "tracks.csv", "--ratio", RATIO]
        arguments += ["--baseline-frames", BASELINE_FRAMES, "--drug-frame", DRUG_FRAME]
        if name == "drug":
            arguments += ["--control", folder.parent / "control/3_tracks/traces.parquet"]
        if cellsam_core([*map(str, arguments), "-o", str(folder / "3_tracks")]):
            sys.exit(1)
    return output / "true_masks" / "drug"


def _score(folder: Path, truth: Path, masks: str) -> dict[str, object]:
    """Compare R/R0 and response times of a sample's cells with the truth."""
    traces = pd.read_parquet(folder / "3_tracks/traces.parquet")
    traces = traces[traces["valid"] & (traces["compartment"] == "cell")]
    ratios = pd.read_csv(truth / "traces_truth.csv").set_index(["track_id", "frame"])["ratio"]
    pairs = pd.MultiIndex.from_frame(traces[["frame", "label"]])
    traces = traces.assign(cell=_true_cells(folder, truth).reindex(pairs).to_numpy())
    traces = traces.dropna(subset="cell")
    base = ratios[ratios.index.get_level_values("frame") < BASELINE_FRAMES]
    baseline = base.groupby("track_id").mean()
    # R0 may be an ancestor's; whose cell it is, the baseline frames of that track tell.
    first = (
        traces[traces["frame"] < BASELINE_FRAMES]
        .groupby("track_id")["cell"]
        .agg(lambda cells: cells.mode()[0])
    )
    r0 = traces["r0_track_id"].map(first).map(baseline)
    wanted = ratios.reindex(pd.MultiIndex.from_frame(traces[["cell", "frame"]])).to_numpy() / r0
    error = (traces["r_over_r0"] / wanted - 1).abs().dropna()
    by_cell = error.groupby(traces["track_id"]).median()
    late = _response_errors(folder, traces, ratios, baseline)
    return {
        "masks": masks,
        "values": len(error),
        "within 1 %": (error < 0.01).mean(),
        "within 5 %": (error < 0.05).mean(),
        "cells": len(by_cell),
        "cells within 1 %": (by_cell < 0.01).mean(),
        "cells within 5 %": (by_cell < 0.05).mean(),
        "timed cells": len(late),
        "response within a frame": (late.abs() <= 1).mean(),
    }


def _true_cells(folder: Path, truth: Path) -> pd.Series[int]:
    """Match labels to true cells at an IoU of 0.5; indexed by frame and label."""
    candidates = (folder / "2_masks/masks.zarr", folder / "masks.zarr")
    masks = omezarr.open_(next(path for path in candidates if path.exists()))
    found = {}
    for t in range(N_FRAMES):
        labels, true = masks.frame(t), imread(truth / f"man_track{t:03d}.tif")
        overlaps = find_overlaps(labels, true)
        pairs = match(overlaps, 0.5)
        rows, columns = overlaps.rows[pairs], overlaps.columns[pairs]
        mine, theirs = (np.unique(a[a > 0]) for a in (labels, true))
        found |= {(t, int(mine[i])): int(theirs[j]) for i, j in zip(rows, columns, strict=True)}
    return pd.Series(found)


def _response_errors(
    folder: Path, traces: pd.DataFrame, ratios: pd.Series[float], baseline: pd.Series[float]
) -> pd.Series[float]:
    """Frames by which the response comes too late, for cells that are seen long enough."""
    summary = read_responses(folder / "3_tracks/traces.parquet").table
    frame = traces["frame"]
    before = traces[frame < DRUG_FRAME].groupby("track_id").size()
    after = traces[frame >= DRUG_FRAME].groupby("track_id").size()
    enough = before[before >= MIN_BEFORE].index.intersection(after[after >= MIN_AFTER].index)
    rise = ratios / baseline.reindex(ratios.index.get_level_values("track_id")).to_numpy()
    onset = rise[rise > 1.0005].reset_index().groupby("track_id")["frame"].min() - DRUG_FRAME
    cell = traces.groupby("track_id")["cell"].agg(lambda cells: cells.mode()[0])
    late = summary["response_time_s"] / INTERVAL_S - cell.map(onset).reindex(summary.index)
    return late.reindex(enough)


if __name__ == "__main__":
    main()
