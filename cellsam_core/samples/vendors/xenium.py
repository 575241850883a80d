"""10x Genomics Xenium: the bundle of a region.

Layout: ``experiment.xenium`` (JSON), ``transcripts.parquet`` (or csv.gz in old bundles),
``morphology_focus/*.ome.tif`` or ``morphology_focus.ome.tif`` or ``morphology_mip.ome.tif``,
``cell_boundaries.parquet``. All coordinates are in micrometres.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import tifffile

from cellsam_core.errors import InputError
from cellsam_core.files.image_stack import Stack
from cellsam_core.files.plane import Plane
from cellsam_core.files.planes import READ_ERRORS, unreadable
from cellsam_core.samples.table_rows import column_names
from cellsam_core.samples.transcripts import find_columns
from cellsam_core.samples.vendors.contract import (
    Choices,
    Found,
    no_images,
    only,
    refuse_fov,
    refuse_orientation,
    refuse_z,
)
from cellsam_core.samples.vendors.kits import XENIUM, roles_in_kit
from cellsam_core.samples.vendors.stains import one_file, one_file_a_stain, select
from cellsam_core.samples.vendors.zplanes import read_flat

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cellsam_core.samples.vendors.contract import Stains

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
    """Tell whether the folder has the file that describes a bundle."""
    return (folder / EXPERIMENT).is_file()


def read(folder: Path, choices: Choices) -> Found:
    """Read what a bundle holds.

    Raises
    ------
    InputError
        Something is missing or contradicts something else; the message names it.
    """
    refuse_fov(folder, choices)
    refuse_orientation(folder, choices)
    refuse_z(folder, choices)
    images = next((found for p in IMAGES if (found := sorted(folder.glob(p)))), None)
    if images is None:
        raise no_images(folder, "morphology_focus/*.ome.tif or morphology_focus.ome.tif")
    stains = _stains(images[0], choices.channels)
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
        kit=roles_in_kit(stains.channels, XENIUM),
    )


def _stains(image: Path, channels: Sequence[str] | None) -> Stains:
    """Read the stains of a bundle's image, which may be a file for each.

    The files of the folder are one image: OME metadata in each lists them all. Stains that are
    asked for by name need no other file.
    """
    files = _files_of_stains(image)
    wanted = channels or list(files)
    absent = [files[name].name for name in wanted if name in files and not files[name].is_file()]
    if absent:
        there = [name for name, file in files.items() if file.is_file()]
        raise InputError(
            image.parent,
            found=f"no file {', '.join(absent)}, which {image.name} says is a part of it",
            expected="the file of each stain that is used",
            remedy="copy these files from the instrument's output, or fill the column channels of "
            f"the sample sheet with stains whose files are there: {','.join(there)}",
        )
    if all(file.is_file() for file in files.values()):
        stack = read_flat(image)
        return one_file(stack, channels, ["DAPI"] if len(stack.planes[0]) == 1 else None)
    chosen = select(image, list(files), wanted)
    return one_file_a_stain({name: _first_page(files[name]) for name in chosen})


def _first_page(path: Path) -> Stack:
    """Read the header of a stain's own file, whatever it says of others."""
    try:
        with tifffile.TiffFile(path) as tif:
            page = tif.pages[0]
            shape, dtype = (int(page.imagelength), int(page.imagewidth)), page.dtype
    except READ_ERRORS as error:
        raise unreadable(path, "an unreadable TIFF") from error
    plane = Plane(str(path.resolve()), 0)
    return Stack(path, "ome_tiff", [[plane]], (), shape, str(dtype.newbyteorder("=")))


def _files_of_stains(image: Path) -> dict[str, Path]:
    """Find the file of each stain in the OME metadata; none where it doesn't name files."""
    try:
        with tifffile.TiffFile(image) as tif:
            root = ElementTree.fromstring(tif.ome_metadata or "<OME/>")
    except (*READ_ERRORS, ElementTree.ParseError) as error:
        raise unreadable(image, "an unreadable TIFF") from error
    names = [str(channel.get("Name")) for channel in root.iterfind(".//{*}Channel")]
    files = {}
    for data in root.iterfind(".//{*}TiffData"):
        uuid, index = data.find("{*}UUID"), int(data.get("FirstC", "0"))
        if uuid is not None and uuid.get("FileName") and index < len(names):
            files[names[index]] = image.with_name(Path(str(uuid.get("FileName"))).name)
    return files


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
