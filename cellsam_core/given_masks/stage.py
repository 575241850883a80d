"""Stage ``import-masks``: masks of the user -> ``masks.zarr`` and ``cells.parquet``."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.facts import read_facts, write_facts
from cellsam_core.files.kept import keep_inputs
from cellsam_core.files.omezarr_arrays import CHUNK_PX
from cellsam_core.files.parquet import parquet_writer
from cellsam_core.files.pyramid import PyramidWriter
from cellsam_core.given_masks.draw import Drawing
from cellsam_core.given_masks.options import GivenMasksOptions
from cellsam_core.given_masks.source import open_masks, refuse_other_size
from cellsam_core.labels.source import open_labels
from cellsam_core.labels.tiles import measure_cells
from cellsam_core.options import options_of
from cellsam_core.samples.manifest import Manifest
from cellsam_core.segmentation.batches import create_masks, to_arrow
from cellsam_core.segmentation.cell_table import DTYPES, with_places
from cellsam_core.segmentation.image import open_frames

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.given_masks.source import GivenMasks
    from cellsam_core.labels.source import LabelSource
    from cellsam_core.labels.tiles import LabelTiles

log = logging.getLogger(__name__)
DEFAULTS = GivenMasksOptions()


def import_masks(
    given: str | Path,
    manifest: Manifest | str | Path,
    frames: str | Path,
    output: str | Path,
    options: GivenMasksOptions = DEFAULTS,
) -> LabelSource:
    """Take masks of the user instead of a segmentation.

    Labels of label images stay as they are. Outlines are numbered from 1, and a pixel belongs to
    the outline in which its centre lies; of two outlines that overlap, to the first.

    Parameters
    ----------
    given
        Label images as TIFF, OME-Zarr, NumPy array or ``_seg.npy`` of Cellpose; ROIs of ImageJ
        (``.roi``, ``.zip``); GeoJSON or the outlines of a vendor; or a folder with one file of
        ROIs or GeoJSON for each frame.
    manifest
        Manifest of the sample, or the path of its ``0_manifest.json``.
    frames
        Path of the ``frames.zarr`` of the sample, which has its size and scale.
    output
        Folder for ``masks.zarr`` and ``cells.parquet``, which is made if need be.
    options
        Unit of outlines.

    Returns
    -------
    LabelSource
        The opened ``masks.zarr``, which :func:`cellsam_core.track` and
        :func:`cellsam_core.assign` take as well.

    Raises
    ------
    InputError
        The masks can't be read, or are not those of the sample.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> import tifffile
    >>> import cellsam_core as cc
    >>> folder = Path(tempfile.mkdtemp())
    >>> image = np.full((2, 64, 64), 100, np.uint16)
    >>> image[:, 20:40, 20:40] = 900
    >>> tifffile.imwrite(folder / "movie.tif", image)
    >>> np.save(folder / "masks.npy", (image > 500).astype(np.uint8))
    >>> manifest = cc.inspect(folder / "movie.tif", assay="movie")
    >>> frames = cc.preprocess(manifest, folder / "frames.zarr")
    >>> masks = cc.import_masks(folder / "masks.npy", manifest, folder / "frames.zarr", folder)
    >>> masks.n_frames, int(masks.frame(1).sum())
    (2, 400)
    """
    options = options_of(GivenMasksOptions, options)
    found = manifest if isinstance(manifest, Manifest) else Manifest.load(manifest)
    folder = Path(output)
    write_masks(given, found, frames, folder / "masks.zarr", folder / "cells.parquet", options)
    return open_labels(folder / "masks.zarr")


def write_masks(
    given: str | Path,
    manifest: Manifest,
    frames: str | Path,
    masks: Path,
    cells: Path,
    options: GivenMasksOptions = DEFAULTS,
) -> None:
    """Write the masks of the user as the files that a segmentation writes.

    Parameters
    ----------
    given, manifest, frames, options
        As for :func:`import_masks`.
    masks, cells
        Files to write, ``masks.zarr`` and ``cells.parquet``.
    """
    for output in (masks, cells):
        keep_inputs(output.parent, [output.name], given, frames)
    opened = open_frames(frames)
    facts = read_facts(frames)
    source = open_masks(given, manifest, options.masks_unit)
    refuse_other_size(source, opened.n_frames, opened.shape_yx)
    is_movie = "t" in opened.axes
    n_cells, contested = 0, 0
    with (
        atomic_path(masks) as masks_path,
        atomic_path(cells) as cells_path,
        ExitStack() as stack,
    ):
        store = create_masks(masks_path, opened, {"given_masks": source.path.name})
        write_facts(masks_path, facts)
        pyramid = stack.enter_context(PyramidWriter(store))
        writer = None
        for frame in range(opened.n_frames):
            tiles = source.tiles(frame)
            for y0 in range(0, opened.shape_yx[0], CHUNK_PX):
                y1 = min(opened.shape_yx[0], y0 + CHUNK_PX)
                rows = tiles.window(y0, y1, 0, opened.shape_yx[1])
                pyramid.write((frame,) if is_movie else (), y0, rows)
            measured = _measure(frame, tiles, source)
            table = to_arrow(with_places(measured, opened.pixel_size_um, facts))
            writer = writer or stack.enter_context(parquet_writer(cells_path, table.schema))
            writer.write_table(table)
            n_cells += len(table)
            contested += len(tiles.contested) if isinstance(tiles, Drawing) else 0
    for warning in source.warnings:
        log.warning("%s", warning)
    if contested:
        log.warning("%d outlines overlap one before them, which keeps the pixels", contested)
    log.info("%d cells in %d frames of %s", n_cells, opened.n_frames, source.path)


def _measure(frame: int, tiles: LabelTiles, source: GivenMasks) -> pd.DataFrame:
    """Tabulate the cells of a frame; scores are not known."""
    table = measure_cells(tiles)
    table["frame"], table["score"], table["predicted_iou"] = frame, np.nan, np.nan
    table = table[list(DTYPES)].astype(DTYPES)
    if source.names:
        table["source_id"] = [source.names[label - 1] for label in table["label"]]
    return table
