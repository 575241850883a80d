"""Stage ``correct``: automatic masks and a user's table -> corrected masks and cell table."""

from __future__ import annotations

import logging
import shutil
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import zarr

from cellsam_core.corrections.cells_file import Scale, read_places, write_cells
from cellsam_core.corrections.cells_table import read_cell_corrections
from cellsam_core.corrections.plane import plane_of
from cellsam_core.corrections.replay import replay
from cellsam_core.corrections.table import checksum_of, refuse_changed
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.facts import read_facts
from cellsam_core.files.kept import keep_inputs
from cellsam_core.files.pyramid import halve_mode
from cellsam_core.files.tables import with_sample
from cellsam_core.labels.source import open_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.corrections.cells_table import CellCorrection
    from cellsam_core.corrections.plane import LabelPlane
    from cellsam_core.corrections.replay import Outcome
    from cellsam_core.files.omezarr import OmeZarr
    from cellsam_core.labels.source import LabelSource

log = logging.getLogger(__name__)
OUTCOME_COLUMNS = ("id", "row", "operation", "frame", "found", "label", "iou", "reason")


def correct(
    masks: str | Path, cells: str | Path, corrections: str | Path, output: str | Path
) -> tuple[LabelSource, pd.DataFrame]:
    r"""Put a user's corrections of cells on the masks.

    A correction names a cell by its outline. It is therefore found again after the images were
    segmented anew, if a cell has an intersection over union above 0.5 with the outline. Rows that
    find no cell are not carried out; they are listed as lost.

    Parameters
    ----------
    masks, cells
        Automatic ``masks.zarr`` and ``cells.parquet``.
    corrections
        Table of corrections of cells, see docs/corrections.md.
    output
        Folder for ``masks.zarr``, ``cells.parquet`` (with the column ``source``: auto or user) and
        ``corrections.csv``.

    Returns
    -------
    labels : LabelSource
        The opened ``masks.zarr``.
    outcomes : DataFrame
        One row for each correction: id, row, operation, frame, found (yes or no), label of the
        cell now (0 for none), IoU of outline and cell, and the reason if it was not found.

    Raises
    ------
    InputError
        A file can't be read, or a row can't be carried out on the masks that it was made for.

    Examples
    --------
    A cell of 8 x 8 px is deleted:

    >>> import numpy as np, tempfile
    >>> from pathlib import Path
    >>> import cellsam_core as cc
    >>> from cellsam_core.files import omezarr
    >>> from cellsam_core.labels.tiles import LabelArray, measure_cells
    >>> folder = Path(tempfile.mkdtemp())
    >>> labels = np.zeros((32, 32), np.uint32)
    >>> labels[4:12, 4:12], labels[20:28, 20:28] = 1, 2
    >>> store = omezarr.create(folder / "masks.zarr", shape=(32, 32), axes="yx", dtype="uint32")
    >>> store.array[:] = labels
    >>> measured = measure_cells(LabelArray(labels)).assign(frame=0)
    >>> measured.to_parquet(folder / "cells.parquet")
    >>> row = "operation,frame,anchor,outline,other\ndelete,0,4 3.5;11 3.5;11.5 11;4 11.5,,\n"
    >>> _ = (folder / "cells.csv").write_text(row)
    >>> found = [folder / name for name in ("masks.zarr", "cells.parquet", "cells.csv")]
    >>> corrected, outcomes = cc.correct(*found, folder / "corrected")
    >>> np.unique(corrected.frame(0)).tolist(), outcomes["found"].tolist()
    ([0, 2], ['yes'])
    """
    masks, cells, output = Path(masks), Path(cells), Path(output)
    written = "masks.zarr", "cells.parquet", "corrections.csv"
    keep_inputs(output, written, masks, cells, corrections)
    read = checksum_of(corrections)
    rows = read_cell_corrections(corrections)
    automatic = checksum_of(cells)
    opened = _open(masks)
    _refuse_frames(rows, opened.n_frames)
    with (
        atomic_path(output / "masks.zarr") as new_masks,
        atomic_path(output / "cells.parquet") as new_cells,
        atomic_path(output / "corrections.csv") as listed,
    ):
        # Without the times of the files: whoever shows the masks sees by them that they are new.
        shutil.copytree(masks, new_masks, copy_function=shutil.copyfile)
        # The last cell of a chunk may be deleted, and a chunk that is absent counts as lost.
        with zarr.config.set({"array.write_empty_chunks": True}):
            planes, outcomes = _replay_all(new_masks, opened, cells, rows, automatic)
        facts = read_facts(masks)
        write_cells(cells, new_cells, planes, Scale(opened.pixel_size_um, facts))
        table = with_sample(outcome_table(outcomes), facts.sample)
        table.to_csv(listed, index=False, float_format="%.3f", lineterminator="\n")
        refuse_changed(corrections, read)
    for done in outcomes:
        for note in done.notes:
            log.warning("%s: %s", done.correction.where, note)
    n_lost = int((table["found"] == "no").sum())
    log.info("%d corrections carried out, %d lost", len(table) - n_lost, n_lost)
    return open_labels(output / "masks.zarr"), table


