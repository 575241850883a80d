"""Header of one TIFF: its planes, channels and scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from cellsam_core.errors import InputError
from cellsam_core.files.image_stack import RGB, Stack, ZChoice
from cellsam_core.files.ome_xml import OmeImage, companion_of, parse_ome
from cellsam_core.files.plane import CHANNELS_LAST, Plane
from cellsam_core.files.planes import check_page, read_plane, unreadable
from cellsam_core.files.tiff.acquired import not_acquired, planes_there
from cellsam_core.files.tiff.axes import Wish, axes_error, frames_by_channels
from cellsam_core.files.tiff.companion import companion_file, names_of, read_companion, with_scales
from cellsam_core.files.tiff.ndtiff import INDEX, at_position, lacks_index, names_on, positions_in
from cellsam_core.files.tiff.pixels import check_pixels, dtype_of
from cellsam_core.files.tiff.scales import scales_of_ome, scales_of_tiff

# A page this narrow holds channels or a line scan along its last axis, not pixels.
MIN_WIDTH_PX = 9

MAX_UNNAMED_CHANNELS = 7


def open_tiff(path: Path, alone: bool) -> tifffile.TiffFile:
    """Open a TIFF; where its metadata are in a companion file, for itself."""
    tif = tifffile.TiffFile(path)
    is_pointer = tif.is_ome and companion_of(tif.ome_metadata or "<OME/>") is not None
    if alone or is_pointer:
        tif.close()
        tif = tifffile.TiffFile(path, is_ome=False)
    return tif


def read_tiff_header(tif: tifffile.TiffFile, path: Path, wish: Wish) -> Stack:
    """Read the header of an open TIFF, or of the set of files that it belongs to."""
    if len(tif.pages) == 0 or not tif.series:
        raise unreadable(path, "no image")
    beside = path.with_name(INDEX)
    if lacks_index(tif):
        raise InputError(
            path,
            found=f"NDTiff without its file {INDEX}",
            expected="that file beside it, which tells frames, channels and positions apart",
            remedy="copy it there from the microscope",
        )
    companion = None if wish.alone else companion_file(tif, path)
    if companion is not None:
        return read_companion(companion, wish)
    image, series = _choose_series(tif, path, wish.series)
    page = series.keyframe
    dtype = dtype_of(page, path)
    for each in tif.pages:
        check_page(each, path, tif.filehandle.size)
    check_pixels(page, path, are_labels=wish.are_labels)
    lead, is_rgb = _leading_axes(series)
    names = image.channels if image is not None else ()
    lead = _pages_as_frames(lead) if is_rgb else _rename_axes(lead, names, wish)
    if page.imagewidth < MIN_WIDTH_PX and series.kind == "shaped" and len(series.shape) > 2:
        return _channels_last(series, path, wish)
    taken, lead = at_position(path, lead, positions_in(series, beside), wish.series)
    grid = taken[frames_by_channels(path, lead, wish)]
    if series.kind == "ndtiff" and not names:
        names = tuple(names_on("channel", beside))
        names = names if len(names) == grid.shape[1] else ()
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
        raise axes_error(path, found, "channels before y and x")
    project = wish.z or ZChoice("one")
    absent = np.zeros(grid.shape, bool)
    if wish.may_lack:
        absent = not_acquired(path, series, image, grid)
    planes: Any = [
        [
            project.apply([_locate(series, int(i), path) for i in cell[there]]) if there else None
            for cell, there in zip(row, known, strict=True)
        ]
        for row, known in zip(grid, planes_there(absent, project), strict=True)
    ]
    first = [next(p for p in row if p is not None) for row in planes if any(row)]
    if not first:
        raise unreadable(path, "no plane that was acquired")
    shape_yx = (int(page.imagelength), int(page.imagewidth))
    is_image = is_rgb or grid.size == 1
    kind = "ome_tiff" if image is not None else ("image" if is_image else "tiff_stack")
    scales = scales_of_ome(image) if image is not None else scales_of_tiff(tif, first)
    return with_scales(Stack(path, kind, planes, names, shape_yx, dtype), scales)


def own_images(
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
        images, own = own_images(tif, path)
        names = names_of([image for image, _ in own])
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
        raise axes_error(path, f"{len(tif.series)} separate images of {shapes} px", "one image")
    return None, tif.series[0]


def _pages_as_frames(lead: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Take the pages of colours as frames where nothing names them, as those of grey values."""
    is_named = [axis in "TCZ" for axis, _ in lead]
    if len(lead) == 2 and is_named == [False, True]:
        return [("T", lead[0][1]), lead[1]]
    return lead


def _rename_axes(
    lead: list[tuple[str, int]], names: tuple[str, ...], wish: Wish
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


def _channels_last(series: Any, path: Path, wish: Wish) -> Stack:
    """Read an array ``([frame,] y, x, channel)`` that was written as it is."""
    n_channels, width = int(series.shape[-1]), int(series.shape[-2])
    height = int(series.shape[-3]) if len(series.shape) > 2 else 0
    if width < MIN_WIDTH_PX or height < MIN_WIDTH_PX or len(series.shape) > 4:
        found = f"{len(series.pages)} pages of {width} x {n_channels} px"
        raise axes_error(path, found, "channels before y and x")
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
    return Stack(path, "tiff_stack", planes, (), (height, width), dtype_of(series, path))


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
        n_there = sum(page is not None for page in series.pages)
        raise InputError(
            path,
            found=f"{n_there} of the {len(series.pages)} planes that its metadata plan",
            expected="all of them",
            remedy="copy all files of the image again from the microscope; or, if the acquisition"
            " was stopped, save the frames that are there anew, in Fiji with Image > Duplicate",
        )
    file = Path(page.parent.filehandle.path)
    if file != path:
        check_page(page, file, page.parent.filehandle.size)
    return Plane(str(file), int(page.index), sample)
