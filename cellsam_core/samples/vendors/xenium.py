"""10x Genomics Xenium: the bundle of a region.

Layout: ``experiment.xenium`` (JSON), ``transcripts.parquet`` (or csv.gz in old bundles),
``morphology_focus/*.ome.tif`` or ``morphology_focus.ome.tif`` or ``morphology_mip.ome.tif``,
``cell_boundaries.parquet``. All coordinates are in micrometres.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.stack import read_stack
from cellsam_core.samples.transcripts import column_names, find_columns
from cellsam_core.samples.vendors.contract import (
    Choices,
    Found,
    no_images,
    only,
    refuse_fov,
    refuse_z,
)
from cellsam_core.samples.vendors.stains import one_file

if TYPE_CHECKING:
    from pathlib import Path

EXPERIMENT = "experiment.xenium"
TABLES = ("transcripts.parquet", "transcripts.csv.gz", "transcripts.csv")
POLYGONS = ("cell_boundaries.parquet", "cell_boundaries.csv.gz", "cell_boundaries.csv")
IMAGES = (
    "morphology_focus/*.ome.tif",
    "morphology_focus.ome.tif",
    "morphology_mip.ome.tif",
)
PANEL = "gene_panel.json"
MIN_QV = 20.0  # of the transcripts in the instrument's own matrix
TYPE_COLUMN = "codeword_category"


def fits(folder: Path) -> bool:
    """Whether the folder has the file that describes a bundle."""
    return (folder / EXPERIMENT).is_file()


def read(folder: Path, choices: Choices) -> Found:
    """Read what a bundle holds.

    Raises
    ------
    InputError
        Something is missing or contradicts something else; the message names it.
    """
    refuse_fov(folder, choices)
    refuse_z(folder, choices)
    images = next((found for p in IMAGES if (found := sorted(folder.glob(p)))), None)
    if images is None:
        raise no_images(folder, "morphology_focus/*.ome.tif or morphology_focus.ome.tif")
    # The files of the folder are one image: OME metadata in each lists them all.
    stack = read_stack(images[0])
    stains = one_file(stack, choices.channels, ["DAPI"] if len(stack.planes[0]) == 1 else None)
    # Bundles hold the same table in several formats.
    table = only(
        folder,
        [folder / name for name in TABLES if (folder / name).exists()][:1],
        " or ".join(TABLES[:2]),
        "copy the table from the instrument's output",
    )
    columns = find_columns(table, cell=("cell_id",))
    if TYPE_COLUMN in column_names(table):
        columns = replace(columns, feature_type=TYPE_COLUMN)
    polygons = [folder / name for name in POLYGONS if (folder / name).exists()]
    panel = folder / PANEL
    return Found(
        stains,
        table,
        columns=columns,
        pixel_size_um=choices.pixel_size_um or _pixel_size_um(folder / EXPERIMENT),
        boundaries=polygons[0] if polygons else None,
        min_qv=MIN_QV if columns.qv else None,
        panel=[panel] if panel.is_file() else [],
    )


def _pixel_size_um(path: Path) -> float:
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["pixel_size"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(
            path,
            found="no pixel_size",
            expected="the JSON that describes the bundle",
            remedy="copy the file from the instrument's output or give pixel_size_um",
        ) from error
