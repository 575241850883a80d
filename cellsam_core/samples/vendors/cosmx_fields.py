"""NanoString CosMx: where the fields of view of an export lie on one image.

The table of transcripts gives each place twice, in pixels of its field and of the slide: their
difference is the place of the field. Fields are laid out with rows downwards, as their images have
them; the slide's y may point up or down, and its x to the right or the left.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from cellsam_core.errors import InputError
from cellsam_core.files.tables import refuse_repeated, table_errors
from cellsam_core.samples.manifest import Fields
from cellsam_core.samples.placement import refuse_scattered
from cellsam_core.samples.table_rows import column_names, iter_columns
from cellsam_core.samples.vendors.contract import FieldMosaic

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellsam_core.files.plane import Plane

FOV = "fov"
LOCAL = ("x_local_px", "y_local_px")
GLOBAL = ("x_global_px", "y_global_px")
POSITIONS = re.compile(r".*fov_positions_file\.csv(\.gz)?")
TOLERANCE_PX = 2.0  # the slide's pixels are often rounded to seven digits
MAX_OVERLAP = 0.5  # of a field's side


class Offsets(NamedTuple):
    """Places of fields on the slide.

    Attributes
    ----------
    xy
        Pixels ``(x, y)`` of the slide at which each field's first pixel lies, by its number; the
        fields with transcripts first.
    signs
        For x and y, 1 where the slide's axis runs like that of the images, else -1.
    """

    xy: dict[int, tuple[float, float]]
    signs: tuple[int, int]

    def turned(self, mirror: Sequence[float | None]) -> Offsets:
        """Give the places for images that are mirrored; see `TranscriptSource`."""
        step_x, step_y = (s * (total or 0.0) for s, total in zip(self.signs, mirror, strict=True))
        sign_x, sign_y = (
            s if total is None else -s for s, total in zip(self.signs, mirror, strict=True)
        )
        xy = {number: (x + step_x, y + step_y) for number, (x, y) in self.xy.items()}
        return Offsets(xy, (sign_x, sign_y))


def measure_offsets(table: Path) -> Offsets:
    """Find the place of each field that has transcripts.

    Raises
    ------
    InputError
        The table lacks a column, or the rows of a field do not agree on one place.
    """
    missing = [name for name in (*LOCAL, *GLOBAL) if name not in column_names(table)]
    if missing:
        raise InputError(
            table,
            found=f"several fields of view and no column {missing[0]}",
            expected=f"{', '.join((*LOCAL, *GLOBAL))}, to place the fields",
            remedy="export the table with them, or name one field in the column fov of the sample "
            "sheet, one row for each that you want",
        )
    lows, highs = [], []
    for batch in iter_columns(table, [FOV, *LOCAL, *GLOBAL], []):
        x, y, slide_x, slide_y = (batch[name].to_numpy() for name in (*LOCAL, *GLOBAL))
        number = batch[FOV].to_numpy().astype(np.int64)
        rows = pd.DataFrame({"right": slide_x - x, "left": slide_x + x})
        rows = rows.assign(down=slide_y - y, up=slide_y + y)
        lows.append(rows.groupby(number).min())
        highs.append(rows.groupby(number).max())
    low, high = pd.concat(lows).groupby(level=0).min(), pd.concat(highs).groupby(level=0).max()
    fits = high - low <= TOLERANCE_PX
    for axis, ways in (("x", ["right", "left"]), ("y", ["down", "up"])):
        wrong = fits.index[~fits[ways].any(axis=1)]
        if len(wrong):
            raise _no_one_place(table, f"no one offset of {axis} in field {wrong[0]}")
    ways = [way for way in ("down", "up") if fits[way].all()]
    if len(ways) != 1:
        found = "too few transcripts to tell the direction of y"
        raise _no_one_place(table, found if ways else "y up in some fields and down in others")
    across = next((way for way in ("right", "left") if fits[way].all()), None)
    if across is None:
        raise _no_one_place(table, "x to the right in some fields and to the left in others")
    middle = (low + high)[[across, ways[0]]] / 2
    places = map(tuple, middle.to_numpy().tolist())
    signs = (1 if across == "right" else -1, 1 if ways == ["down"] else -1)
    return Offsets(dict(zip(middle.index.tolist(), places, strict=True)), signs)


def add_positions(offsets: Offsets, files: Sequence[Path]) -> Offsets:
    """Test the places by the export's own list of them, which has fields without transcripts, too.

    The list may name another corner of the fields, the same for all. One in millimetres of the
    stage alone is not used.

    Raises
    ------
    InputError
        It contradicts the table.
    """
    path = next((file for file in files if POSITIONS.fullmatch(file.name)), None)
    if path is None:
        return offsets
    with table_errors(path):
        listed = pd.read_csv(path).rename(columns=str.lower)
        if not {FOV, *GLOBAL} <= set(listed):
            return offsets
        listed = listed.set_index(listed[FOV].astype(np.int64))[list(GLOBAL)].astype(float)
    refuse_repeated(path, listed.index.to_series(), "field", "give each slide a folder of its own")
    listed = listed.dropna()
    known = pd.DataFrame.from_dict(offsets.xy, orient="index", columns=list(GLOBAL))
    shift = (known - listed).dropna()
    corner = shift.median()
    is_far = ((shift - corner).abs() > TOLERANCE_PX).any(axis=1)
    if is_far.any() or shift.empty:
        field = shift.index[is_far][0] if is_far.any() else known.index[0]
        raise InputError(
            path,
            found=f"field {field} at another place than the transcripts say, or not at all",
            expected="one and the same distance between both for all fields",
            remedy="export both files again; or move this one out of the folder, if the table is "
            "right",
        )
    empty = listed.drop(index=list(offsets.xy), errors="ignore") + corner
    places = zip(empty.index.tolist(), map(tuple, empty.to_numpy().tolist()), strict=True)
    return offsets._replace(xy=offsets.xy | dict(places))


def lay_out(
    table: Path, offsets: Offsets, planes: dict[int, list[Plane]], shape_yx: tuple[int, int]
) -> FieldMosaic:
    """Put the fields on one image, to whole pixels.

    Parameters
    ----------
    table
        Path of the transcripts, for errors.
    offsets
        Places of at least the fields of `planes`.
    planes
        Channels of each field, by its number.
    shape_yx
        Shape of a field, px.

    Raises
    ------
    InputError
        Two fields lie on top of each other, or one is absurdly far off.
    """
    numbers = sorted(planes)
    xy = np.array([offsets.xy[number] for number in numbers]) * offsets.signs
    refuse_scattered(table, xy, shape_yx)
    low = xy.min(axis=0)
    offset_yx = np.rint(xy - low).astype(np.int64)[:, ::-1]
    fields = Fields(FOV, tuple(numbers), tuple(map(tuple, offset_yx.tolist())), shape_yx)
    for index, number in enumerate(numbers):
        shift = np.abs(offset_yx - offset_yx[index]) < MAX_OVERLAP * np.array(shape_yx)
        others = np.flatnonzero(shift.all(axis=1))
        if len(others) > 1:
            both = f"the fields {number} and {numbers[others[others != index][0]]}"
            raise _no_one_place(table, f"{both} on top of each other")
    slide_to_px = np.diag([*map(float, offsets.signs), 1.0])
    slide_to_px[:2, 2] = -low
    of_fields = [planes[number] for number in numbers]
    return FieldMosaic(fields, of_fields, slide_to_px, example=next(iter(offsets.xy)))


def _no_one_place(table: Path, found: str) -> InputError:
    return InputError(
        table,
        found=found,
        expected="slide and field coordinates that differ by one offset in each field, y in the "
        "same direction in all",
        remedy="export the table again, or name one field in the column fov of the sample sheet",
    )
