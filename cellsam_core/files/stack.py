"""What one image file says of itself: planes, channels, pixel size, frame interval."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.plane import Plane
from cellsam_core.files.planes import (
    RASTER_SUFFIXES,
    READ_ERRORS,
    check_page,
    read_raster,
    unreadable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MICRONS = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
SECONDS = {"s": 1.0, "sec": 1.0, "ms": 1e-3, "µs": 1e-6, "min": 60.0, "h": 3600.0, "hour": 3600.0}
IMAGEJ_MICRON = {"micron", "microns", "micrometer", "um", "µm", "μm", "\\u00b5m"}
RGB = ("R", "G", "B")
# A page this narrow holds channels or a line scan along its last axis, not pixels.
MIN_WIDTH_PX = 9
MAX_UNNAMED_CHANNELS = 7


@dataclass(frozen=True)
class Stack:
    """Planes of one image file, or of several that belong together.

    Attributes
    ----------
    path
        For messages.
    kind
        ``image`` (one plane or RGB), ``tiff_stack`` or ``ome_tiff``.
    planes
        ``planes[frame][channel]``.
    channels
        Names; empty where the file names none.
    shape_yx, dtype
        `dtype` in native byte order.
    pixel_size_um, frame_interval_s
        None where the file does not say.
    """

    path: Path
    kind: str
    planes: list[list[Plane]]
    channels: tuple[str, ...]
    shape_yx: tuple[int, int]
    dtype: str
    pixel_size_um: float | None = None
    frame_interval_s: float | None = None


def read_stack(
    path: Path, *, n_channels: int | None = None, pages_are_frames: bool = False
) -> Stack:
    """Read the header of a TIFF, PNG or JPEG and check that all of its data is there.

    Parameters
    ----------
    path
        The file.
    n_channels
        Number of channels that the caller knows of; splits pages whose axis the file does
        not name into frames x channels, channels varying fastest.
    pages_are_frames
        Take a z axis as time: many programs write movies so.

    Raises
    ------
    InputError
        The file is unreadable or truncated, or its axes are not time, channel, y and x.
    """
    if path.name.lower().endswith(RASTER_SUFFIXES):
        return _read_raster_header(path)
    try:
        with _page_errors(path), tifffile.TiffFile(path) as tif:
            return _read_tiff_header(tif, path, n_channels, pages_are_frames)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise unreadable(path, f"an unreadable TIFF ({first_line(error)})") from error


@contextmanager
def _page_errors(path: Path) -> Iterator[None]:
    """Turn the errors on broken page chains, which tifffile only logs, into InputError."""
    messages: list[str] = []
    handler = logging.Handler(logging.ERROR)
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tifffile")
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
    if any(re.search(r"page|tag list", m) for m in messages):
        raise unreadable(path, "a truncated TIFF (its list of pages is broken)")
    if broken := next((m for m in messages if re.search(r"TiffTag (2[5-9]\d|3[0-3]\d) ", m)), None):
        raise unreadable(path, f"a damaged TIFF ({broken.splitlines()[0]})")


def _read_raster_header(path: Path) -> Stack:
    try:
        image = read_raster(str(path))
    except InputError:
        raise
    except READ_ERRORS as error:
        raise unreadable(path, f"an unreadable image ({first_line(error)})") from error
    is_rgb = image.ndim == 3
    planes = [Plane(str(path), 0, s) for s in range(3)] if is_rgb else [Plane(str(path))]
    shape_yx = (int(image.shape[0]), int(image.shape[1]))
    return Stack(path, "image", [planes], RGB if is_rgb else (), shape_yx, _dtype(image, path))


def _read_tiff_header(
    tif: tifffile.TiffFile, path: Path, n_channels: int | None, pages_are_frames: bool
) -> Stack:
    if len(tif.pages) == 0 or not tif.series:
        raise unreadable(path, "no image")
    series = tif.series[0]
    if len(tif.series) > 1:
        shapes = ", ".join("x".join(map(str, s.shape)) for s in tif.series[:3])
        raise _axes_error(path, f"{len(tif.series)} separate images of {shapes} px", "one image")
    page = series.keyframe
    for each in tif.pages:
        check_page(each, path, tif.filehandle.size)
    _check_pixels(page, path)
    lead, is_rgb = _leading_axes(series)
    names = _channel_names(tif)
    if not names and [axis for axis, _ in lead] == ["C"]:
        count = lead[0][1]
        is_other = pages_are_frames and n_channels not in (None, count)
        # Some programs write the frames of a movie as ImageJ channels, of which it knows 7.
        if count > MAX_UNNAMED_CHANNELS or is_other:
            lead = [("Q", count)]
    grid = _frames_by_channels(path, lead, n_channels, pages_are_frames)
    n_found = grid.size // page.samplesperpixel
    n_declared = int((tif.imagej_metadata or {}).get("images", 1))
    if n_declared > n_found:
        raise unreadable(path, f"a truncated stack ({n_found} of {n_declared} ImageJ planes)")
    if is_rgb:
        grid, names = grid[:, :3], RGB  # a fourth sample is opacity
    if grid.size > 1 and page.imagewidth < MIN_WIDTH_PX:
        found = f"{grid.size} pages of {page.imagelength} x {page.imagewidth} px"
        raise _axes_error(path, found, "channels before y and x")
    planes = [[_locate(series, int(i), path) for i in row] for row in grid]
    shape_yx = (int(page.imagelength), int(page.imagewidth))
    is_image = is_rgb or grid.size == 1
    kind = "ome_tiff" if tif.is_ome else ("image" if is_image else "tiff_stack")
    return Stack(path, kind, planes, names, shape_yx, _dtype(page, path), *_scales(tif, path))


def _leading_axes(series: Any) -> tuple[list[tuple[str, int]], bool]:
    """Name the axes of a series but y and x, slowest first; tell whether one is RGB."""
    page = series.keyframe
    # From a bare array (3, y, x) or (4, y, x), tifffile makes planar RGB by guess.
    by_tifffile = series.kind == "shaped" or str(page.software).startswith("tifffile")
    is_guess = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and by_tifffile
    colours = (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR)
    is_rgb = "S" in series.axes and page.photometric in colours and not is_guess
    lead = [
        ({"S": "Q" if is_guess else "C"}.get(axis, axis), int(size))
        for axis, size in zip(series.axes, series.shape, strict=True)
        if axis not in "YX" and size > 1
    ]
    return lead, is_rgb


def _locate(series: Any, index: int, path: Path) -> Plane:
    """Find the file, page and sample of a plane of a series."""
    n_samples = int(series.keyframe.samplesperpixel)
    page_index, sample_index = divmod(index, n_samples)
    sample = sample_index if n_samples > 1 else None
    if page_index >= len(series.pages):
        # ImageJ's stacks above 4 GB: one page, then raw planes.
        n_bytes = int(np.prod(series.keyframe.shape)) * series.dtype.itemsize
        end = (series.dataoffset or 0) + (page_index + 1) * n_bytes
        if series.dataoffset is None or end > path.stat().st_size:
            raise unreadable(path, f"a truncated stack without plane {page_index}")
        return Plane(str(path), page_index, sample)
    page = series.pages[page_index]
    if page is None:
        raise unreadable(path, f"no file that holds plane {page_index} of this OME-TIFF set")
    file = Path(page.parent.filehandle.path)
    if file != path:
        check_page(page, file, page.parent.filehandle.size)
    return Plane(str(file), int(page.index), sample)


def _frames_by_channels(
    path: Path, lead: list[tuple[str, int]], n_channels: int | None, pages_are_frames: bool
) -> NDArray[np.int64]:
    """Arrange the indices of a file's planes as ``(frame, channel)``.

    Parameters
    ----------
    path
        For messages.
    lead
        Axes before y and x, longer than 1, with their length.
    n_channels, pages_are_frames
        See :func:`read_stack`.
    """
    axes = "".join(axis for axis, _ in lead)
    sizes = [size for _, size in lead]
    indices = np.arange(int(np.prod(sizes)), dtype=np.int64).reshape(sizes)
    if axes in ("", "T", "C", "TC", "CT"):
        indices = indices.T if axes == "CT" else indices
        n_time = sizes[axes.index("T")] if "T" in axes else 1
        return indices.reshape(n_time, -1)
    if "Z" in axes and not (pages_are_frames and len(lead) == 1):
        found = f"a z axis of {dict(lead)['Z']} planes"
        raise _axes_error(path, found, "time and channels", "project it or choose one plane")
    if len(lead) > 1 and sizes[-1] != n_channels:
        sizes_text = " x ".join(map(str, sizes))
        raise _axes_error(
            path, f"{sizes_text} pages with unnamed axes", "axes TCYX in its metadata"
        )
    per_frame = n_channels or 1
    if indices.size % per_frame:
        found = f"{indices.size} pages"
        raise _axes_error(path, found, f"a multiple of the {per_frame} channels given")
    return indices.reshape(-1, per_frame)


def _axes_error(path: Path, found: str, expected: str, remedy: str = "") -> InputError:
    return InputError(
        path,
        found=found,
        expected=expected,
        remedy=(f"{remedy}; " if remedy else "")
        + "if the pages are time points, set the columns `format` to tiff_stack and `channels`, "
        "else export the file again with named axes",
    )


def _check_pixels(page: Any, path: Path) -> None:
    if page.imagedepth > 1:
        raise _axes_error(path, f"a volume of {page.imagedepth} planes in a page", "2-D pages")
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE:
        raise InputError(
            path,
            found="colours from a palette",
            expected="grey or RGB pixels",
            remedy="save the image as grey or RGB",
        )


def _dtype(image: Any, path: Path) -> str:
    dtype = image.dtype
    if dtype is None or np.dtype(dtype).kind not in "uif":
        raise InputError(
            path,
            found=f"pixels of type {dtype}",
            expected="8, 16 or 32-bit integers or floating point",
            remedy="convert the image to 16 bit",
        )
    return str(np.dtype(dtype).newbyteorder("=").name)


def _channel_names(tif: tifffile.TiffFile) -> tuple[str, ...]:
    if tif.is_ome:
        channels = _ome_pixels(tif).findall("{*}Channel")
        names = tuple(c.get("Name") or f"channel_{i + 1}" for i, c in enumerate(channels))
        return names if any(c.get("Name") for c in channels) else ()
    return ()


def _ome_pixels(tif: tifffile.TiffFile) -> ElementTree.Element:
    try:
        pixels = ElementTree.fromstring(tif.ome_metadata or "").find(".//{*}Pixels")
    except ElementTree.ParseError as error:
        raise ValueError(f"broken OME metadata, {error}") from error
    if pixels is None:
        raise ValueError("OME metadata without a Pixels element")
    return pixels


def _scales(tif: tifffile.TiffFile, path: Path) -> tuple[float | None, float | None]:
    """Pixel size in micrometres and frame interval in seconds."""
    if tif.is_ome:
        pixels = _ome_pixels(tif)
        height, width = (_ome_length(pixels, f"PhysicalSize{a}", MICRONS, "µm") for a in "YX")
        interval = _ome_length(pixels, "TimeIncrement", SECONDS, "s")
    elif tif.is_imagej:
        info: dict[str, Any] = tif.imagej_metadata or {}
        is_micron = str(info.get("unit", "")).strip().lower() in IMAGEJ_MICRON
        x_per_unit, y_per_unit = tif.pages[0].resolution
        height = 1 / y_per_unit if is_micron and y_per_unit > 0 else None
        width = 1 / x_per_unit if is_micron and x_per_unit > 0 else None
        unit = SECONDS.get(str(info.get("tunit", "s")).strip().lower())
        interval = unit * float(info.get("finterval") or 0) if unit else None
    else:
        return None, None
    if height and width and abs(height / width - 1) > 0.01:
        raise InputError(
            path,
            found=f"pixels of {height:g} x {width:g} um",
            expected="square pixels",
            remedy="resample the images",
        )
    return width, interval or None


def _ome_length(
    pixels: ElementTree.Element, name: str, units: dict[str, float], default: str
) -> float | None:
    """Read an OME quantity with its unit; None if absent, zero or in arbitrary units."""
    factor = units.get(pixels.get(f"{name}Unit", default))
    value = float(pixels.get(name) or 0)
    return value * factor if factor and value > 0 else None
