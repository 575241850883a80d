"""Segment a mosaic with a model of another package: cells at seams, and a job that is killed.

    python benchmarks/backend_mosaic.py WEIGHTS OUT [--side-px 4096]
    python benchmarks/backend_mosaic.py stardist:OUT/small OUT --train

WEIGHTS is such as ``cellpose:cyto3``; the package must be installed. With ``--train``, a small
model of StarDist is first trained on simulated cells, since published ones can't be had everywhere.

Prints F1 at an IoU of 0.5 for true cells within 20 px of a tile's border and for the others. Then
the first of three batches is run again as a job of its own, killed with SIGKILL after its first
tiles, and resumed; its file must equal that of the batch that was left alone.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage
from seams import PIECE_PX, f1, near_border, pair
from seams import mosaic as make_mosaic

import cellsam_core as cc
from cellsam_core.labels.source import open_labels
from cellsam_core.segmentation.batches import segment_batch, stitch
from cellsam_core.segmentation.image import open_frames
from cellsam_core.segmentation.tiles import plan
from cellsam_core.simulation.cells import render_field

DIAMETER_PX = 30.0
N_BATCHES = 3


def train(folder: Path) -> None:
    """Train a small model of StarDist on simulated cells."""
    from stardist.models import Config2D, StarDist2D

    from cellsam_core.preprocessing.contrast import preprocess_plane

    rng = np.random.default_rng(99)
    fields = [
        render_field(rng, (320, 320), style="fluo", diameter_px=24, density=0.5) for _ in range(14)
    ]
    images = [preprocess_plane(field.image[0], clahe_clip_limit=0) for field in fields]
    labels = [field.labels for field in fields]
    config = Config2D(
        n_rays=32,
        grid=(2, 2),
        unet_n_depth=2,
        unet_n_filter_base=16,
        net_conv_after_unet=64,
        train_patch_size=(160, 160),
        train_batch_size=4,
        train_learning_rate=1e-3,
        train_tensorboard=False,
    )
    model = StarDist2D(config, name=folder.name, basedir=str(folder.parent))
    validation = images[12:], labels[12:]
    model.train(
        images[:12], labels[:12], validation_data=validation, epochs=12, steps_per_epoch=25, seed=0
    )
    model.optimize_thresholds(*validation)


def run_killed(weights: str, frames: Path, output: Path, tile_px: int) -> int:
    """Run the first batch as a job, kill it once some tiles are done, and run it again."""
    command = [sys.executable, "-m", "cellsam_core", "segment-batch", str(frames)]
    command += ["--batch", f"1-of-{N_BATCHES}", "--weights", weights, "--device", "cpu"]
    command += [
        "--cell-diameter-px",
        str(DIAMETER_PX),
        "--tile-px",
        str(tile_px),
        "-o",
        str(output),
    ]
    parts = output.with_name(f"{output.name}.parts")
    job = subprocess.Popen(command)
    while job.poll() is None and not list(parts.glob("*.parquet")):
        time.sleep(0.2)
    job.send_signal(signal.SIGKILL)
    job.wait()
    n_kept = len(list(parts.glob("*.parquet")))
    assert not output.exists(), "the job was finished before it was killed"
    subprocess.run(command, check=True)
    return n_kept


def cut_by_fields(labels: np.ndarray) -> np.ndarray:
    """Tell for each label whether it touches the border of a field of the mosaic."""
    return np.array(
        [
            any(w.start // PIECE_PX != w.stop // PIECE_PX or w.start % PIECE_PX < 2 for w in window)
            or any(w.stop % PIECE_PX < 2 for w in window)
            for window in ndimage.find_objects(labels.astype(np.int64))
        ],
        bool,
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("weights")
    parser.add_argument("out", type=Path)
    parser.add_argument("--side-px", type=int, default=4096)
    parser.add_argument("--tile-px", type=int, default=512)
    parser.add_argument("--train", action="store_true")
    args = parser.parse_args()
    if args.train:
        train(Path(args.weights.partition(":")[2]))
    image, truth = make_mosaic("fluo", args.side_px, 0)
    grey = np.clip(image * 20_000 + 2_000, 0, 65_535).astype(np.uint16)
    kept = [plane for plane in grey if np.ptp(plane)]
    names = ["DAPI", "cell"][-len(kept) :]
    path = args.out / "frames.zarr"
    cc.preprocess(np.stack(kept), path, channels=names if len(names) > 1 else ["cell"])
    frames = open_frames(path)
    model = cc.load_model(args.weights, device="cpu")
    options = cc.SegmentOptions(cell_diameter_px=DIAMETER_PX, tile_px=args.tile_px)
    batches = [args.out / f"{k}-of-{N_BATCHES}.parquet" for k in range(1, N_BATCHES + 1)]
    began = time.process_time()
    for number, batch in enumerate(batches, start=1):
        segment_batch(frames, batch, model, options, (number, N_BATCHES))
    seconds = time.process_time() - began
    stitch(frames, batches, args.out / "masks.zarr", args.out / "cells.parquet", 25)
    labels = open_labels(args.out / "masks.zarr").frame(0)
    tiles = plan(1, truth.shape, DIAMETER_PX, args.tile_px, fits=True)
    found, true = near_border(labels, tiles, truth.shape), near_border(truth, tiles, truth.shape)
    pairs = pair(labels, truth)
    whole = ~cut_by_fields(labels), ~cut_by_fields(truth)
    near = f1(pairs, found & whole[0], true & whole[1])
    others = f1(pairs, ~found & whole[0], ~true & whole[1])
    print(f"{args.weights}, {args.side_px} px, {len(tiles)} tiles, {seconds:.0f} CPU s")
    print(f"{int(truth.max())} true cells, {int(labels.max())} found, {int(true.sum())} at seams")
    print(f"F1 near seams {near:.4f}, elsewhere {others:.4f}, cells that fields cut left out")
    again = args.out / "killed" / f"1-of-{N_BATCHES}.parquet"
    n_kept = run_killed(args.weights, path, again, args.tile_px)
    is_equal = again.read_bytes() == batches[0].read_bytes()
    print(f"killed with {n_kept} part(s) kept, resumed: {'equal' if is_equal else 'DIFFERENT'}")


if __name__ == "__main__":
    main()
