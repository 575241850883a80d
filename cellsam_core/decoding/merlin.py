"""Raw MERFISH as MERlin lays it out: data organization, codebook, positions, images."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.decoding.codebook_table import read_codebook
from cellsam_core.decoding.experiment import RawExperiment, RawField
from cellsam_core.decoding.raw_images import header_of, list_raw_images, plane_of
from cellsam_core.decoding.sheets import as_number, as_whole, read_sheet, refuse_spreadsheet
from cellsam_core.errors import InputError
from cellsam_core.files.tables import table_errors
from cellsam_core.samples.raw_rounds import ORGANIZATION

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from cellsam_core.files.plane import Plane

COLUMNS = (
    *("channelName", "readoutName", "imageType", "imageRegExp", "imagingRound", "frame"),
    *("fiducialImageType", "fiducialImagingRound", "fiducialFrame"),
)
NUMBER = re.compile(r"-?\d+\.?\d*|-?\.\d+")
# Image type, field and imaging round -> file.
Files = dict[tuple[str, int, int], Path]


def open_merlin(folder: Path, pixel_size_um: float | None) -> RawExperiment:
    """Read the tables of a MERlin folder and find the image of every bit in every field.

    Raises
    ------
    InputError
        A table or an image is missing, or the tables do not fit together.
    """
    path = _one_table(folder, ORGANIZATION, "data organization")
    rows = read_sheet(path, COLUMNS)
    codebook = read_codebook(_one_table(folder, re.compile("codebook", re.I), "codebook"))
    channels = [_channel(path, row) for _, row in rows.iterrows()]
    # A bit is named by its readout, as in MERlin; a channel may have the name of another bit.
    by_name = {c["name"]: c for c in channels} | {c["readout"]: c for c in channels}
    _refuse_two_of_a_bit(path, codebook.bit_names, channels)
    missing = [name for name in codebook.bit_names if name not in by_name]
    if missing:
        raise InputError(
            path,
            found=f"no channel for {', '.join(missing)}",
            expected="a readoutName for each bit of the codebook",
            remedy="correct the data organization or the codebook",
        )
    bits = [by_name[name] for name in codebook.bit_names]
    n_planes = sorted({len(c["frames"]) for c in bits})
    if len(n_planes) > 1:
        raise InputError(
            path,
            found=f"bits of {n_planes[0]} and of {n_planes[-1]} z planes",
            expected="as many frames for each bit",
            remedy="correct the column frame",
        )
    _refuse_other_heights(path, bits)
    stains = {c["name"]: c for c in channels if c not in bits}
    files = _image_files(folder, path, rows)
    names = sorted({fov for _, fov, _ in files})
    microscope = _microscope(folder)
    size = pixel_size_um or microscope.get("microns_per_pixel")
    if not names or size is None:
        raise InputError(
            folder,
            found="no image that fits imageRegExp" if not names else "no pixel size",
            expected="images, and microns_per_pixel in microscope.json",
            remedy="add them, or give pixel_size_um in the sample sheet",
        )
    positions = _positions(folder, names)
    fields = [
        RawField(
            str(fov),
            positions[fov],
            [[_plane(files, c, fov, z) for c in bits] for z in range(n_planes[0])],
            {c["round"]: _fiducial(files, c, fov) for c in [*bits, *stains.values()]},
            # The middle plane, as for stains of vendors' folders.
            {n: _plane(files, c, fov, (len(c["frames"]) - 1) // 2) for n, c in stains.items()},
        )
        for fov in names
    ]
    shape, _ = header_of(Path(fields[0].bits[0][0].path))
    # MERlin's own defaults, where the file leaves them out.
    transpose = bool(microscope.get("transpose", True))
    return RawExperiment(
        format="merlin",
        codebook=codebook,
        fields=fields,
        round_of_bit=[c["round"] for c in bits],
        round_of_stain={name: c["round"] for name, c in stains.items()},
        pixel_size_um=float(size),
        shape_yx=shape[::-1] if transpose else shape,
        colour_of_bit=[c["colour"] for c in bits],
        colour_of_stain={name: c["colour"] for name, c in stains.items()},
        transpose=transpose,
        flip_horizontal=bool(microscope.get("flip_horizontal", True)),
        flip_vertical=bool(microscope.get("flip_vertical", False)),
    )


def _refuse_two_of_a_bit(
    path: Path, bit_names: Sequence[str], channels: list[dict[str, Any]]
) -> None:
    """Refuse two channels that are one bit: which of them holds its light can't be known."""
    readouts = [channel["readout"] for channel in channels]
    twice = [name for name in bit_names if readouts.count(name) > 1]
    if twice:
        raise InputError(
            path,
            found=f"{readouts.count(twice[0])} rows with the readoutName {twice[0]}",
            expected="one row for each bit of the codebook",
            remedy="correct the column readoutName",
        )


