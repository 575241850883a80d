"""Start-up and time per tile of segmentation jobs.

``python benchmarks/measure_batches.py [WEIGHTS.pt]``

Runs the command of the rule `segment` on the first and on all of some simulated frames of one tile
each. What the first takes without its tile is start-up: imports and weights. In CPU seconds.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

FRAMES = 6
SIMULATE = ["simulate", "movie", "--seed", "1", "--size-px", "512", "--cells", "100"]


def cpu_seconds(*arguments: str | Path) -> float:
    """CPU seconds of a command of the package, all threads."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "cellsam_core", *(str(word) for word in arguments)]
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a row of the table in docs/cluster.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", nargs="?", default="tiny")
    parser.add_argument("--frames", type=int, default=FRAMES)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        raw, manifest, frames = (Path(folder) / name for name in ("raw", "m.json", "frames.zarr"))
        cpu_seconds(*SIMULATE, "--frames", str(args.frames), "-o", raw)
        cpu_seconds("inspect", raw / "images", "--sample", "s", "--assay", "movie", "-o", manifest)
        cpu_seconds("preprocess", manifest, "--weights", args.weights, "-o", frames)
        options = ["segment-batch", frames, "--weights", args.weights, "--device", "cpu"]
        options += ["--cell-diameter-px", "30"]
        one, all_ = (
            cpu_seconds(*options, "--batch", f"1-of-{n}", "-o", Path(folder) / f"{n}.parquet")
            for n in (args.frames, 1)
        )
    tile_s = (all_ - one) / (args.frames - 1)
    start_s = one - tile_s
    enough = 19 * start_s / tile_s
    print(f"start-up {start_s:.1f} s, {tile_s:.2f} s a tile: 5 % from {enough:.0f} tiles on")


if __name__ == "__main__":
    main()
