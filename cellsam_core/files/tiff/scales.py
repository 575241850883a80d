"""Pixel size, times and bit depth that a TIFF says of itself, in the ways of several programs."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.files.ome_xml import MICRONS, SECONDS, OmeImage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import tifffile

    from cellsam_core.files.plane import Plane

MICRO_MANAGER_TAG = 51123
METAMORPH_MICRONS = ("um", "µm", "micron", "microns")
EVEN = 0.05
"""Frames whose intervals differ by less than this share of the median are evenly spaced."""


@dataclass(frozen=True)
class Scales:
    """Pixel size and times that a file states; None and empty where it states nothing.

    Attributes
    ----------
    pixel_yx_um
        Height and width of a pixel in micrometres.
    interval_s
        Seconds between frames.
    times_s
        Seconds of each frame since the first, or the clock's seconds of a file of one frame.
    significant_bits
        Bits that the camera filled.
    source
        Kind of metadata that states them.
    """

    pixel_yx_um: tuple[float | None, float | None] = (None, None)
    interval_s: float | None = None
    times_s: tuple[float, ...] = ()
    significant_bits: int | None = None
    source: str = ""

    def pixel_size_um(self, path: Path) -> float | None:
        """Side of a pixel in micrometres; InputError if pixels are not square."""
        height, width = self.pixel_yx_um
        if height and width and abs(height / width - 1) > 0.01:
            raise InputError(
                path,
                found=f"pixels of {height:g} x {width:g} um",
                expected="square pixels",
                remedy="resample the images to square pixels, for example with Image > Scale in"
                " Fiji",
            )
        return width


def even_interval(times_s: tuple[float, ...] | list[float]) -> float | None:
    """Seconds between frames, where they are evenly spaced; else None."""
    steps = [b - a for a, b in pairwise(times_s)]
    if not steps:
        return None
    middle = sorted(steps)[len(steps) // 2]
    is_even = middle > 0 and max(abs(step - middle) for step in steps) <= EVEN * middle
    return (times_s[-1] - times_s[0]) / len(steps) if is_even else None


def scales_of_ome(image: OmeImage) -> Scales:
    """Take the scales of an OME image."""
    return Scales(
        image.pixel_yx_um, image.interval_s, image.times_s, image.significant_bits, "OME-XML"
    )


def scales_of_tiff(tif: tifffile.TiffFile, frames: Sequence[Plane]) -> Scales:
    """Read the metadata of ImageJ, Micro-Manager, MetaMorph or Zeiss LSM.

    Parameters
    ----------
    tif
        Open file that is no OME-TIFF.
    frames
        First plane of each of its frames.
    """
    n_frames = len(frames)
    scales = _imagej(tif) if tif.is_imagej else Scales()
    if tif.pages[0].tags.get(MICRO_MANAGER_TAG) is not None:
        return replace(_micro_manager(tif, frames, scales), source="metadata of Micro-Manager")
    if tif.is_stk:
        found = _metamorph(tif.stk_metadata or {}, n_frames)
        times = found.times_s or _own_clock(tif, n_frames)
        return replace(found, times_s=times, source="metadata of MetaMorph")
    if tif.is_lsm:
        return replace(_lsm(tif.lsm_metadata or {}, n_frames), source="metadata of Zeiss LSM")
    if tif.pages[0].description.lstrip().startswith("<MetaData>"):
        return _metaseries(tif.pages[0].description)
    if times := _own_clock(tif, n_frames):
        return Scales(times_s=times, source="metadata of MetaMorph")
    return replace(scales, source="metadata of ImageJ") if tif.is_imagej else scales


def _imagej(tif: tifffile.TiffFile) -> Scales:
    info: dict[str, Any] = tif.imagej_metadata or {}
    micron = MICRONS.get(str(info.get("unit", "")).strip()) or MICRONS.get(
        str(info.get("unit", "")).strip().lower()
    )
    if str(info.get("unit", "")).strip().lower() in ("inch", "in"):
        micron = None  # Fiji's word for an image that was never calibrated
    x_per_unit, y_per_unit = tif.pages[0].resolution
    size = tuple(micron / n if micron and n > 0 else None for n in (y_per_unit, x_per_unit))
    unit = SECONDS.get(str(info.get("tunit", "s")).strip().lower())
    interval = unit * float(info.get("finterval") or 0) if unit else None
    return Scales((size[0], size[1]), interval or None)


def _micro_manager(tif: tifffile.TiffFile, frames: Sequence[Plane], scales: Scales) -> Scales:
    """Read the tag that Micro-Manager writes to each page."""
    first = _micro_manager_tag(tif.pages[0])
    size = _number(first, "PixelSizeUm", "PixelSize_um") or scales.pixel_yx_um[1]
    times: list[float] = []
    if all(plane.path == frames[0].path and plane.page < len(tif.pages) for plane in frames):
        tags = [_micro_manager_tag(tif.pages[plane.page]) for plane in frames]
        found = [_number(tag, "ElapsedTime-ms") for tag in tags]
        times = [ms / 1000 for ms in found if ms is not None]
    if len(times) > 1:
        times = [t - times[0] for t in times]
    is_whole = len(times) == len(frames) and all(b > a for a, b in pairwise(times))
    bits = _number(first, "BitDepth")
    return Scales(
        (size or None, size or None),
        scales.interval_s,
        tuple(times) if is_whole else (),
        int(bits) if bits else None,
    )


def _micro_manager_tag(page: Any) -> dict[str, Any]:
    tag = page.tags.get(MICRO_MANAGER_TAG)
    return tag.value if tag is not None and isinstance(tag.value, dict) else {}


def _number(values: dict[str, Any], *names: str) -> float | None:
    for name in names:
        try:
            return float(values[name])
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _metamorph(info: dict[str, Any], n_frames: int) -> Scales:
    is_micron = str(info.get("CalibrationUnits", "")).strip().lower() in METAMORPH_MICRONS
    size = tuple(
        float(info.get(f"{axis}Calibration") or 0) or None if is_micron else None for axis in "YX"
    )
    created = info.get("DatetimeCreated")
    times: list[float] = []
    if created is not None and len(created) == n_frames > 1:
        times = [float((t - created[0]) / _second()) for t in created]
    is_rising = all(b > a for a, b in pairwise(times))
    return Scales((size[0], size[1]), None, tuple(times) if is_rising else ())


def _own_clock(tif: tifffile.TiffFile, n_frames: int) -> tuple[float, ...]:
    """Read the clock's seconds of a file of one frame that MetaMorph wrote; empty for others.

    Of what other programs write as the date of a file, some is the time at which it was saved.
    """
    if n_frames != 1 or not str(tif.pages[0].software).startswith("MetaMorph"):
        return ()
    created = (tif.stk_metadata or {}).get("CreateTime") if tif.is_stk else None
    created = created or getattr(tif.pages[0], "datetime", None)
    return (created.replace(tzinfo=UTC).timestamp(),) if isinstance(created, datetime) else ()


def _metaseries(description: str) -> Scales:
    """Read the properties that MetaMorph and MetaXpress write into single images."""
    props = dict(re.findall(r'<prop id="([^"]*)"[^>]*?\bvalue="([^"]*)"', description))
    is_micron = props.get("spatial-calibration-units", "").strip().lower() in METAMORPH_MICRONS
    is_known = is_micron and props.get("spatial-calibration-state") != "off"
    size = tuple(
        (_number(props, f"spatial-calibration-{axis}") if is_known else None) or None
        for axis in "yx"
    )
    clock = re.fullmatch(
        r"(\d{8} \d\d:\d\d:\d\d)(\.\d+)?", props.get("acquisition-time-local", "").strip()
    )
    times: tuple[float, ...] = ()
    if clock:
        moment = datetime.strptime(clock[1], "%Y%m%d %H:%M:%S").replace(tzinfo=UTC)
        times = (moment.timestamp() + float(clock[2] or 0),)
    return Scales((size[0], size[1]), None, times, source="metadata of MetaMorph")


def _second() -> Any:
    import numpy as np

    return np.timedelta64(1, "s")


def _lsm(info: dict[str, Any], n_frames: int) -> Scales:
    size = tuple(1e6 * float(info.get(f"VoxelSize{a}") or 0) or None for a in "YX")
    stamps = [float(t) for t in info.get("TimeStamps", ())]
    is_whole = len(stamps) == n_frames > 1 and all(b > a for a, b in pairwise(stamps))
    times = tuple(t - stamps[0] for t in stamps) if is_whole else ()
    return Scales((size[0], size[1]), None, times)
