"""NanoString CosMx: an export's fields of view as one image, or one of them.

Layout: ``<id>_tx_file.csv[.gz]`` or ``.parquet`` (or one table with the columns ``fov`` and
``cell_ID``), ``Morphology2D/*_F<fov>.TIF``, ``CellLabels/CellLabels_F<fov>.tif``,
``*_ExptConfig.txt``; folders may be nested, as AtoMx writes them. Local coordinates are
pixels of the field's image; ids of cells are unique in a field, which the label image repeats.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from cellsam_core.errors import InputError
from cellsam_core.files.planes import READ_ERRORS, unreadable
from cellsam_core.samples.panel import matrix_in
from cellsam_core.samples.table_rows import TABLE_SUFFIXES, column_names, iter_columns
from cellsam_core.samples.transcripts import find_columns
from cellsam_core.samples.vendors.contract import (
    ORIENTATIONS,
    Choices,
    Found,
    choose,
    only,
    refuse_z,
)
from cellsam_core.samples.vendors.cosmx_fields import add_positions, lay_out, measure_offsets
from cellsam_core.samples.vendors.kits import COSMX, roles_in_kit
from cellsam_core.samples.vendors.stains import one_file
from cellsam_core.samples.vendors.tables import TRANSCRIPTS
from cellsam_core.samples.vendors.zplanes import read_flat

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.samples.vendors.contract import FieldMosaic, Stains

NATIVE = re.compile(r"(?P<slide>.*_tx_file)\.(csv|csv\.gz|parquet)")
POLYGONS = re.compile(r".*[-_]polygons\.csv(\.gz)?", re.IGNORECASE)
IMAGE = re.compile(r"(?P<kind>.*?)_?F(?P<fov>\d+)\.tiff?", re.IGNORECASE)
NATIVE_FOLDER = "Morphology2D"
KEYS = {"fov", "cell_ID"}
NO_STAIN = re.compile(r"label|mask|segmentation|boundar|overlay", re.IGNORECASE)
LABELS = ("celllabels", "cells_label")
UNNAMED = "stain"
NM_A_PIXEL = re.compile(r"ImPixel_nm\W+([\d.]+)")


def fits(folder: Path) -> bool:
    """Tell whether there is a table with a field of view and the cell of each transcript."""
    return bool(_tables(folder, _below(folder)))


def read(folder: Path, choices: Choices) -> Found:
    """Read what an export holds; `choices.fov` is the number of the only field to use.

    Raises
    ------
    InputError
        Something is missing or contradicts something else; the message names it.
    """
    refuse_z(folder, choices)
    remedy = "give each slide a folder of its own"
    files = _below(folder)
    table = only(folder, _tables(folder, files), "table of transcripts", remedy)
    columns = find_columns(table, of_one_field=True, cell=("cell_ID",))
    numbers: set[int] = set()
    for batch in iter_columns(table, ["fov"], []):
        numbers.update(np.unique(batch["fov"].to_numpy()).astype(int).tolist())
    is_one = choices.fov is not None or len(numbers) <= 1
    if is_one:
        fov = int(choose(folder, choices, [str(n) for n in sorted(numbers)], "fields of view"))
        mosaic = None
        warnings = [f"Only field of view {fov}, one of {len(numbers)}, is used."]
    else:
        mosaic, warnings = _all_fields(folder, choices, files, table)
        fov = mosaic.example
    image, labels = _images(folder, files, fov)
    stains = _stains(image, choices)
    mirror, said_um = _mirror(stains, choices), _pixel_size_um(files)
    return Found(
        stains,
        table,
        columns=columns,
        pixel_size_um=choices.pixel_size_um or stains.pixel_size_um or said_um,
        said_um=said_um,
        keep=("fov", float(fov)) if is_one else None,
        labels=labels,
        mirror=mirror,
        boundaries=next((file for file in files if POLYGONS.fullmatch(file.name)), None),
        mosaic=mosaic,
        panel=matrix_in(files),
        warnings=warnings if len(numbers) > 1 else [],
        kit=roles_in_kit(stains.channels, COSMX),
    )


def stain_files(folder: Path) -> dict[int, Path]:
    """Stain image of each field of view, by the names of the files alone."""
    return _stain_files(_below(folder))


def _all_fields(
    folder: Path, choices: Choices, files: list[Path], table: Path
) -> tuple[FieldMosaic, list[str]]:
    """Lay out the fields that have transcripts, and those that the export places without."""
    measured = measure_offsets(table)
    offsets = add_positions(measured, files)
    pictured = set(_stain_files(files))
    stains = {
        number: _stains(_images(folder, files, number)[0], choices)
        for number in sorted(set(measured.xy) | (pictured & set(offsets.xy)))
    }
    first = next(iter(stains.values()))
    alike = (first.channels, first.shape_yx, first.dtype)
    for number, found in stains.items():
        if (found.channels, found.shape_yx, found.dtype) != alike:
            raise InputError(
                found.planes[0].path,
                found=f"field {number} with other stains or of another size than the first",
                expected="fields that are alike",
                remedy="name one field in the column fov of the sample sheet",
            )
    planes = {number: found.planes for number, found in stains.items()}
    turned = offsets.turned(_mirror(first, choices))
    mosaic = lay_out(table, turned, planes, first.shape_yx)
    told = [f"{len(stains)} fields of view are laid out on one image."]
    if n_lost := len(pictured - set(stains)):
        told.append(f"{n_lost} fields without transcripts have no place and are left out.")
    if turned.signs[0] < 0:
        told.append("The slide's x runs to the left on the images: they are laid out accordingly.")
    return mosaic, told


def _mirror(stains: Stains, choices: Choices) -> tuple[float | None, float | None]:
    """Add up the pixels of transcripts and of images, where they run against each other."""
    height, width = stains.shape_yx
    along_x, along_y = ORIENTATIONS[choices.orientation]
    return (width - 1.0 if along_x else None, height - 1.0 if along_y else None)


def _stains(image: Path, choices: Choices) -> Stains:
    names = _channel_names(image)
    stack = read_flat(image, len(names or choices.channels or []) or None)
    if not names and not stack.channels and len(stack.planes[0]) == 1:
        # Its file is named by its field, which is no name of a stain.
        names = list(choices.channels or [])[:1] or [UNNAMED]
    return one_file(stack, choices.channels, names)


def _tables(folder: Path, files: list[Path]) -> list[Path]:
    matches = [(file, match) for file in files if (match := NATIVE.fullmatch(file.name))]
    if matches:  # one of each slide, which may be there in several formats
        by_slide = {(file.parent, m["slide"]): file for file, m in reversed(matches)}
        return sorted(by_slide.values())
    named = [f for f in sorted(folder.iterdir()) if TRANSCRIPTS.search(f.name)]
    tables = [file for file in named if file.name.endswith(TABLE_SUFFIXES)]
    return [file for file in tables if set(column_names(file)) >= KEYS]


def _named(files: list[Path]) -> dict[Path, tuple[int, str]]:
    """Field and kind of the images that are named like those of an export."""
    matches = ((file, IMAGE.fullmatch(file.name)) for file in files)
    return {file: (int(m["fov"]), m["kind"].lower()) for file, m in matches if m}


def _stain_files(files: list[Path]) -> dict[int, Path]:
    named = _named(files)
    return {named[file][0]: file for file in _choose_stains(named)}


def _choose_stains(named: dict[Path, tuple[int, str]]) -> list[Path]:
    """Leave out overlays and composites, and where there are the vendor's own, all others."""
    stains = [file for file, (_, kind) in named.items() if not NO_STAIN.search(kind)]
    return [file for file in stains if file.parent.name == NATIVE_FOLDER] or stains


