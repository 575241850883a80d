"""Stage ``pair``: labels of cells and labels of nuclei -> nuclei with the numbers of cells."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import zarr

from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.facts import Facts, read_facts, write_facts
from cellsam_core.files.kept import keep_inputs
from cellsam_core.files.omezarr_arrays import CHUNK_PX
from cellsam_core.files.parquet import described_table, parquet_writer
from cellsam_core.files.pyramid import PyramidWriter
from cellsam_core.files.tables import with_sample
from cellsam_core.labels.image import refuse_beyond_32_bits
from cellsam_core.labels.masks import refuse_mask
from cellsam_core.labels.shared_pixels import count_shared_pixels
from cellsam_core.labels.source import open_labels
from cellsam_core.nuclei.columns import CELLS, NUCLEI
from cellsam_core.nuclei.options import PairOptions
from cellsam_core.nuclei.pairs import Pairs, draw_pairs, pair
from cellsam_core.options import options_of, refuse_no_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.labels.source import LabelSource

log = logging.getLogger(__name__)
DEFAULTS = PairOptions()


def pair_nuclei(
    cells: NDArray[Any] | str | Path,
    nuclei: NDArray[Any] | str | Path,
    output: str | Path | None = None,
    options: PairOptions = DEFAULTS,
) -> tuple[NDArray[np.uint32] | LabelSource, pd.DataFrame, pd.DataFrame]:
    """Give nuclei to cells, and draw each nucleus with the number of its cell.

    A nucleus belongs to the cell that holds half of it or more. A cell may have several nuclei;
    then all have its number. Nuclei without cell and cells without nucleus are listed, unless the
    options leave the former out.

    Parameters
    ----------
    cells, nuclei
        Labels ``(y, x)``, or ``(t, y, x)`` of a movie, 0 = background, of equal shape; or the
        paths of two ``masks.zarr``.
    output
        Folder for ``masks.zarr``, ``nuclei.parquet`` and ``cells.parquet``, if paths are given.
        Without it, the labels are returned in memory.
    options
        Fate of nuclei without cell.

    Returns
    -------
    paired : ndarray of uint32, or LabelSource
        Labels of the nuclei with the numbers of their cells, of the shape of the input. With
        `output`, the opened ``masks.zarr``.
    nuclei : DataFrame
        One row for each nucleus of each frame: frame, nucleus_id, cell_id (0 for none), area_px,
        area_um2, area_in_cell_px, share_in_cell, is_primary and state.
    cells : DataFrame
        One row for each cell of each frame: frame, label, n_nuclei, nucleus_area_px,
        nucleus_area_um2, nucleus_share, nucleus_split and nucleus_state (none, one, several).

    Raises
    ------
    InputError
        The labels differ in shape, or a file can't be read.

    Examples
    --------
    >>> import numpy as np
    >>> import cellsam_core as cc
    >>> cells, nuclei = np.zeros((2, 20, 40), np.uint32)
    >>> cells[2:18, 2:18], cells[2:18, 22:38] = 1, 2
    >>> nuclei[6:12, 6:12] = 9
    >>> paired, found, table = cc.pair_nuclei(cells, nuclei)
    >>> int(paired.max()), found["cell_id"].tolist(), table["nucleus_state"].tolist()
    (1, [1], ['one', 'none'])
    """
    refuse_no_path(output)
    options = options_of(PairOptions, options)
    cell_labels, nucleus_labels = _open(cells, "cells"), _open(nuclei, "nuclei")
    _refuse_other_shape(cell_labels, nucleus_labels)
    if output is None:
        return _in_memory(cell_labels, nucleus_labels, options)
    store = cell_labels.store
    if store is None:
        raise InputError(
            "argument `output`",
            found="a folder beside arrays",
            expected="paths of label images, whose scale is written",
            remedy="leave `output` out, or give two masks.zarr",
        )
    folder = Path(output)
    keep_inputs(folder, ("masks.zarr", "nuclei.parquet", "cells.parquet"), cells, nuclei)
    _write(folder, cell_labels, nucleus_labels, store, options)
    nuclei_table, cell_table = (
        pd.read_parquet(folder / f"{n}.parquet") for n in ("nuclei", "cells")
    )
    return open_labels(folder / "masks.zarr"), nuclei_table, cell_table


@dataclass(frozen=True)
class _Labels:
    """Labels in memory or in a Zarr, read by windows of frames."""

    where: str
    shape: tuple[int, ...]
    array: Any
    store: OmeZarr | None = None

    @property
    def n_frames(self) -> int:
        return self.shape[0] if len(self.shape) == 3 else 1

    @property
    def pixel_size_um(self) -> float | None:
        return None if self.store is None else self.store.pixel_size_um

    def read(self, frame: int, rows: slice, columns: slice) -> NDArray[Any]:
        index = (frame, rows, columns) if len(self.shape) == 3 else (rows, columns)
        window = np.asarray(self.array[index])
        refuse_beyond_32_bits(self.where, window)
        return window


def _open(labels: NDArray[Any] | str | Path, where: str) -> _Labels:
    if isinstance(labels, str | Path):
        store = omezarr.open_(labels)
        if store.array.dtype.kind not in "ui":
            raise _no_labels(str(labels), store.array)
        return _Labels(str(labels), tuple(store.array.shape), store.array, store)
    array = np.asarray(labels)
    if array.ndim not in (2, 3) or array.dtype.kind not in "ui":
        raise _no_labels(f"argument `{where}`", array)
    movie = array if array.ndim == 3 else array[None]
    for index, plane in enumerate(movie):
        refuse_mask(f"argument `{where}`", plane, index if len(movie) > 1 else None)
    return _Labels(f"argument `{where}`", array.shape, array)


def _no_labels(where: str, array: Any) -> InputError:
    return InputError(
        where,
        found=f"an array of shape {array.shape} and type {array.dtype}",
        expected="whole numbers (y, x) or (t, y, x), 0 = background",
        remedy="give the labels that `segment` returns",
    )


def _refuse_other_shape(cells: _Labels, nuclei: _Labels) -> None:
    if cells.shape != nuclei.shape or len(cells.shape) not in (2, 3):
        raise InputError(
            nuclei.where,
            found=f"labels of shape {nuclei.shape}",
            expected=f"the shape of the cells, {cells.shape}",
            remedy="give nuclei and cells of one sample",
        )


def _pair_frame(cells: _Labels, nuclei: _Labels, frame: int) -> Pairs:
    height, width = cells.shape[-2:]

    def read(labels: _Labels) -> Any:
        return lambda rows, columns: labels.read(frame, rows, columns)

    return pair(count_shared_pixels(read(nuclei), read(cells), (height, width)))


def _bands(
    cells: _Labels, nuclei: _Labels, frame: int, pairs: Pairs
) -> Iterator[tuple[int, NDArray[np.uint32]]]:
    """Yield the drawn nuclei of a frame by bands of rows."""
    height, width = cells.shape[-2:]
    for y0 in range(0, height, CHUNK_PX):
        window = slice(y0, min(height, y0 + CHUNK_PX)), slice(0, width)
        yield y0, draw_pairs(nuclei.read(frame, *window), cells.read(frame, *window), pairs)


def _listed(pairs: Pairs, options: PairOptions) -> Pairs:
    """Leave out nuclei without cell, if the options say so."""
    if options.orphan_nuclei == "keep":
        return pairs
    inside = pairs.nuclei[pairs.nuclei["cell_id"] > 0].reset_index(drop=True)
    return pairs._replace(nuclei=inside)


def _described(
    pairs: Pairs, frame: int, cells: _Labels, sample: str = ""
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add frame, areas in um2 and the sample to the tables of a frame."""
    um2 = np.nan if cells.pixel_size_um is None else cells.pixel_size_um**2
    tables = []
    for table, area in ((pairs.nuclei, "area_px"), (pairs.cells, "nucleus_area_px")):
        table = table.copy()
        table.insert(0, "frame", np.full(len(table), frame, np.int32))
        place = list(table).index(area) + 1
        table.insert(place, area.replace("_px", "_um2"), table[area] * um2)
        tables.append(with_sample(table, sample))
    return tables[0], tables[1]


