"""Header of one image file: planes, channels, pixel size, times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.foreign import is_readable, refuse_foreign
from cellsam_core.files.image_stack import RGB, Stack, ZChoice
from cellsam_core.files.ome_xml import parse_ome
from cellsam_core.files.plane import PALETTE_NUMBERS, Plane
from cellsam_core.files.planes import (
    READ_ERRORS,
    has_palette,
    is_jpeg,
    lossy_labels,
    read_raster,
    unreadable,
)
from cellsam_core.files.suffixes import DAX_SUFFIX, RASTER_SUFFIXES, TIFF_SUFFIXES
from cellsam_core.files.tiff.axes import Wish
from cellsam_core.files.tiff.companion import COMPANION, names_of, read_companion
from cellsam_core.files.tiff.header import open_tiff, own_images, read_tiff_header
from cellsam_core.files.tiff.ndtiff import INDEX, positions_in
from cellsam_core.files.tiff.pixels import dtype_of, page_errors, read_errors

if TYPE_CHECKING:
    from pathlib import Path

    pass


def read_stack(
    path: Path,
    *,
    n_channels: int | None = None,
    pages_are_frames: bool = False,
    z: ZChoice | None = None,
    series: str = "",
    alone: bool = False,
    are_labels: bool = False,
    may_lack: bool = False,
) -> Stack:
    """Read the header of an image file and check that all of its data is there.

    Parameters
    ----------
    path
        TIFF, PNG, JPEG, ``.dax``, the companion file of an OME-TIFF, an OME-Zarr folder, or a
        microscope's own file where the extra ``bioio`` is installed.
    n_channels
        Number of channels that the caller knows of; splits pages whose axis the file does
        not name into frames x channels, channels varying fastest.
    pages_are_frames
        Take a z axis as time: many programs write movies so.
    z
        What to do with z planes; None refuses them.
    series
        Name of the image to read, of several in the file; see :func:`list_series`.
    alone
        Read only what is in this file, even if it belongs to a set of files.
    are_labels
        Pixels are numbers of cells, whatever colours a palette shows them in.
    may_lack
        The caller takes None for planes that were planned, and of which the metadata of a
        microscope tell that they were not acquired. Else they are refused.

    Raises
    ------
    InputError
        The file is unreadable or truncated, or its axes are not time, channel, y and x.
    """
    wish = Wish(n_channels, pages_are_frames, z, series, alone, are_labels, may_lack)
    if path.is_dir():
        from cellsam_core.files.ngff import read_header

        return read_header(path, series, z, pages_are_frames=pages_are_frames)
    if path.name.lower().endswith(DAX_SUFFIX):
        from cellsam_core.files.dax import read_header as read_dax_header

        return read_dax_header(path)
    if path.name.lower().endswith(RASTER_SUFFIXES):
        return _read_raster_header(path, are_labels=are_labels)
    if is_readable(path):
        from cellsam_core.files.bioio_files import read_header as read_vendor_header

        return read_vendor_header(path, series, z)
    refuse_foreign(path)
    if path.name.lower().endswith(COMPANION):
        with read_errors(path):
            return read_companion(path, wish)
    _refuse_no_image(path)
    with read_errors(path), page_errors(path), open_tiff(path, alone) as tif:
        return read_tiff_header(tif, path, wish)


def list_series(path: Path) -> list[str]:
    """Name the images in one file or OME-Zarr, such as positions; one empty name for only one.

    Raises
    ------
    InputError
        The file can't be read.
    """
    if path.is_dir():
        from cellsam_core.files.ngff import list_images as list_zarr_images

        return list_zarr_images(path)
    if is_readable(path):
        from cellsam_core.files.bioio_files import list_scenes

        return list_scenes(path)
    if path.name.lower().endswith(RASTER_SUFFIXES):
        return [""]
    refuse_foreign(path)
    if not path.name.lower().endswith(COMPANION):
        _refuse_no_image(path)
    with read_errors(path):
        if path.name.lower().endswith(COMPANION):
            return names_of(parse_ome(path.read_text(encoding="utf-8")))
        with page_errors(path), open_tiff(path, alone=False) as tif:
            if not tif.is_ome:
                index = path.with_name(INDEX)
                names = positions_in(tif.series[0], index) if tif.is_ndtiff else []
                return names or [""]
            images, own = own_images(tif, path)
            return names_of([image for image, _ in own]) if own else names_of(images[:1])


def _refuse_no_image(path: Path) -> None:
    """Refuse a file that is no TIFF, by its name and its first bytes: a table, or settings."""
    if path.name.lower().endswith(TIFF_SUFFIXES) or not path.is_file():
        return
    with path.open("rb") as file:
        if file.read(2) in (b"II", b"MM"):
            return
    raise InputError(
        path,
        found="a file that is no image",
        expected="TIFF, OME-TIFF, OME-Zarr or PNG",
        remedy="name the folder of the images, or one of them, as `path`",
    )


def _read_raster_header(path: Path, *, are_labels: bool) -> Stack:
    try:
        if are_labels and is_jpeg(path):
            raise lossy_labels(path, "a JPEG")
        numbers = are_labels and has_palette(path)
        image = read_raster(str(path), numbers=numbers)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise unreadable(path, f"an unreadable image ({first_line(error)})") from error
    is_rgb = image.ndim == 3
    grey = Plane(str(path), series=PALETTE_NUMBERS if numbers else "")
    planes = [Plane(str(path), 0, s) for s in range(3)] if is_rgb else [grey]
    shape_yx = (int(image.shape[0]), int(image.shape[1]))
    return Stack(path, "image", [planes], RGB if is_rgb else (), shape_yx, dtype_of(image, path))
