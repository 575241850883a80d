"""Answers to requests that change the user's tables of corrections."""

from __future__ import annotations

import os
import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from cellsam_core.corrections.cells_table import CELL_COLUMNS, read_cell_corrections
from cellsam_core.corrections.outlines import outline_of
from cellsam_core.corrections.table import append_rows, checksum_of, read_rows, remove_rows
from cellsam_core.errors import InputError
from cellsam_core.tracking.anchors import refuse_on
from cellsam_core.tracking.corrections_table import COLUMNS as TRACK_COLUMNS
from cellsam_core.tracking.corrections_table import read_corrections
from cellsam_core.viewer import cell_edits, requests, track_edits
from cellsam_core.viewer.fates import compared

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from starlette.requests import Request

    from cellsam_core.viewer.prompts import Prompter
    from cellsam_core.viewer.samples import Library, Sample

SOURCES = ("image", "queue", "lineage")
CELL_OPERATIONS = ("add", "delete", "merge", "split", "redraw", "complete")
MAX_TEXT = 100_000
MAX_NOTE = 500
MAX_BOXES = 64
READ_ONLY = "The page was started with --read-only."
LOST_TABLE = (
    "No correction can be written, because the table {} is not there, which the sample sheet named"
    " in the last run. Put it back, or run the workflow again."
)
NO_MASKS = "There are no masks to correct yet: run the workflow first."
OTHER_MASKS = "The tracks belong to other masks than those that are shown: run the workflow again."
FORMULA = ("=", "+", "-", "@")
"""Beginnings of a note that a spreadsheet would take for a formula."""
Row = dict[str, str]


@dataclass(frozen=True)
class Kind:
    """One of the two tables of a sample.

    Attributes
    ----------
    name
        ``tracks`` or ``cells``.
    columns
        Columns of a new table.
    by_hand
        Columns that tell a row without an id.
    check
        Function of a sample, the path of a table and the ids of its new rows that raises
        InputError if the workflow can't carry them out. It returns what the user may not expect.
    """

    name: str
    columns: Sequence[str]
    by_hand: Sequence[str]
    check: Callable[[Sample, Path, Collection[str]], list[str]]


def _check_tracks(sample: Sample, path: Path, new: Collection[str]) -> list[str]:
    refuse_on(sample.masks_checksum, read_corrections(path))
    return []


KINDS = {
    "tracks": Kind("tracks", track_edits.COLUMNS, TRACK_COLUMNS, _check_tracks),
    "cells": Kind("cells", CELL_COLUMNS, ("operation", "frame"), cell_edits.try_rows),
}


