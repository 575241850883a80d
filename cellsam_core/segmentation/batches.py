"""Batches: shares of a sample's tiles that separate jobs segment, and their merging."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from cellsam_core.files import omezarr
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.batch_names import sort_batches
from cellsam_core.files.facts import Facts, read_facts, write_facts
from cellsam_core.files.lazy import zarr
from cellsam_core.files.omezarr_arrays import CHUNK_PX
from cellsam_core.files.parquet import parquet_writer
from cellsam_core.files.pyramid import PyramidWriter
from cellsam_core.segmentation.batch_files import BatchWriter, iter_frames, read_settings
from cellsam_core.segmentation.batch_parts import open_checkpoint
from cellsam_core.segmentation.cell_table import cell_table
from cellsam_core.segmentation.columns import CELLS
from cellsam_core.segmentation.image import open_frames, prepare
from cellsam_core.segmentation.instances import draw_labels, merge_tiles
from cellsam_core.segmentation.tiles import take_batch

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from cellsam_core.segmentation.image import AnyFrames
    from cellsam_core.segmentation.instances import Instance
    from cellsam_core.segmentation.options import SegmentOptions
    from cellsam_core.segmentation.segmenter import Model

log = logging.getLogger(__name__)


def segment_batch(
    frames: AnyFrames,
    output: Path,
    model: Model,
    options: SegmentOptions,
    batch: tuple[int, int] = (1, 1),
) -> None:
    """Segment one share of the tiles of preprocessed frames and write the cells.

    A job that was killed goes on where it stopped when it is run again.

    Parameters
    ----------
    frames
        Preprocessed frames.
    output
        Parquet file to write, see :mod:`.batch_files`.
    model
        Loaded model.
    options
        Options of segmentation. The smallest area of a cell has no effect here, because cells
        are merged later.
    batch
        Number of the batch, from 1, and number of batches.
    """
    job = prepare(frames, model, options)
    tiles = take_batch(job.tiles, *batch)
    log.info("%d tiles on %s, cells of %.3g px", len(tiles), model.device, job.diameter_px)
    with open_checkpoint(output, job.settings, frames.version, batch) as parts:
        for numbers, path in parts.missing(len(tiles)):
            with atomic_path(path) as temporary, BatchWriter(temporary, job.settings) as writer:
                for tile, instances in job.find(tiles[numbers.start : numbers.stop]):
                    writer.add(tile.frame, instances)
            log.info("%d of %d tiles", numbers.stop, len(tiles))
        log.info("%d cells in %d tiles", parts.join(len(tiles)), len(tiles))


def stitch(
    frames: str | Path | AnyFrames,
    batches: Iterable[Path],
    masks: Path,
    cells: Path,
    min_area_px: int,
) -> None:
    """Merge the batches of a sample to label images and a cell table.

    Parameters
    ----------
    frames
        Preprocessed frames, or the path of their ``frames.zarr``.
    batches
        All files that :func:`segment_batch` wrote, named ``K-of-N.parquet``.
    masks, cells
        Files to write: ``masks.zarr``, in the version of OME-Zarr of the frames, and
        ``cells.parquet``.
    min_area_px
        Smallest area of a cell in pixels; smaller cells are dropped.

    Raises
    ------
    InputError
        A batch is missing, or batches belong to other frames or were made with other settings.
    """
    opened = open_frames(frames)
    facts = read_facts(opened.path) if isinstance(opened, omezarr.OmeZarr) else Facts()
    paths = sort_batches(list(batches), "segment-batch")
    settings = read_settings(paths) | {"min_area_px": min_area_px}
    n_cells = n_found = 0
    with (
        atomic_path(masks) as masks_path,
        atomic_path(cells) as cells_path,
        ExitStack() as stack,
    ):
        store = create_masks(masks_path, opened, settings)
        write_facts(masks_path, facts)
        pyramid = stack.enter_context(PyramidWriter(store))
        writer = None
        for frame, found in enumerate(iter_frames(paths, opened.n_frames)):
            merged = merge_tiles(found, min_area_px=min_area_px)
            plane = (frame,) if "t" in opened.axes else ()
            for y0, labels in _bands(merged, opened.shape_yx):
                pyramid.write(plane, y0, labels)
            table = to_arrow(
                cell_table(frame, merged, opened.shape_yx, opened.pixel_size_um, facts)
            )
            writer = writer or stack.enter_context(parquet_writer(cells_path, table.schema))
            writer.write_table(table)
            n_cells += len(table)
            n_found += len(found)
    log.info("%d cells in %d frames; %d seen by the tiles", n_cells, opened.n_frames, n_found)
    if n_cells == 0:
        log.warning("no cell was found in any frame: the tables are empty")


def create_masks(path: Path, frames: AnyFrames, settings: dict[str, Any]) -> omezarr.OmeZarr:
    """Create the empty label images of frames, with the settings as an attribute."""
    is_movie = "t" in frames.axes
    store = omezarr.create(
        path,
        shape=(*((frames.n_frames,) if is_movie else ()), *frames.shape_yx),
        axes="tyx" if is_movie else "yx",
        dtype="uint32",
        pixel_size_um=frames.pixel_size_um,
        frame_interval_s=frames.frame_interval_s,
        version=frames.ome_zarr if isinstance(frames, omezarr.OmeZarr) else "0.5",
    )
    zarr.open_group(path).attrs["cellsam"] = settings
    return store


def _bands(
    cells: list[Instance], shape_yx: tuple[int, int]
) -> Iterator[tuple[int, NDArray[np.uint32]]]:
    """Yield the labels of one frame by bands of rows: a whole tissue fills the memory."""
    height, width = shape_yx
    for y0 in range(0, height, CHUNK_PX):
        y1 = min(height, y0 + CHUNK_PX)
        yield y0, draw_labels(cells, y0, y1, width)


def to_arrow(rows: pd.DataFrame) -> pa.Table:
    """Turn rows of the cell table into the table of ``cells.parquet``."""
    found = pa.Schema.from_pandas(rows, preserve_index=False)
    # Without rows a column of text has no type.
    fields = [
        item.with_type(pa.string()) if pa.types.is_null(item.type) else item for item in found
    ]
    schema = CELLS.described(pa.schema(fields, found.metadata))
    return pa.Table.from_pandas(rows, schema, preserve_index=False)
