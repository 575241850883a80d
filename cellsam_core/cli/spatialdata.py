"""``cellsam-core spatialdata``: the results of a tissue as one SpatialData store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", type=Path, help="folder of a sample, such as results/cortex")
    parser.add_argument(
        "--expand-um",
        type=float,
        default=0.0,
        metavar="F",
        help="as given to `assign`, so that labels and table are of the same cells",
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write (zarr)")


def run(args: argparse.Namespace) -> None:
    import numpy as np

    from cellsam_core.assignment.spatialdata import write_spatialdata
    from cellsam_core.samples.manifest import Manifest

    _, source = Manifest.load_tissue(args.results / "0_manifest.json")
    write_spatialdata(
        args.output,
        frames=args.results / "1_preprocessed/frames.zarr",
        masks=args.results / "2_masks/masks.zarr",
        cells=args.results / "3_cells",
        um_to_px=np.array(source.um_to_px),
        expand_um=args.expand_um,
    )
