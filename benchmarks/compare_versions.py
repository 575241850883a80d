"""Time of this version beside an older one: ``python benchmarks/compare_versions.py OLDER``.

OLDER is a checkout of an older version (``git worktree add OLDER 892acca``). Both versions run
by turns, in the environment of this Python, with one thread each. Compile the bytecode of both
before (``python -m compileall -q OLDER/cellsam_core cellsam_core``), as the installation does.
Prints seconds of the processor and the largest memory of a process, each as minimum, median and
maximum, with the ratio of the medians.
"""

from __future__ import annotations

import argparse
import os
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
MANY = ["--seed", "1", "--size-px", "1024", "--cells", "850", "--frames", "11"]
"""Movie of 10,000 masks and 1,000 tracks."""


class Used(NamedTuple):
    """What a command used."""

    cpu_s: float
    wall_s: float
    peak_mb: float


def run(tree: Path, command: list[str], folder: Path, *, core: int | None = None) -> Used:
    """Run a command in a folder with the code of a checkout, on one core if it is given."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {"PYTHONPATH": str(tree), "PATH": path, "OMP_NUM_THREADS": "1"}
    on_core = ["taskset", "-c", str(core)] if core is not None else []
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+") as told:
        child = subprocess.Popen(
            [*on_core, *command], cwd=folder, env=environment, stdout=told, stderr=told
        )
        # Unlike the sum over all children, this is of the command and what it started alone.
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - begin
        if child.returncode:
            told.seek(0)
            sys.exit(f"{tree}: {' '.join(command)}\n{told.read()[-3000:]}")
    return Used(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1024)


def package(*words: str | Path) -> list[str]:
    """Command of the package."""
    return [sys.executable, "-m", "cellsam_core", *map(str, words)]


def workflow(tree: Path, *words: str) -> list[str]:
    """Command of the workflow."""
    return [sys.executable, "-m", "snakemake", "--snakefile", str(tree / "Snakefile"), *words]


Row = Callable[[Path, Path], Used]


def segment(images: list[Path], options: list[str]) -> Row:
    """Row that segments images."""
    return lambda tree, folder: run(
        tree, package("segment", *images, "-o", folder / "out", *options), folder
    )


def track(labels: Path) -> Row:
    """Row that tracks labels."""
    return lambda tree, folder: run(tree, package("track", labels, "-o", folder / "tracks"), folder)


def example(tree: Path, folder: Path) -> Used:
    """Run the bundled example, without the simulation of its images."""
    prepare(tree, folder, [])
    return run(tree, workflow(tree, "--cores", "1"), folder)


def prepare(tree: Path, folder: Path, movie: list[str]) -> None:
    """Simulate the images of the bundled example, the movie with options."""
    for name in ("config", "profiles"):
        shutil.copytree(tree / name, folder / name)
    for assay, options in (("movie", movie), ("merfish", [])):
        run(tree, package("simulate", assay, "-o", folder / "example" / assay, *options), folder)


def report(inputs: Path, movie: list[str]) -> Row:
    """Row that makes the report of a movie like that of the bundled example, the command alone."""
    results: dict[Path, Path] = {}

    def row(tree: Path, folder: Path) -> Used:
        if tree not in results:
            results[tree] = inputs / f"movie{len(results)}"
            results[tree].mkdir()
            prepare(tree, results[tree], movie)
            target = "results/movie/4_report/report.html"
            run(tree, workflow(tree, "--cores", "1", target), results[tree])
        html, provenance = folder / "report.html", folder / "provenance.json"
        words = ["results/movie", "-o", html, "--provenance", provenance]
        return run(tree, package("report", *words), results[tree])

    return row


def dry_run(tree: Path, folder: Path) -> Used:
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


def measure(trees: dict[str, Path], row: Row, repeats: int) -> dict[str, list[Used]]:
    """Run a row by turns with each version."""
    used: dict[str, list[Used]] = {name: [] for name in trees}
    for _ in range(repeats):
        for name, tree in trees.items():
            with tempfile.TemporaryDirectory() as folder:
                used[name].append(row(tree, Path(folder)))
    return used


def spread(values: list[float], digits: int) -> str:
    """Return minimum, median and maximum as text."""
    parts = (min(values), statistics.median(values), max(values))
    return " / ".join(f"{part:.{digits}f}" for part in parts)


def show(title: str, values: dict[str, list[float]], unit: str = "s") -> None:
    """Print one line: minimum, median and maximum of each version, and the ratio."""
    digits = 2 if unit == "s" else 0
    parts = [f"{name} {spread(each, digits)} {unit}" for name, each in values.items()]
    older, today = (statistics.median(each) for each in values.values())
    print(f"{title}: {', '.join(parts)}, ratio {today / older:.2f}", flush=True)


def show_used(title: str, used: dict[str, list[Used]]) -> None:
    """Print a line for the time and one for the memory."""
    show(title, {name: [u.cpu_s for u in each] for name, each in used.items()})
    show(f"{title}, memory", {name: [u.peak_mb for u in each] for name, each in used.items()}, "MB")


def show_segment(trees: dict[str, Path], inputs: Path, repeats: int) -> None:
    """Measure one and several images; print start-up, and the time of an image."""
    run(ROOT, package("simulate", "movie", "-o", inputs / "movie", *SIMULATE), inputs)
    channel = sorted((inputs / "movie" / "images").iterdir())[-1]
    images = sorted(channel.glob("*.tif"))
    one = measure(trees, segment(images[:1], DIAMETER), repeats)
    given = per_image(one, measure(trees, segment(images, DIAMETER), repeats))
    start = {name: [u.cpu_s - statistics.median(given[name]) for u in one[name]] for name in trees}
    show("start-up of a segmentation job", start)
    show("image of 512 px with 100 cells, diameter given", given)
    automatic = measure(trees, segment(images, []), repeats)
    show("image of 512 px with 100 cells, automatic diameter", per_image(one, automatic))
    memory = {name: [u.peak_mb for u in each] for name, each in automatic.items()}
    show(f"{IMAGES} images with automatic diameter, memory", memory, "MB")


def per_image(one: dict[str, list[Used]], all_: dict[str, list[Used]]) -> dict[str, list[float]]:
    """Return CPU seconds of each image after the first."""
    return {
        name: [
            (many.cpu_s - first.cpu_s) / (IMAGES - 1)
            for many, first in zip(all_[name], one[name], strict=True)
        ]
        for name in one
    }


def main() -> None:
    """Print two lines for each row, and four for `segment`."""
    makers: dict[str, Callable[[Path], Row]] = {
        "track": lambda inputs: track(make_labels(inputs / "few.tif", 1060, 360)),
        "track_many": lambda inputs: track(make_labels(inputs / "many.tif", 3300, 3500)),
        "example": lambda _: example,
        "report": lambda inputs: report(inputs, []),
        "report_many": lambda inputs: report(inputs, MANY),
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
                show_used(title, measure(trees, makers[title](inputs), args.repeats))


if __name__ == "__main__":
    main()
