"""OME-TIFFs whose metadata are in a companion file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from cellsam_core.errors import InputError
from cellsam_core.files.image_stack import Stack, ZChoice, z_error
from cellsam_core.files.ome_xml import OmeImage, companion_of, parse_ome
from cellsam_core.files.plane import Plane
from cellsam_core.files.planes import check_page
from cellsam_core.files.tiff.acquired import planes_there
from cellsam_core.files.tiff.pixels import dtype_of, page_errors, read_errors
from cellsam_core.files.tiff.scales import Scales, scales_of_ome

if TYPE_CHECKING:
    from cellsam_core.files.tiff.axes import Wish

    pass


COMPANION = ".companion.ome"


def names_of(images: list[OmeImage]) -> list[str]:
    """Name images so that no name is there twice; one empty name for a single image."""
    if len(images) == 1:
        return [""]
    names = [image.name or f"series{i + 1}" for i, image in enumerate(images)]
    return [n if names.count(n) == 1 else f"{n}-{i + 1}" for i, n in enumerate(names)]


def with_scales(stack: Stack, scales: Scales) -> Stack:
    """Add scales to the planes; times of frames only if each frame has one."""
    # An acquisition that was stopped has no more planes, and no more times.
    is_whole = len(scales.times_s) in (len(stack.planes), sum(any(row) for row in stack.planes))
    return replace(
        stack,
        pixel_size_um=scales.pixel_size_um(stack.path),
        frame_interval_s=scales.interval_s,
        times_s=scales.times_s if is_whole else (),
        significant_bits=scales.significant_bits,
        scales_from=scales.source,
    )


def companion_file(tif: tifffile.TiffFile, path: Path) -> Path | None:
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


def read_companion(companion: Path, wish: Wish) -> Stack:
    """Read a set of OME-TIFFs by the file that has their metadata."""
    if companion.suffix.lower() in (".tif", ".tiff"):
        with tifffile.TiffFile(companion, is_ome=False) as tif:
            text = tif.pages[0].description
    else:
        text = companion.read_text(encoding="utf-8")
    images = parse_ome(text)
    names = names_of(images)
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
    absent = np.zeros((n_frames, n_channels, n_z), bool)
    if wish.may_lack:
        for place in np.ndindex(*absent.shape):
            absent[place] = place not in places
    planes: Any = [
        [
            project.apply([_placed(companion, places, (t, c, k)) for k in there]) if there else None
            for c, there in enumerate(row)
        ]
        for t, row in enumerate(planes_there(absent, project))
    ]
    pages = {(p.path, p.page) for row in planes for p in row if p is not None}
    first = None
    for name in sorted({name for name, _ in pages}):
        file = Path(name)
        with read_errors(file), page_errors(file), tifffile.TiffFile(file, is_ome=False) as tif:
            for _, index in sorted(page for page in pages if page[0] == name):
                check_page(tif.pages[index], file, tif.filehandle.size)
                first = first or (tif.pages[index].shape, dtype_of(tif.pages[index], file))
    if first is None:
        raise InputError(
            companion,
            found="no plane of this image",
            expected="the file of each plane",
            remedy="export the image again",
        )
    shape_yx, dtype = (int(first[0][0]), int(first[0][1])), first[1]
    stack = Stack(companion, "ome_tiff", planes, image.channels, shape_yx, dtype)
    return with_scales(stack, scales_of_ome(image))


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
