"""Header of one image file: planes, channels, pixel size, times."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.foreign import is_readable, refuse_foreign
from cellsam_core.files.image_stack import RGB, Stack, ZChoice, z_error
from cellsam_core.files.ome_xml import OmeImage, companion_of, parse_ome
from cellsam_core.files.plane import CHANNELS_LAST, Plane
from cellsam_core.files.planes import READ_ERRORS, check_page, read_plane, read_raster, unreadable
from cellsam_core.files.scales import Scales, scales_of_ome, scales_of_tiff
from cellsam_core.files.suffixes import DAX_SUFFIX, RASTER_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# A page this narrow holds channels or a line scan along its last axis, not pixels.
MIN_WIDTH_PX = 9
MAX_UNNAMED_CHANNELS = 7
COMPANION = ".companion.ome"


@dataclass(frozen=True)
class _Wish:
    """Facts about the axes that the caller of :func:`read_stack` knows."""

    n_channels: int | None = None
    pages_are_frames: bool = False
    z: ZChoice | None = None
    series: str = ""
    alone: bool = False


def read_stack(
    path: Path,
    *,
    n_channels: int | None = None,
    pages_are_frames: bool = False,
    z: ZChoice | None = None,
    series: str = "",
    alone: bool = False,
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

    Raises
    ------
    InputError
        The file is unreadable or truncated, or its axes are not time, channel, y and x.
    """
    wish = _Wish(n_channels, pages_are_frames, z, series, alone)
    if path.is_dir():
        from cellsam_core.files.ngff import read_header

        return read_header(path, series, z)
    if path.name.lower().endswith(DAX_SUFFIX):
        from cellsam_core.files.dax import read_header as read_dax_header

        return read_dax_header(path)
    if path.name.lower().endswith(RASTER_SUFFIXES):
        return _read_raster_header(path)
    if is_readable(path):
        from cellsam_core.files.bioio_files import read_header as read_vendor_header

        return read_vendor_header(path, series, z)
    refuse_foreign(path)
    if path.name.lower().endswith(COMPANION):
        with _read_errors(path):
            return _read_companion(path, wish)
    with _read_errors(path), _page_errors(path), _open_tiff(path, alone) as tif:
        return _read_tiff_header(tif, path, wish)


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
    with _read_errors(path):
        if path.name.lower().endswith(COMPANION):
            return _names_of(parse_ome(path.read_text(encoding="utf-8")))
        with _page_errors(path), _open_tiff(path, alone=False) as tif:
            if not tif.is_ome:
                return [""]
            images, own = _own_images(tif, path)
            return _names_of([image for image, _ in own]) if own else _names_of(images[:1])


def _names_of(images: list[OmeImage]) -> list[str]:
    if len(images) == 1:
        return [""]
    names = [image.name or f"series{i + 1}" for i, image in enumerate(images)]
    return [n if names.count(n) == 1 else f"{n}-{i + 1}" for i, n in enumerate(names)]


@contextmanager
def _read_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except READ_ERRORS as error:
        raise unreadable(path, f"an unreadable TIFF ({first_line(error)})") from error


def _open_tiff(path: Path, alone: bool) -> tifffile.TiffFile:
    """Open a TIFF; where its metadata are in a companion file, for itself."""
    tif = tifffile.TiffFile(path)
    is_pointer = tif.is_ome and companion_of(tif.ome_metadata or "<OME/>") is not None
    if alone or is_pointer:
        tif.close()
        tif = tifffile.TiffFile(path, is_ome=False)
    return tif


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


def _read_tiff_header(tif: tifffile.TiffFile, path: Path, wish: _Wish) -> Stack:
    if len(tif.pages) == 0 or not tif.series:
        raise unreadable(path, "no image")
    companion = None if wish.alone else _companion_file(tif, path)
    if companion is not None:
        return _read_companion(companion, wish)
    image, series = _choose_series(tif, path, wish.series)
    page = series.keyframe
    for each in tif.pages:
        check_page(each, path, tif.filehandle.size)
    _check_pixels(page, path)
    lead, is_rgb = _leading_axes(series)
    names = image.channels if image is not None else ()
    lead = lead if is_rgb else _rename_axes(lead, names, wish)
    if page.imagewidth < MIN_WIDTH_PX and series.kind == "shaped" and len(series.shape) > 2:
        return _channels_last(series, path, wish)
    grid = _frames_by_channels(path, lead, wish)
    n_found = grid.size // page.samplesperpixel
    n_declared = int((tif.imagej_metadata or {}).get("images", 1))
    if n_declared > n_found:
        raise unreadable(path, f"a truncated stack ({n_found} of {n_declared} ImageJ planes)")
    if is_rgb and grid.shape[1] == 4 and _has_four_stains(series, path, wish.n_channels):
        is_rgb = False
    if is_rgb:
        grid, names = grid[:, :3], RGB  # a fourth sample is opacity
    if grid.size > 1 and page.imagewidth < MIN_WIDTH_PX:
        found = f"{grid.size} pages of {page.imagelength} x {page.imagewidth} px"
        raise _axes_error(path, found, "channels before y and x")
    project = wish.z or ZChoice("one")
    planes = [
        [project.apply([_locate(series, int(i), path) for i in cell]) for cell in row]
        for row in grid
    ]
    shape_yx = (int(page.imagelength), int(page.imagewidth))
    is_image = is_rgb or grid.size == 1
    kind = "ome_tiff" if image is not None else ("image" if is_image else "tiff_stack")
    scales = scales_of_ome(image) if image is not None else scales_of_tiff(tif, len(planes))
    return _with_scales(Stack(path, kind, planes, names, shape_yx, _dtype(page, path)), scales)


