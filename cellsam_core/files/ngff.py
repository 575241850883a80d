"""OME-Zarr of other programs (NGFF 0.1 to 0.6): images of any axes, series and plates."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError, first_line
from cellsam_core.files import omezarr
from cellsam_core.files.image_stack import RGB, Stack, ZChoice, z_error
from cellsam_core.files.lazy import zarr
from cellsam_core.files.multiscale import AXES, MICRONS, SECONDS, Step, read_multiscale
from cellsam_core.files.ngff_notes import notes_of_series, times_of_stream
from cellsam_core.files.ngff_places import (
    ARRAY_ITSELF,
    axes_of_array,
    list_places,
    ome_of,
    zarr_errors,
)
from cellsam_core.files.omezarr_arrays import OWN_KEY
from cellsam_core.files.plane import Plane
from cellsam_core.files.suffixes import ARRAY_FILES, STORE_FILES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.files.plane import Window


@dataclass(frozen=True)
class Image:
    """One image of an OME-Zarr.

    Attributes
    ----------
    path, series
        Folder, and the path of the full-resolution array in it.
    array
        Its array, ``(..., y, x)``.
    axes
        One letter a dimension.
    channels
        Names; empty where there are none.
    pixel_size_um, frame_interval_s
        None where unknown.
    defaults
        Those of the two that are 1 in the metadata, as programs write where nobody gave them, and
        which are therefore taken as unknown.
    times_s
        Seconds of each frame, also of less frames than were planned; empty where unknown.
    significant_bits
        Bits of a pixel that the camera filled; None where unknown.
    """

    path: Path
    series: str
    array: zarr.Array[Any]
    axes: str
    channels: tuple[str, ...]
    pixel_size_um: float | None
    frame_interval_s: float | None
    defaults: tuple[str, ...] = ()
    times_s: tuple[float, ...] = ()
    significant_bits: int | None = None

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis, 1 for those that it lacks."""
        return dict.fromkeys(AXES, 1) | dict(
            zip(self.axes, map(int, self.array.shape), strict=True)
        )

    @property
    def is_own(self) -> bool:
        """Tell whether this pipeline wrote it."""
        return (
            self.series != ARRAY_ITSELF
            and OWN_KEY in zarr.open_group(str(self.path), mode="r").attrs
        )

    def read(self, page: int, window: Window | None = None) -> NDArray[Any]:
        """Read one plane, or a window of it.

        Raises
        ------
        InputError
            A chunk is damaged.
        """
        try:
            return read_page(str(self.path), self.series, page, window)
        except (OSError, RuntimeError, ValueError, LookupError) as error:
            raise InputError(
                self.path,
                found=f"a damaged chunk ({first_line(error)})",
                expected="a complete OME-Zarr image",
                remedy="make the folder again",
            ) from error

    def page(self, t: int, c: int, z: int) -> int:
        """Index of a plane along all axes before y and x."""
        at = {"t": t, "c": c, "z": z}
        lead = self.axes[:-2]
        sizes = [self.sizes[a] for a in lead]
        return int(np.ravel_multi_index([at[a] for a in lead], sizes)) if lead else 0


def list_images(path: Path) -> list[str]:
    """Name the images of an OME-Zarr: fields of a plate as ``B02-f0``, or series; else one, empty.

    Raises
    ------
    InputError
        There is none.
    """
    names = list(list_places(path))
    return names if len(names) > 1 else [""]


def open_image(path: Path, name: str = "") -> Image:
    """Open one image of an OME-Zarr.

    Parameters
    ----------
    path
        The folder.
    name
        One of :func:`list_images`; may be empty where there is one image only.

    Raises
    ------
    InputError
        It is no OME-Zarr, has several images, or axes that are not known.
    """
    places = list_places(path)
    if name not in places and len(places) > 1:
        raise InputError(
            path,
            found=f"{len(places)} images ({', '.join(list(places)[:5])})",
            expected="one image",
            remedy="fill the column `position` of the sample sheet with one of these names",
        )
    place = places.get(name, next(iter(places.values())))
    where = place.group
    if where == ARRAY_ITSELF:
        only = zarr.open_array(str(path), mode="r")
        return Image(path, where, only, axes_of_array(only), (), None, None)
    with zarr_errors(path):
        root = zarr.open_group(str(path), mode="r")
        if where and where not in root:
            raise _not_there(path, where)
        group = root[where] if where else root
        ome = ome_of(group)
        image = read_multiscale(ome["multiscales"][place.entry])
        axes, steps = image.axes, image.steps
        series = f"{where}/{image.paths[0]}" if where else image.paths[0]
        if series not in root:
            raise _not_there(path, series)
        array: Any = root[series]
        if not isinstance(array, zarr.Array) or len(axes) != array.ndim:
            raise ValueError(f"axes {axes} of an array of {getattr(array, 'ndim', 0)} axes")
        if axes[-2:] != "yx":
            raise ValueError(f"axes {axes}; the last two must be y and x")
        listed = (ome.get("omero") or {}).get("channels") or []
        labels = [c.get("label") or c.get("name") for c in listed]
        names = [str(label or f"channel_{i + 1}") for i, label in enumerate(labels)]
        if not where:
            omezarr.check_own(path, root, array)
    omezarr.refuse_oblong(path, steps["y"], steps["x"])
    interval = steps["t"].within(SECONDS) if "t" in steps else None
    found = Image(
        path,
        series,
        array,
        axes,
        tuple(names) if any(labels) else (),
        steps["x"].within(MICRONS),
        interval,
    )
    if found.is_own:
        return found
    found = without_defaults(found, steps)
    sizes = found.sizes
    times = times_of_stream(dict(group.attrs), axes, sizes["t"])
    if place.series is None:
        return replace(found, times_s=times)
    notes = notes_of_series(path, place.series, (sizes["t"], sizes["c"], sizes["z"]))
    return replace(
        found,
        channels=RGB if notes.channels == RGB else found.channels or notes.channels,
        pixel_size_um=found.pixel_size_um or notes.pixel_size_um,
        frame_interval_s=found.frame_interval_s or notes.interval_s,
        times_s=notes.times_s or times,
        significant_bits=notes.significant_bits,
    )


