"""Images of raw rounds: TIFF, PNG, ``.dax``, and Zarr folders, whose pages are planes."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

import zarr

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.filenames import is_image, natural_key
from cellsam_core.files.ngff import open_image
from cellsam_core.files.ngff_places import ARRAY_ITSELF
from cellsam_core.files.plane import Plane
from cellsam_core.files.stack import read_stack
from cellsam_core.files.suffixes import ARRAY_FILES, DAX_SUFFIX, STORE_FILES

if TYPE_CHECKING:
    from collections.abc import Iterator

ZARR_FILES = (*STORE_FILES, *ARRAY_FILES)


def list_raw_images(folder: Path, *, below: bool = False) -> list[Path]:
    """List the images of a folder in natural order; a Zarr folder is one image.

    Parameters
    ----------
    folder
        Folder of the raw rounds.
    below
        True looks into its sub-folders as well.
    """
    return sorted(_walk(folder, below), key=lambda path: natural_key(path.as_posix()))


def _walk(folder: Path, below: bool) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = Path(entry.path)
        if not entry.is_dir():
            is_dax = path.name.lower().endswith(DAX_SUFFIX) and not path.name.startswith(".")
            if is_dax or is_image(path):
                yield path
        elif is_zarr(path):
            yield path
        elif below and not entry.name.startswith("."):
            yield from _walk(path, below)


def is_zarr(path: Path) -> bool:
    """Tell if a folder is a Zarr group or array."""
    return path.is_dir() and any((path / name).is_file() for name in ZARR_FILES)


def plane_of(path: Path, page: int) -> Plane:
    """Name a plane of an image.

    Parameters
    ----------
    path
        File, or Zarr folder.
    page
        Index of the plane; in a Zarr along all axes before y and x, the last varying fastest.
    """
    return Plane(str(path), page, series=_series(path) if path.is_dir() else "")


def header_of(path: Path) -> tuple[tuple[int, int], float | None]:
    """Read height and width of the planes of an image, and the size of a pixel where it says it.

    Raises
    ------
    InputError
        The image can't be read.
    """
    if not path.is_dir():
        header = read_stack(path, pages_are_frames=True)
        return header.shape_yx, header.pixel_size_um
    if _series(path) != ARRAY_ITSELF:
        image = open_image(path)
        return (image.sizes["y"], image.sizes["x"]), image.pixel_size_um
    height, width = zarr.open_array(str(path), mode="r").shape[-2:]
    return (int(height), int(width)), None


@functools.lru_cache(maxsize=4096)
def _series(path: Path) -> str:
    """Find the array of a Zarr folder that holds the planes."""
    try:
        store = zarr.open(str(path), mode="r")
    except (OSError, ValueError, LookupError) as error:
        raise _no_planes(path, f"a Zarr that can't be opened ({first_line(error)})") from error
    if not isinstance(store, zarr.Array):
        return open_image(path).series
    if store.ndim < 2 or store.dtype.kind not in "ui":
        raise _no_planes(path, f"an array of {store.ndim} axes and type {store.dtype}")
    return ARRAY_ITSELF


def _no_planes(path: Path, found: str) -> InputError:
    return InputError(
        path,
        found=found,
        expected="an OME-Zarr, or an array of whole numbers whose last axes are y and x",
        remedy="write the images anew, or as TIFF",
    )