def _with_scales(stack: Stack, scales: Scales) -> Stack:
    is_whole = len(scales.times_s) == len(stack.planes)
    return replace(
        stack,
        pixel_size_um=scales.pixel_size_um(stack.path),
        frame_interval_s=scales.interval_s,
        times_s=scales.times_s if is_whole else (),
        significant_bits=scales.significant_bits,
        scales_from=scales.source,
    )


def _own_images(
    tif: tifffile.TiffFile, path: Path
) -> tuple[list[OmeImage], list[tuple[OmeImage, Any]]]:
    """Read the images of an OME-TIFF, and which of them, with their series, are in this file.

    A file of one position may hold the metadata of its neighbours, too.
    """
    images = parse_ome(tif.ome_metadata or "")
    if len(images) != len(tif.series):
        return images, []
    pairs = list(zip(images, tif.series, strict=True))
    own = [
        (image, series)
        for image, series in pairs
        if any(p is not None and path.samefile(p.parent.filehandle.path) for p in series.pages)
    ]
    return images, own


def _choose_series(tif: tifffile.TiffFile, path: Path, wanted: str) -> tuple[OmeImage | None, Any]:
    """Choose the image to read, of one or several in a file; OME metadata, if any, with it."""
    if tif.is_ome:
        images, own = _own_images(tif, path)
        names = _names_of([image for image, _ in own])
        if len(own) == 1:
            return own[0]
        if wanted in names:
            return own[names.index(wanted)]
        if own:
            raise InputError(
                path,
                found=f"{len(own)} images ({', '.join(names[:5])})",
                expected="one image",
                remedy="fill the column `position` of the sample sheet with one of these names",
            )
        return images[0], tif.series[0]
    if len(tif.series) > 1 and not tif.is_lsm:  # Zeiss adds a thumbnail
        shapes = ", ".join("x".join(map(str, s.shape)) for s in tif.series[:3])
        raise _axes_error(path, f"{len(tif.series)} separate images of {shapes} px", "one image")
    return None, tif.series[0]


def _companion_file(tif: tifffile.TiffFile, path: Path) -> Path | None:
    """Find the file with the metadata of an OME-TIFF that has a pointer only."""
    description = tif.pages[0].description
    if not description.lstrip().startswith("<") or "BinaryOnly" not in description:
        return None
    name = companion_of(description)
    companion = path.with_name(name) if name else None
    if companion is None or not companion.is_file():
        raise InputError(
            path,
            found=f"OME-TIFF whose metadata are in {name}, which is not there",
            expected="that file beside it",
            remedy="copy it there, or set the column `format` to channel_files or tiff_series",
        )
    return companion


def _read_companion(companion: Path, wish: _Wish) -> Stack:
    """Read a set of OME-TIFFs by the file that has their metadata."""
    if companion.suffix.lower() in (".tif", ".tiff"):
        with tifffile.TiffFile(companion, is_ome=False) as tif:
            text = tif.pages[0].description
    else:
        text = companion.read_text(encoding="utf-8")
    images = parse_ome(text)
    names = _names_of(images)
    if wish.series not in names:
        raise InputError(
            companion,
            found=f"{len(images)} images ({', '.join(names[:5])})",
            expected="one image",
            remedy="fill the column `position` of the sample sheet with one of these names",
        )
    image = images[names.index(wish.series)]
    places = {place: (companion.with_name(name), page) for name, page, place in image.planes}
    n_frames, n_channels, n_z = image.sizes
    if n_z > 1 and wish.z is None:
        raise z_error(companion, n_z)
    project = wish.z or ZChoice("one")
    planes = [
        [
            project.apply([_placed(companion, places, (t, c, z)) for z in range(n_z)])
            for c in range(n_channels)
        ]
        for t in range(n_frames)
    ]
    pages = {(p.path, p.page) for row in planes for p in row}
    first = None
    for name in sorted({name for name, _ in pages}):
        file = Path(name)
        with _read_errors(file), _page_errors(file), tifffile.TiffFile(file, is_ome=False) as tif:
            for _, index in sorted(page for page in pages if page[0] == name):
                check_page(tif.pages[index], file, tif.filehandle.size)
                first = first or (tif.pages[index].shape, _dtype(tif.pages[index], file))
    assert first is not None
    shape_yx, dtype = (int(first[0][0]), int(first[0][1])), first[1]
    stack = Stack(companion, "ome_tiff", planes, image.channels, shape_yx, dtype)
    return _with_scales(stack, scales_of_ome(image))


