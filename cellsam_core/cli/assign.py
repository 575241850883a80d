"""``cellsam-core assign``: transcripts and cells to counts, polygons and quality figures."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse

    from cellsam_core.assignment.cells import Cells
    from cellsam_core.labels.image import LabelImage
    from cellsam_core.samples.manifest import TranscriptSource

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    cells = parser.add_mutually_exclusive_group(required=True)
    cells.add_argument(
        "--labels", type=Path, metavar="TIF|ZARR", help="label image of the cells, 0 = background"
    )
    cells.add_argument(
        "--polygons",
        type=Path,
        metavar="PARQUET|CSV",
        help="cell polygons in um, per z plane where they have ZIndex; or Xenium's vertices",
    )
    transcripts = parser.add_mutually_exclusive_group(required=True)
    transcripts.add_argument(
        "--manifest", type=Path, metavar="JSON", help="0_manifest.json of the sample"
    )
    transcripts.add_argument(
        "--transcripts",
        type=Path,
        metavar="CSV|PARQUET",
        help="table with gene and x_um, y_um or x_px, y_px",
    )
    parser.add_argument(
        "--pixel-size-um",
        type=float,
        metavar="F",
        help="side of a pixel in um, for --transcripts",
    )
    parser.add_argument(
        "--cells",
        type=Path,
        metavar="PARQUET",
        help="cells.parquet of the segmentation; without it scores are unknown",
    )
    parser.add_argument(
        "--nuclei",
        type=Path,
        metavar="TIF|ZARR",
        help="labels or mask of the nuclei, as large as the labels: nuclear counts as a layer",
    )
    parser.add_argument(
        "--expand-um",
        type=float,
        default=0.0,
        metavar="F",
        help="grow the cells of --labels into the background by this much, um; for nuclei",
    )
    parser.add_argument(
        "--localisation-error-um",
        type=float,
        default=0.0,
        metavar="F",
        help="standard deviation of transcripts' places in um: gives the chance of each owner",
    )
    parser.add_argument("--sample", default="sample", help="goes into the names of the cells")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder, e.g. 3_cells")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.assignment.anndata import cell_anndata, write_h5ad
    from cellsam_core.assignment.assigned import assign_transcripts
    from cellsam_core.assignment.boundaries import write_boundaries
    from cellsam_core.files.atomic import atomic_path

    for name in ("expand_um", "localisation_error_um"):
        if not 0 <= getattr(args, name) < 1e6:
            raise InputError(
                f"--{name.replace('_', '-')}",
                found=str(getattr(args, name)),
                expected="a length of 0 um or more",
                remedy="correct the option",
            )
    source, cells = _open(args)
    log.info("assigning %d transcripts to %d cells", source.n_rows, len(cells.table))
    # Outlines tell whether cells and labels belong together: before them nothing may appear.
    with atomic_path(args.output / "transcripts.parquet") as transcripts:
        assigned = assign_transcripts(source, cells, transcripts, args.localisation_error_um)
        table = cell_anndata(args.sample, assigned, with_controls=False)
        write_boundaries(args.output / "boundaries.parquet", cells.outlines())
    write_h5ad(args.output / "cells.h5ad", table, assigned)
    quality = assigned.quality
    for warning in quality["warnings"]:
        log.warning(warning)
    _write_json(args.output / "assign_qc.json", {"sample": args.sample} | quality)
    log.info(
        "%d of %d transcripts in %d cells",
        quality["n_assigned"],
        quality["n_transcripts"],
        quality["n_cells"],
    )


def _open(args: argparse.Namespace) -> tuple[TranscriptSource, Cells]:
    """Open what the options name and test that it fits together."""
    import numpy as np

    from cellsam_core.assignment import cells as io_cells
    from cellsam_core.labels.image import open_label_image
    from cellsam_core.samples.placement import place_in_um

    if args.pixel_size_um is not None and not 0 < args.pixel_size_um < np.inf:
        raise InputError(
            "--pixel-size-um",
            found=str(args.pixel_size_um),
            expected="a length above 0 um",
            remedy="correct the option",
        )
    _refuse(args, "pixel_size_um", "manifest", "which has the pixel size")
    _refuse(args, "cells", "polygons", "which are the cells")
    _refuse(args, "nuclei", "polygons", "which no image of nuclei need fit")
    if args.expand_um > 0:
        _refuse(args, "expand_um", "polygons", "which are not grown")
    if args.polygons is not None:
        source = (
            place_in_um(args.transcripts, args.pixel_size_um)
            if args.transcripts is not None
            else _from_manifest(args.manifest, None)
        )
        known = source if args.manifest is not None else None
        return source, io_cells.open_polygon_cells(
            args.polygons, known, pixel_size_um=args.pixel_size_um
        )
    image = open_label_image(args.labels)
    source = (
        _place(args, image)
        if args.transcripts is not None
        else _from_manifest(args.manifest, image.tiles.shape_yx)
    )
    nuclei = None if args.nuclei is None else open_label_image(args.nuclei)
    return source, io_cells.open_label_cells(
        image,
        np.array(source.um_to_px),
        args.cells,
        expand_um=args.expand_um,
        nuclei=nuclei,
        fields=source.fields,
    )


def _refuse(args: argparse.Namespace, option: str, other: str, why: str) -> None:
    """Refuse an option that would have no effect."""
    if getattr(args, option) is not None and getattr(args, other) is not None:
        raise InputError(
            f"--{option.replace('_', '-')}",
            found=f"the option beside --{other}, {why}",
            expected="one of the two",
            remedy="leave one out",
        )


def _place(args: argparse.Namespace, image: LabelImage) -> TranscriptSource:
    from cellsam_core.samples.placement import place_transcripts

    source, warnings = place_transcripts(
        args.transcripts,
        shape_yx=image.tiles.shape_yx,
        pixel_size_um=args.pixel_size_um or image.pixel_size_um,
    )
    for warning in warnings:
        log.warning(warning)
    return source


def _from_manifest(path: Path, shape_yx: tuple[int, int] | None) -> TranscriptSource:
    from cellsam_core.samples.manifest import Manifest

    manifest, source = Manifest.load_tissue(path)
    if shape_yx is not None and shape_yx != manifest.shape_yx:
        raise InputError(
            path,
            found=f"an image of {manifest.shape_yx[1]} x {manifest.shape_yx[0]} px",
            expected=f"the {shape_yx[1]} x {shape_yx[0]} px of the labels",
            remedy="give the labels of this sample",
        )
    return source


def _write_json(path: Path, content: dict[str, Any]) -> None:
    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.version import SCHEMA_VERSION

    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps({"schema_version": SCHEMA_VERSION} | content, indent=1) + "\n"
        )
