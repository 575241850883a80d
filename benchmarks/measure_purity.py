"""Purity that is estimated beside the true one, on simulated tissues with a known leak.

``python benchmarks/measure_purity.py [--seeds 4] [--first-seed 1000]`` prints one row for each
kind of tissue: rings whose own share is certain and the largest error of those, errors of the
purity of the cells, in how many tissues it is above its upper bound, errors of the distance that
`expand_um: auto` chooses, and the refusals. At the end it prints how often intervals of 95 % hold
the true share of a ring, by the standard errors alone and with the error of the model.
``--large`` measures time and memory on 20,000 cells instead.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import cellsam_core as cc
from cellsam_core.assignment.inputs import place
from cellsam_core.assignment.options import AssignInputOptions
from cellsam_core.assignment.purity.curve import MIN_INFORMATIVE, MODEL_ERROR
from cellsam_core.assignment.purity.stage import grown, measure_purity, windows_of
from cellsam_core.labels.image import as_label_image
from cellsam_core.labels.tiles import measure_cells
from cellsam_core.simulation.leak import draw_leak
from cellsam_core.simulation.options import LeakOptions

if TYPE_CHECKING:
    from typing import Any

KINDS: dict[str, dict[str, Any]] = {
    "scattered, no ambient": {"pitch_um": 15, "ambient_share": 0.0, "displaced_share": 0.2},
    "scattered, ambient .05": {"pitch_um": 15, "ambient_share": 0.05, "displaced_share": 0.4},
    "domains, ambient .15": {
        "pitch_um": 13,
        "ambient_share": 0.15,
        "displaced_share": 0.4,
        "pattern": "domains",
    },
    "sparse, ambient .10": {"pitch_um": 20, "ambient_share": 0.1, "displaced_share": 0.3},
    "960 genes, 60 transcripts": {
        "genes": 960,
        "transcripts_per_cell": 60,
        "ambient_share": 0.05,
    },
    "one type": {"types": 1},
}
CELLS = (60, 150, 500, 2000)


def measure(seed: int, options: LeakOptions) -> dict[str, Any]:
    """Estimate the purity of one tissue, and compare it with the truth."""
    tissue = draw_leak(np.random.default_rng(seed), options)
    image = as_label_image(tissue.labels, "labels")
    source = place(tissue.transcripts, None, tissue.pixel_size_um, image, AssignInputOptions())
    measured = measure_cells(image.tiles)
    windows = windows_of(source, image.tiles, measured)
    found = measure_purity(source, windows, measured, cc.PurityOptions())
    xy = tissue.transcripts[["x_um", "y_um"]].to_numpy() / tissue.pixel_size_um
    place_of = windows.find(xy[:, 0], xy[:, 1])
    near = place_of.zone < windows.zones.far
    is_own = pd.Series(place_of.nearest == tissue.cell_id)[near]
    true = is_own.groupby(place_of.zone[near]).mean()
    rings = found.rings
    n = rings["n_transcripts"]
    true_purity = (n * true).cumsum() / n.cumsum()
    net = (rings["capture"] * (2 * true_purity - 1)).iloc[1:]
    row = {
        "refused": bool(found.reason),
        "gain": np.nan if found.profile_gain is None else found.profile_gain,
        "auto": found.auto_um,
        "best": rings["to_um"][net.idxmax()],
        "reason": found.reason,
    }
    if not found.reason:
        told = rings["n_informative"] >= MIN_INFORMATIVE
        error = rings["own_share"] - true
        certain = error[rings["is_certain"]].abs()
        row["rings"], row["certain"], row["off"] = len(rings), len(certain), (certain > 0.1).sum()
        row["ring_error"] = certain.max()
        at_auto = grown(found, found.auto_um)
        assert at_auto.purity is not None
        assert at_auto.at_most is not None
        truth = true_purity[rings["to_um"] <= max(found.auto_um, 0)].iloc[-1]
        row["purity_error"] = truth - at_auto.purity
        row["above_bound"] = truth > at_auto.at_most
        row["errors"] = [*zip(error[told], rings["own_share_error"][told], strict=True)]
    return row


def table(seeds: range) -> pd.DataFrame:
    """Measure all kinds of tissue; print each row when it is known."""
    rows = []
    for name, values in KINDS.items():
        for cells in CELLS:
            each = [measure(seed, LeakOptions(cells=cells, **values)) for seed in seeds]
            rows += [{"kind": name, "cells": cells, **row} for row in each]
            print(summary(pd.DataFrame(rows[-len(each) :])).to_csv(header=len(rows) == len(each)))
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise samples by kind and number of cells."""
    off = (rows["auto"] - rows["best"]).abs().where(~rows["refused"])
    rows = rows.assign(distance=off, within=(off <= 1).where(~rows["refused"]).astype(float))
    for name in ("rings", "certain", "ring_error", "purity_error", "above_bound"):
        if name not in rows:
            rows[name] = np.nan
    return rows.groupby(["kind", "cells"]).agg(
        samples=("refused", "size"),
        refused=("refused", "sum"),
        gain=("gain", "mean"),
        rings=("rings", "sum"),
        certain_rings=("certain", "sum"),
        largest_error_of_those=("ring_error", "max"),
        lowest_error_of_purity=("purity_error", "min"),
        highest_error_of_purity=("purity_error", "max"),
        above_bound=("above_bound", "sum"),
        auto_um=("auto", "mean"),
        best_um=("best", "mean"),
        within_one_ring=("within", "mean"),
    )


