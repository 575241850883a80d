"""``cellsam-core benchmark``: compare methods on labelled images, by set and modality."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.benchmark.options import BenchmarkOptions
from cellsam_core.options import add_options, from_arguments
from cellsam_core.segmentation.options import ModelOptions, SegmentOptions

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "manifest",
        type=Path,
        nargs="?",
        help="set, image, label, modality, split; without it, that of the shipped weights",
    )
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of the manifest's paths; without it, a small simulated set is scored",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the results")
    add_options(parser, BenchmarkOptions, without=("clahe", "speed"))
    parser.add_argument(
        "--clahe",
        action="store_true",
        help="cellsam: show it images after CLAHE, as the published weights always see them",
    )
    parser.add_argument(
        "--no-speed", dest="speed", action="store_false", help="leave the speed table out"
    )
    add_options(parser, ModelOptions)
    add_options(parser, SegmentOptions, without=("cell_diameter_px", "dark_cells"))


def run(args: argparse.Namespace) -> None:
    options, model = from_arguments(BenchmarkOptions, args), from_arguments(ModelOptions, args)
    del args.cell_diameter_px  # that of the benchmark, which all methods are given
    segment = from_arguments(SegmentOptions, args)
    from cellsam_core.benchmark.stage import benchmark

    found = benchmark(
        args.output, options, manifest=args.manifest, data=args.data, model=model, segment=segment
    )
    print(found.text())
    print(args.output / "benchmark.html")
