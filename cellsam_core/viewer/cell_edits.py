"""Actions on cells, written as rows of the table of corrections of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.corrections.cells_table import CellCorrection, read_cell_corrections
from cellsam_core.corrections.outlines import fill, format_points, outline_of
from cellsam_core.corrections.stage import correct_labels
from cellsam_core.errors import InputError
from cellsam_core.viewer.places import mask_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.viewer.samples import Sample

    Points = NDArray[np.float64]

MAX_CORNERS = 2000
AROUND_PX = 64
"""Pixels around a correction that its trial looks at."""
MAX_TRIAL_PX = 4096
Row = dict[str, str]
Window = tuple[tuple[int, int], tuple[int, int]]
"""First pixel and size (y, x)."""


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


def try_row(sample: Sample, path: Path, row: Row) -> None:
    """Carry out a new row on the labels around it, as the workflow will; refuse what fails.

    Raises
    ------
    InputError
        The row can't be carried out.
    """
    rows = read_cell_corrections(path)
    one = next(r for r in rows if r.id == row["id"])
    window = _window(one, sample.automatic_labels.shape_yx)
    above = rows[: rows.index(one)]
    part = _replayed(sample, above, one.frame, window)
    if part is None:
        return
    shifted = _shifted(one, window[0][1], window[0][0])
    try:
        _, outcomes = correct_labels(part, [shifted], sample.automatic_checksum)
    except InputError as error:
        before = _replayed(sample, (), one.frame, window)
        assert before is not None
        correct_labels(before, [shifted], sample.automatic_checksum)
        raise InputError(
            "correction",
            found="a cell that another correction has changed already",
            expected="a cell as it is in the masks",
            remedy="take the other correction back, or run the workflow first",
        ) from error
    if not outcomes[0].is_found:
        raise _refused(outcomes[0].reason, "a correction that can be carried out")


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
    for k, one in enumerate(rows):
        window = _window(one, sample.automatic_labels.shape_yx)
        near = [g for g in gone if g.frame == one.frame and _meets(g, window)]
        if one.number in numbers or not near:
            continue
        with_all, without = rows[:k], [r for r in rows[:k] if r.number not in numbers]
        if _works(sample, with_all, one) and not _works(sample, without, one):
            yield one.number, one.operation


def _works(sample: Sample, above: Sequence[CellCorrection], one: CellCorrection) -> bool:
    """Tell whether a row finds its cell after the rows above it."""
    window = _window(one, sample.automatic_labels.shape_yx)
    part = _replayed(sample, above, one.frame, window)
    if part is None:
        return True
    try:
        shifted = _shifted(one, window[0][1], window[0][0])
        _, outcomes = correct_labels(part, [shifted], sample.automatic_checksum)
    except InputError:
        return False
    return outcomes[0].is_found


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
    window = _window(one, sample.automatic_labels.shape_yx)
    part = _replayed(sample, rows, one.frame, window)
    if part is None or one.outline is None:
        return 0
    region = fill(one.outline - np.array([window[0][1], window[0][0]]), part.shape)
    found = np.unique(part[region.window][region.mask])
    return int(np.count_nonzero(found))


def _replayed(
    sample: Sample, rows: Sequence[CellCorrection], frame: int, window: Window
) -> NDArray[Any] | None:
    """Carry out corrections in a window of a frame; None where it can't be read at once."""
    labels = sample.automatic_labels
    (y0, x0), shape = window
    part: NDArray[Any] | None = labels.read(0, labels.index(frame), (y0, x0), shape)
    for one in rows:
        if part is None or one.frame != frame or not _meets(one, window):
            continue
        try:
            part, _ = correct_labels(part, [_shifted(one, x0, y0)], sample.automatic_checksum)
        except InputError:
            continue  # its cell may reach out of the window
    return part


def _window(one: CellCorrection, shape_yx: tuple[int, int]) -> Window:
    corners = np.concatenate([p for p in (one.outline, one.anchor, one.other) if p is not None])
    low = np.maximum(0, np.floor(corners.min(axis=0)[::-1]).astype(int) - AROUND_PX)
    high = np.ceil(corners.max(axis=0)[::-1]).astype(int) + AROUND_PX
    high = np.minimum(np.minimum(high, low + MAX_TRIAL_PX), shape_yx)
    size = high - low
    return (int(low[0]), int(low[1])), (int(size[0]), int(size[1]))


def _meets(other: CellCorrection, window: Window) -> bool:
    (y0, x0), (height, width) = window
    found = [p for p in (other.outline, other.anchor, other.other) if p is not None]
    corners = np.concatenate(found)
    low, high = corners.min(axis=0), corners.max(axis=0)
    return bool(low[0] < x0 + width and high[0] > x0 and low[1] < y0 + height and high[1] > y0)


def _shifted(one: CellCorrection, x0: int, y0: int) -> CellCorrection:
    from dataclasses import replace

    by = np.array([x0, y0], float)
    names = ("outline", "anchor", "other")
    moved = {n: getattr(one, n) - by for n in names if getattr(one, n) is not None}
    return replace(one, **moved)


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
