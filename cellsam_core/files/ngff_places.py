"""Images in an OME-Zarr: the only one, series, fields of a plate, or several in one group."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.lazy import zarr
from cellsam_core.files.multiscale import AXES
from cellsam_core.files.spatialdata_store import refuse_store

if TYPE_CHECKING:
    from pathlib import Path

SERIES_LAYOUT = "bioformats2raw.layout"
ARRAY_ITSELF = "."
"""Place of a Zarr that is a single array, without a group around it."""


@dataclass(frozen=True)
class Place:
    """Place of an image in a store.

    Attributes
    ----------
    group
        Path of its group; empty for the store itself.
    entry
        Index among the images of this group.
    series
        Index among the images that the store lists, and of which its OME-XML tells in this order;
        None where it lists none.
    """

    group: str = ""
    entry: int = 0
    series: int | None = None


def list_places(path: Path) -> dict[str, Place]:
    """Find the place of each image in an OME-Zarr by its name.

    Fields of a plate are ``B02-f0``, series are ``series0``, or their own names.

    Raises
    ------
    InputError
        There is none.
    """
    refuse_store(path)
    with zarr_errors(path):
        group = zarr.open(str(path), mode="r")
        if isinstance(group, zarr.Array):
            if axes_of_array(group):
                return {"": Place(ARRAY_ITSELF)}
            raise ValueError("one array, without the metadata of OME or names of its axes")
        ome = ome_of(group)
        if "plate" in ome:
            return _plate(path, ome["plate"])
        if "multiscales" in ome:
            if not ome["multiscales"]:
                raise ValueError("no image in its metadata")
            return _entries(ome["multiscales"])
        if SERIES_LAYOUT in ome or SERIES_LAYOUT in group.attrs:
            return _series(group)
        raise ValueError("neither multiscales nor plate in its metadata")


def axes_of_array(array: zarr.Array[Any]) -> str:
    """Read the axes of an array that is no part of an image; empty where nothing names them.

    Zarr 3 has names for them, as Acquire writes, and xarray an attribute.
    """
    named = getattr(array.metadata, "dimension_names", None)
    names = named or array.attrs.get("_ARRAY_DIMENSIONS") or ()
    letters = [str(name).lower() for name in names]
    is_known = set(letters) <= set(AXES) and len(set(letters)) == array.ndim
    return "".join(letters) if is_known and letters[-2:] == ["y", "x"] else ""


def ome_of(group: Any) -> dict[str, Any]:
    """Return the metadata of OME of a group, which have a key of their own since 0.5."""
    attributes = dict(group.attrs)
    return dict(attributes.get("ome", attributes))


def _entries(images: list[dict[str, Any]]) -> dict[str, Place]:
    """Name the images of one group, such as the positions ``p0`` and ``p1`` of a microscope."""
    names = [str(i.get("name") or i["datasets"][0]["path"]) for i in images]
    if len(names) == 1:
        return {"": Place()}
    return {
        name if names.count(name) == 1 else f"{name}-{k}": Place(entry=k)
        for k, name in enumerate(names)
    }


def _series(group: zarr.Group) -> dict[str, Place]:
    listed = ome_of(group["OME"]) if "OME" in group else {}
    keys = listed.get("series") or sorted(
        (key for key in group.group_keys() if key.isdecimal()), key=int
    )
    return {
        f"series{key}" if key.isdecimal() else key: Place(key, series=k)
        for k, key in enumerate(map(str, keys))
    }


def _plate(path: Path, plate: dict[str, Any]) -> dict[str, Place]:
    """List the fields of a plate, which are read once for all its positions."""
    wells = tuple(str(well["path"]) for well in plate["wells"])
    folders = [path / well for well in wells]
    changed = tuple(f.stat().st_mtime_ns if f.is_dir() else 0 for f in folders)
    return dict(_fields(str(path), wells, changed))


@functools.lru_cache(maxsize=4)
def _fields(path: str, wells: tuple[str, ...], _changed_ns: tuple[int, ...]) -> dict[str, Place]:
    group = zarr.open_group(path, mode="r")
    found: dict[str, Place] = {}
    for where in wells:
        row, column = where.split("/")[:2]
        name = f"{row}{int(column):02d}" if column.isdecimal() else f"{row}{column}"
        if where not in group:  # of a plate that was copied in part: its own sample is refused
            found[name] = Place(where)
            continue
        fields = [str(field["path"]) for field in ome_of(group[where])["well"]["images"]]
        for field in fields:
            part = re.sub(r"[^A-Za-z0-9]+", "_", field)
            own = name if len(fields) == 1 else f"{name}-{'f' * part.isdecimal()}{part}"
            found[own] = Place(f"{where}/{field}")
    if not found:
        raise ValueError("a plate without an image")
    return found


class zarr_errors:
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
                expected="an OME-Zarr image or plate (0.1 to 0.6)",
                remedy="name the folder that has its .zattrs or zarr.json as `path`, or, if it is"
                " Zarr without the metadata of OME, export it as OME-TIFF or OME-Zarr",
            ) from error
