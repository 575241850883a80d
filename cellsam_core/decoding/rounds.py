"""Raw rounds by this project's own sheet ``rounds.csv``: one row for each kind of plane.

| column | content |
|---|---|
| ``kind`` | ``bit``, ``fiducial`` or ``stain`` |
| ``name`` | a bit's column in the codebook, ``round_2=7`` for pseudocolour 7 of its column ``round_2``; a stain's name; nothing for a fiducial |
| ``imaging_round`` | whole number; planes of one number were taken without moving the stage |
| ``file`` | path below the folder, ``{field}`` in place of the field's name |
| ``page`` | index of the plane in the file, from 0 |
| ``z`` | index of the optical plane, from 0; may be left out |
| ``colour`` | colour of the light, such as 647, for bits and stains; may be left out |
| ``pixel_size_um`` | side of a pixel, the same in all rows; may be left out if the images say it |

Beside it: ``codebook.csv`` and, for more than one field, ``positions.csv`` with the columns
``field``, ``x_um``, ``y_um`` (of the upper left pixel).
"""  # noqa: E501

from __future__ import annotations

import logging
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from cellsam_core.decoding.codebook_table import read_codebook
from cellsam_core.decoding.experiment import RawExperiment, RawField
from cellsam_core.decoding.raw_images import header_of, is_zarr, list_raw_images, plane_of
from cellsam_core.decoding.sheets import as_number, as_whole, read_sheet, refuse_spreadsheet
from cellsam_core.errors import InputError
from cellsam_core.files.filenames import natural_key
from cellsam_core.files.tables import refuse_repeated
from cellsam_core.samples.raw_rounds import SHEET_NAME
from cellsam_core.samples.vendors.stains import NOT_A_STAIN, split_z

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd

    from cellsam_core.files.plane import Plane

log = logging.getLogger(__name__)

CODEBOOK_NAME = "codebook.csv"
POSITIONS_NAME = "positions.csv"
COLUMNS = ("kind", "name", "imaging_round", "file", "page")
KINDS = ("bit", "fiducial", "stain")
FIELD = "{field}"
OTHER_FIELD = r"\{(?i:field|fov|position|pos)\}"
DARK = r"round_\d+=0"


class SheetRow(NamedTuple):
    """One row of the sheet."""

    kind: str
    name: str
    imaging_round: int
    file: str
    page: int
    z: int
    colour: str

    def plane(self, folder: Path, field: str) -> Plane:
        """Find the row's plane of a field."""
        file = folder / self.file.replace(FIELD, field)
        if not (file.is_file() or is_zarr(file)):
            raise InputError(
                file,
                found="no file",
                expected=f"the image that {SHEET_NAME} names for field {field!r}",
                remedy="add the image, or remove the field's other images",
            )
        return plane_of(file, self.page)


