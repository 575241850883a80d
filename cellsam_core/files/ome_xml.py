"""Image metadata in OME-XML: sizes, scales, channels, times, and where the planes are."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

MICRONS = {
    **{"µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0},
    **{"nm": 1e-3, "mm": 1e3, "cm": 1e4, "dm": 1e5, "m": 1e6, "pm": 1e-6, "Å": 1e-4},
    **{"\\u00b5m": 1.0, "\\u00B5m": 1.0, "micrometre": 1.0, "micrometers": 1.0, "in": 25400.0},
}
SECONDS = {
    **{"s": 1.0, "sec": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9},
    **{"min": 60.0, "h": 3600.0, "hour": 3600.0, "hr": 3600.0, "d": 86400.0},
}


@dataclass(frozen=True)
class OmeImage:
    """One image of an OME-XML.

    Attributes
    ----------
    name
        As the user named it; empty for none.
    channels
        Names, or fluorophores where there are none; empty where no channel has either.
    pixel_yx_um
        Height and width of a pixel in micrometres, None where unknown.
    interval_s
        Seconds between frames; None where unknown.
    times_s
        Seconds of each frame, of its first plane that has any; empty unless all frames have one.
    significant_bits
        Bits of a pixel that the camera filled; None where unknown.
    sizes
        Numbers of frames, channels and z planes.
    planes
        File name, page, and (frame, channel, z) of each plane that the metadata places.
    is_rgb
        True if its three channels are the colours of one.
    """

    name: str
    channels: tuple[str, ...]
    pixel_yx_um: tuple[float | None, float | None]
    interval_s: float | None
    times_s: tuple[float, ...]
    significant_bits: int | None
    sizes: tuple[int, int, int]
    planes: tuple[tuple[str, int, tuple[int, int, int]], ...]
    is_rgb: bool = False


def companion_of(text: str) -> str | None:
    """Name of the file that has the metadata, where this one has a pointer only."""
    if "BinaryOnly" not in text:
        return None
    try:
        pointer = ElementTree.fromstring(text).find("{*}BinaryOnly")
    except ElementTree.ParseError as error:
        raise ValueError(f"broken OME metadata, {error}") from error
    return None if pointer is None else pointer.get("MetadataFile")


def parse_ome(text: str) -> list[OmeImage]:
    """Read the images of an OME-XML.

    Raises
    ------
    ValueError
        It is broken, or has no image.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(f"broken OME metadata, {error}") from error
    found = [
        _image(e, p) for e in root.findall("{*}Image") if (p := e.find("{*}Pixels")) is not None
    ]
    if not found:
        raise ValueError("OME metadata without a Pixels element")
    return found


def _image(image: ElementTree.Element, pixels: ElementTree.Element) -> OmeImage:
    channels = pixels.findall("{*}Channel")
    given = [c.get("Name") or c.get("Fluor") for c in channels]
    names = tuple(name or f"channel_{i + 1}" for i, name in enumerate(given))
    sizes = tuple(int(pixels.get(f"Size{axis}") or 1) for axis in "TCZ")
    bits = pixels.get("SignificantBits")
    return OmeImage(
        image.get("Name") or "",
        names if any(given) else (),
        (
            _length(pixels, "PhysicalSizeY", MICRONS, "µm"),
            _length(pixels, "PhysicalSizeX", MICRONS, "µm"),
        ),
        _length(pixels, "TimeIncrement", SECONDS, "s"),
        _times(pixels, sizes[0]),
        int(bits) if bits and bits.isdecimal() else None,
        (sizes[0], sizes[1], sizes[2]),
        tuple(_places(pixels)),
        is_rgb=sizes[1] == 3 and [c.get("SamplesPerPixel") for c in channels] == ["3"],
    )


def _length(
    pixels: ElementTree.Element, name: str, units: dict[str, float], default: str
) -> float | None:
    """Read an OME quantity with its unit; None if absent, zero or in arbitrary units."""
    factor = units.get(pixels.get(f"{name}Unit", default))
    value = float(pixels.get(name) or 0)
    return value * factor if factor and value > 0 else None


def _times(pixels: ElementTree.Element, n_frames: int) -> tuple[float, ...]:
    """Read the seconds of each frame: those of its first channel and z plane that has any."""
    first: dict[int, tuple[tuple[int, int], float]] = {}
    for plane in pixels.findall("{*}Plane"):
        factor = SECONDS.get(plane.get("DeltaTUnit", "s"))
        if plane.get("DeltaT") is None or factor is None:
            continue
        frame, channel, z = (int(plane.get(f"The{axis}") or 0) for axis in "TCZ")
        entry = ((channel, z), float(plane.get("DeltaT") or 0) * factor)
        first[frame] = min(first.get(frame, entry), entry)
    if sorted(first) != list(range(n_frames)) or n_frames < 2:
        return ()
    times = [first[t][1] - first[0][1] for t in range(n_frames)]
    is_rising = all(b > a for a, b in itertools.pairwise(times))
    return tuple(times) if is_rising else ()


def _places(pixels: ElementTree.Element) -> list[tuple[str, int, tuple[int, int, int]]]:
    """List file, page and indices of the planes whose file the metadata name."""
    order = [axis for axis in pixels.get("DimensionOrder", "XYCZT") if axis in "CZT"]
    size = {axis: int(pixels.get(f"Size{axis}") or 1) for axis in "CZT"}
    found = []
    blocks = pixels.findall("{*}TiffData")
    in_block = max(math.prod(size.values()) // max(len(blocks), 1), 1)
    for data in blocks:
        uuid = data.find("{*}UUID")
        if uuid is None or not uuid.get("FileName"):
            continue
        index = {axis: int(data.get(f"First{axis}") or 0) for axis in "CZT"}
        # Without both, it is the whole file; files of a set are alike.
        count = data.get("PlaneCount") or (in_block if data.get("IFD") is None else 1)
        for i in range(int(count)):
            place = (index["T"], index["C"], index["Z"])
            name = Path(str(uuid.get("FileName")).replace("\\", "/")).name
            found.append((name, int(data.get("IFD") or 0) + i, place))
            for axis in order:  # the next plane, the first axis varying fastest
                index[axis] += 1
                if index[axis] < size[axis]:
                    break
                index[axis] = 0
    return found
