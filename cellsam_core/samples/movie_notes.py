"""Files that acquisition programs write beside their images: pixel size, times, channels.

Read are ``metadata.txt`` of Micro-Manager, ``Index.idx.xml`` of Harmony (Operetta, Opera Phenix),
``MeasurementDetail.mrf`` of Yokogawa, ``*.HTD`` of MetaXpress (ImageXpress), and
``MetaData/*_Properties.xml`` of LAS X.
"""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from cellsam_core.errors import InputError
from cellsam_core.files.image_stack import ZChoice
from cellsam_core.files.ome_xml import MICRONS
from cellsam_core.files.stack import read_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cellsam_core.files.image_stack import Stack
    from cellsam_core.files.named_images import NamedImage

UM_PER_M = 1e6
LAS_X = "_Properties.xml"
OME_SUFFIXES = (".ome.tif", ".ome.tiff")
ROUNDED_UM = 6e-4
"""Largest error of a pixel size that was rounded to three digits behind the point."""


@dataclass
class Notes:
    """Statements of a file about the images beside it.

    Attributes
    ----------
    pixel_um
        Widths and heights of pixels, um.
    seconds
        Time of an image, s, by its file name.
    channels
        Name of a channel, by the file name of an image or by the channel's part of it (``w1``).
    """

    pixel_um: set[float] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)
    channels: dict[str, str] = field(default_factory=dict)


def add_notes(
    stack: Stack, images: Sequence[NamedImage], keep_names: bool
) -> tuple[Stack, list[str]]:
    """Add to a stack what the images themselves don't say, and the file beside them does.

    Parameters
    ----------
    stack
        The movie, from `images`.
    images
        Files of one position.
    keep_names
        True if the user names channels as the files do.

    Returns
    -------
    Stack, list of str
        With pixel size, times and channel names; and sentences for the report.
    """
    path = _find(images[0].path)
    if path is None:
        return (
            (stack, []) if keep_names else _name(stack, images, _ome(stack, images), "the OME-XML")
        )
    program, read = next(READERS[name] for name in READERS if path.match(name))
    try:
        notes = _read(path, path.stat().st_mtime_ns, read)
    except (OSError, ValueError, TypeError, LookupError, ArithmeticError, ElementTree.ParseError):
        return stack, [f"{path.name} of {program} can't be read: what it says is not known."]
    source = f"{path.name} of {program}"
    size = next(iter(notes.pixel_um)) if len(notes.pixel_um) == 1 else None
    if stack.pixel_size_um is None and size is not None and size > 0:
        stack = replace(stack, pixel_size_um=size, scales_from=source)
    times = _times(images, notes)
    is_told = stack.times_s or stack.frame_interval_s is not None
    if not is_told and len(times) == len(stack.planes) > 1:
        stack = replace(stack, times_s=times, scales_from=source)
    return (stack, []) if keep_names else _name(stack, images, notes, source)


def _ome(stack: Stack, images: Sequence[NamedImage]) -> Notes:
    """Read the names of channels in images of one channel each, whose own names have numbers."""
    notes = Notes()
    file_of = {image.channel: image.path for image in images}
    for key in stack.channels:
        path = file_of.get(key)
        is_numbered = re.fullmatch(r"\D{0,9}\d+", key) is not None
        if path is None or not is_numbered or not path.name.lower().endswith(OME_SUFFIXES):
            return Notes()
        try:
            own = read_stack(path, z=ZChoice("max")).channels
        except InputError:
            return Notes()  # of a set that is not whole, or is read file by file
        notes.channels.update({path.name: own[0]} if len(own) == 1 else {})
    return notes


def _name(
    stack: Stack, images: Sequence[NamedImage], notes: Notes, source: str
) -> tuple[Stack, list[str]]:
    """Give channels the names that a program tells, and say so."""
    names = _names(stack, images, notes)
    if not names:
        return stack, []
    pairs = ", ".join(f"{a} is {b}" for a, b in zip(stack.channels, names, strict=True))
    return replace(stack, channels=tuple(names)), [f"Channels have the names of {source}: {pairs}."]


def _times(images: Sequence[NamedImage], notes: Notes) -> tuple[float, ...]:
    """Seconds of each frame since the first, by its first image; empty if some lack one."""
    by_frame: dict[int, list[float]] = defaultdict(list)
    for image in images:
        if image.path.name not in notes.seconds:
            return ()
        by_frame[image.frame or 0].append(notes.seconds[image.path.name])
    times = [min(seconds) for _, seconds in sorted(by_frame.items())]
    if any(b <= a for a, b in pairwise(times)):
        return ()
    return tuple(t - times[0] for t in times)


def _names(stack: Stack, images: Sequence[NamedImage], notes: Notes) -> list[str]:
    """Name the channels; none if a name is lacking, or not the channel's own, or known already."""
    file_of = {image.channel: image.path.name for image in images}
    names = [
        notes.channels.get(key) or notes.channels.get(file_of.get(key, ""), "")
        for key in stack.channels
    ]
    names = [" ".join(name.replace(",", " ").split()) for name in names]
    is_whole = "" not in names and len(set(names)) == len(names)
    return names if is_whole and tuple(names) != stack.channels else []