class Editing:
    """Answers that add rows to the tables of tracks and of cells.

    Parameters
    ----------
    library
        The samples.
    prompter
        Model that draws cells in boxes.
    is_read_only
        True refuses every change.
    """

    def __init__(self, library: Library, prompter: Prompter, *, is_read_only: bool) -> None:
        self._library = library
        self._prompter = prompter
        self._is_read_only = is_read_only

    def list_rows(self, request: Request) -> Response:
        """Answer with all rows and the checksums of both tables."""
        return JSONResponse(self._listed(requests.sample_of(request, self._library)))

    def _listed(self, sample: Sample) -> dict[str, Any]:
        locked = self._why_locked(sample)
        listed: dict[str, Any] = {"read_only": bool(locked), "locked": locked}
        listed |= {"seen": {}, "rows": {}, "taken_back": {}, "tables": []}
        listed["knows_tables"] = sample.knows_tables
        for name, kind in KINDS.items():
            path = sample.tables[name]
            if name == "cells" or sample.results.is_movie:
                listed["tables"].append(f"{path.parent.name}/{path.name}")
            rows = [row.values for row in read_rows(path, ()).rows]
            fates, taken_back = compared(rows, sample.outcomes(name), kind.by_hand)
            listed["rows"][name] = [row | fate for row, fate in zip(rows, fates, strict=True)]
            listed["taken_back"][name] = taken_back
            listed["seen"][name] = checksum_of(path)
        return listed

    def seen(self, request: Request) -> Response:
        """Answer with the checksums of both tables, which tell whether they were changed."""
        sample = requests.sample_of(request, self._library)
        return JSONResponse({name: checksum_of(sample.tables[name]) for name in KINDS})

    def append(self, request: Request) -> Response:
        """Write the rows of one action, or of one that was taken back."""
        sample = requests.sample_of(request, self._library)
        self._refuse_locked(sample)
        if sample.labels is None:
            raise HTTPException(409, NO_MASKS)
        kind = _kind(request)
        said = requests.body(request)
        path = sample.tables[kind.name]
        seen = str(said.get("seen", ""))
        if "again" in said:
            rows = [_checked_row(row, kind) for row in requests.items(said, "again")]
        elif kind.name == "tracks":
            rows = self._track_rows(sample, said)
        else:
            serial = read_rows(path, ()).next_serial()
            checked = _checked_cell(sample, said)
            if "box" in checked:
                checked["weights"] = self._prompter.checksum(sample)
            rows = [cell_edits.row_of(sample, checked, serial)]
        rows = _stamped(rows)
        new = {row["id"] for row in rows}
        notes: list[str] = []

        def check(table: Path) -> None:
            notes.extend(kind.check(sample, table, new))

        n_old = len(read_rows(path, ()).pieces)
        try:
            append_rows(path, kind.columns, rows, seen=seen, check=check)
        except InputError as error:
            raise _for_the_page(error, path, n_old) from error
        return JSONResponse({"written": rows, "notes": notes, **self._listed(sample)})

    def _track_rows(self, sample: Sample, said: dict[str, Any]) -> list[Row]:
        action, source = said.get("action"), said.get("source", "image")
        if action not in (*track_edits.ONE, *track_edits.TWO):
            raise HTTPException(422, "action is none of the list.")
        if source not in SOURCES:
            raise HTTPException(422, "source is none of the list.")
        if sample.movie is not None and not sample.movie.fits:
            raise HTTPException(409, OTHER_MASKS)
        objects = [_object(item) for item in requests.items(said, "objects")]
        rows = track_edits.rows_of(sample, action, objects, source)
        return [{name: _as_text(value) for name, value in row.items()} for row in rows]

    def remove(self, request: Request) -> Response:
        """Remove a row and those of the same action."""
        sample = requests.sample_of(request, self._library)
        self._refuse_locked(sample)
        kind = _kind(request)
        path = sample.tables[kind.name]
        key = request.path_params["key"]
        rows = [row.values for row in read_rows(path, ()).rows]
        own = [row for row in rows if row.get("id") == key]
        group = own[0].get("group") if own else None
        gone = [row for row in rows if row in own or (group and row.get("group") == group)]
        ids = [row["id"] for row in gone] or [key]
        seen = str(requests.body(request).get("seen", ""))
        remove_rows(path, ids, seen=seen, check=lambda _: _refuse_needed(kind, sample, path, ids))
        return JSONResponse({"removed": gone, **self._listed(sample)})

    def start_model(self, request: Request) -> Response:
        """Begin to load the model; answer with its state."""
        sample = requests.sample_of(request, self._library)
        return JSONResponse(self._prompter.start(sample))

    def prompt(self, request: Request) -> Response:
        """Draw the cells in boxes; nothing is written."""
        sample = requests.sample_of(request, self._library)
        said = requests.body(request)
        frame = requests.whole(said, "t", sample.manifest.n_frames)
        began = time.perf_counter()
        cells: list[dict[str, Any] | None] = []
        for item in requests.items(said, "boxes", MAX_BOXES):
            box = requests.box(item, sample.manifest.shape_yx)
            one = self._prompter.draw(sample, frame, box)
            cells.append(
                None
                if one is None
                else {
                    "outline": outline_of(one.mask, one.y0, one.x0).tolist(),
                    "score": float(one.score),
                    "predicted_iou": float(one.predicted_iou),
                }
            )
        took = 1000 * (time.perf_counter() - began)
        weights = self._prompter.weights_of(sample)
        return JSONResponse({"cells": cells, "ms": round(took, 1), "weights": weights})

    def _why_locked(self, sample: Sample) -> str:
        """Return a sentence if no correction can be written; empty if it can."""
        if self._is_read_only:
            return READ_ONLY
        if sample.lost_table is not None:
            return LOST_TABLE.format(sample.lost_table)
        folders = {path.parent for path in sample.tables.values()}
        return " ".join(filter(None, map(_why_not_writable, folders)))

    def _refuse_locked(self, sample: Sample) -> None:
        locked = self._why_locked(sample)
        if locked:
            raise HTTPException(403, locked)


