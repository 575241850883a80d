"""Measure how much of `preprocess` and `stitch` the levels of lower resolution cost.

    OMP_NUM_THREADS=1 python benchmarks/measure_pyramid.py OUT [--side-px 20000]

Writes a TIFF of simulated fields, preprocesses it, and stitches a batch with a disc for every cell,
both as the workflow does. Prints CPU seconds of each stage, those of its levels, and peak memory:
all of the process's, and that which is no file mapped into memory (Linux only).
"""

from __future__ import annotations

import argparse
import resource
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from large_image import write_image

from cellsam_core.files import pyramid
from cellsam_core.preprocessing.stage import preprocess
from cellsam_core.samples.stage import inspect
from cellsam_core.segmentation.batch_files import BatchWriter
from cellsam_core.segmentation.batches import stitch
from cellsam_core.segmentation.instances import Instance


class OwnMemory(threading.Thread):
    """Largest memory of this process that is no mapped file, looked up 50 times a second."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_mb = 0.0
        self.is_over = threading.Event()

    def run(self) -> None:
        """Look until the end."""
        status = Path("/proc/self/status")
        while status.exists() and not self.is_over.wait(0.02):
            line = next(s for s in status.read_text().splitlines() if s.startswith("RssAnon"))
            self.peak_mb = max(self.peak_mb, int(line.split()[1]) / 1024)


def timed(function: object, *arguments: object) -> tuple[float, float, float, float]:
    """Run a stage; return CPU seconds, those of the levels, peak memory and its own part in MB."""
    spent = [0.0]
    depth = [0]
    add = pyramid._Level.add

    def counted(level: pyramid._Level, *args: object, **options: object) -> None:
        start = time.process_time()
        depth[0] += 1
        add(level, *args, **options)
        depth[0] -= 1
        if not depth[0]:  # a level calls the next one
            spent[0] += time.process_time() - start

    pyramid._Level.add = counted
    own = OwnMemory()
    own.start()
    start = time.process_time()
    function(*arguments)
    seconds = time.process_time() - start
    own.is_over.set()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return seconds, spent[0], peak_mb, own.peak_mb


def run_preprocess(image: Path, frames: Path) -> None:
    """Inspect and preprocess the image."""
    preprocess(inspect(image, assay="movie", sample="large"), frames)


def run_stitch(frames: Path, batch: Path, out: Path) -> None:
    """Stitch the batch."""
    stitch(frames, [batch], out / "masks.zarr", out / "cells.parquet", 25)


def write_batch(path: Path, side_px: int, diameter_px: int) -> None:
    """Write one disc for each square of 1.2 diameters."""
    y, x = np.mgrid[:diameter_px, :diameter_px] - (diameter_px - 1) / 2
    disc = np.hypot(y, x) <= diameter_px / 2
    step = round(1.2 * diameter_px)
    places = range(0, side_px - diameter_px, step)
    with BatchWriter(path, {}) as writer:
        writer.add(0, (Instance(y0, x0, disc, 0.9, 0.9) for y0 in places for x0 in places))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path, help="a folder with some GB of room")
    parser.add_argument("--side-px", type=int, default=20_000)
    parser.add_argument("--diameter-px", type=int, default=80)
    args = parser.parse_args()
    args.out.mkdir(parents=True)
    image, frames, batch = (args.out / n for n in ("i.tif", "frames.zarr", "1-of-1.parquet"))
    stages = (("preprocess", run_preprocess, image, frames),)
    stages += (("stitch", run_stitch, frames, batch, args.out),)
    totals = np.zeros(2)
    write_batch(batch, args.side_px, args.diameter_px)
    # Each in a process of its own, which has its own peak memory.
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        pool.apply(write_image, (image, args.side_px, args.diameter_px, 0))
        for name, *call in stages:
            seconds, levels, peak_mb, own_mb = pool.apply(timed, call)
            totals += (seconds - levels, levels)
            memory = f"{peak_mb:6.0f} MB, without mapped files {own_mb:6.0f} MB"
            print(f"{name:11} {seconds:6.1f} CPU s, levels {levels:5.1f}, {memory}")
    print(f"levels: {100 * totals[1] / totals[0]:.0f} % of the time without them")


if __name__ == "__main__":
    main()