def _images(folder: Path, files: list[Path], fov: int) -> tuple[Path, Path | None]:
    """Stain image and label image of a field; there may be several overlays and composites."""
    of_field = {file: named for file, named in _named(files).items() if named[0] == fov}
    image = only(
        folder,
        _choose_stains(of_field),
        f"stain image of field {fov}, such as Morphology2D/*_F{fov:03d}.TIF",
        "copy it from the export, or move the others out of the folder",
    )
    labels = [file for file, (_, kind) in of_field.items() if kind.endswith(LABELS)]
    return image, labels[0] if len(labels) == 1 else None


def _below(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _channel_names(path: Path) -> list[str] | None:
    """Stains in the order of the file's pages, as its own description gives them."""
    try:
        with tifffile.TiffFile(path) as tif:
            text = tif.pages[0].description
    except READ_ERRORS as error:
        raise unreadable(path, "an unreadable TIFF") from error
    order = re.search(r'"ChannelOrder"\s*:\s*"(\w+)"', text)
    ids = re.findall(r'"ChannelId"\s*:\s*"(.*?)"', text)
    targets = re.findall(r'"BiologicalTarget"\s*:\s*"(.*?)"', text)
    if order is None or len(ids) != len(targets) or not set(order[1]) <= set(ids):
        return None
    return [targets[ids.index(letter)] for letter in order[1]]


def _pixel_size_um(files: list[Path]) -> float | None:
    """Pixel size in the settings of the run; it differs between instruments."""
    for file in files:
        if file.name.endswith("_ExptConfig.txt"):
            match = NM_A_PIXEL.search(file.read_text(encoding="utf-8", errors="replace"))
            return float(match[1]) / 1000 if match else None
    return None
