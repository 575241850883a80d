"""Answers to requests that change the user's table of corrections."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from cellsam_core.tracking.corrections_table import read_corrections
from cellsam_core.viewer import requests, track_edits
from cellsam_core.viewer.edit_table import EditTable, Row

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from cellsam_core.viewer.samples import Library, Sample

SOURCES = ("image", "queue", "lineage")
MAX_NOTE = 500
MAX_NUMBER = 2**31 - 1


class Editing:
    """Answers that append to and remove from ``corrections/<sample>.tracks.csv``.

    Parameters
    ----------
    library
        The samples.
    folder
        Folder of the tables of corrections.
    is_read_only
        True refuses every change.
    """

    def __init__(self, library: Library, folder: Path, *, is_read_only: bool) -> None:
        self._library = library
        self._folder = folder
        self._is_read_only = is_read_only

    def table_of(self, sample: Sample) -> EditTable:
        """Return the table of corrections of the tracks of a sample."""
        path = self._folder / f"{sample.name}.tracks.csv"
        return EditTable(path, track_edits.COLUMNS, read_corrections)

    def list_rows(self, request: Request) -> Response:
        """Answer with all rows and the checksum of the table."""
        sample = requests.sample_of(request, self._library)
        return JSONResponse(self._listed(sample))

    def _listed(self, sample: Sample) -> dict[str, Any]:
        table = self.table_of(sample)
        made_s = sample.tracked_at_s
        found = [record.values for record in table.records()]
        rows = [row | {"waiting": _waits(row, made_s)} for row in found]
        return {
            "rows": rows,
            "seen": table.checksum(),
            "file": f"{self._folder.name}/{table.path.name}",
            "read_only": self._is_read_only,
        }

    def append(self, request: Request) -> Response:
        """Write the rows of one action, or of one that was taken back."""
        sample = requests.sample_of(request, self._library)
        self._refuse_reading()
        said = requests.body(request)
        table = self.table_of(sample)
        seen = str(said.get("seen", ""))
        if "again" in said:
            rows: list[dict[str, Any]] = [
                _checked_row(row) for row in requests.items(said, "again")
            ]
        else:
            action = said.get("action")
            if action not in (*track_edits.ONE, *track_edits.TWO):
                raise HTTPException(422, "action is none of the list.")
            source = said.get("source", "image")
            if source not in SOURCES:
                raise HTTPException(422, "source is none of the list.")
            objects = [_object(item) for item in requests.items(said, "objects")]
            rows = track_edits.rows_of(sample, action, objects, source)
            note = said.get("note", "")
            if note:
                rows[0]["note"] = str(note)[:MAX_NOTE]
        written = table.append(seen, rows)
        return JSONResponse({"written": written, **self._listed(sample)})

    def remove(self, request: Request) -> Response:
        """Remove a row and those of the same action."""
        sample = requests.sample_of(request, self._library)
        self._refuse_reading()
        seen = str(requests.body(request).get("seen", ""))
        removed = self.table_of(sample).remove(seen, request.path_params["key"])
        return JSONResponse({"removed": removed, **self._listed(sample)})

    def _refuse_reading(self) -> None:
        if self._is_read_only:
            raise HTTPException(403, "The page was started with --read-only.")


def _object(item: object) -> tuple[int, int]:
    if not isinstance(item, list) or len(item) != 2:
        raise HTTPException(422, "objects is no list of [frame, label].")
    for value in item:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
            raise HTTPException(422, "objects is no list of [frame, label].")
    return item[0], item[1]


def _checked_row(row: object) -> Row:
    """Accept a row that `remove` gave, so that it can be written back."""
    if not isinstance(row, dict) or not set(row) <= set(track_edits.COLUMNS):
        raise HTTPException(422, "again is no list of rows.")
    if not all(isinstance(v, str) and len(v) <= MAX_NOTE for v in row.values()):
        raise HTTPException(422, "again is no list of rows.")
    return {str(k): v for k, v in row.items()}


def _waits(row: Row, made_s: float) -> bool:
    """Tell whether a row was written after the tracks were made."""
    try:
        return datetime.fromisoformat(row.get("time", "")).timestamp() > made_s
    except ValueError:
        return False
