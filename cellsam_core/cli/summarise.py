"""``cellsam-core summarise``: traces of several samples, averaged by condition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse

    import numpy.typing as npt
    import pandas as pd

    from cellsam_core.traces.files import Responses

    FloatArray = npt.NDArray[np.float64]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "traces",
        nargs="+",
        metavar="CONDITION=TRACES",
        help="traces.parquet of a sample and what it was treated with; samples of one condition"
        " are pooled",
    )
    parser.add_argument(
        "--event-s",
        type=float,
        nargs="+",
        default=[],
        metavar="T",
        help="more times to mark in the figure, in s from the first frame on",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.cli.comparison import write_figure
    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.reporting.figures_traces import figure_conditions

    samples = [_read(text) for text in args.traces]
    responses = [sample for _, sample in samples]
    curves, summary = _by_condition(samples)
    tables = {"condition_traces": curves, "condition_summary": summary}
    for name, table in tables.items():
        with atomic_path(args.output / f"{name}.csv") as path:
            table.to_csv(path, index=False, float_format="%.6g")
    events = [max(sample.drug_time for sample in responses), *args.event_s]
    write_figure(
        args.output / "conditions.png",
        lambda: figure_conditions(curves, responses[0].unit, events, _how_pooled(responses)),
    )
    print(summary.to_string(index=False, float_format=lambda value: f"{value:.4g}"))


def _read(text: str) -> tuple[str, Responses]:
    from cellsam_core.cli.comparison import named_file
    from cellsam_core.traces.files import read_responses

    example = "control=results/a/3_tracks/traces.parquet"
    condition, path = named_file(text, "CONDITION=TRACES", example)
    return condition, read_responses(path)


def _by_condition(samples: list[tuple[str, Responses]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pool the cells of a condition; all conditions share one time axis."""
    import pandas as pd

    from cellsam_core.traces.summaries import condition_curve, condition_summary, resample

    unit = _only_unit([sample for _, sample in samples])
    times, drug_time = _common_times([sample for _, sample in samples])
    curves, summaries = [], []
    for condition in dict.fromkeys(name for name, _ in samples):
        pooled = [sample for name, sample in samples if name == condition]
        cells = [
            resample(s.matrix.to_numpy(), (times - drug_time + s.drug_time) / s.interval)
            for s in pooled
        ]
        curve = condition_curve(np.concatenate(cells))
        curve.insert(0, "condition", condition)
        curve.insert(2, f"time_{unit}", times)
        curves.append(curve)
        summary = condition_summary(pd.concat([sample.table for sample in pooled]))
        summary.insert(0, "condition", condition)
        summary.insert(1, "n_samples", len(pooled))
        summaries.append(summary)
    return pd.concat(curves, ignore_index=True), pd.concat(summaries, ignore_index=True)


def _only_unit(samples: list[Responses]) -> str:
    units = sorted({sample.unit for sample in samples})
    if len(units) > 1:
        raise InputError(
            "the samples",
            found="some with times in s, some in frames",
            expected="the frame interval of all samples, or of none",
            remedy="give frame_interval_s for the others",
        )
    return units[0]


def _common_times(samples: list[Responses]) -> tuple[FloatArray, float]:
    """Make a time axis of the longest interval on which all drugs come at one time; and that."""
    step = max(sample.interval for sample in samples)
    drug_time = max(sample.drug_time for sample in samples)
    last = max((s.matrix.shape[1] - 1) * s.interval - s.drug_time for s in samples)
    before, after = (np.floor(span / step + 1e-6) for span in (drug_time, last))
    return drug_time + step * np.arange(-before, after + 1), drug_time


def _how_pooled(samples: list[Responses]) -> str:
    """Say in words what was done to samples that were not imaged alike; else nothing."""
    intervals = sorted({sample.interval for sample in samples})
    words = []
    if len(intervals) > 1:
        every = " and ".join(f"{interval:g}" for interval in intervals)
        words.append(f"frames every {every} s, interpolated to every {intervals[-1]:g} s")
    if len({sample.drug_time for sample in samples}) > 1:
        words.append("aligned at the drug")
    return ", ".join(words)
