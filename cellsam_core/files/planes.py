"""Read single image planes, or windows of them, that a manifest names."""

from __future__ import annotations

import functools
import math
import os
import struct
import zlib
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.plane import CHANNELS_LAST, PALETTE_NUMBERS, Window
from cellsam_core.files.suffixes import DAX_SUFFIX, RASTER_SUFFIXES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.files.plane import Plane

# What tifffile, imagecodecs (RuntimeError) and zlib raise on damaged files.
READ_ERRORS = (
    *(OSError, ValueError, RuntimeError, LookupError, TypeError, ArithmeticError, AttributeError),
    *(struct.error, zlib.error, AssertionError),
)
MAX_OPEN_FILES = 8
# No image of microscopy is compressed so well: zlib can't do more than 1032.
MAX_COMPRESSION = 2000
ALWAYS_ALLOWED_BYTES = 64 << 20
JPEG_START = b"\xff\xd8"
JPEG_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3}


def unreadable(path: str | Path, found: str) -> InputError:
    """Error for a file, or an OME-Zarr, whose bytes can't be an image."""
    is_store = Path(path).is_dir()
    return InputError(
        path,
        found=found,
        expected="a complete OME-Zarr image" if is_store else "a complete TIFF or PNG image",
        remedy=f"copy the {'folder' if is_store else 'file'} again from the microscope",
    )


def lossy_labels(path: str | Path, found: str) -> InputError:
    """Error for label images whose numbers JPEG has changed."""
    return InputError(
        path,
        found=found,
        expected="label images that are stored without loss: JPEG changes the numbers of cells",
        remedy="save the labels as TIFF or PNG",
    )


class _OpenTiffs:
    """The TIFFs opened last, so that a movie is not opened again for each of its pages."""

    def __init__(self) -> None:
        self._files: OrderedDict[tuple[Any, ...], tifffile.TiffFile] = OrderedDict()

    def get(self, path: str) -> tifffile.TiffFile:
        """Open `path`, or return its open handle if the file has not changed since."""
        stat = Path(path).stat()
        # The process id: file positions must not be shared with a forked worker.
        key = (os.getpid(), path, stat.st_mtime_ns, stat.st_size)
        if key not in self._files:
            self._files[key] = tifffile.TiffFile(path)
            if len(self._files) > MAX_OPEN_FILES:
                self._files.popitem(last=False)[1].close()
        self._files.move_to_end(key)
        return self._files[key]


_OPEN_TIFFS = _OpenTiffs()


def read_plane(plane: Plane, window: Window | None = None) -> NDArray[Any]:
    """Read one plane or a window of it; of several z planes, their maximum.

    Only the window is read from uncompressed files, only the strips or tiles that it
    touches from compressed ones.

    Parameters
    ----------
    plane
        File, page and sample.
    window
        ``(y0, y1, x0, x1)`` in pixels, half open, inside the plane; None for all of it.

    Returns
    -------
    ndarray, (y, x)
        In the file's dtype and native byte order.

    Raises
    ------
    InputError
        The file is missing, damaged or truncated.
    """
    if plane.zoom > 1:
        return _zoomed(plane, window)
    pixels = _read_one(plane, window)
    for path in plane.also:
        pixels = np.maximum(pixels, _read_one(replace(plane, path=path), window))
    return _project(plane, pixels, window) if plane.stack else pixels


def _zoomed(plane: Plane, window: Window | None) -> NDArray[Any]:
    """Repeat each pixel of a plane whose camera binned them."""
    zoom, plain = plane.zoom, replace(plane, zoom=1)
    if window is None:
        return read_plane(plain).repeat(zoom, axis=0).repeat(zoom, axis=1)
    y0, y1, x0, x1 = window
    coarse = (y0 // zoom, -(-y1 // zoom), x0 // zoom, -(-x1 // zoom))
    pixels = read_plane(plain, coarse).repeat(zoom, axis=0).repeat(zoom, axis=1)
    top, left = y0 - coarse[0] * zoom, x0 - coarse[2] * zoom
    return pixels[top : top + y1 - y0, left : left + x1 - x0]


def _project(plane: Plane, pixels: NDArray[Any], window: Window | None) -> NDArray[Any]:
    """Project the z planes of which `pixels` is the first."""
    if plane.projection == "focus":
        return _read_one(_z_planes(plane)[sharpest(plane)], window)
    others = _z_planes(plane)[1:]
    if plane.projection == "max":
        for other in others:
            pixels = np.maximum(pixels, _read_one(other, window))
        return pixels
    total = pixels.astype(np.float64)
    for other in others:
        total += _read_one(other, window)
    mean = total / (len(others) + 1)
    return (mean if pixels.dtype.kind == "f" else np.rint(mean)).astype(pixels.dtype)


def _z_planes(plane: Plane) -> list[Plane]:
    first = replace(plane, stack=(), also=())
    return [first, *(replace(first, path=p or plane.path, page=page) for p, page in plane.stack)]


@functools.lru_cache(maxsize=4096)
def sharpest(plane: Plane) -> int:
    """Find the z plane in best focus: the one whose Laplacian varies most, for its brightness.

    Parameters
    ----------
    plane
        With its `stack`.

    Returns
    -------
    int
        Index among all z planes; the plane itself is 0.
    """
    scores = []
    for each in _z_planes(plane):
        pixels = _read_one(each, None).astype(np.float32)
        laplacian = (
            pixels[:-2, 1:-1] + pixels[2:, 1:-1] + pixels[1:-1, :-2] + pixels[1:-1, 2:]
        ) - 4 * pixels[1:-1, 1:-1]
        scores.append(float(laplacian.var() / max(float(pixels.mean()), 1e-6)))
    return int(np.argmax(scores))


def _read_one(plane: Plane, window: Window | None) -> NDArray[Any]:
    try:
        if plane.series and plane.series not in (CHANNELS_LAST, PALETTE_NUMBERS):
            pixels = _read_from_store(plane, window)
        elif plane.path.lower().endswith(DAX_SUFFIX):
            from cellsam_core.files import dax

            pixels = dax.read_page(plane.path, plane.page, window)
        elif plane.path.lower().endswith(RASTER_SUFFIXES):
            image = read_raster(plane.path, numbers=plane.series == PALETTE_NUMBERS)
            sample_axis = 2 if image.ndim == 3 else None
            pixels = _pick(image, sample_axis, plane.sample, window)
        else:
            pixels = _read_tiff(plane, window)
    except InputError:
        raise
    except READ_ERRORS as error:
        where = f" in plane {plane.page} of {plane.series}" if Path(plane.path).is_dir() else ""
        found = f"an unreadable image ({first_line(error)}){where}"
        raise unreadable(plane.path, found) from error
    return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))


