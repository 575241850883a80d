"""Two workers on two cores beside one on one core: ``python benchmarks/two_cores.py``.

Segmentation, decoding and tracking of several samples, each sample a command with one thread.
Prints for each the seconds on the clock of one worker and of two, and how many times as fast two
are, each as minimum, median and maximum. Nothing else may run on the two cores.
"""

from __future__ import annotations

import argparse
import os
import queue
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from compare_versions import DIAMETER, ROOT, make_labels, package, run, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

SAMPLES = 4
SIMULATE = ["--size-px", "512", "--cells", "100", "--frames", "6"]


def of_segmentation(inputs: Path) -> list[list[str]]:
    """Return the commands that segment movies of six images."""
    commands = []
    for seed in map(str, range(SAMPLES)):
        movie = inputs / f"movie{seed}"
        run(ROOT, package("simulate", "movie", "-o", movie, "--seed", seed, *SIMULATE), inputs)
        channel = sorted((movie / "images").iterdir())[-1]
        images = sorted(channel.glob("*.tif"))
        commands.append(package("segment", *images, "-o", inputs / f"masks{seed}", *DIAMETER))
    return commands


def of_decoding(inputs: Path) -> list[list[str]]:
    """Return the commands that decode raw rounds of four fields of view."""
    commands = []
    for seed in map(str, range(SAMPLES)):
        rounds = inputs / f"rounds{seed}"
        options = ["--raw-rounds", "--seed", seed]
        run(ROOT, package("simulate", "merfish", "-o", rounds, *options), inputs)
        commands.append(package("decode", rounds, "-o", inputs / f"decoded{seed}"))
    return commands


def of_tracking(inputs: Path) -> list[list[str]]:
    """Return the commands that track 60 frames of about 500 cells."""
    labels = make_labels(inputs / "labels.tif", 1060, 360)
    return [package("track", labels, "-o", inputs / f"tracks{k}") for k in range(SAMPLES)]


def wall_s(commands: list[list[str]], cores: Sequence[int], folder: Path) -> float:
    """Run all commands with a worker on each of the cores; return seconds on the clock."""
    free: queue.SimpleQueue[int] = queue.SimpleQueue()
    for core in cores:
        free.put(core)

    def work(command: list[str]) -> None:
        core = free.get()
        try:
            run(ROOT, command, folder, core=core)
        finally:
            free.put(core)

    begin = time.perf_counter()
    with ThreadPoolExecutor(len(cores)) as pool:
        list(pool.map(work, commands))
    return time.perf_counter() - begin


def main() -> None:
    """Print a line for each kind of job."""
    makers = {"segment": of_segmentation, "decode": of_decoding, "track": of_tracking}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", help=f"{', '.join(makers)}; all without it")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    if unknown := set(args.rows) - set(makers):
        parser.error(f"no row {', '.join(sorted(unknown))}")
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        parser.error("two cores are needed")
    for title in args.rows or makers:
        with tempfile.TemporaryDirectory() as name:
            commands = makers[title](Path(name))
            pairs = [
                (wall_s(commands, cores[:1], Path(name)), wall_s(commands, cores, Path(name)))
                for _ in range(args.repeats)
            ]
        one, two = zip(*pairs, strict=True)
        ratio = spread([a / b for a, b in pairs], 2)
        print(
            f"{title}: one worker {spread(list(one), 1)} s, two {spread(list(two), 1)} s,"
            f" {ratio} times as fast",
            flush=True,
        )


if __name__ == "__main__":
    main()
