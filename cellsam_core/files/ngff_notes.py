"""Times, scales and names of an OME-Zarr in other places than its own metadata."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cellsam_core.files.image_stack import RGB
from cellsam_core.files.ome_xml import OmeImage, parse_ome

if TYPE_CHECKING:
    from pathlib import Path

XML = "OME/METADATA.ome.xml"
"""File of bioformats2raw with all that the microscope's file says of its series, in order."""
STREAM_KEY = "ome_writers"


@dataclass(frozen=True)
class NgffNotes:
    """Statements on one image; None and empty where there are none.

    Attributes
    ----------
    channels, pixel_size_um, interval_s, times_s, significant_bits
        As in :class:`cellsam_core.files.ome_xml.OmeImage`, of square pixels.
    """

    channels: tuple[str, ...] = ()
    pixel_size_um: float | None = None
    interval_s: float | None = None
    times_s: tuple[float, ...] = ()
    significant_bits: int | None = None


def notes_of_series(path: Path, series: int, sizes: tuple[int, int, int]) -> NgffNotes:
    """Read the OME-XML of a store with series.

    Parameters
    ----------
    path
        Folder of the OME-Zarr.
    series
        Index of the series.
    sizes
        Numbers of frames, channels and z planes, by which an OME-XML of other images is told.
    """
    file = path / XML
    images = _parsed(file, file.stat().st_mtime_ns) if file.is_file() else ()
    if series >= len(images) or images[series].sizes != sizes:
        return NgffNotes()
    image = images[series]
    height, width = image.pixel_yx_um
    return NgffNotes(
        RGB if image.is_rgb else image.channels if len(image.channels) == sizes[1] else (),
        width if height == width else None,
        image.interval_s,
        image.times_s,
        image.significant_bits,
    )


@functools.lru_cache(maxsize=4)
def _parsed(file: Path, _changed_ns: int) -> tuple[OmeImage, ...]:
    try:
        return tuple(parse_ome(file.read_text(encoding="utf-8")))
    except ValueError:
        return ()  # the images have metadata of their own


def times_of_stream(attributes: dict[str, Any], axes: str, n_frames: int) -> tuple[float, ...]:
    """Read the times at which ome-writers got the first plane of each frame, from the first one.

    Parameters
    ----------
    attributes
        Those of the group of the image.
    axes
        Axes of its array.
    n_frames
        Number of frames.
    """
    written = attributes.get(STREAM_KEY)
    listed = written.get("frame_metadata") if isinstance(written, dict) else None
    first: dict[int, float] = {}
    for plane in listed or []:
        if plane.get("delta_t") is not None and "t" in axes:
            frame, time_s = int(plane["storage_index"][axes.index("t")]), float(plane["delta_t"])
            first[frame] = min(first.get(frame, time_s), time_s)
    if len(first) < 2 or sorted(first) != list(range(len(first))) or len(first) > n_frames:
        return ()
    times = [first[frame] - first[0] for frame in range(len(first))]
    return tuple(times) if all(b > a for a, b in pairwise(times)) else ()
