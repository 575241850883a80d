"""Score the tracker beside laptrack and btrack on simulated movies of known truth.

    python benchmarks/benchmark_tracking.py [--seeds 101,102,103] [--btrack-config FILE] [--speed]

Every tracker gets the true masks under shuffled labels, so that linking and division alone are
judged. laptrack and btrack take part where they are installed; btrack needs its configuration, of
its repository. The seeds are not those that the tracker was tuned on (0-9). Prints means over the
seeds, with the CPU seconds, object table included, of one thread (set OMP_NUM_THREADS=1).
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import tracemalloc
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from identities import Birth, Lineage, found_lineage, score_identities

from cellsam_core.simulation.movie import simulate_labels
from cellsam_core.simulation.options import MovieOptions
from cellsam_core.tracking.options import TrackOptions
from cellsam_core.tracking.tracker import track_labels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Labels = NDArray[np.int32]
    Tracker = Callable[[list[Labels], str], Lineage]

MITOSIS = MovieOptions(frames=60, size_px=1060, cells=360, diameter_px=36.0, cycle_frames=60)
BUDDING = MovieOptions(
    frames=60, size_px=512, cells=60, diameter_px=30.0, cycle_frames=20, division="budding"
)
LOST, SPLIT = 0.01, 0.01  # shares of the masks


class Movie(NamedTuple):
    """Frames under the labels that a tracker sees, and what they are: label -> true track."""

    frames: list[Labels]
    names: list[NDArray[np.int64]]
    births: list[Birth]
    division: str

    @property
    def truth(self) -> Lineage:
        """True lineage, in the order of frame and label."""
        labels = [np.unique(frame[frame > 0]) for frame in self.frames]
        frame = np.repeat(np.arange(len(labels)), [len(x) for x in labels])
        track = np.concatenate([n[x] for n, x in zip(self.names, labels, strict=True)])
        return Lineage(frame, track, self.births)


def simulate(seed: int, options: MovieOptions) -> tuple[list[Labels], list[Birth]]:
    """Frames whose labels are the true tracks, and the births."""
    frames, births = [], []
    for labels, divisions in simulate_labels(np.random.default_rng(seed), options):
        frames.append(labels)
        births += [(d.parent_id, d.daughter_ids) for d in divisions]
    return frames, births


def shuffled(rng: np.random.Generator, frames: list[Labels]) -> tuple[list[Labels], list[Any]]:
    """Give the cells of each frame new labels; negative ones are no cells."""
    seen, names = [], []
    for frame in frames:
        values, index = np.unique(frame, return_inverse=True)
        zero = int(np.searchsorted(values, 0))
        label = np.zeros(len(values), dtype=np.int32)
        others = np.arange(len(values)) != zero
        label[others] = rng.permutation(len(values) - 1) + 1
        name = np.zeros(len(values), dtype=np.int64)
        name[label[others]] = np.maximum(values[others], 0)
        seen.append(label[index].reshape(frame.shape))
        names.append(name)
    return seen, names


def jittered(rng: np.random.Generator, frames: list[Labels], reach_px: int) -> list[Labels]:
    """Cut windows whose place jumps by up to `reach_px` between frames, in any direction."""
    size = np.array(frames[0].shape) - reach_px
    cut = []
    for frame in frames:
        while True:
            y, x = rng.integers(0, reach_px + 1, size=2)
            if np.hypot(y - reach_px / 2, x - reach_px / 2) <= reach_px / 2:
                break
        cut.append(frame[y : y + size[0], x : x + size[1]])
    return cut


def damaged(rng: np.random.Generator, frames: list[Labels]) -> list[Labels]:
    """Lose 1 % of the masks and cut 1 % in two; the smaller part, no cell, is negative."""
    result = []
    for frame in frames:
        frame = frame.copy()
        for value in np.unique(frame[frame > 0]):
            fate = rng.random()
            if fate < LOST:
                frame[frame == value] = 0
            elif fate < LOST + SPLIT:
                y, x = np.nonzero(frame == value)
                angle = rng.uniform(0, np.pi)
                side = (y - y.mean()) * np.sin(angle) + (x - x.mean()) * np.cos(angle)
                part = side > np.quantile(side, rng.uniform(0.55, 0.85))
                frame[y[part], x[part]] = -value
        result.append(frame)
    return result


def scenarios(seed: int) -> dict[str, Movie]:
    """Simulate the movies of one seed."""
    rng = np.random.default_rng(1000 + seed)
    cells, births = simulate(seed, MITOSIS)
    yeast, buds = simulate(seed, BUDDING)
    kinds = {
        "mitosis": (cells, births),
        "jitter": (jittered(rng, cells, int(MITOSIS.diameter_px)), births),
        "lost and split masks": (damaged(rng, cells), births),
        "every 4th frame": (cells[::4], births),
        "budding": (yeast, buds),
    }
    return {
        name: Movie(*shuffled(rng, frames), b, "budding" if b is buds else "mitosis")
        for name, (frames, b) in kinds.items()
    }


def ours(frames: list[Labels], division: str) -> Lineage:
    """Track with the defaults."""
    tracks = track_labels(frames, TrackOptions(division=division))  # type: ignore[arg-type]
    return found_lineage(tracks.objects, tracks.divisions)


def measured(frames: list[Labels]) -> pd.DataFrame:
    """Measure all cells with scikit-image, as both peers' documentation does."""
    from skimage.measure import regionprops_table

    tables = [
        pd.DataFrame(regionprops_table(f, properties=("label", "area", "centroid", "bbox")))
        for f in frames
    ]
    table = pd.concat(tables, keys=range(len(tables)), names=["frame"]).reset_index("frame")
    return table.rename(columns={"centroid-0": "y", "centroid-1": "x"}).reset_index(drop=True)


