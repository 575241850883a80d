"""Images and labels of corrected regions, as ``finetune`` reads them."""

from __future__ import annotations

import hashlib
import logging
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import tifffile

from cellsam_core.corrections.cells_table import read_cell_corrections
from cellsam_core.corrections.result import corrections_folder, corrections_table, sample_folders
from cellsam_core.corrections.stage import correct
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.atomic import atomic_path
from cellsam_core.training.regions import VALIDATION, held_out, regions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.training.regions import TrainingRegion

log = logging.getLogger(__name__)

LIST = "regions.csv"
COLUMNS = ("image", "sample", "frame", "id", "y0", "x0", "y1", "x1", "cells", "is_held_out")


def collect(
    results: str | Path, output: str | Path, *, corrections: str | Path | None = None
) -> pd.DataFrame:
    """Write the regions that a user found complete as labelled images for ``finetune``.

    A row ``complete`` of ``<sample>.cells.csv`` says that every cell of a region is right, once
    the corrections are carried out. Its image is cut from the images that were segmented. Pixels
    outside of a region that is no rectangle are 0. With two places or more, every fifth, and at
    least one, goes to the folder ``validation``.

    Parameters
    ----------
    results
        Folder ``results`` of a run, or that of one sample in it.
    output
        Folder for ``<sample>_f<frame>_<id>.ome.tif`` with ``..._label.tif``, the folder
        ``validation`` with others, and ``regions.csv``.
    corrections
        Folder of the tables of corrections. Without it, the tables are those that the sample sheet
        of the run names, else those in the folder ``corrections`` beside the results.

    Returns
    -------
    pandas.DataFrame
        One row for each region: image, sample, frame, id of the row, the window ``y0, x0, y1, x1``
        in pixels, number of cells, and true where it is held out.

    Raises
    ------
    InputError
        No region is complete, a table or an image can't be used, or `output` is a folder with
        other content.

    Examples
    --------
    >>> regions = collect("results", "training")  # doctest: +SKIP
    >>> regions[["image", "cells", "is_held_out"]]  # doctest: +SKIP
    """
    own = None if corrections is None else Path(corrections)
    tables = {folder: corrections_table(folder, "cells", own) for folder in sample_folders(results)}
    by_folder = {folder: _regions(folder, table) for folder, table in tables.items()}
    regions = [region for found in by_folder.values() for region in found]
    if not regions:
        raise InputError(
            own or corrections_folder(results),
            found="no region that is complete",
            expected="rows `complete` in <sample>.cells.csv",
            remedy="correct the cells of a region in `cellsam-core view`, and mark it with G",
        )
    sides = iter(held_out(regions))
    rows: list[tuple[Any, ...]] = []
    with atomic_path(Path(output)) as folder:
        folder.mkdir()
        for sample, found in by_folder.items():
            rows += _write_sample(sample, tables[sample], [(r, next(sides)) for r in found], folder)
        listed = pd.DataFrame(rows, columns=list(COLUMNS))
        listed.to_csv(folder / LIST, index=False, lineterminator="\n")
    n_held = int(listed["is_held_out"].sum())
    log.info("%d regions, %d cells, %d held out", len(listed), listed["cells"].sum(), n_held)
    if not n_held:
        log.warning("all regions show one place: mark one elsewhere, to judge new weights by")
    return listed


def _regions(folder: Path, table: Path) -> list[TrainingRegion]:
    frames = folder / "1_preprocessed/frames.zarr"
    if not table.is_file() or not frames.is_dir():
        return []
    return regions_of(folder.name, read_cell_corrections(table), omezarr.open_(frames).shape_yx)


def _write_sample(
    sample: Path, table: Path, regions: Sequence[tuple[TrainingRegion, bool]], output: Path
) -> list[tuple[Any, ...]]:
    """Carry out the corrections of a sample and write its regions."""
    rows: list[tuple[Any, ...]] = []
    if not regions:
        return rows
    images = omezarr.open_(sample / "1_preprocessed/frames.zarr")
    masks = sample / "2_masks"
    with TemporaryDirectory(dir=output, prefix=".") as temporary:
        correct(masks / "masks.zarr", masks / "cells.parquet", table, temporary)
        labels = omezarr.open_(Path(temporary) / "masks.zarr")
        for region, is_held in regions:
            n_cells = _write_region(region, images, labels, output / (VALIDATION * is_held))
            y, x = region.pixels.window
            what = (f"{region.name}.ome.tif", region.sample, region.frame, region.id)
            rows.append((*what, y.start, x.start, y.stop, x.stop, n_cells, is_held))
    return rows


def _write_region(region: TrainingRegion, images: OmeZarr, labels: OmeZarr, folder: Path) -> int:
    """Write image and labels of a region; return the number of its cells."""
    folder.mkdir(exist_ok=True)
    mask = region.pixels.mask
    pixels = _window(images, region) * mask
    found = _window(labels, region)[0] * mask
    _write_channels(folder / f"{region.name}.ome.tif", pixels, images.channels)
    ids, numbers = np.unique(np.append(found.ravel(), 0), return_inverse=True)
    numbered = numbers[:-1].reshape(found.shape).astype(np.uint16 if len(ids) < 2**16 else "u4")
    tifffile.imwrite(folder / f"{region.name}_label.tif", numbered, compression="zlib")
    return len(ids) - 1


def _window(store: OmeZarr, region: TrainingRegion) -> NDArray[Any]:
    """Read the window of a region, ``(c, y, x)``."""
    first = (region.frame,) if "t" in store.axes else ()
    channels = (slice(None),) if "c" in store.axes else ()
    pixels = np.asarray(store.read((*first, *channels, *region.pixels.window)))
    return pixels if channels else pixels[None]


def _write_channels(path: Path, pixels: NDArray[Any], channels: tuple[str, ...]) -> None:
    """Write an OME-TIFF, which names its channels; the same pixels give the same bytes."""
    # Tifffile would give each file a random id.
    identity = uuid.UUID(hashlib.sha256(pixels.tobytes()).hexdigest()[:32])
    said = {"axes": "CYX", "Channel": {"Name": list(channels)}, "UUID": str(identity)}
    tifffile.imwrite(
        path, pixels, photometric="minisblack", compression="zlib", metadata=said, ome=True
    )