def open_rounds(folder: Path, pixel_size_um: float | None) -> RawExperiment:
    """Read the sheet and find the image of every row in every field.

    Raises
    ------
    InputError
        A row, a file, a bit or the pixel size is missing or unclear.
    """
    path = folder / SHEET_NAME
    rows, said_size = _read_sheet(path)
    if not (folder / CODEBOOK_NAME).exists():
        refuse_spreadsheet(folder, re.compile("^codebook$", re.IGNORECASE))
    codebook = read_codebook(folder / CODEBOOK_NAME)
    bits = {(row.name, row.z): row for row in rows if row.kind == "bit"}
    stains = _middle_planes([row for row in rows if row.kind == "stain"])
    fiducials = {row.imaging_round: row for row in rows if row.kind == "fiducial"}
    planes = sorted({z for _, z in bits})
    for name in codebook.bit_names:
        for z in planes:
            if (name, z) not in bits:
                raise _unclear(path, f"no bit {name!r} of plane {z}", "each bit of the codebook")
    unused = sorted({name for name, _ in bits} - set(codebook.bit_names), key=natural_key)
    if unused:
        log.warning("%s: the codebook has no column for the bits %s", path, ", ".join(unused))
    first = [bits[name, planes[0]] for name in codebook.bit_names]
    unseen = {row.imaging_round for row in [*first, *stains.values()]} - set(fiducials)
    if unseen:
        found = f"no fiducial of imaging round {min(unseen)}"
        raise _unclear(path, found, "a row of kind fiducial for each imaging round")
    names = _field_names(folder, sorted({row.file for row in rows}))
    positions = _positions(folder, names)
    fields = [
        RawField(
            name,
            positions[name],
            [[bits[b, z].plane(folder, name) for b in codebook.bit_names] for z in planes],
            {number: row.plane(folder, name) for number, row in fiducials.items()},
            {stain: row.plane(folder, name) for stain, row in stains.items()},
        )
        for name in names
    ]
    first_image = fields[0].bits[0][0].path
    shape_yx, size_of_image = header_of(Path(first_image))
    size = pixel_size_um or said_size or size_of_image
    if size is None:
        raise InputError(
            first_image,
            found="no pixel size",
            expected="the side of a pixel in um",
            remedy="give pixel_size_um in the sample sheet or in rounds.csv",
        )
    return RawExperiment(
        format="rounds",
        codebook=codebook,
        fields=fields,
        round_of_bit=[row.imaging_round for row in first],
        round_of_stain={name: row.imaging_round for name, row in stains.items()},
        pixel_size_um=size,
        shape_yx=shape_yx,
        colour_of_bit=[row.colour for row in first],
        colour_of_stain={name: row.colour for name, row in stains.items()},
    )


