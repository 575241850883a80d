"""OME-Zarr of other programs (NGFF 0.4 and 0.5): images of any axes, series and plates."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError, first_line
from cellsam_core.files import omezarr
from cellsam_core.files.image_stack import Stack, ZChoice, z_error
from cellsam_core.files.lazy import zarr
from cellsam_core.files.omezarr_arrays import OWN_KEY
from cellsam_core.files.plane import Plane
from cellsam_core.files.spatialdata_store import refuse_store
from cellsam_core.files.suffixes import ARRAY_FILES, STORE_FILES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.files.plane import Window

AXES = "tczyx"
ARRAY_ITSELF = "."
"""Series of a Zarr that is a single array, without a group around it."""

SERIES_LAYOUT = "bioformats2raw.layout"


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
    """

    path: Path
    series: str
    array: zarr.Array[Any]
    axes: str
    channels: tuple[str, ...]
    pixel_size_um: float | None
    frame_interval_s: float | None

    @property
    def sizes(self) -> dict[str, int]:
        """Length of each axis, 1 for those that it lacks."""
        return dict.fromkeys(AXES, 1) | dict(
            zip(self.axes, map(int, self.array.shape), strict=True)
        )

    @property
    def is_own(self) -> bool:
        """Tell whether this pipeline wrote it."""
        return OWN_KEY in zarr.open_group(str(self.path), mode="r").attrs

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
    names = list(_paths(path))
    return names if len(names) > 1 else [""]


def _paths(path: Path) -> dict[str, str]:
    """Find the path of each image in the store by its name."""
    refuse_store(path)
    with _errors(path):
        group = zarr.open_group(str(path), mode="r")
        ome = _ome_of(group)
        if "plate" in ome:
            return _plate(group, ome["plate"])
        if "multiscales" in ome:
            return {"": ""}
        if SERIES_LAYOUT in ome or SERIES_LAYOUT in group.attrs:
            listed = dict(group["OME"].attrs) if "OME" in group else {}
            listed = listed.get("ome", listed)
            keys = listed.get("series") or sorted(
                (key for key in group.group_keys() if key.isdecimal()), key=int
            )
            return {f"series{key}": key for key in map(str, keys)}
        raise ValueError("neither multiscales nor plate in its metadata")


def _plate(group: zarr.Group, plate: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for well in plate["wells"]:
        row, column = str(well["path"]).split("/")[:2]
        name = f"{row}{int(column):02d}" if column.isdecimal() else f"{row}{column}"
        fields = _ome_of(group[well["path"]])["well"]["images"]
        for field in fields:
            number = re.sub(r"[^A-Za-z0-9]+", "_", str(field["path"]))
            own = name if len(fields) == 1 else f"{name}-f{number}"
            found[own] = f"{well['path']}/{field['path']}"
    if not found:
        raise ValueError("a plate without an image")
    return found


def _ome_of(group: Any) -> dict[str, Any]:
    attributes = dict(group.attrs)
    return dict(attributes.get("ome", attributes))


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
    paths = _paths(path)
    if name not in paths and len(paths) > 1:
        raise InputError(
            path,
            found=f"{len(paths)} images ({', '.join(list(paths)[:5])})",
            expected="one image",
            remedy="fill the column `position` of the sample sheet with one of these names",
        )
    where = paths.get(name, next(iter(paths.values())))
    with _errors(path):
        root = zarr.open_group(str(path), mode="r")
        group = root[where] if where else root
        ome = _ome_of(group)
        scales = ome["multiscales"][0]
        axes = "".join(axis["name"] for axis in scales["axes"])
        dataset = scales["datasets"][0]["path"]
        array: Any = group[dataset]
        if not isinstance(array, zarr.Array) or len(axes) != array.ndim:
            raise ValueError(f"axes {axes}")
        if not set(axes) <= set(AXES) or len(set(axes)) < len(axes) or axes[-2:] != "yx":
            raise ValueError(f"axes {axes}; known are t, c, z, y, x, the last two being y and x")
        listed = ome.get("omero", {}).get("channels", [])
        labels = tuple(str(c.get("label") or c.get("name") or "") for c in listed)
        steps = omezarr.steps_of(scales, axes)
        if not where:
            omezarr.check_own(path, root, array)
    omezarr.refuse_oblong(path, steps["y"], steps["x"])
    interval = steps["t"].within(omezarr.SECONDS) if "t" in steps else None
    series = f"{where}/{dataset}" if where else str(dataset)
    return Image(
        path,
        series,
        array,
        axes,
        labels if all(labels) else (),
        steps["x"].within(omezarr.MICRONS),
        interval,
    )


class _errors:
    """Turn what zarr raises on missing and damaged metadata into InputError."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        known = (LookupError, TypeError, AttributeError, ValueError, OSError)
        if isinstance(error, known) and not isinstance(error, InputError):
            raise InputError(
                self._path,
                found=f"no OME-Zarr image ({first_line(error)})",
                expected="an OME-Zarr 0.4 or 0.5 image or plate",
                remedy="name the folder that has its .zattrs or zarr.json as `path`, or, if it is"
                " Zarr without the metadata of OME, export it as OME-TIFF or OME-Zarr",
            ) from error


def read_header(path: Path, name: str, z: ZChoice | None) -> Stack:
    """Describe the planes of an image; see :func:`.stack.read_stack`."""
    image = open_image(path, name)
    sizes = image.sizes
    if sizes["z"] > 1 and z is None:
        raise z_error(path, sizes["z"])
    project = z or ZChoice("one")

    def plane(t: int, c: int) -> Plane:
        pages = [image.page(t, c, k) for k in range(sizes["z"])]
        return project.apply([Plane(str(path), page, series=image.series) for page in pages])

    dtype = np.dtype(image.array.dtype)
    if dtype.kind not in "uif" or min(sizes.values()) < 1:
        raise InputError(
            path,
            found=f"pixels of type {dtype}" if min(sizes.values()) else "an axis of length 0",
            expected="8, 16 or 32-bit integers or floating point",
            remedy="convert the image to 16 bit",
        )
    planes = [[plane(t, c) for c in range(sizes["c"])] for t in range(sizes["t"])]
    channels = image.channels if len(image.channels) == sizes["c"] else ()
    return Stack(
        path,
        "ome_zarr",
        planes,
        channels,
        (sizes["y"], sizes["x"]),
        str(dtype.newbyteorder("=").name),
        image.pixel_size_um,
        image.frame_interval_s,
        scales_from="metadata of OME-Zarr",
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