def laptrack(frames: list[Labels], division: str) -> Lineage:
    """LapTrack on centroids: one cell diameter between frames, 1.8 radii at a division."""
    from laptrack import LapTrack

    cells = measured(frames)
    radius = float(np.sqrt(cells["area"].median() / np.pi))
    tracker = LapTrack(
        cutoff=(2 * radius) ** 2,
        gap_closing_cutoff=(2 * radius) ** 2,
        gap_closing_max_frame_count=2,
        splitting_cutoff=False if division == "none" else (1.8 * radius) ** 2,
    )
    table, splits, _ = tracker.predict_dataframe(
        cells, ["y", "x"], frame_col="frame", only_coordinate_cols=False, index_offset=0
    )
    keys = ["frame", "label"]
    table = table.reset_index(drop=True).rename(columns={"frame_y": "frame"})
    found = cells[keys].merge(table[[*keys, "track_id"]], on=keys, validate="1:1")
    found["track_id"] += 1
    births = [
        (int(parent) + 1, tuple(int(c) + 1 for c in children))
        for parent, children in splits.groupby("parent_track_id")["child_track_id"]
        if len(children) == 2
    ]
    return Lineage(found["frame"].to_numpy(), found["track_id"].to_numpy(), births)


def btrack(frames: list[Labels], division: str, *, config: Path) -> Lineage:
    """BayesianTracker with its own configuration, optimised."""
    from btrack import BayesianTracker
    from btrack.constants import BayesianUpdates
    from btrack.io import localizations_to_objects

    cells = measured(frames)
    found = -np.arange(1, len(cells) + 1)
    height, width = frames[0].shape
    place = {"t": cells["frame"], "x": cells["x"], "y": cells["y"], "z": 0 * cells["x"]}
    with BayesianTracker(verbose=False) as tracker:
        tracker.configure(config)
        # Exact mode does not end in reasonable time beyond some 1,000 cells.
        if len(cells) > 1000 * len(frames):
            tracker.update_method = BayesianUpdates.APPROXIMATE
            tracker.max_search_radius = 40
        tracker.append(localizations_to_objects(pd.DataFrame(place)))
        tracker.volume = ((0, width), (0, height))
        tracker.track(step_size=100)
        tracker.optimize()
        tracks = tracker.tracks
    for track in tracks:
        seen = np.array([r for r, dummy in zip(track.refs, track.dummy, strict=True) if not dummy])
        found[seen] = track.ID
    births = [(t.ID, tuple(t.children)) for t in tracks if len(t.children) == 2]
    # What no track took is a track of its own.
    found[found < 0] = found.max() - found[found < 0]
    return Lineage(cells["frame"].to_numpy(), found, births if division == "mitosis" else [])


