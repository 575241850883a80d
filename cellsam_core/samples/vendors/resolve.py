"""Resolve Molecular Cartography: a spot table without header and an image for each stain.

Layout: ``<id>_results.txt`` (tabs; x, y, z in pixels, gene), ``<id>_DAPI.tiff``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.samples.table_rows import RESOLVE_SUFFIX
from cellsam_core.samples.vendors.contract import (
    Choices,
    Found,
    choose,
    no_images,
    refuse_orientation,
    refuse_z,
)
from cellsam_core.samples.vendors.stains import not_read, one_file_a_stain, select, split_masks
from cellsam_core.samples.vendors.zplanes import read_flat

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PIXEL_SIZE_UM = 0.138  # Of the instrument; the files don't say it.


def fits(folder: Path) -> bool:
    """Tell whether there is a table of results."""
    return any(folder.glob(f"*{RESOLVE_SUFFIX}"))


def read(folder: Path, choices: Choices) -> Found:
    """Read what a folder holds; `choices.fov` is the id of one of several regions.

    Raises
    ------
    InputError
        Something is missing or contradicts something else; the message names it.
    """
    refuse_z(folder, choices)
    refuse_orientation(folder, choices)
    tables = {
        file.name.removesuffix(RESOLVE_SUFFIX): file
        for file in sorted(folder.glob(f"*{RESOLVE_SUFFIX}"))
    }
    region = choose(folder, choices, list(tables), "regions")
    files, masks = split_masks(sorted(folder.glob(f"{region}_*.tif*")), None)
    images = {file.name.split(".")[0].removeprefix(f"{region}_"): file for file in files}
    if not images:
        raise no_images(folder, f"{region}_DAPI.tiff")
    names = select(folder, list(images), choices.channels)
    stains = one_file_a_stain({name: read_flat(images[name]) for name in names})
    size, warnings = choices.pixel_size_um or stains.pixel_size_um, []
    if size is None:
        size = PIXEL_SIZE_UM
        warnings = [f"The pixel size is taken to be the instrument's, {size} um."]
    warnings += [*masks, *_other_images(folder, tables)]
    return Found(stains, tables[region], pixel_size_um=size, warnings=warnings)


def _other_images(folder: Path, regions: Iterable[str]) -> list[str]:
    """Warn of images whose names begin with no region, such as renamed ones."""
    starts = tuple(f"{region}_" for region in regions)
    files = sorted(file.name for file in folder.glob("*.tif*") if not file.name.startswith(starts))
    return not_read(files, "the images of a region begin with its name")