def _read_from_store(plane: Plane, window: Window | None) -> NDArray[Any]:
    """Read a plane of an OME-Zarr, or of a microscope's own file."""
    if Path(plane.path).is_dir():
        from cellsam_core.files import ngff

        return ngff.read_page(plane.path, plane.series, plane.page, window)
    from cellsam_core.files import bioio_files

    return bioio_files.read_page(plane.path, plane.series, plane.page, window)


PNG_START, PNG_PALETTE_AT = b"\x89PNG", 25
"""The type of the colours follows width, height and depth; 3 is a palette."""
LZW_CLEAR, LZW_END = 256, 257


@functools.lru_cache(maxsize=2)
def _read_raster(path: str, _modified_ns: int, *, numbers: bool) -> NDArray[Any]:
    _refuse_absurd_raster(path)
    if numbers:
        from PIL import Image

        with Image.open(path) as picture:
            return np.asarray(picture)
    import imagecodecs

    image = np.asarray(imagecodecs.imread(path))
    if image.ndim == 3 and image.shape[2] in (2, 4):
        image = image[:, :, :-1]  # opacity is no signal
    return image[:, :, 0] if image.ndim == 3 and image.shape[2] == 1 else image


def _refuse_absurd_raster(path: str) -> None:
    """Look at the size in the header of a PNG or JPEG; a pixel has at most 8 bytes."""
    content = Path(path).read_bytes()
    size = content[16:24]  # PNG: width and height
    if content.startswith(JPEG_START):
        at = 2
        while at + 9 < len(content) and content[at + 1] not in JPEG_FRAMES:
            at += 2 + int.from_bytes(content[at + 2 : at + 4])
        size = b"\0\0" + content[at + 5 : at + 7] + b"\0\0" + content[at + 7 : at + 9]
    if len(size) == 8:
        height, width = struct.unpack(">II", size)
        refuse_absurd_size(path, 8 * width * height, len(content))


def has_palette(path: Path) -> bool:
    """Tell whether a PNG holds numbers that a palette turns into colours."""
    with path.open("rb") as file:
        header = file.read(PNG_PALETTE_AT + 1)
    return header.startswith(PNG_START) and header[PNG_PALETTE_AT:] == b"\3"


def is_jpeg(path: Path) -> bool:
    """Tell whether a file is a JPEG, whatever its name."""
    with path.open("rb") as file:
        return file.read(len(JPEG_START)) == JPEG_START


def read_raster(path: str, *, numbers: bool = False) -> NDArray[Any]:
    """Decode a PNG or JPEG, ``(y, x)`` or ``(y, x, 3)``; an alpha channel is left out.

    Parameters
    ----------
    path
        The file.
    numbers
        Read the numbers ``(y, x)`` of a PNG with a palette instead of their colours.
    """
    return _read_raster(path, Path(path).stat().st_mtime_ns, numbers=numbers)


