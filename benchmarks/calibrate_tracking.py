"""Fit and check the probabilities of links, divisions and buds on simulated movies of known truth.

    python benchmarks/calibrate_tracking.py [--fit 11,12] [--check 9,10]

Prints the coefficients that `cellsam_core/tracking/confidence.py` holds, fitted on the one set of
seeds, and how often links and births of each probability are right on the other. The movies are
those of `benchmark_tracking.py` that have errors, and worse ones: masks that are lost, cut in two
and merged with a neighbour's, and every 8th frame only.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from benchmark_tracking import BUDDING, MITOSIS, Movie, jittered, shuffled, simulate
from identities import Lineage, right_births
from scipy import ndimage, optimize

from cellsam_core.tracking.confidence import event_cues, link_cues, probability
from cellsam_core.tracking.graph import NONE
from cellsam_core.tracking.lineage import track_ids
from cellsam_core.tracking.options import TrackOptions
from cellsam_core.tracking.tracker import find_tracks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Labels = NDArray[np.int32]
    Floats = NDArray[np.float64]

BINS = (0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 1)


def spoiled(rng: np.random.Generator, frames: list[Labels], share: float) -> list[Labels]:
    """Lose, cut in two and merge with a neighbour this share of the masks each.

    What is cut off is no cell and negative; of two that are merged, one has both masks.
    """
    result = []
    for frame in frames:
        frame = frame.copy()
        boxes = ndimage.find_objects(frame)
        for value in np.flatnonzero([box is not None for box in boxes]) + 1:
            box = boxes[value - 1]
            fate = rng.random() / share
            if fate < 1:
                frame[box][frame[box] == value] = 0
            elif fate < 2:
                y, x = np.nonzero(frame[box] == value)
                if len(y) == 0:
                    continue
                angle = rng.uniform(0, np.pi)
                side = (y - y.mean()) * np.sin(angle) + (x - x.mean()) * np.cos(angle)
                part = side > np.quantile(side, rng.uniform(0.55, 0.85))
                frame[box][y[part], x[part]] = -value
            elif fate < 3:
                wide = tuple(slice(max(0, s.start - 2), s.stop + 2) for s in box)
                near = ndimage.binary_dilation(frame[wide] == value, iterations=2)
                beside = frame[wide][near & (frame[wide] > 0) & (frame[wide] != value)]
                if beside.size:
                    other = int(np.bincount(beside).argmax())
                    frame[boxes[other - 1]][frame[boxes[other - 1]] == other] = value
        result.append(frame)
    return result


def movies(seed: int) -> Iterator[Movie]:
    """Simulate the movies of one seed."""
    rng = np.random.default_rng(2000 + seed)
    cells, births = simulate(seed, MITOSIS)
    yeast, buds = simulate(seed, BUDDING)
    for frames in (
        jittered(rng, cells, int(MITOSIS.diameter_px)),
        spoiled(rng, cells, 0.01),
        spoiled(rng, cells[::4], 0.01),
        cells[::8],
    ):
        yield Movie(*shuffled(rng, frames), births, "mitosis")
    for frames in (yeast, spoiled(rng, yeast, 0.01)):
        yield Movie(*shuffled(rng, frames), buds, "budding")


def judged(movie: Movie) -> pd.DataFrame:
    """Track a movie; return a row a link and a birth: kind, cues, and whether it is right."""
    parameters = TrackOptions(division=movie.division)  # type: ignore[arg-type]
    graph, events = find_tracks(movie.frames, parameters)
    identity, cues = track_ids(graph), link_cues(graph)
    true = np.array([movie.names[f][v] for f, v in zip(graph.frame, graph.label, strict=True)])
    now = np.flatnonzero(graph.predecessor != NONE)
    same = (true[now] == true[graph.predecessor[now]]) & (true[now] > 0)
    truth = movie.truth
    order = np.lexsort((graph.label, graph.frame))
    births = [
        (int(identity[e.parent]), tuple(sorted(int(identity[d]) for d in e.daughters)))
        for e in events
        if e.parent != NONE
    ]
    right = set(right_births(Lineage(truth.frame, identity[order], births), truth, 1))
    kinds = [*graph.kind[now], *(e.kind for e in events if e.parent != NONE)]
    every = [*cues[now], *(event_cues(e) for e in events if e.parent != NONE)]
    return pd.DataFrame(
        {"kind": kinds, "cues": every, "right": [*same, *(b in right for b in births)]}
    )


def fit(cues: Floats, right: NDArray[np.bool_]) -> Floats:
    """Logistic regression by maximum likelihood: constant, weights."""
    centre, scale = cues.mean(axis=0), cues.std(axis=0)
    design = np.column_stack([np.ones(len(cues)), (cues - centre) / scale])
    sign = np.where(right, 1.0, -1.0)

    def loss(weights: Floats) -> float:
        return float(np.logaddexp(0, -sign * (design @ weights)).mean())

    constant, *weights = optimize.minimize(loss, np.zeros(design.shape[1])).x
    weights = weights / scale
    return np.array([constant - weights @ centre, *weights])


def reliability(predicted: Floats, right: NDArray[np.bool_]) -> pd.DataFrame:
    """How many there are of each probability, what was predicted and what is right."""
    table = pd.DataFrame({"predicted": predicted, "right": right})
    groups = table.groupby(pd.cut(table["predicted"], BINS), observed=True)
    return groups.agg(n=("right", "size"), predicted=("predicted", "mean"), right=("right", "mean"))


def main() -> None:
    """Fit, check, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--fit", default="11,12")
    parser.add_argument("--check", default="9,10")
    args = parser.parse_args()
    fitted, checked = (
        pd.concat([judged(m) for seed in seeds.split(",") for m in movies(int(seed))])
        for seeds in (args.fit, args.check)
    )
    for kind, rows in fitted.groupby("kind", sort=False):
        found = fit(np.stack(rows["cues"].to_list()), rows["right"].to_numpy(bool))
        print(f'"{kind}": ({", ".join(f"{x:.2f}" for x in found)}),')
    for kind, rows in checked.groupby("kind", sort=False):
        predicted = probability(str(kind), np.stack(rows["cues"].to_list()))
        print(f"\n{kind}, with the coefficients in use")
        print(reliability(predicted, rows["right"].to_numpy(bool)).round(4).to_string())


if __name__ == "__main__":
    main()
