"""Microscopes' own files (.nd2, .czi, .lif and others), read plane by plane through bioio.

bioio and its readers are the extra ``bioio``; nothing of them is imported before such a file is
read.
"""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.foreign import maker_of
from cellsam_core.files.image_stack import Stack, ZChoice, z_error
from cellsam_core.files.ome_xml import parse_ome
from cellsam_core.files.plane import Plane

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.files.plane import Window

MAX_SQUARE_ERROR = 0.01


def list_scenes(path: Path) -> list[str]:
    """Name the images (positions, series) of a file; one empty name for only one.

    Raises
    ------
    InputError
        The file can't be read, or its metadata count more images than they name.
    """
    image = _open(path)
    scenes = [str(scene) for scene in image.scenes]
    n_scenes = _count_scenes(image)
    if n_scenes > len(scenes):
        maker = maker_of(path)
        raise InputError(
            path,
            found=f"{n_scenes} scenes, of which only {len(scenes)} can be opened by name",
            expected="names of all scenes in the metadata",
            remedy="export each scene as a file of its own"
            + (f" ({maker.export})" if maker else ""),
        )
    if len(scenes) == 1:
        return [""]
    return [s if scenes.count(s) == 1 else f"{s}-{i + 1}" for i, s in enumerate(scenes)]


def _count_scenes(image: Any) -> int:
    """Read how many scenes the metadata of Zeiss count; 0 where they do not tell."""
    try:
        return int(image.metadata.findtext("./Metadata/Information/Image/SizeS"))
    except Exception:  # noqa: BLE001 other readers have other metadata, or none
        return 0


def _open(path: Path) -> Any:
    try:
        return _image(str(path), path.stat().st_mtime_ns)
    except InputError:
        raise
    except Exception as error:  # each vendor's reader has errors of its own
        maker = maker_of(path)
        raise InputError(
            path,
            found=f"a file that can't be read ({first_line(error)})",
            expected=f"a complete file of {maker.name if maker else 'a microscope'}",
            remedy="copy the file again from the microscope",
        ) from error


@functools.lru_cache(maxsize=4)
def _image(path: str, _modified_ns: int) -> Any:
    from bioio import BioImage

    maker = maker_of(Path(path))
    assert maker is not None
    reader = importlib.import_module(maker.plugin).Reader
    return BioImage(path, reader=reader)


def _at_scene(path: Path, name: str) -> Any:
    image = _open(path)
    names = list_scenes(path)
    if name not in names:
        raise InputError(
            path,
            found=f"{len(names)} images ({', '.join(names[:5])})",
            expected="one image",
            remedy="fill the column `position` of the sample sheet with one of these names",
        )
    image.set_scene(names.index(name))
    return image


def read_header(path: Path, name: str, z: ZChoice | None) -> Stack:
    """Describe the planes of an image; see :func:`.stack.read_stack`."""
    image = _at_scene(path, name)
    sizes = {axis: int(getattr(image.dims, axis, 1)) for axis in "TCZYX"}
    if sizes["Z"] > 1 and z is None:
        raise z_error(path, sizes["Z"])
    project = z or ZChoice("one")
    scene = str(image.current_scene_index)

    def plane(t: int, c: int) -> Plane:
        shape = sizes["T"], sizes["C"], sizes["Z"]
        pages = [int(np.ravel_multi_index((t, c, k), shape)) for k in range(sizes["Z"])]
        return project.apply([Plane(str(path), page, series=f"scene {scene}") for page in pages])

    size = image.physical_pixel_sizes
    if size.Y and size.X and abs(size.Y / size.X - 1) > MAX_SQUARE_ERROR:
        raise InputError(
            path,
            found=f"pixels of {size.Y:g} x {size.X:g} um",
            expected="square pixels",
            remedy="resample the images to square pixels, for example with Image > Scale in Fiji",
        )
    names = tuple(str(name) for name in image.channel_names or ())
    return Stack(
        path,
        path.suffix.lower().lstrip("."),
        [[plane(t, c) for c in range(sizes["C"])] for t in range(sizes["T"])],
        names if len(set(names)) == sizes["C"] else (),
        (sizes["Y"], sizes["X"]),
        str(np.dtype(image.dtype).newbyteorder("=").name),
        float(size.X) if size.X else None,
        _interval_s(image),
        _times_s(image, sizes["T"]),
        scales_from="metadata of the microscope's file",
    )


def _interval_s(image: Any) -> float | None:
    try:
        interval = image.time_interval
        seconds = float(getattr(interval, "total_seconds", lambda: interval)())
    except Exception:  # noqa: BLE001 what a reader does not know, it may raise
        return None
    return seconds if np.isfinite(seconds) and seconds > 0 else None


def _times_s(image: Any, n_frames: int) -> tuple[float, ...]:
    """Seconds of each frame, where the reader can tell the times of planes."""
    try:
        images = parse_ome(image.ome_metadata.to_xml())
        times = images[image.current_scene_index].times_s
    except Exception:  # noqa: BLE001 not every reader has them
        return ()
    return times if len(times) == n_frames else ()


def read_page(path: str, series: str, page: int, window: Window | None) -> NDArray[Any]:
    """Read one plane, or a window of it."""
    file = Path(path)
    image = _open(file)
    image.set_scene(int(series.rpartition(" ")[2]))
    shape = tuple(int(getattr(image.dims, axis, 1)) for axis in "TCZ")
    t, c, z = (int(i) for i in np.unravel_index(page, shape))
    plane = image.get_image_dask_data("YX", T=t, C=c, Z=z)
    y0, y1, x0, x1 = window or (0, plane.shape[0], 0, plane.shape[1])
    return np.asarray(plane[y0:y1, x0:x1].compute())