def print_coverage(kept: pd.DataFrame) -> None:
    """Print in how many rings the interval of 95 % holds the true own share."""
    for cells, group in [*kept.groupby("cells"), ("all", kept)]:
        error, chance = np.concatenate([np.array(each) for each in group["errors"]]).T
        shares = [
            np.mean(np.abs(error) <= 1.96 * np.hypot(chance, model)) for model in (0, MODEL_ERROR)
        ]
        print(
            f"{cells} cells, {len(error)} rings: interval of 95 % true in {shares[0]:.0%} by chance"
            f" alone, in {shares[1]:.0%} with an error of the model of {MODEL_ERROR};"
            f" root mean square of the error {np.sqrt(np.mean(error**2)):.3f},"
            f" of the standard error {np.sqrt(np.mean(chance**2)):.3f}, mean {error.mean():.3f}"
        )


def large() -> None:
    """Measure time and memory: 20,000 cells, 4 million transcripts of 500 genes."""
    options = LeakOptions(cells=20_000, genes=500, transcripts_per_cell=200)
    tissue = draw_leak(np.random.default_rng(0), options)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    found = cc.estimate_purity(
        tissue.transcripts, tissue.labels, pixel_size_um=tissue.pixel_size_um
    )
    spent = time.process_time() - start
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{len(tissue.transcripts)} transcripts, {found.record['n_cells']} cells: {spent:.1f} CPU s"
    )
    print(f"peak {after / 1e6:.2f} GB; {before / 1e6:.2f} GB of it before, to simulate the tissue")


def main() -> None:
    """Print the table, or time and memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--large", action="store_true")
    args = parser.parse_args()
    if args.large:
        large()
        return
    rows = table(range(args.first_seed, args.first_seed + args.seeds))
    kept = rows[~rows["refused"]]
    print(f"auto within one ring: {((kept['auto'] - kept['best']).abs() <= 1).mean():.2f}")
    print(
        f"{kept['certain'].sum():.0f} of {kept['rings'].sum():.0f} rings are certain; largest error"
        f" of those {kept['ring_error'].max():.3f}, {kept['off'].sum():.0f} of them above 0.1"
    )
    low, high = kept["purity_error"].min(), kept["purity_error"].max()
    print(
        f"true purity less the estimate: {low:.3f} to {high:.3f};"
        f" above the bound in {int(kept['above_bound'].sum())} of {len(kept)} tissues"
    )
    print_coverage(kept)
    for reason in sorted(set(rows["reason"]) - {""}):
        print(reason)


if __name__ == "__main__":
    main()