def _kind(request: Request) -> Kind:
    kind = KINDS.get(request.path_params["table"])
    if kind is None:
        raise HTTPException(404, "There is no such table.")
    return kind


def _refuse_needed(kind: Kind, sample: Sample, path: Path, ids: Sequence[str]) -> None:
    """Refuse to remove rows of cells that others need; rows of tracks need no other."""
    if kind.name != "cells":
        return
    before = read_cell_corrections(path)
    gone = [row for row in before if row.id in ids]
    for number, operation in cell_edits.rows_that_need(sample, before, gone):
        raise InputError(
            path,
            found=f"that row {number} ({operation}) corrects the cell that this row made",
            expected="a row that no other row needs",
            remedy="remove that row first",
        )


def _why_not_writable(folder: Path) -> str:
    """Return a sentence if the tables can't be written; empty if they can."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if there.is_dir() and os.access(there, os.W_OK):
        return ""
    return (
        f"No correction can be written, because the folder {folder} can't be."
        " To correct, start the page with --corrections and a folder of your own."
    )


def _for_the_page(error: InputError, path: Path, n_old: int) -> Exception:
    """Leave out the row of a refused correction, which was not written, but name an older one."""
    row = re.match(re.escape(f"{path}, row ") + r"(\d+): ", str(error))
    if row is None:
        return error
    sentence = str(error).partition("; ")[0]
    if int(row[1]) > n_old:
        sentence = sentence[row.end() :]
    return HTTPException(409, f"Nothing was written: {sentence.replace(f'{path}, ', '')}.")


def _stamped(rows: Sequence[Row]) -> list[Row]:
    """Give rows of one action ids, a group and the time, where they have none."""
    group = secrets.token_hex(4)
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return [{"id": secrets.token_hex(4), "group": group, "time": now} | row for row in rows]


def _object(item: object) -> tuple[int, int]:
    if not isinstance(item, list) or len(item) != 2:
        raise HTTPException(422, "objects is no list of [frame, label].")
    frame, label = (requests.as_whole(value, "objects") for value in item)
    return frame, label


def _checked_cell(sample: Sample, said: dict[str, Any]) -> dict[str, Any]:
    """Check the kinds of what an action on cells needs."""
    operation = said.get("operation")
    if operation not in CELL_OPERATIONS:
        raise HTTPException(422, "operation is none of the list.")
    checked = {"operation": operation}
    checked["frame"] = requests.whole(said, "frame", sample.manifest.n_frames)
    needs_label = operation in ("delete", "merge", "split", "redraw")
    for name in (("label",) if needs_label else ()) + (("other",) if operation == "merge" else ()):
        checked[name] = requests.whole(said, name, requests.MAX_NUMBER)
    for name in ("outline", "cut"):
        if name in said:
            checked[name] = requests.items(said, name, cell_edits.MAX_CORNERS)
    if "box" in said:
        checked["box"] = requests.box(said["box"], sample.manifest.shape_yx)
    source = said.get("source", "image")
    if source not in SOURCES:
        raise HTTPException(422, "source is none of the list.")
    return checked | {"source": source}


def _checked_row(row: object, kind: Kind) -> Row:
    """Accept a row that `remove` gave, so that it can be written back."""
    if not isinstance(row, dict) or not set(row) <= {*kind.columns}:
        raise HTTPException(422, "again is no list of rows.")
    if not all(isinstance(v, str) and len(v) <= MAX_TEXT for v in row.values()):
        raise HTTPException(422, "again is no list of rows.")
    return {str(k): _as_text(v) for k, v in row.items()}


def _as_text(value: object) -> str:
    """Write a value so that no spreadsheet runs it and no line breaks."""
    if value is None:
        return ""
    text = " ".join(str(value).split())
    return f"'{text}" if text.startswith(FORMULA) and not text[1:2].isdigit() else text