def check_page(page: Any, path: str | Path, file_size: int) -> None:
    """Refuse a TIFF page with strips or tiles that are absent or end behind the file's end.

    Nor may it claim more pixels than its bytes can hold: nothing is decoded to find that out.
    """
    ends = [o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=False)]
    n_bytes = sum(page.databytecounts)
    if not ends or min(page.shape) < 1:
        raise unreadable(path, f"no pixel data in page {page.index}")
    if max(ends) > file_size:
        found = f"a truncated TIFF ({file_size} bytes, page {page.index} ends at {max(ends)})"
        raise unreadable(path, found)
    n_segments = math.prod(page.chunked)
    n_found = sum(
        o > 0 and n > 0 for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)
    )
    if n_found < n_segments:
        raise unreadable(
            path, f"{n_found} of the {n_segments} strips or tiles of page {page.index}"
        )
    n_bits = page.keyframe.bitspersample
    claimed = math.prod(page.shape) * n_bits // 8
    # Packed rows end at whole bytes; other pixels that claim too little are left to the reader.
    is_less = n_bits % 8 > 0 and n_bytes > claimed + page.imagelength
    if page.keyframe.compression == tifffile.COMPRESSION.NONE and (claimed > n_bytes or is_less):
        found = f"{n_bytes} bytes of pixels in page {page.index} where it claims {claimed}"
        raise unreadable(path, found)
    refuse_absurd_size(path, claimed, n_bytes)
    if page.keyframe.compression == tifffile.COMPRESSION.LZW:
        _refuse_broken_lzw(page, path)


def _refuse_broken_lzw(page: Any, path: str | Path) -> None:
    """Refuse strips whose first code names nothing: the decoder would make up pixels for it."""
    file = page.parent.filehandle
    for offset in page.dataoffsets:
        file.seek(offset)
        codes = int.from_bytes(file.read(3), "big") >> 6  # the first two, of 9 bits each
        if codes >> 9 == LZW_CLEAR and codes & 0x1FF > LZW_END:
            raise unreadable(path, f"damaged LZW data in page {page.index}")


def refuse_absurd_size(path: str | Path, claimed_bytes: int, n_bytes: int) -> None:
    """Refuse an image that claims far more pixels than its file can hold."""
    if claimed_bytes > max(ALWAYS_ALLOWED_BYTES, MAX_COMPRESSION * n_bytes):
        raise unreadable(path, f"an image that claims {claimed_bytes} bytes of pixels in {n_bytes}")


def _read_tiff(plane: Plane, window: Window | None) -> NDArray[Any]:
    tif = _OPEN_TIFFS.get(plane.path)
    if plane.series == CHANNELS_LAST:
        return _read_channels_last(tif, plane, window)
    if plane.page >= len(tif.pages):
        return _read_virtual_page(tif, plane, window)
    page = tif.pages[plane.page]
    check_page(page, plane.path, tif.filehandle.size)
    sample_axis = page.axes.index("S") if "S" in page.axes else None
    if page.is_memmappable:
        source: Any = page.asarray(out="memmap")
    elif window is None:
        source = page.asarray()
    else:
        import zarr

        source = zarr.open_array(page.aszarr(), mode="r")
    return _pick(source, sample_axis, plane.sample, window)


def _read_channels_last(
    tif: tifffile.TiffFile, plane: Plane, window: Window | None
) -> NDArray[Any]:
    """Read a channel of an array ``(frame, y, x, channel)`` whose pages are its rows."""
    series = tif.series[0]
    for page in tif.pages:
        check_page(page, plane.path, tif.filehandle.size)
    array = series.asarray(out="memmap") if series.dataoffset is not None else series.asarray()
    frames = array.reshape(-1, *series.shape[-3:])
    return _pick(frames[plane.page], 2, plane.sample, window)


def _read_virtual_page(tif: tifffile.TiffFile, plane: Plane, window: Window | None) -> NDArray[Any]:
    """Read a plane behind the last page: ImageJ writes one page for a stack above 4 GB."""
    page, offset = tif.pages[0], tif.series[0].dataoffset
    if offset is None or not tif.is_imagej:
        raise unreadable(plane.path, f"{len(tif.pages)} pages where page {plane.page} is named")
    n_bytes = math.prod(page.shape) * page.dtype.itemsize
    start = offset + plane.page * n_bytes
    if start + n_bytes > tif.filehandle.size:
        raise unreadable(plane.path, f"a truncated stack without plane {plane.page}")
    dtype = page.dtype.newbyteorder(tif.byteorder)
    pixels = np.memmap(plane.path, dtype=dtype, mode="r", offset=start, shape=page.shape)
    sample_axis = page.axes.index("S") if "S" in page.axes else None
    return _pick(pixels, sample_axis, plane.sample, window)


def _pick(
    source: Any, sample_axis: int | None, sample: int | None, window: Window | None
) -> NDArray[Any]:
    """Index one sample and the window of a page, ``(y, x)`` or with a sample axis."""
    shape_yx = [n for axis, n in enumerate(source.shape) if axis != sample_axis]
    y0, y1, x0, x1 = window or (0, shape_yx[0], 0, shape_yx[1])
    if not (0 <= y0 <= y1 <= shape_yx[0] and 0 <= x0 <= x1 <= shape_yx[1]):
        raise IndexError(f"window {window} outside of an image of {shape_yx} px")
    index: list[Any] = [slice(y0, y1), slice(x0, x1)]
    if sample_axis is not None:
        index.insert(sample_axis, sample or 0)
    return np.asarray(source[tuple(index)])