def trackers(config: Path | None) -> dict[str, Tracker]:
    """Name the trackers that can be run."""
    methods: dict[str, Tracker] = {"cellsam_core": ours}
    if importlib.util.find_spec("laptrack"):
        methods["laptrack"] = laptrack
    if importlib.util.find_spec("btrack") and config is not None:
        methods["btrack"] = partial(btrack, config=config)
    return methods


def accuracy(seeds: list[int], methods: dict[str, Tracker]) -> pd.DataFrame:
    """Score every tracker on every movie."""
    rows = []
    for seed in seeds:
        for name, movie in scenarios(seed).items():
            truth = movie.truth
            for method, track in methods.items():
                start = time.process_time()
                found = track(movie.frames, movie.division)
                cpu_s = time.process_time() - start
                scores = score_identities(found, truth) | {"cpu_s": cpu_s}
                if movie.division == "budding" and method != "cellsam_core":
                    scores |= {k: float("nan") for k in scores if k.startswith("birth")}
                rows.append({"movie": name, "tracker": method, "seed": seed} | scores)
    return pd.DataFrame(rows)


def enlarged(frames: list[Labels]) -> Iterator[Labels]:
    """Show 2 x 5 copies of a movie side by side, under labels of their own."""
    step = max(int(frame.max()) for frame in frames)
    shift = step * np.arange(10, dtype=np.int32).reshape(2, 5)
    for frame in frames:
        yield np.block([[np.where(frame, frame + s, 0) for s in row] for row in shift])


def prolonged(frames: list[Labels], n_frames: int) -> Iterator[Labels]:
    """Show a movie forwards and backwards until it has `n_frames`."""
    loop = cycle([*frames, *frames[-2:0:-1]])
    return islice(loop, n_frames)


def speed(seed: int) -> pd.DataFrame:
    """CPU seconds of our tracker on many cells and on many frames; memory on the many cells."""
    frames, _ = simulate(seed, MITOSIS)
    rows = []
    for name, movie in (
        ("2 x 5 copies side by side", partial(enlarged, frames)),
        ("1,440 frames, forwards and backwards", partial(prolonged, frames, 1440)),
    ):
        start = time.process_time()
        for _ in movie():  # what making the frames takes
            pass
        making_s = time.process_time() - start
        start = time.process_time()
        objects = track_labels(movie()).objects
        cpu_s = time.process_time() - start - making_s
        n_frames = int(objects["frame"].max()) + 1
        rows.append({"movie": name, "cells": len(objects) / n_frames, "cpu_s": cpu_s})
    tracemalloc.start()
    track_labels(enlarged(frames[:8]))
    rows[0]["peak_mb"] = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return pd.DataFrame(rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", default="101,102,103")
    parser.add_argument("--btrack-config", type=Path)
    parser.add_argument("--speed", action="store_true", help="time larger and longer movies")
    args = parser.parse_args()
    if args.speed:
        print(speed(101).round(1).to_string(index=False))
        return
    seeds = [int(seed) for seed in args.seeds.split(",")]
    table = accuracy(seeds, trackers(args.btrack_config))
    means = table.drop(columns="seed").groupby(["movie", "tracker"], sort=False).mean()
    print(means.round(4).to_string())


if __name__ == "__main__":
    main()
