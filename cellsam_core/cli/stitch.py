"""``stitch``: the batches of a sample become one label image and one cell table."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

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
    import pyarrow.parquet as pq
    import zarr

    from cellsam_core.io import omezarr
    from cellsam_core.io.atomic import atomic_path
    from cellsam_core.io.instances import iter_frames, read_settings
    from cellsam_core.segment.cells import cell_table
    from cellsam_core.segment.instances import find_distinct, paint, settle

    frames = omezarr.open_(args.frames)
    batches = sorted(args.batches, key=_batch_number)
    settings = read_settings(batches) | {"min_area_px": args.min_area_px}
    movie = "t" in frames.axes
    height, width = frames.shape_yx
    n_cells = n_found = 0
    with atomic_path(args.masks) as masks_path, atomic_path(args.cells) as cells_path:
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
            distinct = [found[k] for k in find_distinct(found)]
            cells = settle(distinct, min_area_px=args.min_area_px)
            for y0 in range(0, height, omezarr.CHUNK_PX):
                y1 = min(height, y0 + omezarr.CHUNK_PX)
                rows = np.s_[frame, y0:y1] if movie else np.s_[y0:y1]
                masks.array[rows] = paint(cells, y0, y1, width)
            table = pa.Table.from_pandas(
                cell_table(frame, cells, frames.shape_yx, frames.pixel_size_um),
                preserve_index=False,
            )
            writer = writer or pq.ParquetWriter(cells_path, table.schema)
            writer.write_table(table)
            n_cells += len(table)
            n_found += len(found)
        assert writer is not None
        writer.close()
    log.info("%d cells in %d frames; %d seen by the tiles", n_cells, frames.n_frames, n_found)
    if n_cells == 0:
        log.warning("no cell was found in any frame: the tables are empty")


def _batch_number(path: Path) -> int:
    return int(path.name.split("-of-")[0])
