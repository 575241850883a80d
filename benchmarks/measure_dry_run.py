"""Time and memory of `snakemake -n` for many samples: ``python benchmarks/measure_dry_run.py``.

Each sample is a movie of as many small frames as it has segmentation jobs.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile

ROOT = Path(__file__).resolve().parents[1]


LISTED = ["-n", "--quiet", "rules", "--cores", "2"]
LISTED += ["--config", "samples=sheet.tsv", "tiles_per_batch=1"]


def make_samples(folder: Path, n_samples: int, n_batches: int) -> None:
    """Write movies of small frames, and their sheet ``sheet.tsv``."""
    rows = ["sample\tassay\tpath"]
    for sample in (f"s{k:04}" for k in range(n_samples)):
        rows.append(f"{sample}\tmovie\t{sample}")
        (folder / sample).mkdir()
        for frame in range(n_batches):
            path = folder / sample / f"t{frame:03}.tif"
            tifffile.imwrite(path, np.zeros((16, 16), np.uint16))
    (folder / "sheet.tsv").write_text("\n".join(rows) + "\n")


def main() -> None:
    """Print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--batches", type=int, default=16)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        make_samples(Path(name), args.samples, args.batches)
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--directory", name, *LISTED]
        start = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        wall_s = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    total = next(line for line in done.stdout.splitlines() if line.startswith("total"))
    print(
        f"{total.split()[1]} jobs: {used.ru_utime + used.ru_stime:.0f} CPU seconds,"
        f" {wall_s:.0f} s on the clock, {used.ru_maxrss / 1024:.0f} MB"
    )


if __name__ == "__main__":
    main()
