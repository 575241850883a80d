"""Actions on cells, written as rows of the table of corrections of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.corrections.cells_table import read_cell_corrections
from cellsam_core.corrections.outlines import fill, format_points, outline_of
from cellsam_core.corrections.plane import plane_of
from cellsam_core.corrections.replay import replay
from cellsam_core.errors import InputError
from cellsam_core.viewer.draft import Draft
from cellsam_core.viewer.places import mask_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.corrections.cells_table import CellCorrection
    from cellsam_core.corrections.plane import LabelPlane
    from cellsam_core.viewer.samples import Sample

    Points = NDArray[np.float64]

MAX_CORNERS = 2000
Row = dict[str, str]


def outline_of_cell(sample: Sample, frame: int, label: int) -> Points:
    """Trace a cell of the masks that are shown.

    Raises
    ------
    InputError
        There is no such cell.
    """
    cell = None
    if sample.movie is not None:
        cell = sample.movie.cell(frame, label)
    elif sample.tissue is not None:
        cell = sample.tissue.cell(label)
    labels = sample.labels
    if cell is None or labels is None:
        raise _refused(f"no cell {label} in frame {frame}", "a cell of the masks")
    mask, corner = mask_of(labels, frame, label, cell)
    return outline_of(mask, *corner)


def points_of(corners: object, sample: Sample, least: int) -> Points:
    """Check corners ``[[x, y], ...]`` that were sent; they are rounded to half pixels.

    Raises
    ------
    InputError
        They are no line or outline inside of the image.
    """
    import shapely

    try:
        points = np.asarray(corners, np.float64)
    except (TypeError, ValueError):
        points = np.zeros((0, 2))
    is_sound = points.ndim == 2 and points.shape[1:] == (2,) and np.isfinite(points).all()
    if not is_sound or not least <= len(points) <= MAX_CORNERS:
        raise _refused("no outline", f"{least} to {MAX_CORNERS} corners")
    height, width = sample.manifest.shape_yx
    points = np.clip(points, -0.5, np.array([width, height]) - 0.5)
    points = np.round(points * 2) / 2
    if least > 2 and not shapely.Polygon(points).is_valid:
        raise _refused("an outline that crosses itself", "a simple outline")
    return points


def try_rows(sample: Sample, path: Path, new: Collection[str]) -> list[str]:
    """Carry out the rows of the frames of new rows, as the workflow will; refuse what fails.

    Parameters
    ----------
    sample
        The sample.
    path
        Its table of corrections of cells, with the new rows.
    new
        Ids of the new rows.

    Returns
    -------
    list of str
        What the new rows do to other cells than those that they mean.

    Raises
    ------
    InputError
        A row can't be carried out.
    """
    rows = read_cell_corrections(path)
    notes: list[str] = []
    for frame in sorted({row.frame for row in rows if row.id in new}):
        plane = _plane(sample, frame)
        for one in rows:
            if one.frame != frame:
                continue
            outcome = replay(plane, one, sample.automatic_checksum)
            if one.id not in new:
                continue
            if not outcome.is_found:
                raise _refused(outcome.reason, "a correction that can be carried out")
            notes += outcome.notes
    return notes


def rows_that_need(
    sample: Sample, rows: Sequence[CellCorrection], gone: Sequence[CellCorrection]
) -> Iterator[tuple[int, str]]:
    """Find rows that can't be carried out once others are taken away.

    Parameters
    ----------
    sample
        The sample.
    rows
        All its corrections of cells.
    gone
        Those that are to be taken away.

    Yields
    ------
    tuple
        Number and operation of a row.
    """
    numbers = {row.number for row in gone}
    left = [row for row in rows if row.number not in numbers]
    for frame in sorted({row.frame for row in gone}):
        failed_before = _replayed(sample, frame, rows)[1]
        for one in _replayed(sample, frame, left)[1]:
            if one not in failed_before:
                yield one.number, one.operation


def cells_in_region(sample: Sample, rows: Sequence[CellCorrection], one: CellCorrection) -> int:
    """Count the cells in a region, once all corrections of its frame are carried out.

    Parameters
    ----------
    sample
        The sample.
    rows
        All its corrections of cells.
    one
        The correction ``complete`` of the region.
    """
    assert one.outline is not None
    plane, _ = _replayed(sample, one.frame, rows)
    region = fill(one.outline, plane.shape_yx)
    return len(set(np.unique(plane.read(region.window)[region.mask]).tolist()) - {0})


def _replayed(
    sample: Sample, frame: int, rows: Sequence[CellCorrection]
) -> tuple[LabelPlane, list[CellCorrection]]:
    """Carry out the rows of a frame in memory; return the labels, and the rows that fail."""
    plane, failed = _plane(sample, frame), []
    for one in rows:
        if one.frame != frame:
            continue
        try:
            is_found = replay(plane, one, sample.automatic_checksum).is_found
        except InputError:
            is_found = False
        if not is_found:
            failed.append(one)
    return plane, failed


def _plane(sample: Sample, frame: int) -> LabelPlane:
    labels = sample.automatic_labels
    return plane_of(Draft(labels, labels.index(frame)), (), sample.automatic_places(frame))


def row_of(sample: Sample, said: dict[str, Any], serial: int) -> Row:
    """Translate an action of the page into a row of the table of cells.

    Parameters
    ----------
    sample
        The sample.
    said
        ``operation``, ``frame``, and as the operation needs: ``label`` and ``other`` of cells,
        ``outline`` (corners x, y), ``cut`` (corners of a line), ``box`` (x0, y0, x1, y1).
    serial
        Number for a new cell.

    Raises
    ------
    InputError
        What the operation needs is missing or can't be used.
    """
    operation, frame = said["operation"], said["frame"]
    row = {"operation": operation, "frame": str(frame), "masks": sample.automatic_checksum}
    if operation in ("delete", "merge", "split", "redraw"):
        row["anchor"] = format_points(outline_of_cell(sample, frame, said["label"]))
    if operation == "merge":
        row["other"] = format_points(outline_of_cell(sample, frame, said["other"]))
    if operation == "split":
        row["other"] = format_points(points_of(said.get("cut"), sample, 2))
    if operation in ("add", "redraw", "complete"):
        points = points_of(said.get("outline"), sample, 3)
        if not fill(points, sample.manifest.shape_yx).area_px:
            raise _refused("an outline without a pixel", "an outline of a cell")
        row["outline"] = format_points(points)
    if operation in ("add", "split"):
        row["serial"] = str(serial)
    if "box" in said:
        row["box"] = " ".join(
            f"{round(2 * v) / 2:g}"
            for v in points_of([said["box"][:2], said["box"][2:]], sample, 2).ravel()
        )
        row["weights"] = str(said.get("weights", ""))
    return row


def _refused(found: str, expected: str) -> InputError:
    return InputError("correction", found=found, expected=expected, remedy="draw it again")
