"""``cellsam-core assign``: transcripts and cells to counts, polygons and quality metrics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.assignment.options import AssignInputOptions, AssignOptions
from cellsam_core.assignment.purity.options import PurityOptions
from cellsam_core.options import add_options, from_arguments

if TYPE_CHECKING:
    import argparse

FILES = {
    "labels": ("TIF|ZARR", "label image of the cells, 0 = background"),
    "polygons": ("FILE", "outlines of the cells of a vendor or program, see docs/spatial.md"),
    "manifest": ("JSON", "0_manifest.json of the sample"),
    "transcripts": ("CSV|PARQUET", "table with gene and x_um, y_um or x_px, y_px"),
    "cells": ("PARQUET", "cells.parquet of the segmentation; without it scores are unknown"),
    "nuclei_of_cells": ("PARQUET", "cells.parquet of `pair`: nuclei of each cell"),
    "nuclei": ("TIF|ZARR", "labels or mask of the nuclei, as large as the labels"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    cells = parser.add_mutually_exclusive_group(required=True)
    transcripts = parser.add_mutually_exclusive_group(required=True)
    groups = {"labels": cells, "polygons": cells}
    groups |= {"manifest": transcripts, "transcripts": transcripts}
    for name, (metavar, text) in FILES.items():
        flag = f"--{name.replace('_', '-')}"
        groups.get(name, parser).add_argument(flag, type=Path, metavar=metavar, help=text)
    parser.add_argument(
        "--pixel-size-um", type=float, metavar="F", help="side of a pixel in um, for --transcripts"
    )
    add_options(parser, AssignOptions)
    add_options(parser, PurityOptions)
    add_options(parser, AssignInputOptions)
    parser.add_argument(
        "--panel", type=Path, nargs="+", default=[], help="files with the genes of the panel"
    )
    parser.add_argument("--sample", default="sample", help="goes into the names of the cells")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder, e.g. 3_cells")


def run(args: argparse.Namespace) -> None:
    options, purity = from_arguments(AssignOptions, args), from_arguments(PurityOptions, args)
    inputs = from_arguments(AssignInputOptions, args)
    from cellsam_core.assignment.stage import assign
    from cellsam_core.samples.manifest import Manifest

    transcripts = args.transcripts or args.manifest
    if args.manifest and args.manifest.suffix != ".json":  # by which `assign` knows a manifest
        transcripts = Manifest.load(args.manifest)
    given = vars(args)
    names = ["labels", "polygons", "pixel_size_um", "cells", "nuclei", "nuclei_of_cells"]
    names += ["panel", "sample", "output"]
    more = {name: given[name] for name in names}
    assign(transcripts, options=options, purity=purity, inputs=inputs, **more)