def _one_table(folder: Path, pattern: re.Pattern[str], what: str) -> Path:
    found = sorted(f for f in folder.glob("*.csv") if pattern.search(f.stem))
    if not found:
        refuse_spreadsheet(folder, pattern)
    if len(found) != 1:
        raise InputError(
            folder,
            found=f"{len(found)} files for the {what} ({', '.join(f.name for f in found)})",
            expected="one",
            remedy="leave one of them in the folder" if found else "add it",
        )
    return found[0]


def _channel(path: Path, row: pd.Series[str]) -> dict[str, Any]:
    try:
        frames = _frames(row["frame"])
        heights = [as_number(n) for n in NUMBER.findall(row.get("zPos", ""))]
        if len(heights) == len(frames):
            # The stage may scan up in one round and down in the next one.
            order = np.argsort(heights, kind="stable")
            frames, heights = [frames[i] for i in order], sorted(heights)
        kind, round_ = row["fiducialImageType"], as_whole(row["fiducialImagingRound"])
        return {
            "name": row["channelName"],
            "readout": row["readoutName"],
            "type": row["imageType"],
            "round": as_whole(row["imagingRound"]),
            "colour": row.get("color", ""),
            "frames": frames,
            "heights": heights if len(heights) == len(frames) else [],
            "fiducial": (kind, round_, _frames(row["fiducialFrame"])[0]),
        }
    except ValueError as error:
        raise InputError(
            path,
            found=f"a row of {row['channelName']!r} that can't be read ({error})",
            expected="numbers for imagingRound, frame and their fiducial twins",
            remedy="correct the row",
        ) from error


def _frames(text: str) -> list[int]:
    frames = [as_whole(number) for number in NUMBER.findall(text)]
    if not frames or min(frames) < 0:
        raise ValueError(f"the frame {text!r}")
    return frames


def _refuse_other_heights(path: Path, bits: list[dict[str, Any]]) -> None:
    """Refuse bits whose planes lie at other heights than those of the first bit."""
    for c in bits:
        first, other = bits[0]["heights"], c["heights"]
        if len(first) < 2 or not other:
            continue
        if np.abs(np.subtract(first, other)).max() > np.diff(first).min() / 2:
            words = (
                f"{b['readout']} at zPos {', '.join(f'{z:g}' for z in b['heights'])}"
                for b in (bits[0], c)
            )
            raise InputError(
                path,
                found=" and ".join(words),
                expected="z planes at the same heights for each bit",
                remedy="correct the columns frame and zPos, with frames that all bits have",
            )


def _image_files(folder: Path, path: Path, rows: pd.DataFrame) -> Files:
    """Find files by the groups imageType, fov and imagingRound of the rows' own expressions."""
    images = list_raw_images(folder)
    found: dict[tuple[str, int, int], dict[Path, bool]] = {}
    for expression, types in _types_of_expression(rows).items():
        try:
            pattern = re.compile(expression)
            for image in images:
                match = pattern.match(image.name)
                # An expression may fit images of other kinds: snapshots, or other rows' images.
                if not match or match["imageType"] not in types:
                    continue
                # Images of a single round, such as stains, need not name it.
                round_ = int(match.groupdict().get("imagingRound") or -1)
                key = (match["imageType"], int(match["fov"]), round_)
                is_whole = image.name[match.end() :].startswith(".")
                files = found.setdefault(key, {})
                files[image] = files.get(image, False) or match.end() == len(image.name) or is_whole
        except (re.error, LookupError, ValueError) as error:
            raise InputError(
                path,
                found=f"the expression {expression!r} ({error})",
                expected="a regular expression with the groups imageType, fov and imagingRound, "
                "the last two of which match numbers",
                remedy="correct imageRegExp and fiducialRegExp",
            ) from error
    return {key: _one_image(files) for key, files in found.items()}


