"""Metadata of one image of an OME-Zarr, in the ways in which its versions (0.1 to 0.6) say them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from cellsam_core.files import ome_xml

AXES = "tczyx"
TYPES = {"time": "t", "channel": "c"}
BEFORE_AXES = ("0.1", "0.2")
"""Versions whose images have all of `AXES`, and no words for them."""

# Factors to micrometres and seconds of the units that NGFF knows, and of the symbols that programs
# write all the same; others are not known.
PREFIXES = {"yotta": 24, "zetta": 21, "exa": 18, "peta": 15, "tera": 12, "giga": 9, "mega": 6}
PREFIXES |= {"kilo": 3, "hecto": 2, "": 0, "deci": -1, "centi": -2, "milli": -3, "micro": -6}
PREFIXES |= {"nano": -9, "pico": -12, "femto": -15, "atto": -18, "zepto": -21, "yocto": -24}
MICRONS = {f"{prefix}meter": 10.0 ** (power + 6) for prefix, power in PREFIXES.items()}
MICRONS |= {"angstrom": 1e-4, "inch": 25_400.0, "foot": 304_800.0, "yard": 914_400.0}
MICRONS |= {"mile": 1_609_344_000.0, "parsec": 3.0856775814913673e22}
MICRONS = ome_xml.MICRONS | MICRONS
SECONDS = {f"{prefix}second": 10.0**power for prefix, power in PREFIXES.items()}
SECONDS |= {"minute": 60.0, "hour": 3600.0, "day": 86_400.0}
SECONDS = ome_xml.SECONDS | SECONDS


@dataclass(frozen=True)
class Step:
    """Distance between neighbours along an axis, in the axis' own unit.

    Attributes
    ----------
    size
        Not a number where the metadata say none.
    unit
        Its name; None where there is none.
    """

    size: float
    unit: str | None

    def within(self, factors: dict[str, float]) -> float | None:
        """Size in the unit that `factors` lead to; None where it is not known."""
        factor = factors.get(self.unit or "")
        is_length = math.isfinite(self.size) and self.size > 0
        return self.size * factor if factor and is_length else None


@dataclass(frozen=True)
class Multiscale:
    """One image in the metadata of a group.

    Attributes
    ----------
    name
        As the writer named it; empty for none.
    paths
        Paths of the arrays in the group, the full resolution first.
    axes
        One letter a dimension.
    steps
        Step along each axis, by its letter.
    """

    name: str
    paths: tuple[str, ...]
    axes: str
    steps: dict[str, Step]


def read_multiscale(image: dict[str, Any]) -> Multiscale:
    """Read an entry of ``multiscales``.

    Raises
    ------
    LookupError, TypeError, AttributeError, ValueError
        It is not what any version of OME-Zarr says.
    """
    axes = _axes(image)
    letters = "".join(axes)
    sizes = _sizes(image, len(axes))
    steps = {a: Step(size, unit) for (a, unit), size in zip(axes.items(), sizes, strict=True)}
    paths = tuple(str(dataset["path"]) for dataset in image["datasets"])
    return Multiscale(str(image.get("name") or ""), paths, letters, steps)


def _axes(image: dict[str, Any]) -> dict[str, str | None]:
    """Read the axes and their units, by their names or, where those are other words, their types.

    Some programs write the names in capitals.
    """
    if "coordinateSystems" in image:
        listed: list[Any] = _own_system(image)["axes"]
    elif "axes" not in image and image.get("version") in BEFORE_AXES:
        listed = list(AXES)
    else:
        listed = image["axes"]
    found: dict[str, str | None] = {}
    named = [{"name": axis} if isinstance(axis, str) else axis for axis in listed]  # 0.3: names
    for axis in named:
        letter = str(axis["name"]).lower()
        letter = letter if letter in AXES else TYPES.get(str(axis.get("type")), "")
        if not letter or letter in found:
            names = ", ".join(str(axis["name"]) for axis in named)
            raise ValueError(f"axes {names}; known are t, c, z, y, x, each once")
        found[letter] = axis.get("unit")
    return found


def _own_system(image: dict[str, Any]) -> dict[str, Any]:
    """Find, in 0.6, the coordinate system to which the arrays of the image lead."""
    systems: list[dict[str, Any]] = image["coordinateSystems"]
    output = image["datasets"][0]["coordinateTransformations"][0]["output"]
    name = output["name"] if isinstance(output, dict) else output
    return next((system for system in systems if system["name"] == name), systems[0])


def _sizes(image: dict[str, Any], n_axes: int) -> list[float]:
    """Multiply the scales of the first array and, before 0.6, of the whole image.

    Shifts do not matter. In 0.6 the transformations of the whole image lead to other places.
    """
    listed = [*(image["datasets"][0].get("coordinateTransformations") or [])]
    if "coordinateSystems" not in image:
        listed += image.get("coordinateTransformations") or []
    scales = _scales(listed)
    if not scales:
        return [math.nan] * n_axes
    return [math.prod(map(float, factors)) for factors in zip(*scales, [1.0] * n_axes, strict=True)]


def _scales(transformations: list[dict[str, Any]]) -> list[list[float]]:
    """List the scales among transformations, those of a sequence, too."""
    found = []
    for each in transformations:
        if each["type"] == "sequence":
            found += _scales(each["transformations"])
        elif each["type"] == "scale":
            found.append(each["scale"])
        elif each["type"] not in ("identity", "translation"):
            raise ValueError(f"a transformation of type {each['type']}")
    return found
