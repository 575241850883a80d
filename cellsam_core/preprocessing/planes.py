"""Planes that are segmented: one channel, the grey of colours, or several stains fused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.preprocessing import contrast
from cellsam_core.preprocessing.channels import is_fused
from cellsam_core.preprocessing.fusion import BLOCK_PX, plan_fusion

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from cellsam_core.files.plane import Window
    from cellsam_core.preprocessing.fusion import Fusion
    from cellsam_core.preprocessing.images import RawImages

    Read = Callable[[Window], NDArray[Any]]

MAX_MAP_SIDE = 96
NO_STAIN = -1
"""Stands for a block of the map where no stain has a signal."""


class FusionRecord:
    """Record of the stain that dominates in each place, in the planes of one role.

    Parameters
    ----------
    names
        Names of the stains.
    """

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.shares: list[NDArray[Any]] = []
        self.map: NDArray[np.intp] | None = None

        self.map_px = BLOCK_PX

    def add(self, fusion: Fusion) -> None:
        """Add the weights of one frame; the map is that of the first."""
        dominant = np.where(fusion.has_signal, fusion.share.argmax(0), NO_STAIN)
        counts = [(dominant == stain).sum() for stain in range(len(self.names))]
        self.shares.append(np.array(counts) / dominant.size)
        if self.map is None:
            step = -(-max(dominant.shape) // MAX_MAP_SIDE)
            self.map, self.map_px = dominant[::step, ::step], step * BLOCK_PX

    def as_json(self) -> dict[str, Any]:
        """Return the share of the area in which each stain dominates, and the map.

        ``map`` has the index of the stain in squares of ``map_px`` pixels.
        """
        shares = np.mean(self.shares, axis=0)
        dominant = {name: round(float(s), 4) for name, s in zip(self.names, shares, strict=True)}
        assert self.map is not None
        return {"dominant": dominant, "map": self.map.tolist(), "map_px": self.map_px}


def records_for(roles: dict[str, list[str]]) -> dict[str, FusionRecord]:
    """Make an empty record for each role whose stains are fused."""
    return {role: FusionRecord(names) for role, names in roles.items() if is_fused(names)}


def open_plane(
    images: RawImages, frame: int, names: list[str], record: FusionRecord | None
) -> Read:
    """Return the function that reads a window of the plane of a role, before its contrast.

    Parameters
    ----------
    images
        Raw images of the sample.
    frame
        Index of the frame.
    names
        Channels of the role.
    record
        Record to which the weights of the stains are added; None where none are fused.
    """
    if record is None:

        def read(window: Window) -> NDArray[Any]:
            pixels = images.read(frame, names, window)
            return contrast.to_grey(pixels) if len(names) > 1 else np.asarray(pixels[0])

        return read

    def read_stain(stain: int, window: Window) -> NDArray[Any]:
        pixels: NDArray[Any] = images.read(frame, [names[stain]], window)[0]
        return pixels

    has_gaps = images.fields is not None
    fusion = plan_fusion(read_stain, len(names), images.shape_yx, has_gaps=has_gaps)
    record.add(fusion)

    def read_fused(window: Window) -> NDArray[Any]:
        return fusion.fuse(read_stain, window)

    return read_fused