def _placed(
    companion: Path,
    places: dict[tuple[int, int, int], tuple[Path, int]],
    place: tuple[int, int, int],
) -> Plane:
    found = places.get(place)
    if found is None or not found[0].is_file():
        missing = "no file" if found is None else f"no {found[0].name}"
        raise InputError(
            companion,
            found=f"{missing} for frame {place[0]}, channel {place[1]}, z plane {place[2]}",
            expected="all files of the OME-TIFF set",
            remedy="copy the missing file to the others",
        )
    return Plane(str(found[0]), found[1])


def _rename_axes(
    lead: list[tuple[str, int]], names: tuple[str, ...], wish: _Wish
) -> list[tuple[str, int]]:
    """Take unnamed channels as pages where they can't be channels.

    Some programs write the frames of a movie as ImageJ channels, of which it knows 7.
    """
    if not names and [axis for axis, _ in lead] == ["C"]:
        count = lead[0][1]
        is_other = wish.pages_are_frames and wish.n_channels != count
        if count > MAX_UNNAMED_CHANNELS or is_other:
            return [("Q", count)]
    return lead


def _channels_last(series: Any, path: Path, wish: _Wish) -> Stack:
    """Read an array ``([frame,] y, x, channel)`` that was written as it is."""
    n_channels, width = int(series.shape[-1]), int(series.shape[-2])
    height = int(series.shape[-3]) if len(series.shape) > 2 else 0
    if width < MIN_WIDTH_PX or height < MIN_WIDTH_PX or len(series.shape) > 4:
        found = f"{len(series.pages)} pages of {width} x {n_channels} px"
        raise _axes_error(path, found, "channels before y and x")
    if wish.n_channels not in (None, n_channels):
        raise InputError(
            path,
            found=f"{n_channels} channels along the last axis",
            expected=f"the {wish.n_channels} channels given",
            remedy="correct the column `channels`",
        )
    n_frames = int(series.shape[0]) if len(series.shape) == 4 else 1
    planes = [
        [Plane(str(path), t, c, series=CHANNELS_LAST) for c in range(n_channels)]
        for t in range(n_frames)
    ]
    return Stack(path, "tiff_stack", planes, (), (height, width), _dtype(series, path))


def _has_four_stains(series: Any, path: Path, n_channels: int | None) -> bool:
    """Tell four stains from red, green, blue and opacity, which has one value, or 0 and another."""
    if n_channels is not None:
        return n_channels == 4
    fourth = read_plane(_locate(series, 3, path))
    return bool(((fourth != 0) & (fourth != fourth.max())).any())


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


def _frames_by_channels(path: Path, lead: list[tuple[str, int]], wish: _Wish) -> NDArray[np.int64]:
    """Arrange the indices of a file's planes as ``(frame, channel, z)``.

    Parameters
    ----------
    path
        For messages.
    lead
        Axes before y and x, longer than 1, with their length.
    wish
        What is known of the axes.
    """
    if wish.pages_are_frames and not any(axis == "T" for axis, _ in lead):
        lead = [("T" if axis == "Z" else axis, size) for axis, size in lead]
    axes = "".join(axis for axis, _ in lead)
    sizes = [size for _, size in lead]
    indices = np.arange(int(np.prod(sizes)), dtype=np.int64).reshape(sizes)
    if set(axes) <= set("TCZ") and len(set(axes)) == len(axes):
        if "Z" in axes and wish.z is None:
            raise z_error(path, dict(lead)["Z"], may_be_time="T" not in axes)
        order = [axes.index(axis) for axis in "TCZ" if axis in axes]
        size = dict(lead)
        return indices.transpose(order).reshape([size.get(axis, 1) for axis in "TCZ"])
    if "Z" in axes or (len(lead) > 1 and sizes[-1] != wish.n_channels):
        raise InputError(
            path,
            found=f"{' x '.join(map(str, sizes))} pages with axes {axes} that are not all named",
            expected="axes TCYX in its metadata, or as many channels as the last axis has",
            remedy=f"name the {sizes[-1]} channels in the column `channels` if the last axis is"
            " channels, else export the file again with named axes",
        )
    per_frame = wish.n_channels or 1
    if indices.size % per_frame:
        raise InputError(
            path,
            found=f"{indices.size} pages",
            expected=f"a multiple of the {per_frame} channels given",
            remedy="name as many channels in the column `channels` as each frame has, or none",
        )
    return indices.reshape(-1, per_frame, 1)


def _axes_error(path: Path, found: str, expected: str) -> InputError:
    return InputError(
        path,
        found=found,
        expected=expected,
        remedy="export the file again with one plane in each page and the axes named TCYX",
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
            found="pixels of one bit" if np.dtype(dtype).kind == "b" else f"pixels of type {dtype}",
            expected="8, 16 or 32-bit integers or floating point",
            remedy="number the cells, with skimage.measure.label, if these are their masks, else "
            "convert the image to 16 bit",
        )
    return str(np.dtype(dtype).newbyteorder("=").name)
