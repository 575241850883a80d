"""``cellsam-core compare-samples``: transcripts of each gene, correlated between samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse

EXAMPLE = "cortex=results/cortex/3_cells/cells.h5ad"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "samples",
        nargs="+",
        metavar="SAMPLE=H5AD",
        help="name of a sample and its cells.h5ad; two or more",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.cli.comparison import write_figure
    from cellsam_core.comparison.samples import compare_samples
    from cellsam_core.reporting.figures.correlation import figure_samples

    found = compare_samples(_parse(args.samples))
    found.write(args.output)
    write_figure(args.output / "correlation.png", lambda: figure_samples(found))
    print(found.correlation.to_string(sparsify=False, float_format=lambda value: f"{value:.4g}"))


def _parse(arguments: list[str]) -> dict[str, Path]:
    from cellsam_core.cli.comparison import named_file

    paths: dict[str, Path] = {}
    for text in arguments:
        sample, path = named_file(text, "SAMPLE=H5AD", EXAMPLE)
        if sample in paths:
            raise InputError(
                "argument SAMPLE=H5AD",
                found=f"the sample {sample} twice",
                expected="a name that no other sample has",
                remedy=f"give one of them another name, e.g. {EXAMPLE}",
            )
        paths[sample] = path
    return paths
