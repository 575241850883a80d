"""Spatial Genomics seqFISH: decoded regions of interest.

Layout: ``<roi>_TranscriptList.csv`` (``name``, ``x``, ``y`` and, in some, ``z``, ``cell``),
``<roi>_DAPI.tiff``, ``<roi>_Segmentation.tiff``; or, as first exported,
``TranscriptList_<section>.csv``, ``DAPI_<section>.ome.tiff``, ``CellMask_<section>.tiff``.
Coordinates are pixels in the first generation's files and micrometres in the second's, under the
same names: whichever spans the image is taken, and nothing if both or neither do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cellsam_core.files.stack import read_stack
from cellsam_core.samples.transcripts import find_columns
from cellsam_core.samples.vendors.contract import Choices, Found, choose, only, refuse_z
from cellsam_core.samples.vendors.stains import one_file

if TYPE_CHECKING:
    from pathlib import Path

TABLE = re.compile(r"(?:(.+)_TranscriptList|TranscriptList_(.+))\.(?:csv|csv\.gz|parquet)")


def fits(folder: Path) -> bool:
    """Whether there is a list of transcripts."""
    return bool(_tables(folder))


def read(folder: Path, choices: Choices) -> Found:
    """Read what a folder holds; `choices.fov` is one of several regions.

    Raises
    ------
    InputError
        Something is missing or contradicts something else; the message names it.
    """
    refuse_z(folder, choices)
    tables = _tables(folder)
    roi = choose(folder, choices, list(tables), "regions")
    remedy = "copy the file from the instrument's output"
    image = only(folder, _images(folder, roi, "DAPI"), f"DAPI image of {roi}", remedy)
    stains = one_file(read_stack(image), choices.channels, ["DAPI"])
    masks = _images(folder, roi, "Segmentation") or _images(folder, roi, "CellMask")
    return Found(
        stains,
        tables[roi],
        columns=find_columns(tables[roi], cell=("cell",)),
        pixel_size_um=choices.pixel_size_um or stains.pixel_size_um,
        labels=masks[0] if masks else None,
    )


def _tables(folder: Path) -> dict[str, Path]:
    matches = ((TABLE.fullmatch(file.name), file) for file in sorted(folder.iterdir()))
    return {match[1] or match[2]: file for match, file in matches if match}


def _images(folder: Path, roi: str, kind: str) -> list[Path]:
    stems = (f"{roi}_{kind}", f"{kind}_{roi}")
    return [
        file
        for file in sorted(folder.iterdir())
        if file.name.split(".")[0] in stems and file.suffix in (".tif", ".tiff")
    ]
