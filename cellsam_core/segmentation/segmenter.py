"""What tiles, autopilot and command line ask of a loaded model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cellsam_core.segmentation.instances import Instance


@dataclass(frozen=True)
class Thresholds:
    """What counts as a cell.

    Attributes
    ----------
    score
        Least score of a box.
    iou
        Least predicted IoU of a mask.
    mask
        Least probability of a pixel.
    """

    score: float = 0.35
    iou: float = 0.5
    mask: float = 0.5


class TileSegmenter(Protocol):
    """A model with thresholds, such as :class:`.tiny.predict.Segmenter`."""

    def measure_diameter_px(
        self,
        samples: Sequence[NDArray[np.float32]],
        limits_px: tuple[float, float] | None = None,
    ) -> float:
        """Measure the cell diameter on images ``(2, y, x)`` in [0, 1], px; inside the limits."""

    def segment(self, pixels: NDArray[np.float32], diameter_px: float) -> list[Instance]:
        """Find and draw all cells of a tile ``(2, y, x)`` in [0, 1]."""

    def prompt(
        self, pixels: NDArray[np.float32], diameter_px: float, boxes: NDArray[np.float32]
    ) -> list[Instance]:
        """Draw the cells in boxes ``(n, 4)`` x0, y0, x1, y1, px; none is dropped as unsure."""