def _types_of_expression(rows: pd.DataFrame) -> dict[str, set[str]]:
    types: dict[str, set[str]] = {}
    for _, row in rows.iterrows():
        types.setdefault(row["imageRegExp"], set()).update(
            (row["imageType"], row["fiducialImageType"])
        )
        if row.get("fiducialRegExp"):
            types.setdefault(row["fiducialRegExp"], set()).add(row["fiducialImageType"])
    return types


def _one_image(files: dict[Path, bool]) -> Path:
    """Take the image of which the expression fits the whole name, if there is just one."""
    whole = [image for image, is_whole in files.items() if is_whole] or list(files)
    if len(whole) > 1:
        raise InputError(
            whole[1],
            found=f"an image of the type, field and imaging round of {whole[0].name}",
            expected="one image that imageRegExp fits for each of them",
            remedy="move the image that is not to be read out of the folder, or complete"
            " imageRegExp so that it fits one of them",
        )
    return whole[0]


def _plane(files: Files, channel: dict[str, Any], fov: int, z: int) -> Plane:
    file = _file(files, channel["type"], fov, channel["round"])
    return plane_of(file, channel["frames"][z])


def _fiducial(files: Files, channel: dict[str, Any], fov: int) -> Plane:
    kind, round_, page = channel["fiducial"]
    return plane_of(_file(files, kind, fov, round_), page)


def _file(files: Files, kind: str, fov: int, round_: int) -> Path:
    if (kind, fov, round_) not in files:
        raise InputError(
            "the data organization",
            found=f"no image of type {kind!r}, field {fov}, imaging round {round_}",
            expected="every imaging round of every field",
            remedy="add the image (TIFF, .dax or Zarr), or remove the field's other images",
        )
    return files[kind, fov, round_]


def _microscope(folder: Path) -> dict[str, Any]:
    found = sorted(folder.glob("*microscope*.json"))
    if not found:
        return {}
    with table_errors(found[0]):
        return dict(json.loads(found[0].read_text(encoding="utf-8")))


def _positions(folder: Path, fields: list[int]) -> dict[int, tuple[float, float]]:
    """Read the place of each field; the first row is that of field 0."""
    found = sorted(folder.glob("*positions*.csv"))
    if not found and len(fields) == 1:
        return {fields[0]: (0.0, 0.0)}
    path = found[0] if found else folder / "positions.csv"
    rows = read_sheet(path, header=None).to_numpy().tolist()
    wanted = f"x and y in um of fields 0 to {max(fields)}, one row each, without a header"
    if len(rows) <= max(fields):
        raise _unlike_positions(path, f"{len(rows)} rows", wanted)
    xy = []
    for number, row in enumerate(rows, 1):
        try:
            xy.append((as_number(row[0]), as_number(row[1])))
        except (ValueError, IndexError):
            found_row = f"{', '.join(row)!r} in row {number}"
            raise _unlike_positions(path, found_row, wanted) from None
    if len(rows[0]) > 2 and len(rows) > 1 and set(np.diff([x for x, _ in xy])) == {1}:
        found_row = f"{len(rows[0])} columns, of which the first counts the rows"
        raise _unlike_positions(path, found_row, wanted)
    return {fov: xy[fov] for fov in fields}


def _unlike_positions(path: Path, found: str, expected: str) -> InputError:
    return InputError(path, found=found, expected=expected, remedy="correct the table")
