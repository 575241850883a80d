"""Vizgen MERSCOPE: the folder of a region.

Layout: ``detected_transcripts.csv`` (or csv.gz, parquet), ``images/mosaic_<stain>_z<plane>.tif``,
``images/micron_to_mosaic_pixel_transform.csv``, ``images/manifest.json``, polygons as
``cell_boundaries.parquet`` or ``cell_boundaries/feature_data_<fov>.hdf5``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.parse import unquote

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import natural_key
from cellsam_core.samples.panel import matrix_in, panel_in
from cellsam_core.samples.transcripts import find_columns
from cellsam_core.samples.transform import check_transform, read_transform
from cellsam_core.samples.vendors.contract import (
    Choices,
    Found,
    no_images,
    refuse_fov,
    refuse_orientation,
)
from cellsam_core.samples.vendors.stains import not_read, one_file_a_stain, select
from cellsam_core.samples.vendors.tables import transcript_table, vendor_polygons
from cellsam_core.samples.vendors.zplanes import (
    choose_planes,
    keep_plane,
    plane_warnings,
    project,
    read_flat,
)

if TYPE_CHECKING:
    from pathlib import Path

TRANSFORM_NAME = "micron_to_mosaic_pixel_transform.csv"
MOSAIC = re.compile(r"mosaic_(?P<stain>.+)_z(?P<z>\d+)\.tiff?")
CELL_COLUMNS = ("cell_id", "EntityID")
MIDDLE_PLANE = 3  # Of the instrument's seven; what Vizgen's own tools show.


def fits(folder: Path) -> bool:
    """Tell whether the folder, or a region in it, has mosaic images."""
    return bool(_mosaics(folder) or _regions(folder))


def read(folder: Path, choices: Choices) -> Found:
    """Read what a region holds.

    Raises
    ------
    InputError
        Something is missing or contradicts something else; the message names it.
    """
    refuse_fov(folder, choices)
    refuse_orientation(folder, choices)
    folder = _region(folder)
    mosaics = _mosaics(folder)
    if not mosaics:
        raise no_images(folder, "images/mosaic_<stain>_z<plane>.tif")
    names = select(folder, list(mosaics), choices.channels)
    files = {name: mosaics[name] for name in names}
    every_plane = set().union(*files.values())
    planes = choose_planes(folder, every_plane, choices, MIDDLE_PLANE)
    for name in names:
        for z in planes:
            if z not in files[name]:
                raise InputError(
                    folder,
                    found=f"no mosaic_{name}_z{z}.tif",
                    expected=f"plane {z} of every stain",
                    remedy="copy the file from the instrument or leave the stain out of channels",
                )
    stains = one_file_a_stain({name: read_flat(files[name][planes[0]]) for name in names})
    transform_path = beside_images(folder, TRANSFORM_NAME)
    if transform_path is None:
        raise InputError(
            folder,
            found=f"no images/{TRANSFORM_NAME}",
            expected="the transform from micrometres to pixels of the mosaic",
            remedy="copy the file from the instrument's output",
        )
    um_to_px = read_transform(transform_path)
    check_transform(transform_path, um_to_px, stains.shape_yx, choices.pixel_size_um)
    table = transcript_table(folder)
    boundaries, warnings = vendor_polygons(folder)
    return Found(
        project(stains, files, planes),
        table,
        columns=find_columns(table, cell=CELL_COLUMNS),
        um_to_px=um_to_px,
        pixel_size_um=choices.pixel_size_um,
        keep=keep_plane(table, choices, planes, every_plane),
        boundaries=boundaries,
        panel=matrix_in(folder.iterdir()) or panel_in(folder),
        warnings=[
            *plane_warnings(choices, planes, len(every_plane)),
            *_other_images(folder),
            *warnings,
        ],
    )


def beside_images(folder: Path, name: str) -> Path | None:
    """Find a file in ``images/`` or the folder itself; None if there is neither."""
    return next((p / name for p in (folder / "images", folder) if (p / name).is_file()), None)


def _region(folder: Path) -> Path:
    """Return the region folder of a run with a single one, else `folder` itself."""
    regions = _regions(folder)
    if len(regions) > 1:
        raise InputError(
            folder,
            found=f"{len(regions)} regions ({', '.join(p.name for p in regions)})",
            expected="one region a sample",
            remedy="give each region folder its own row in the sample sheet",
        )
    return regions[0] if regions else folder


def _regions(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("region_*") if _mosaics(path))


def _other_images(folder: Path) -> list[str]:
    """Warn of images in ``images/`` that are no mosaics by their names, such as renamed ones."""
    files = sorted((folder / "images").glob("*"), key=lambda file: natural_key(file.name))
    names = [
        f"images/{file.name}"
        for file in files
        if file.suffix.lower() in (".tif", ".tiff") and not MOSAIC.fullmatch(file.name)
    ]
    return not_read(names, "stains are named mosaic_<stain>_z<plane>.tif")


def _stain(part: str) -> str:
    """Name a stain by its part of a file's name, where %2F stands for a slash; commas part names.

    Examples
    --------
    >>> _stain("CD4%2FCD8, high")
    'CD4/CD8 high'
    """
    return " ".join(unquote(part).replace(",", " ").split())


def _mosaics(folder: Path) -> dict[str, dict[int, Path]]:
    """Mosaic images by stain and z plane, from ``images/`` or the folder itself."""
    found: dict[str, dict[int, Path]] = defaultdict(dict)
    for parent in (folder / "images", folder):
        for file in sorted(parent.glob("mosaic_*")):
            if match := MOSAIC.fullmatch(file.name):
                found[_stain(match["stain"])].setdefault(int(match["z"]), file)
    return {stain: found[stain] for stain in sorted(found) if found[stain]}
