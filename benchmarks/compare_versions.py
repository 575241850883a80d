"""Time of this version beside an older one: ``python benchmarks/compare_versions.py OLDER``.

OLDER is a checkout of an older version (``git worktree add OLDER 892acca``). Both versions run
by turns, in the environment of this Python, with one thread each. Compile the bytecode of both
before (``python -m compileall -q OLDER/cellsam_core cellsam_core``), as the installation does.
Prints seconds of the processor, minimum, median and maximum, and the ratio of the medians.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tifffile
from measure_dry_run import LISTED, make_samples

ROOT = Path(__file__).resolve().parents[1]
DIAMETER = ["--cell-diameter-px", "15"]
"""That of the nuclei of the simulated movie, so that both rows resample the image alike."""
IMAGES = 6
SIMULATE = ["--seed", "1", "--size-px", "512", "--cells", "100", "--frames", str(IMAGES)]


class Seconds(NamedTuple):
    """Seconds that a command took."""

    cpu: float
    wall: float


def run(tree: Path, command: list[str], folder: Path) -> Seconds:
    """Run a command in a folder with the code of a checkout."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PYTHONPATH": str(tree), "PATH": path, "OMP_NUM_THREADS": "1"}
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{tree}: {' '.join(command)}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Seconds(cpu, wall)


def package(*words: str | Path) -> list[str]:
    """Command of the package."""
    return [sys.executable, "-m", "cellsam_core", *map(str, words)]


def workflow(tree: Path, *words: str) -> list[str]:
    """Command of the workflow."""
    return [sys.executable, "-m", "snakemake", "--snakefile", str(tree / "Snakefile"), *words]


Row = Callable[[Path, Path], Seconds]


def segment(images: list[Path], options: list[str]) -> Row:
    """Row that segments images."""
    return lambda tree, folder: run(
        tree, package("segment", *images, "-o", folder / "out", *options), folder
    )


def track(labels: Path) -> Row:
    """Row that tracks labels."""
    return lambda tree, folder: run(tree, package("track", labels, "-o", folder / "tracks"), folder)


def example(tree: Path, folder: Path) -> Seconds:
    """Run the bundled example, without the simulation of its images."""
    for name in ("config", "profiles"):
        shutil.copytree(tree / name, folder / name)
    for assay in ("movie", "merfish"):
        run(tree, package("simulate", assay, "-o", folder / "example" / assay), folder)
    return run(tree, workflow(tree, "--cores", "1"), folder)


def report(tree: Path, folder: Path) -> Seconds:
    """Make the report of the movie of the bundled example again, with the command alone."""
    example(tree, folder)
    words = ["results/movie", "-o", "report.html", "--provenance", "provenance.json"]
    return run(tree, package("report", *words), folder)


def dry_run(tree: Path, folder: Path) -> Seconds:
    """List the jobs of 1,000 movies with 16 segmentation jobs each."""
    make_samples(folder, 1000, 16)
    return run(tree, workflow(tree, *LISTED), folder)


def make_labels(path: Path, size_px: int, cells: int) -> Path:
    """Write a simulated movie of 60 label images."""
    from cellsam_core.simulation.movie import simulate_labels
    from cellsam_core.simulation.options import MovieOptions

    options = MovieOptions(
        frames=60, size_px=size_px, cells=cells, diameter_px=36.0, cycle_frames=60
    )
    frames = [labels for labels, _ in simulate_labels(np.random.default_rng(1), options)]
    tifffile.imwrite(path, np.stack(frames).astype(np.int32), metadata={"axes": "TYX"})
    per_frame = [len(np.unique(frame)) - 1 for frame in frames]
    print(f"{path.stem}: {np.mean(per_frame):.0f} cells a frame", flush=True)
    return path


def measure(trees: dict[str, Path], row: Row, repeats: int) -> dict[str, list[Seconds]]:
    """Run a row by turns with each version."""
    seconds: dict[str, list[Seconds]] = {name: [] for name in trees}
    for _ in range(repeats):
        for name, tree in trees.items():
            with tempfile.TemporaryDirectory() as folder:
                seconds[name].append(row(tree, Path(folder)))
    return seconds


def show(title: str, cpu: dict[str, list[float]]) -> None:
    """Print one line."""
    parts = [
        f"{name} {min(values):.2f} / {statistics.median(values):.2f} / {max(values):.2f} s"
        for name, values in cpu.items()
    ]
    older, today = (statistics.median(values) for values in cpu.values())
    print(f"{title}: {', '.join(parts)}, ratio {today / older:.2f}", flush=True)


def show_segment(trees: dict[str, Path], inputs: Path, repeats: int) -> None:
    """Measure one and several images; print start-up, and the time of an image."""
    run(ROOT, package("simulate", "movie", "-o", inputs / "movie", *SIMULATE), inputs)
    channel = sorted((inputs / "movie" / "images").iterdir())[-1]
    images = sorted(channel.glob("*.tif"))
    one = measure(trees, segment(images[:1], DIAMETER), repeats)
    given = per_image(one, measure(trees, segment(images, DIAMETER), repeats))
    start = {name: [s.cpu - statistics.median(given[name]) for s in one[name]] for name in trees}
    show("start-up of a segmentation job", start)
    show("image of 512 px with 100 cells, diameter given", given)
    auto = per_image(one, measure(trees, segment(images, []), repeats))
    show("image of 512 px with 100 cells, automatic diameter", auto)


def per_image(
    one: dict[str, list[Seconds]], all_: dict[str, list[Seconds]]
) -> dict[str, list[float]]:
    """Return CPU seconds of each image after the first."""
    return {
        name: [(m.cpu - o.cpu) / (IMAGES - 1) for m, o in zip(all_[name], one[name], strict=True)]
        for name in one
    }


def main() -> None:
    """Print one line for each row, and three for `segment`."""
    makers: dict[str, Callable[[Path], Row]] = {
        "track": lambda inputs: track(make_labels(inputs / "few.tif", 1060, 360)),
        "track_many": lambda inputs: track(make_labels(inputs / "many.tif", 3300, 3500)),
        "example": lambda _: example,
        "report": lambda _: report,
        "dry_run": lambda _: dry_run,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("older", type=Path, help="checkout of the older version")
    parser.add_argument("rows", nargs="*", help=f"segment, {', '.join(makers)}; all without it")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    trees = {"older": args.older.resolve(), "today": ROOT}
    if unknown := set(args.rows) - {"segment", *makers}:
        parser.error(f"no row {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name)
        if not args.rows or "segment" in args.rows:
            show_segment(trees, inputs, args.repeats)
        for title in args.rows or makers:
            if title in makers:
                seconds = measure(trees, makers[title](inputs), args.repeats)
                show(title, {tree: [s.cpu for s in each] for tree, each in seconds.items()})


if __name__ == "__main__":
    main()