def outcome_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """List what became of each correction; see :func:`correct`."""
    rows = [
        (
            o.correction.id,
            o.correction.number,
            o.correction.operation,
            o.correction.frame,
            "yes" if o.is_found else "no",
            o.label,
            o.iou,
            o.reason,
        )
        for o in outcomes
    ]
    return pd.DataFrame(rows, columns=list(OUTCOME_COLUMNS))


def _open(masks: Path) -> OmeZarr:
    opened = omezarr.open_(masks)
    if "c" in opened.axes:
        raise InputError(
            masks,
            found="an image with channels",
            expected="label images",
            remedy="give the masks.zarr that `cellsam-core stitch` wrote",
        )
    return opened


def _refuse_frames(rows: Sequence[CellCorrection], n_frames: int) -> None:
    for one in rows:
        if one.frame >= n_frames:
            raise InputError(
                one.where,
                found=f"frame {one.frame}",
                expected=f"a frame from 0 to {n_frames - 1}",
                remedy="correct or remove the row",
            )


def _replay_all(
    masks: Path, opened: OmeZarr, cells: Path, rows: Sequence[CellCorrection], automatic: str
) -> tuple[dict[int, LabelPlane], list[Outcome]]:
    """Correct a copy of the masks in place; frames without a row are not touched."""
    group = zarr.open_group(str(masks), mode="r+")
    by_frame: dict[int, list[CellCorrection]] = defaultdict(list)
    for one in rows:
        by_frame[one.frame].append(one)
    places = read_places(cells, by_frame)
    planes, outcomes = {}, []
    for frame in sorted(by_frame):
        index = (frame,) if "t" in opened.axes else ()
        plane = plane_of(group[opened.level_paths[0]], index, places[frame])
        outcomes += [replay(plane, one, automatic) for one in by_frame[frame]]
        for k in range(1, len(opened.level_paths)):
            _renew_level(group, opened.level_paths, k, plane)
        planes[frame] = plane
    return planes, sorted(outcomes, key=lambda o: o.correction.number)


def _renew_level(group: Any, paths: tuple[str, ...], k: int, plane: LabelPlane) -> None:
    """Draw the windows that were written at a level, from the level before."""
    finer, level = group[paths[k - 1]], group[paths[k]]
    step = 2**k
    for y0, x0, y1, x1 in plane.windows:
        rows, columns = (slice(low // step, -(-high // step)) for low, high in ((y0, y1), (x0, x1)))
        before = finer[
            (
                *plane.index,
                slice(2 * rows.start, 2 * rows.stop),
                slice(2 * columns.start, 2 * columns.stop),
            )
        ]
        level[(*plane.index, rows, columns)] = halve_mode(np.asarray(before))