def _not_there(path: Path, where: str) -> InputError:
    return InputError(
        path,
        found=f"no {where}, which its metadata list",
        expected="all images that they list",
        remedy="copy the folder again, whole, or leave this position out of the sample sheet",
    )


def without_defaults(image: Image, steps: dict[str, Step]) -> Image:
    """Take scales of 1 um and 1 s as unknown: many programs write them where nobody gave any."""
    if [steps[a] for a in "yx"] == 2 * [Step(1.0, "micrometer")]:
        image = replace(image, pixel_size_um=None, defaults=("pixel_size_um",))
    if steps.get("t") == Step(1.0, "second"):
        defaults = (*image.defaults, "frame_interval_s")
        image = replace(image, frame_interval_s=None, defaults=defaults)
    return image


def read_header(
    path: Path, name: str, z: ZChoice | None, *, pages_are_frames: bool = False
) -> Stack:
    """Describe the planes of an image; see :func:`.stack.read_stack`."""
    image = open_image(path, name)
    sizes = image.sizes
    z_is_time = pages_are_frames and sizes["t"] == 1 and sizes["z"] > 1
    if sizes["z"] > 1 and z is None and not z_is_time:
        raise z_error(path, sizes["z"], may_be_time=sizes["t"] == 1)
    project = z or ZChoice("one")

    def plane(t: int, c: int) -> Plane:
        pages = [image.page(t, c, k) for k in range(sizes["z"])]
        if z_is_time:
            return Plane(str(path), image.page(0, c, t), series=image.series)
        return project.apply([Plane(str(path), page, series=image.series) for page in pages])

    dtype = np.dtype(image.array.dtype)
    if dtype.kind not in "uif" or min(sizes.values()) < 1:
        raise InputError(
            path,
            found=f"pixels of type {dtype}" if min(sizes.values()) else "an axis of length 0",
            expected="8, 16 or 32-bit integers or floating point",
            remedy="convert the image to 16 bit",
        )
    n_frames = sizes["z" if z_is_time else "t"]
    planes = [[plane(t, c) for c in range(sizes["c"])] for t in range(n_frames)]
    channels = image.channels if len(image.channels) == sizes["c"] else ()
    return Stack(
        path,
        "ome_zarr",
        planes,
        channels,
        (sizes["y"], sizes["x"]),
        str(dtype.newbyteorder("=").name),
        image.pixel_size_um,
        None if z_is_time else image.frame_interval_s,
        times_s=image.times_s,
        significant_bits=image.significant_bits,
        scales_from="metadata of OME-Zarr",
        defaults=image.defaults,
    )


@functools.lru_cache(maxsize=16)
def _array(path: str, series: str, _version: int) -> Any:
    if series == ARRAY_ITSELF:
        return zarr.open_array(path, mode="r")
    return zarr.open_group(path, mode="r")[series]


def read_page(path: str, series: str, page: int, window: Window | None) -> NDArray[Any]:
    """Read one plane, or a window of it; only the chunks that it touches are read."""
    root = Path(path)
    file = next(f for f in (root / name for name in (*STORE_FILES, *ARRAY_FILES)) if f.exists())
    array = _array(path, series, file.stat().st_mtime_ns)
    lead = array.shape[:-2]
    if page >= math.prod(lead):
        raise IndexError(f"plane {page} of {math.prod(lead)}")
    index = tuple(int(i) for i in np.unravel_index(page, lead)) if lead else ()
    y0, y1, x0, x1 = window or (0, array.shape[-2], 0, array.shape[-1])
    if not (0 <= y0 <= y1 <= array.shape[-2] and 0 <= x0 <= x1 <= array.shape[-1]):
        raise IndexError(f"window {window} outside of an image of {array.shape[-2:]} px")
    return np.asarray(array[(*index, slice(y0, y1), slice(x0, x1))])
