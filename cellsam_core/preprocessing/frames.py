"""Preprocessed frames in memory."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Frames:
    """Preprocessed frames in memory, read as :class:`cellsam_core.files.omezarr.OmeZarr` is.

    Attributes
    ----------
    array
        Pixels, uint16; 0 to 65535 stand for 0 to 1. Its axes are named by `axes`.
    axes
        ``"tcyx"`` for a movie, ``"cyx"`` for a tissue.
    channels
        ``nuclear`` and/or ``cell``, along ``c``.
    pixel_size_um
        Side of a pixel in micrometres; None where it is not known.
    frame_interval_s
        Seconds between frames; None where it is not known.
    fusion
        For a role of several stains: ``dominant``, the share of the area in which each dominates,
        and ``map``, its index in squares of ``map_px`` pixels of the first frame (-1 where no
        stain has a signal).
    """

    array: NDArray[np.uint16]
    axes: str
    channels: tuple[str, ...]
    pixel_size_um: float | None = None
    frame_interval_s: float | None = None
    fusion: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def n_frames(self) -> int:
        """Number of frames, 1 without a time axis."""
        return len(self.array) if "t" in self.axes else 1

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.array.shape[-2], self.array.shape[-1]

    @property
    def version(self) -> str:
        """Checksum of the pixels, which changes when they do."""
        return f"{zlib.crc32(np.ascontiguousarray(self.array).data):08x}"

    def frame(self, index: int) -> NDArray[np.uint16]:
        """Return one frame ``(c, y, x)``."""
        return self.read((index,) if "t" in self.axes else ())

    def read(self, index: tuple[Any, ...]) -> NDArray[np.uint16]:
        """Return part of the array."""
        return np.asarray(self.array[index])
