"""The interface that every loaded segmentation model implements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cellsam_core.models import Preset
    from cellsam_core.segmentation.instances import Instance
    from cellsam_core.segmentation.options import SegmentOptions, Target
    from cellsam_core.segmentation.weights import WeightsInfo


@dataclass(frozen=True)
class Features:
    """Features of a region, from which the cells in boxes are drawn in milliseconds.

    Attributes
    ----------
    tensor
        Features in the model's own layout.
    shape_yx
        Height and width of the region in pixels.
    scale_yx
        Pixels of the model for each pixel of the region.
    """

    tensor: Any = field(repr=False)
    shape_yx: tuple[int, int]
    scale_yx: tuple[float, float]


class TileSegmenter(Protocol):
    """A model with thresholds, such as :class:`.tiny.predict.Segmenter`.

    Attributes
    ----------
    fits_tiles
        True if tiles may have any size; False if the scale of the model depends on their size.
    """

    fits_tiles: bool

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

    def features(self, pixels: NDArray[np.float32], diameter_px: float) -> Features:
        """Return the features of a tile ``(2, y, x)`` in [0, 1], for :meth:`draw_boxes`."""

    def draw_boxes(self, features: Features, boxes: NDArray[np.float32]) -> list[Instance]:
        """Draw the cells in boxes ``(n, 4)`` x0, y0, x1, y1, px of the region of the features."""


@dataclass(frozen=True)
class Model:
    """A loaded model, made by :func:`cellsam_core.load_model`.

    Attributes
    ----------
    weights
        Name, path, checksum and licence of the weights.
    preset
        Preset of the published CellSAM; other weights have no presets.
    device
        ``cpu`` or ``cuda``.
    segmenter
        Function of the options of segmentation that returns the model with their thresholds.
    thresholds
        Function of the options of segmentation that returns what provenance records of the
        thresholds that are in force.
    target
        Objects to find in images with two stains: ``cell`` or ``nucleus``.
    """

    weights: WeightsInfo
    preset: Preset
    device: str
    segmenter: Callable[[SegmentOptions], TileSegmenter] = field(repr=False)
    thresholds: Callable[[SegmentOptions], dict[str, Any]] = field(repr=False)
    target: Target = "cell"

    def settings(self, options: SegmentOptions) -> dict[str, Any]:
        """Return what provenance records of the model and of its options."""
        identity = {"weights": self.weights.name, "sha256": self.weights.sha256}
        where = {"device": self.device}
        if self.target != "cell":
            where["target"] = self.target
        return identity | where | self.thresholds(options) | {"tile_px": int(options.tile_px)}
