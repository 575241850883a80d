"""Frames, channels and z planes of one image file, whichever format it has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.files.plane import Plane

RGB = ("R", "G", "B")
Z_POLICIES = ("max", "mean", "focus", "one")


@dataclass(frozen=True)
class ZChoice:
    """Choice of one plane among z planes, or their projection.

    Attributes
    ----------
    policy
        ``max`` or ``mean`` projection, ``focus`` (the sharpest plane of each frame and channel)
        or ``one`` (always the same plane).
    plane
        Index of that plane, counted from 0; None takes the middle one.
    """

    policy: str
    plane: int | None = None

    def apply(self, planes: list[Plane]) -> Plane:
        """Choose or project the z planes of one frame and channel."""
        if len(planes) == 1:
            return planes[0]
        if self.policy == "one":
            index = len(planes) // 2 if self.plane is None else self.plane
            if index >= len(planes):
                raise InputError(
                    planes[0].path,
                    found=f"z planes 0 to {len(planes) - 1}",
                    expected=f"plane {index}",
                    remedy="correct the column `z_plane` of the sample sheet",
                )
            return planes[index]
        first = planes[0]
        others = tuple((p.path if p.path != first.path else "", p.page) for p in planes[1:])
        return replace(first, stack=others, projection=self.policy)


@dataclass(frozen=True)
class Stack:
    """Planes of one image file, or of several that belong together.

    Attributes
    ----------
    path
        For messages.
    kind
        ``image`` (one plane or RGB), ``tiff_stack``, ``ome_tiff``, ``ome_zarr`` or the suffix of
        a microscope's file.
    planes
        ``planes[frame][channel]``.
    channels
        Names; empty where the file names none.
    shape_yx, dtype
        `dtype` in native byte order.
    pixel_size_um, frame_interval_s
        None where the file does not say.
    times_s
        Seconds of each frame; empty where the file does not say.
    significant_bits
        Bits of a pixel that the camera filled; None where the file does not say.
    scales_from
        Metadata that say pixel size and times, such as ``OME-XML``; empty where none do.
    defaults
        ``pixel_size_um`` and ``frame_interval_s``, where the metadata say 1, as programs write if
        nobody gave them: they are taken as unknown.
    """

    path: Path
    kind: str
    planes: list[list[Plane]]
    channels: tuple[str, ...]
    shape_yx: tuple[int, int]
    dtype: str
    pixel_size_um: float | None = None
    frame_interval_s: float | None = None
    times_s: tuple[float, ...] = ()
    significant_bits: int | None = None
    scales_from: str = ""
    defaults: tuple[str, ...] = ()


def z_error(path: Path, n_planes: int, *, may_be_time: bool = False) -> InputError:
    """Make the error for z planes that nobody said what to do with.

    Parameters
    ----------
    path
        The file.
    n_planes
        Number of z planes.
    may_be_time
        True where the format `tiff_stack` takes the z axis as time.
    """
    other = "; if the planes are time points, set the column `format` to tiff_stack instead"
    return InputError(
        path,
        found=f"a z axis of {n_planes} planes",
        expected="one plane of each frame and channel",
        remedy="fill the column `z_policy` of the sample sheet with max, mean, focus or one"
        + (other if may_be_time else ""),
    )