def _in_memory(
    cells: _Labels, nuclei: _Labels, options: PairOptions
) -> tuple[NDArray[np.uint32], pd.DataFrame, pd.DataFrame]:
    """Draw the nuclei of all frames into one array."""
    paired = np.zeros(cells.shape, np.uint32)
    tables = []
    for frame in range(cells.n_frames):
        pairs = _pair_frame(cells, nuclei, frame)
        plane = paired[frame] if paired.ndim == 3 else paired
        for y0, rows in _bands(cells, nuclei, frame, pairs):
            plane[y0 : y0 + len(rows)] = rows
        tables.append(_described(_listed(pairs, options), frame, cells))
    found, holders = (pd.concat([t[k] for t in tables], ignore_index=True) for k in (0, 1))
    return paired, found, holders


def _write(
    folder: Path, cells: _Labels, nuclei: _Labels, store: OmeZarr, options: PairOptions
) -> None:
    """Write the folder of the nuclei; one band of a frame is in memory at a time."""
    facts = read_facts(store.path)
    with (
        atomic_path(folder / "masks.zarr") as masks_path,
        atomic_path(folder / "nuclei.parquet") as nuclei_path,
        atomic_path(folder / "cells.parquet") as cells_path,
        ExitStack() as stack,
    ):
        pyramid = stack.enter_context(PyramidWriter(_create(masks_path, store, nuclei, facts)))
        writers: list[Any] = []
        n_nuclei = n_orphans = n_empty = 0
        for frame in range(cells.n_frames):
            pairs = _pair_frame(cells, nuclei, frame)
            plane = (frame,) if len(cells.shape) == 3 else ()
            for y0, rows in _bands(cells, nuclei, frame, pairs):
                pyramid.write(plane, y0, rows)
            tables = _described(_listed(pairs, options), frame, cells, facts.sample)
            arrow = [described_table(t, o) for t, o in zip(tables, (NUCLEI, CELLS), strict=True)]
            for path, table in zip((nuclei_path, cells_path), arrow, strict=True):
                if len(writers) < len(arrow):
                    writers.append(stack.enter_context(parquet_writer(path, table.schema)))
            for writer, table in zip(writers, arrow, strict=True):
                writer.write_table(table)
            n_nuclei += len(pairs.nuclei)
            n_orphans += int((pairs.nuclei["cell_id"] == 0).sum())
            n_empty += int((tables[1]["n_nuclei"] == 0).sum())
    left_out = " and left out" if options.orphan_nuclei == "drop" else ""
    log.info(
        "%d nuclei, %d of them in no cell%s; %d cells without nucleus",
        n_nuclei,
        n_orphans,
        left_out,
        n_empty,
    )


def _create(path: Path, cells: OmeZarr, nuclei: _Labels, facts: Facts) -> OmeZarr:
    """Create the empty label images, with the scale of the cells and the record of the nuclei."""
    store = omezarr.create(
        path,
        shape=tuple(cells.array.shape),
        axes=cells.axes,
        dtype="uint32",
        pixel_size_um=cells.pixel_size_um,
        frame_interval_s=cells.frame_interval_s,
        version=cells.ome_zarr,
    )
    write_facts(path, facts)
    record = zarr.open_group(nuclei.where, mode="r").attrs.get("cellsam")
    if record:
        zarr.open_group(str(path)).attrs["cellsam"] = record
    return store