def _middle_planes(rows: list[SheetRow]) -> dict[str, SheetRow]:
    """Take of each stain the middle plane, the lower of two, as of vendors' folders."""
    by_name: dict[str, list[SheetRow]] = {}
    for row in sorted(rows, key=lambda row: row.z):
        by_name.setdefault(row.name, []).append(row)
    return {name: planes[(len(planes) - 1) // 2] for name, planes in by_name.items()}


def _read_sheet(path: Path) -> tuple[list[SheetRow], float | None]:
    """Read and check the rows, and the pixel size if they say it."""
    table = read_sheet(path, COLUMNS)
    table = table.rename(columns={"color": "colour"})
    for column, default in (("z", "0"), ("colour", "")):
        if column not in table:
            table[column] = default
    for column in ("imaging_round", "page", "z"):
        table[column] = [_index(path, column, *row) for row in table[column].items()]
    table["kind"] = table["kind"].str.lower()
    # As paths of this system, which `Path` makes of them, too.
    table["file"] = [PurePosixPath(file.replace("\\", "/")).as_posix() for file in table["file"]]
    bad = table[~table["kind"].isin(KINDS)]
    if len(bad):
        found = f"the kind {bad['kind'].iloc[0]!r} in row {bad.index[0] + 1}"
        raise _unclear(path, found, f"one of {', '.join(KINDS)}")
    # A bit or stain is imaged in one round, a fiducial in each.
    is_fiducial = table["kind"] == "fiducial"
    key = table.assign(
        name=table["name"].where(~is_fiducial, table["imaging_round"].astype(str)),
        z=table["z"].where(~is_fiducial, 0),
    )
    twice = table[key.duplicated(["kind", "name", "z"])]
    if len(twice):
        found = f"row {twice.index[0] + 1} for what another row names"
        raise _unclear(path, found, "one row for each plane")
    for name in table.loc[table["kind"] == "stain", "name"].unique():
        if NOT_A_STAIN.search(name) or split_z(name)[1] is not None:
            found = f"the stain {name!r}, as label images or z planes are named"
            raise _unclear(path, found, "another name")
    if not (table["kind"] == "bit").any():
        raise _unclear(path, "no row of kind bit", "one for each bit")
    named = table["file"].str.contains(FIELD, regex=False)
    odd = table[~named if named.any() else table["file"].str.contains(OTHER_FIELD)]
    if len(odd):
        found = f"the file {odd['file'].iloc[0]!r} in row {int(odd.index[0]) + 1}"
        raise _unclear(path, found, f"{FIELD} in the place of the name of the field, in each file")
    dark = table[(table["kind"] == "bit") & table["name"].str.fullmatch(DARK)]
    if len(dark):
        found = f"the bit {dark['name'].iloc[0]!r}, and 0 means dark in a column of pseudocolours"
        raise _unclear(path, found, "pseudocolours from 1, here and in the codebook")
    columns = zip(*(table[name].tolist() for name in SheetRow._fields), strict=True)
    return [SheetRow(*values) for values in columns], _said_size(path, table)


def _index(path: Path, column: str, row: Hashable, text: str) -> int:
    try:
        number = as_whole(text)
    except ValueError:
        number = -1
    if number < 0:
        found = f"{text!r} in column {column!r}, row {int(str(row)) + 1}"
        raise _unclear(path, found, "a whole number from 0")
    return number


def _said_size(path: Path, rows: pd.DataFrame) -> float | None:
    said = rows["pixel_size_um"].unique().tolist() if "pixel_size_um" in rows else [""]
    if said == [""]:
        return None
    try:
        sizes = [as_number(text) for text in said]
    except ValueError:
        sizes = []
    if len(sizes) != 1 or sizes[0] <= 0:
        raise _unclear(path, f"{', '.join(said[:3])} as pixel_size_um", "one size above 0")
    return sizes[0]


def _field_names(folder: Path, patterns: list[str]) -> list[str]:
    """Names that stand in the place of ``{field}`` in the files of any pattern."""
    names = set()
    images = list_raw_images(folder, below=True)
    for pattern in patterns:
        if FIELD not in pattern:
            names.add("")
            continue
        before, _, after = pattern.partition(FIELD)
        # A second {field} has the name of the first.
        rest = "".join(
            "(?P=field)" if part == FIELD else re.escape(part)
            for part in re.split(r"(\{field\})", after)
        )
        expression = re.compile(f"{re.escape(before)}(?P<field>[^/]+?){rest}")
        for image in images:
            if match := expression.fullmatch(image.relative_to(folder).as_posix()):
                names.add(match["field"])
    if not names:
        raise InputError(
            folder,
            found=f"no image that fits {patterns[0]}",
            expected="the images that rounds.csv names",
            remedy="correct the column file",
        )
    return sorted(names, key=natural_key)


def _positions(folder: Path, names: list[str]) -> dict[str, tuple[float, float]]:
    path = folder / POSITIONS_NAME
    if len(names) == 1 and not path.is_file():
        return {names[0]: (0.0, 0.0)}
    table = read_sheet(path, ("field", "x_um", "y_um"))
    refuse_repeated(path, table["field"], "field", "leave the row of the images in the table")
    found = {}
    for name, *xy in zip(table["field"], table["x_um"], table["y_um"], strict=True):
        if not any(xy):
            continue
        try:
            x, y = map(as_number, xy)
        except ValueError:
            said = f"{', '.join(xy)!r} as the place of field {name!r}"
            raise _unclear(path, said, "numbers in x_um and y_um") from None
        found[str(name)] = (x, y)
    missing = [name for name in names if name not in found]
    if missing:
        others = ", ".join(map(repr, list(found)[:3]))
        said = f"no position of field {missing[0]!r}, and {len(found)} others ({others} ...)"
        raise _unclear(path, said, "x_um and y_um of each field, named as in the files")
    absent = sorted(set(found) - set(names), key=natural_key)
    if absent:
        log.warning("%s: no images of the fields %s", path, ", ".join(absent))
    return found


def _unclear(path: Path, found: str, expected: str) -> InputError:
    return InputError(path, found=found, expected=expected, remedy="correct the table")
