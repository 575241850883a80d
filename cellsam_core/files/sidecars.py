"""Files that acquisition programs write beside their images: pixel size, times, channels."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

from cellsam_core.files.ome_xml import MICRONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

UM_PER_M = 1e6
ROUNDED_UM = 6e-4
"""Largest error of a pixel size that was rounded to three digits behind the point."""
TICKS_PER_S = 1e7
"""Steps of the clock of Windows, in which LAS X counts."""
CHUNK_CHARACTERS = 1 << 18
LONGEST_ENTRY_CHARACTERS = 1 << 24
LEICA_FOLDER = "MetaData"


@dataclass
class Notes:
    """Statements of a file about the images beside it.

    Attributes
    ----------
    pixel_um
        Widths and heights of pixels, um.
    widths_px
        Widths of the images; empty if the file does not tell.
    images
        Names of the images that the file lists; empty if it lists none.
    seconds
        Time of an image, s, by its file name.
    stamps
        Times of all planes, s, in the order of acquisition, where the file names no images.
    channels
        Name of a channel, by the file name of an image or by the channel's part of it (``w1``).
    """

    pixel_um: set[float] = field(default_factory=set)
    widths_px: set[int] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    seconds: dict[str, float] = field(default_factory=dict)
    stamps: tuple[float, ...] = ()
    channels: dict[str, str] = field(default_factory=dict)


class Sidecar(NamedTuple):
    """Kind of file that a program writes beside its images.

    Attributes
    ----------
    name
        Pattern of its name; the group ``of`` is the part that the names of its images hold.
    behind
        Pattern of what follows this part in the name of an image.
    program
        Name of the program.
    read
        Function that reads the file.
    """

    name: re.Pattern[str]
    behind: str
    program: str
    read: Callable[[Path], Notes]


def find_sidecar(image: Path) -> tuple[Path, Sidecar] | None:
    """Find the file that tells of an image, in its folder or in the one above.

    Parameters
    ----------
    image
        Path of the image.

    Returns
    -------
    Path, Sidecar
        The file and its kind; None if there is none, or only those of other images.
    """
    for above in (image.parent, image.parent.parent):
        for folder in (above / LEICA_FOLDER, above):
            found = _of_image(folder, image.name)
            if found is not None:
                return found
    return None


def _of_image(folder: Path, image: str) -> tuple[Path, Sidecar] | None:
    if not folder.is_dir():
        return None
    names = _list_sidecars(folder, folder.stat().st_mtime_ns)
    for kind in SIDECARS:
        fitting = []
        for name in names:
            match = kind.name.fullmatch(name)
            if match is None:
                continue
            own = match.groupdict().get("of", "")
            expression = rf"(?<![^\W_]){re.escape(own)}{kind.behind}"
            if not own or re.search(expression, image, re.IGNORECASE):
                fitting.append((len(own), name))
        if fitting:
            return folder / max(fitting)[1], kind
    return None


@lru_cache(maxsize=8)
def _list_sidecars(folder: Path, changed_ns: int) -> tuple[str, ...]:
    """List a folder once for all positions of a plate; `changed_ns` tells if it has changed."""
    del changed_ns
    names = (f.name for f in folder.iterdir() if f.suffix.lower() in SUFFIXES)
    return tuple(sorted(n for n in names if any(kind.name.fullmatch(n) for kind in SIDECARS)))


@lru_cache(maxsize=2)
def read_sidecar(path: Path, changed_ns: int, read: Callable[[Path], Notes]) -> Notes:
    """Read a file once for all positions of a plate.

    Parameters
    ----------
    path, read
        As `find_sidecar` tells.
    changed_ns
        Time of its last change, which tells a new file from the old one.
    """
    del changed_ns
    return read(path)


def _micro_manager(path: Path) -> Notes:
    """Read the frames of ``metadata.txt``; version 2 names a file by its key, 1.4 inside."""
    notes = Notes()
    summary: dict[str, Any] = {}
    for key, frame in _entries(path):
        if key == "Summary":
            summary = frame if isinstance(frame, dict) else {}
            continue
        if not isinstance(frame, dict):
            continue
        own = frame.get("FileName") or key.partition("-")[2]
        name = str(own).replace("\\", "/").rsplit("/", 1)[-1]
        if not name.lower().endswith((".tif", ".tiff")):
            continue
        notes.images.add(name)
        notes.pixel_um.update(_numbers(frame, "PixelSizeUm"))
        notes.widths_px.update(int(width) for width in _numbers(frame, "Width"))
        notes.seconds.update((name, ms / 1000) for ms in _numbers(frame, "ElapsedTime-ms"))
    found = summary.get("ChNames")
    listed: list[Any] = found if isinstance(found, list) else []
    for name in notes.images:
        index = re.search(r"img_channel(\d+)_", name)
        if index and int(index[1]) < len(listed):
            notes.channels[name] = str(listed[int(index[1])])
    if not notes.pixel_um:
        notes.pixel_um.update(_numbers(summary, "PixelSize_um"))
    return notes


def _entries(path: Path) -> Iterator[tuple[str, Any]]:
    """Read the entries of a JSON object one by one; a file of a run that broke off ends early."""
    decode = json.JSONDecoder().raw_decode
    with path.open(encoding="utf-8", errors="replace") as stream:
        text = stream.read(CHUNK_CHARACTERS).lstrip()
        if not text.startswith("{"):
            return  # a file of the user's
        text, more = text[1:], "more"
        while True:
            text = text.lstrip(" \t\r\n,")
            if text.startswith("}"):
                return
            try:
                key, end = decode(text)
                start = re.compile(r"\s*:\s*").match(text, end)
                value, end = decode(text, start.end() if start else len(text))
            except ValueError:
                end = len(text)
            else:
                if end < len(text):
                    yield str(key), value
                    text = text[end:]
                    continue
            if not more:
                return
            if len(text) > LONGEST_ENTRY_CHARACTERS:
                raise ValueError("an entry without an end")
            more = stream.read(CHUNK_CHARACTERS)
            text += more


def _numbers(values: dict[str, Any], name: str) -> list[float]:
    value = values.get(name)
    return [float(value)] if isinstance(value, int | float) else []


def _harmony(path: Path) -> Notes:
    """Read the images of ``Index.idx.xml``, which is ``Index.xml`` in version 7.

    From version 6 on, channels are in a list of their own.
    """
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
            notes.images.add(name)
            channel_of[name] = said.get("ChannelID", "")
            notes.seconds.update((name, seconds) for seconds in _harmony_seconds(said))
            notes.channels.update({name: said["ChannelName"]} if "ChannelName" in said else {})
        if "ImageResolutionX" in said:
            notes.pixel_um.add(round(UM_PER_M * float(said["ImageResolutionX"]), 9))
        notes.widths_px.update({int(said["ImageSizeX"])} if "ImageSizeX" in said else set())
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
    notes = Notes()
    for channel in ElementTree.parse(path).iterfind(".//{*}MeasurementChannel"):
        said = {key.rpartition("}")[2].rpartition(":")[2]: v for key, v in channel.attrib.items()}
        if "HorizontalPixelDimension" in said:
            notes.pixel_um.add(float(said["HorizontalPixelDimension"]))
        if "HorizontalPixels" in said:
            notes.widths_px.add(int(said["HorizontalPixels"]))
    return notes


def _las_x(path: Path) -> Notes:
    """Read size of a pixel and times of ``MetaData/Series001_Properties.xml``.

    ``Voxel`` is rounded; the same in full is the length between the middles of the first and the
    last pixel, by the number of steps. Times are in one list, a time for each plane.
    """
    notes = Notes()
    root = ElementTree.parse(path)
    for axis in root.iterfind(".//{*}DimensionDescription"):
        if axis.get("DimID") != "X" or MICRONS.get(axis.get("Unit", "")) != 1.0:
            continue
        told, n_pixels = float(axis.get("Voxel", "0")), int(axis.get("NumberOfElements", "0"))
        steps = float(axis.get("Length", "0")) / (n_pixels - 1)
        notes.pixel_um.add(steps if abs(steps - told) < ROUNDED_UM else told)
        notes.widths_px.add(n_pixels)
        break
    listed = next(root.iterfind(".//{*}TimeStampList"), None)
    if listed is not None:
        ticks = [int(text, 16) for text in (listed.text or "").split()]
        notes.stamps = tuple((tick - ticks[0]) / TICKS_PER_S for tick in ticks)
    return notes


def _zen(path: Path) -> Notes:
    """Read the size of a pixel, m, and the width of images of ``*_metadata.xml``."""
    root = ElementTree.parse(path)
    sizes = (axis.findtext("{*}Value") for axis in root.iterfind(".//{*}Distance[@Id='X']"))
    widths = (image.findtext("{*}SizeX") for image in root.iterfind(".//{*}Information/{*}Image"))
    return Notes(
        {round(UM_PER_M * float(size), 9) for size in sizes if size},
        {int(width) for width in widths if width},
    )


def _prairie(path: Path) -> Notes:
    """Read pixel size, times and names of channels of the file of a run of Prairie View."""
    notes = Notes()
    for _, element in ElementTree.iterparse(path):
        if element.tag == "PVStateValue":
            if element.get("key") == "micronsPerPixel":
                values = element.iterfind("IndexedValue[@index='XAxis']")
                notes.pixel_um.update(float(value.get("value", "")) for value in values)
            if element.get("key") == "pixelsPerLine" and element.get("value"):
                notes.widths_px.add(int(element.get("value", "")))
        if element.tag != "Frame":
            continue
        for file in element.iterfind("File"):
            name = file.get("filename", "")
            notes.images.add(name)
            notes.seconds[name] = float(element.get("absoluteTime", ""))
            notes.channels[name] = file.get("channelName", "")
        element.clear()
    return notes


def _htd(path: Path) -> Notes:
    """Read the names of wavelengths of an ``.HTD``: ``"WaveName1", "DAPI"``."""
    rows = csv.reader(path.read_text(encoding="latin-1").splitlines(), skipinitialspace=True)
    said = {row[0]: row[1].strip() for row in rows if len(row) > 1}
    waves = {key.removeprefix("WaveName"): text for key, text in said.items() if text}
    found = {f"w{number}": text for number, text in waves.items() if number.isdecimal()}
    return Notes(channels=found)


SUFFIXES = (".txt", ".xml", ".mrf", ".htd")
SIDECARS = (
    Sidecar(re.compile(r"metadata\.txt"), "", "Micro-Manager", _micro_manager),
    Sidecar(re.compile(r"Index(\.(idx|ref))?\.xml"), "", "Harmony", _harmony),
    Sidecar(re.compile(r"MeasurementDetail\.mrf"), "", "Yokogawa", _yokogawa),
    Sidecar(re.compile(r"(?P<of>.+)\.htd", re.IGNORECASE), "_", "MetaXpress", _htd),
    Sidecar(re.compile(r"(?P<of>.+)_Properties\.xml"), r"(?!\d)", "LAS X", _las_x),
    Sidecar(
        re.compile(r"(?P<of>.+)_(info|meta|metadata)\.xml", re.IGNORECASE), r"(?!\d)", "ZEN", _zen
    ),
    Sidecar(re.compile(r"(?P<of>.+)\.xml"), r"_Cycle\d+_", "Prairie View", _prairie),
)
