"""``stitch``: the batches of a sample become one label image and one cell table."""

from __future__ import annotations

import logging
import re
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("frames", type=Path, help="frames.zarr written by `preprocess`")
    parser.add_argument("batches", type=Path, nargs="+", help="all files of `segment-batch`")
    parser.add_argument("--masks", type=Path, required=True, help="masks.zarr to write")
    parser.add_argument("--cells", type=Path, required=True, help="cells.parquet to write")
    parser.add_argument(
        "--min-area-px", type=int, default=25, help="smaller cells are left out, px"
    )


def run(args: argparse.Namespace) -> None:
    import numpy as np
    import pyarrow as pa
    import zarr

    from cellsam_core.files import omezarr
    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.files.parquet import parquet_writer
    from cellsam_core.segmentation.batch_files import iter_frames, read_settings
    from cellsam_core.segmentation.cell_table import cell_table
    from cellsam_core.segmentation.image import open_frames
    from cellsam_core.segmentation.instances import merge_tiles, paint

    frames = open_frames(args.frames)
    batches = _all_batches(args.batches)
    settings = read_settings(batches) | {"min_area_px": args.min_area_px}
    movie = "t" in frames.axes
    height, width = frames.shape_yx
    n_cells = n_found = 0
    with (
        atomic_path(args.masks) as masks_path,
        atomic_path(args.cells) as cells_path,
        ExitStack() as stack,
    ):
        masks = omezarr.create(
            masks_path,
            shape=(*((frames.n_frames,) if movie else ()), *frames.shape_yx),
            axes="tyx" if movie else "yx",
            dtype="uint32",
            pixel_size_um=frames.pixel_size_um,
            frame_interval_s=frames.frame_interval_s,
        )
        zarr.open_group(masks_path).attrs["cellsam"] = settings
        writer = None
        for frame, found in enumerate(iter_frames(batches, frames.n_frames)):
            cells = merge_tiles(found, min_area_px=args.min_area_px)
            for y0 in range(0, height, omezarr.CHUNK_PX):
                y1 = min(height, y0 + omezarr.CHUNK_PX)
                rows = np.s_[frame, y0:y1] if movie else np.s_[y0:y1]
                masks.array[rows] = paint(cells, y0, y1, width)
            table = pa.Table.from_pandas(
                cell_table(frame, cells, frames.shape_yx, frames.pixel_size_um),
                preserve_index=False,
            )
            writer = writer or stack.enter_context(parquet_writer(cells_path, table.schema))
            writer.write_table(table)
            n_cells += len(table)
            n_found += len(found)
    log.info("%d cells in %d frames; %d seen by the tiles", n_cells, frames.n_frames, n_found)
    if n_cells == 0:
        log.warning("no cell was found in any frame: the tables are empty")


def _all_batches(paths: list[Path]) -> list[Path]:
    """Sort batches by number and refuse gaps: a missing batch would silently lose cells."""
    numbered: dict[int, Path] = {}
    n_batches = 0
    for path in paths:
        match = re.fullmatch(r"(\d+)-of-(\d+)", path.stem)
        if match is None or int(match[1]) in numbered:
            raise InputError(
                path,
                found="no batch number" if match is None else "a batch given twice",
                expected="files named K-of-N.parquet, each once",
                remedy="give the files as `segment-batch` wrote them",
            )
        numbered[int(match[1])] = path
        n_batches = n_batches or int(match[2])
        if int(match[2]) != n_batches:
            # Each N deals the tiles out differently, so that some would be missing.
            raise InputError(
                path,
                found=f"one of {match[2]} batches beside {paths[0].name}, one of {n_batches}",
                expected="files named K-of-N.parquet with one N",
                remedy="give the files that were written with one N, and segment what is missing",
            )
    if set(numbered) != set(range(1, n_batches + 1)):
        raise InputError(
            paths[0].parent,
            found=f"the batches {', '.join(numbered[k].stem for k in sorted(numbered))}",
            expected=f"all of 1-of-{n_batches} to {n_batches}-of-{n_batches}",
            remedy="segment what is missing first",
        )
    return [numbered[k] for k in sorted(numbered)]