def _find(image: Path) -> Path | None:
    """Find the file in the folder of an image, or in the one above."""
    leica = [
        path
        for path in sorted((image.parent / "MetaData").glob(f"*{LAS_X}"))
        if path.name.removesuffix(LAS_X) in image.stem
    ]
    if leica:
        return max(leica, key=lambda path: len(path.name))
    for folder in (image.parent, image.parent.parent):
        for pattern in READERS:
            path = next(iter(sorted(folder.glob(pattern))), None)
            if path is not None and path.is_file():
                return path
    return None


@lru_cache(maxsize=2)
def _read(path: Path, changed_ns: int, read: Callable[[Path], Notes]) -> Notes:
    """Read a file once for all positions of a plate; `changed_ns` tells a new one from the old."""
    del changed_ns
    return read(path)


def _micro_manager(path: Path) -> Notes:
    """Read the frames of ``metadata.txt``; version 2 names a file by its key, 1.4 inside."""
    notes = Notes()
    text = path.read_text(encoding="utf-8", errors="replace")
    if not text.lstrip().startswith("{"):
        return notes  # a file of the user's
    content = json.loads(text)
    listed = content.get("Summary", {}).get("ChNames")
    for key, frame in content.items():
        if not isinstance(frame, dict):
            continue
        own = frame.get("FileName") or key.partition("-")[2]
        name = str(own).replace("\\", "/").rsplit("/", 1)[-1]
        notes.pixel_um.update(_numbers(frame, "PixelSizeUm"))
        notes.seconds.update((name, ms / 1000) for ms in _numbers(frame, "ElapsedTime-ms"))
        index = re.search(r"img_channel(\d+)_", name)
        if index and isinstance(listed, list) and int(index[1]) < len(listed):
            notes.channels[name] = str(listed[int(index[1])])
    if not notes.pixel_um:
        notes.pixel_um.update(_numbers(content.get("Summary", {}), "PixelSize_um"))
    return notes


def _numbers(values: dict[str, Any], name: str) -> list[float]:
    value = values.get(name)
    return [float(value)] if isinstance(value, int | float) else []


def _harmony(path: Path) -> Notes:
    """Read the images of ``Index.idx.xml``; version 6 tells of channels in a list of their own."""
    notes = Notes()
    of_channel: dict[str, str] = {}
    channel_of: dict[str, str] = {}
    for _, element in ElementTree.iterparse(path):
        kind = element.tag.rpartition("}")[2]
        if kind not in ("Image", "Entry"):
            continue
        said = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in element}
        name = said.get("URL", "")
        if kind == "Entry" and "ChannelName" in said:
            of_channel[element.get("ChannelID", "")] = said["ChannelName"]
        if name:
            channel_of[name] = said.get("ChannelID", "")
            notes.seconds.update((name, seconds) for seconds in _harmony_seconds(said))
            notes.channels.update({name: said["ChannelName"]} if "ChannelName" in said else {})
        if "ImageResolutionX" in said:
            notes.pixel_um.add(round(UM_PER_M * float(said["ImageResolutionX"]), 9))
        element.clear()
    told = {name: of_channel.get(channel, "") for name, channel in channel_of.items()}
    notes.channels = told | notes.channels
    return notes


def _harmony_seconds(said: dict[str, str]) -> list[float]:
    if "MeasurementTimeOffset" in said:
        return [float(said["MeasurementTimeOffset"])]
    return [datetime.fromisoformat(said["AbsTime"]).timestamp()] if "AbsTime" in said else []


def _yokogawa(path: Path) -> Notes:
    """Read the size of a pixel of the channels of ``MeasurementDetail.mrf``, um."""
    sizes = {
        float(value)
        for channel in ElementTree.parse(path).iterfind(".//{*}MeasurementChannel")
        for key, value in channel.attrib.items()
        if key.endswith("HorizontalPixelDimension")
    }
    return Notes(sizes)


def _las_x(path: Path) -> Notes:
    """Read the size of a pixel of ``MetaData/Series001_Properties.xml``.

    ``Voxel`` is rounded; the same in full is the length between the middles of the first and the
    last pixel, by the number of steps.
    """
    for axis in ElementTree.parse(path).iterfind(".//{*}DimensionDescription"):
        if axis.get("DimID") != "X" or MICRONS.get(axis.get("Unit", "")) != 1.0:
            continue
        told = float(axis.get("Voxel", "0"))
        steps = float(axis.get("Length", "0")) / (int(axis.get("NumberOfElements", "0")) - 1)
        return Notes({steps if abs(steps - told) < ROUNDED_UM else told})
    return Notes()


def _htd(path: Path) -> Notes:
    """Read the names of wavelengths of an ``.HTD``: ``"WaveName1", "DAPI"``."""
    rows = csv.reader(path.read_text(encoding="latin-1").splitlines(), skipinitialspace=True)
    said = {row[0]: row[1].strip() for row in rows if len(row) > 1}
    waves = {key.removeprefix("WaveName"): text for key, text in said.items() if text}
    found = {f"w{number}": text for number, text in waves.items() if number.isdecimal()}
    return Notes(channels=found)


READERS: dict[str, tuple[str, Callable[[Path], Notes]]] = {
    "metadata.txt": ("Micro-Manager", _micro_manager),
    "Index.idx.xml": ("Harmony", _harmony),
    "Index.ref.xml": ("Harmony", _harmony),
    "MeasurementDetail.mrf": ("Yokogawa", _yokogawa),
    "*.[Hh][Tt][Dd]": ("MetaXpress", _htd),
    f"*{LAS_X}": ("LAS X", _las_x),
}
