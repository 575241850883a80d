"""``cellsam-core summarise``: traces of several samples, averaged by condition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

EXAMPLE = "control=results/a/3_tracks/traces.parquet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "traces",
        nargs="+",
        metavar="CONDITION=TRACES",
        help="condition of a sample and its traces.parquet; samples of the same condition are"
        " pooled",
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
    from cellsam_core.cli.comparison import named_file, write_figure
    from cellsam_core.comparison.conditions import compare_conditions
    from cellsam_core.reporting.figures.traces import figure_conditions

    samples: dict[str, list[Path]] = {}
    for text in args.traces:
        condition, path = named_file(text, "CONDITION=TRACES", EXAMPLE)
        samples.setdefault(condition, []).append(path)
    conditions = compare_conditions(samples)
    conditions.write(args.output)
    events = [conditions.drug_time, *args.event_s]
    write_figure(
        args.output / "conditions.png",
        lambda: figure_conditions(
            conditions.curves, conditions.unit, events, conditions.how_pooled
        ),
    )
    table = conditions.summary
    print(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
