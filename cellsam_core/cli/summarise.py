"""``cellsam-core summarise``: traces of several samples, averaged by condition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse

    import pandas as pd

    from cellsam_core.io.traces import Responses


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
    from matplotlib import style

    from cellsam_core.io.atomic import atomic_path
    from cellsam_core.report.figures_common import STYLE
    from cellsam_core.report.figures_traces import figure_conditions

    samples = [_read(text) for text in args.traces]
    first = samples[0][1]
    curves, responses = _by_condition(samples)
    tables = {"condition_traces": curves, "condition_summary": responses}
    for name, table in tables.items():
        with atomic_path(args.output / f"{name}.csv") as path:
            table.to_csv(path, index=False, float_format="%.6g")
    events = [first.drug_time, *args.event_s]
    with atomic_path(args.output / "conditions.png") as path, style.context(STYLE):
        figure = figure_conditions(curves, first.unit, events)
        figure.savefig(path, format="png", dpi=150, metadata={"Software": None})
    print(responses.to_string(index=False, float_format=lambda value: f"{value:.4g}"))


def _read(text: str) -> tuple[str, Responses]:
    from cellsam_core.io.traces import read_responses

    condition, separator, path = text.partition("=")
    if not separator or not condition.strip():
        raise InputError(
            "argument CONDITION=TRACES",
            found=repr(text),
            expected="a condition, an equals sign and a file",
            remedy="write e.g. control=results/a/3_tracks/traces.parquet",
        )
    return condition.strip(), read_responses(Path(path))


def _common_times(samples: list[Responses]) -> FloatArray:
    """Time axis of all samples, from the drug on: the longest interval between frames."""
    import numpy as np

    step = max(sample.interval for sample in samples)
    first = min(-sample.drug_time for sample in samples)
    last = max(
        (sample.matrix.shape[1] - 1) * sample.interval - sample.drug_time for sample in samples
    )
    slack = 1e-6 * step
    return step * np.arange(np.ceil((first - slack) / step), np.floor((last + slack) / step) + 1)


def _by_condition(
    samples: list[tuple[str, Responses]],
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """Pool the cells of a condition on one time axis; tell how that was made."""
    import pandas as pd

    from cellsam_core.summaries import condition_curve, condition_summary, resample

    ...
