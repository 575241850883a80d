"""Segment one very large simulated image from disk to disk, killed half-way and not.

    python benchmarks/large_image.py OUT [--side-px 20000] [--diameter-px 80]

Writes a TIFF of random order and orientation of eight simulated fields, then runs the steps of the
workflow with the shipped weights: twice, the second time with a ``kill -9`` of `segment-batch` in
the middle. Prints CPU seconds and peak memory of every step, how many tiles the resumed job found
done, and whether both label images are the same, byte for byte.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import tifffile

from cellsam_core.labels.source import open_labels
from cellsam_core.simulation.cells import render_field

PIECE_PX = 1000
N_PIECES = 8


def write_image(path: Path, side_px: int, diameter_px: float, seed: int) -> None:
    """Write a ``(side, side)`` uint16 TIFF piece by piece."""
    rng = np.random.default_rng(seed)
    pieces = []
    for _ in range(N_PIECES):
        field = render_field(
            rng, (PIECE_PX, PIECE_PX), style="fluo", diameter_px=diameter_px, density=0.7
        )
        plane = np.clip(field.image[1], 0, 1.5) * 20000
        pieces.append(plane.astype(np.uint16))
    image = tifffile.memmap(path, shape=(side_px, side_px), dtype=np.uint16)
    for y in range(0, side_px, PIECE_PX):
        for x in range(0, side_px, PIECE_PX):
            piece = np.rot90(pieces[rng.integers(N_PIECES)], rng.integers(4))
            window = image[y : y + PIECE_PX, x : x + PIECE_PX]
            window[:] = piece[: window.shape[0], : window.shape[1]]
        image.flush()


def step(log: Path, *arguments: str, kill_when: Path | None = None) -> None:
    """Run one command and print what it cost; kill it as soon as `kill_when` exists."""
    with log.open("ab") as stream:
        command = [sys.executable, "-m", "cellsam_core", *arguments]
        pid = subprocess.Popen(command, stdout=stream, stderr=stream).pid
    done = 0
    while not done:
        if kill_when is not None and kill_when.exists():
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.2)
        # Not Popen.wait: only wait4 tells what the process used.
        done, status, usage = os.wait4(pid, os.WNOHANG)
    code = os.waitstatus_to_exitcode(status)
    cpu = usage.ru_utime + usage.ru_stime
    peak_mb = usage.ru_maxrss / 1024
    print(f"{arguments[0]:14} exit {code:3} {cpu:8.1f} CPU s {peak_mb:6.0f} MB", flush=True)
    if code != (-signal.SIGKILL if kill_when else 0):
        raise SystemExit(f"see {log}")


def segment(out: Path, frames: Path, diameter_px: float, *, kill_at_part: int | None) -> Path:
    """Run `segment-batch` and `stitch` into `out`; return the masks."""
    log, batch = out / "log.txt", out / "1-of-1.parquet"
    command = ("segment-batch", str(frames), "--batch", "1-of-1", "-o", str(batch))
    command += ("--cell-diameter-px", f"{diameter_px:g}")
    if kill_at_part is not None:
        parts = batch.with_name(f"{batch.name}.parts")
        step(log, *command, kill_when=parts / f"{kill_at_part:06d}.parquet")
    step(log, *command)
    masks = out / "masks.zarr"
    where = ("--masks", str(masks), "--cells", str(out / "cells.parquet"))
    step(log, "stitch", str(frames), str(batch), *where)
    print(f"parts found done: {log.read_text().count('is there already')}")
    return masks


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="a folder with some GB of room")
    parser.add_argument("--side-px", type=int, default=20_000)
    parser.add_argument("--diameter-px", type=float, default=80)
    parser.add_argument("--kill-at-part", type=int, default=20, help="a part has 16 tiles")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    runs = [args.out / name for name in ("whole", "killed")]
    for folder in runs:
        folder.mkdir(parents=True)
    image, manifest, frames = (args.out / n for n in ("image.tif", "manifest.json", "frames.zarr"))
    # In a process of its own: the steps would inherit its peak memory.
    with get_context("spawn").Pool(1) as pool:
        pool.apply(write_image, (image, args.side_px, args.diameter_px, args.seed))
    log = args.out / "log.txt"
    step(log, "inspect", str(image), "--sample", "large", "--assay", "movie", "-o", str(manifest))
    step(log, "preprocess", str(manifest), "-o", str(frames))
    whole = segment(runs[0], frames, args.diameter_px, kill_at_part=None)
    killed = segment(runs[1], frames, args.diameter_px, kill_at_part=args.kill_at_part)
    a, b = open_labels(whole).frame(0), open_labels(killed).frame(0)
    same = all(
        np.array_equal(a[y : y + PIECE_PX], b[y : y + PIECE_PX])
        for y in range(0, args.side_px, PIECE_PX)
    )
    print(f"labels {'the same' if same else 'NOT the same'}")


if __name__ == "__main__":
    main()
