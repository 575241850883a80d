"""Spatial Genomics seqFISH: decoded regions of interest.

Layout: ``<roi>_TranscriptList.csv`` (``name``, ``x``, ``y`` and, in some, ``z``, ``cell``),
``<roi>_DAPI.tiff``, ``<roi>_Segmentation.tiff``; or, as first exported,
``TranscriptList_<section>.csv``, ``DAPI_<section>.ome.tiff``, ``CellMask_<section>.tiff``; or with
the run before and the section behind, ``<run>_TranscriptCoordinates_<section>.csv`` and so on.
Coordinates are pixels in the first generation's files and micrometres in the second's, under the
same names: whichever spans the image is taken, and nothing if both or neither do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.samples.panel import matrix_in
from cellsam_core.samples.transcripts import find_columns
from cellsam_core.samples.vendors.contract import (
    Choices,
    Found,
    choose,
    only,
    refuse_orientation,
    refuse_z,
)
from cellsam_core.samples.vendors.stains import one_file
from cellsam_core.samples.vendors.zplanes import read_flat

if TYPE_CHECKING:
    from pathlib import Path

TABLE = re.compile(
    r"(?:(?P<before>.+)_)?Transcript(?:List|Coordinates)(?:_(?P<behind>.+?))?"
    r"\.(?:csv|csv\.gz|parquet)"
)
NO_LABELS = (
    "There is no label image beside the table: that the axes of transcripts and images run alike "
    "could not be tested."
)
NAMES = (
    "<roi>_TranscriptList.csv, <roi>_DAPI.tiff and <roi>_Segmentation.tiff (or <run>_..._<section>)"
)


def fits(folder: Path) -> bool:
    """Tell whether there is a list of transcripts."""
    return bool(_tables(folder))


def read(folder: Path, choices: Choices) -> Found:
    """Read what a folder holds; `choices.fov` is one of several regions.

    Raises
    ------
    InputError
        Something is missing or contradicts something else; the message names it.
    """
    refuse_z(folder, choices)
    refuse_orientation(folder, choices)
    tables = _tables(folder)
    if not tables:
        raise InputError(
            folder,
            found="no list of transcripts of Spatial Genomics",
            expected=f"files named {NAMES}",
            remedy="rename the files so, or leave format empty in the sample sheet",
        )
    roi = choose(folder, choices, list(tables), "regions")
    remedy = "copy the file from the instrument's output, or name it so"
    table = tables[roi]
    dapi = f"DAPI image of {roi}, {_names(table, 'DAPI')[0]}.tiff"
    image = only(folder, _images(table, "DAPI"), dapi, remedy)
    stains = one_file(read_flat(image), choices.channels, ["DAPI"])
    masks = _images(table, "Segmentation") or _images(table, "CellMask")
    return Found(
        stains,
        table,
        columns=find_columns(table, cell=("cell",)),
        pixel_size_um=choices.pixel_size_um or stains.pixel_size_um,
        labels=masks[0] if masks else None,
        panel=matrix_in(_files(table, "CellxGene")),
        warnings=[] if masks else [NO_LABELS],
    )


def _tables(folder: Path) -> dict[str, Path]:
    """List of transcripts of each region, by what stands around the word."""
    found = {}
    for file in sorted(folder.iterdir()):
        if match := TABLE.fullmatch(file.name):
            parts = filter(None, (match["before"], match["behind"]))
            found["_".join(parts) or "TranscriptList"] = file
    return found


def _names(table: Path, kind: str) -> list[str]:
    """Names, up to the first dot, of the other files of a table's region."""
    match = TABLE.fullmatch(table.name)
    assert match
    before, behind = match["before"], match["behind"]
    names = ["_".join(filter(None, (before, kind, behind)))]
    if not (before and behind):
        names.append("_".join(filter(None, (behind, kind, before))))
    return names


def _files(table: Path, kind: str) -> list[Path]:
    names = _names(table, kind)
    return [file for file in sorted(table.parent.iterdir()) if file.name.split(".")[0] in names]


def _images(table: Path, kind: str) -> list[Path]:
    return [file for file in _files(table, kind) if file.suffix.lower() in (".tif", ".tiff")]
