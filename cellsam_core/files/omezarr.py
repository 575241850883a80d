"""OME-Zarr images and labels (NGFF 0.4 and 0.5): created whole, filled plane by plane, read.

Damage is found when they are read: in 0.5 every chunk ends in a checksum. None is left out for
being empty, and the image's attributes hold the checksums of the arrays' own metadata.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.lazy import zarr
from cellsam_core.files.multiscale import MICRONS, SECONDS, Step, read_multiscale
from cellsam_core.files.omezarr_arrays import (
    OWN_KEY,
    create_array,
    metadata,
    sha256_of_array,
)
from cellsam_core.files.suffixes import STORE_FILES

if TYPE_CHECKING:
    from cellsam_core.files.options import OmeZarrVersion

AXES = ("yx", "cyx", "tyx", "tcyx")
MAX_ASPECT_ERROR = 0.01


@dataclass(frozen=True)
class OmeZarr:
    """One image or label image on disk.

    Attributes
    ----------
    path
        Folder.
    array
        Zarr array; its axes are named by `axes`.
    axes
        One letter a dimension, a subsequence of ``"tcyx"``.
    channels
        Names along ``c``; empty without that axis.
    pixel_size_um
        Side of a pixel in micrometres; None where it is not known.
    frame_interval_s
        Seconds between frames; None where it is not known.
    level_paths
        Path of the array of each level in the folder, the full resolution first.
    """

    path: Path
    array: zarr.Array[Any]
    axes: str
    channels: tuple[str, ...]
    pixel_size_um: float | None
    frame_interval_s: float | None
    level_paths: tuple[str, ...] = ("0",)

    def level(self, k: int) -> zarr.Array[Any]:
        """Open a level: 0 is the full resolution, each further one has half the pixels a side.

        Raises
        ------
        InputError
            The level is not there, or it is damaged.
        """
        if k == 0:
            return self.array
        name = self.level_paths[k]
        try:
            group = zarr.open_group(str(self.path), mode="r")
            array = group[name]
            if not isinstance(array, zarr.Array):
                raise ValueError(f"no array {name}")
            record: Any = group.attrs.get(OWN_KEY)
            if record is not None:
                _refuse_change(self.path, array, name, record["level_sha256"][k - 1])
        except (LookupError, TypeError, ValueError, OSError) as error:
            raise InputError(
                self.path,
                found=f"level {k} damaged ({first_line(error)})",
                expected="a complete OME-Zarr image",
                remedy="delete the folder and make it again",
            ) from error
        return array

    @property
    def n_frames(self) -> int:
        """Number of frames, 1 without a time axis."""
        return int(self.array.shape[0]) if "t" in self.axes else 1

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return int(self.array.shape[-2]), int(self.array.shape[-1])

    @property
    def ome_zarr(self) -> OmeZarrVersion:
        """Version of OME-Zarr, which follows from that of Zarr."""
        return "0.4" if self.array.metadata.zarr_format == 2 else "0.5"

    @property
    def version(self) -> str:
        """Changes when the image is written anew, since it is only ever replaced whole."""
        return str(next(filter(Path.exists, _group_files(self.path))).stat().st_mtime_ns)

    def frame(self, index: int) -> Any:
        """Read one frame: ``(c, y, x)`` for an image, ``(y, x)`` for labels."""
        return self.read((index,) if "t" in self.axes else ())

    def read(self, index: tuple[Any, ...]) -> Any:
        """Read part of the array.

        Raises
        ------
        InputError
            A chunk is damaged.
        """
        return self.read_level(0, index)

    def read_level(self, k: int, index: tuple[Any, ...]) -> Any:
        """Read part of a level; see :meth:`level`.

        Raises
        ------
        InputError
            A chunk is damaged.
        """
        try:
            return np.asarray(self.level(k)[index])
        except (OSError, RuntimeError, ValueError) as error:
            raise InputError(
                self.path,
                found=f"a damaged chunk ({first_line(error)})",
                expected="a complete OME-Zarr image",
                remedy="delete the folder and make it again",
            ) from error


def create(
    path: str | Path,
    *,
    shape: tuple[int, ...],
    axes: str,
    dtype: str,
    channels: tuple[str, ...] = (),
    pixel_size_um: float | None = None,
    frame_interval_s: float | None = None,
    version: OmeZarrVersion = "0.5",
) -> OmeZarr:
    """Create an empty OME-Zarr image; with integer labels (no ``c``) it is marked as labels.

    It has one level. :class:`cellsam_core.files.pyramid.PyramidWriter` adds the others.

    Parameters
    ----------
    path
        Folder to make, inside an :func:`cellsam_core.files.atomic.atomic_path`.
    shape, axes, dtype
        Shape, axes and pixel type of the full-resolution array, such as ``(60, 2, 512, 512)``,
        ``"tcyx"`` and ``"uint16"``.
    channels
        Names along ``c``.
    pixel_size_um, frame_interval_s
        Written as coordinate transformation and units; None leaves the axis unitless.
    version
        Version of OME-Zarr: 0.5 is a Zarr of version 3, 0.4 of version 2.
    """
    scale = {"t": frame_interval_s, "y": pixel_size_um, "x": pixel_size_um}
    ome = metadata(axes, dtype, channels, scale)
    if version == "0.4":
        for part in (ome["multiscales"][0], ome.get("omero"), ome.get("image-label")):
            if part is not None:
                part["version"] = version
    attributes = ome if version == "0.4" else {"ome": {"version": version} | ome}
    zarr_format = 2 if version == "0.4" else 3
    group = zarr.open_group(str(path), mode="w-", zarr_format=zarr_format, attributes=attributes)
    array = create_array(group, "0", shape, axes, dtype)
    group.attrs[OWN_KEY] = {"array_sha256": sha256_of_array(Path(path), "0")}
    return OmeZarr(Path(path), array, axes, tuple(channels), pixel_size_um, frame_interval_s)


def is_omezarr(path: Path) -> bool:
    """Tell a Zarr folder of either version by its name or its metadata."""
    return path.suffix == ".zarr" or any(file.exists() for file in _group_files(path))


def open_(path: str | Path) -> OmeZarr:
    """Open an OME-Zarr image or label image for reading.

    Raises
    ------
    InputError
        `path` is not an OME-Zarr 0.4 or 0.5 image with axes among t, c, y, x, its pixels are not
        square, or this pipeline wrote it and a part of it is missing or damaged.
    """
    try:
        group = zarr.open_group(str(path), mode="r")
        attributes: dict[str, Any] = dict(group.attrs)
        ome: dict[str, Any] = attributes.get("ome", attributes)  # 0.4 has no key of its own
        image = read_multiscale(ome["multiscales"][0])
        axes, levels, steps = image.axes, image.paths, image.steps
        array = group[levels[0]]
        channels = tuple(c["label"] for c in ome.get("omero", {}).get("channels", []))
        if not isinstance(array, zarr.Array) or axes not in AXES or len(axes) != array.ndim:
            raise ValueError(f"axes {axes}")
        check_own(Path(path), group, array)
    except (LookupError, TypeError, AttributeError, ValueError, OSError) as error:
        raise InputError(
            path,
            found=f"no OME-Zarr image ({first_line(error)})",
            expected="a folder written by this pipeline or an OME-Zarr 0.4 or 0.5 image",
            remedy="check the path or make the file again",
        ) from error
    refuse_oblong(path, steps["y"], steps["x"])
    pixel_size_um, interval_s = steps["x"].within(MICRONS), None
    if "t" in steps:
        interval_s = steps["t"].within(SECONDS)
    return OmeZarr(Path(path), array, axes, channels, pixel_size_um, interval_s, levels)


def refuse_oblong(path: str | Path, y: Step, x: Step) -> None:
    """Refuse pixels that are not square, also where only their proportion is known."""
    height, width, unit = y.within(MICRONS), x.within(MICRONS), "um"
    if y.unit == x.unit and None in (height, width):
        height, width, unit = y.size, x.size, y.unit or "units"
    if height and width and abs(height / width - 1) > MAX_ASPECT_ERROR:
        raise InputError(
            path,
            found=f"pixels of {height:g} x {width:g} {unit}",
            expected="square pixels",
            remedy="resample the images to square pixels, for example with Image > Scale in Fiji",
        )


def _group_files(path: Path) -> list[Path]:
    return [path / name for name in STORE_FILES]


def check_own(path: Path, group: zarr.Group, array: zarr.Array[Any]) -> None:
    """Compare what this pipeline wrote with what is there; others' images have no such record."""
    record: Any = group.attrs.get(OWN_KEY)
    if record is None:
        return
    _refuse_change(path, array, "0", record["array_sha256"])


def _refuse_change(path: Path, array: zarr.Array[Any], name: str, sha256: str) -> None:
    if sha256 != sha256_of_array(path, name):
        raise ValueError("its array's metadata were changed")
    if array.nchunks_initialized != array.nchunks:
        raise ValueError(f"{array.nchunks_initialized} of its {array.nchunks} chunks")
