"""A part of an image segmented by two models, to see what new weights change."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.corrections.outlines import outline_of
from cellsam_core.files import omezarr
from cellsam_core.segmentation.tiles import REFERENCE_PX, Tile
from cellsam_core.viewer.prompts import TYPICAL_DIAMETER_PX

if TYPE_CHECKING:
    from cellsam_core.segmentation.segmenter import TileSegmenter
    from cellsam_core.viewer.prompts import Load
    from cellsam_core.viewer.samples import Sample

MAX_SIDE_PX = 1024
"""Largest side of the part in pixels of the model; more would take long on a processor."""
TILE_PX = 512
MIN_AREA_PX = 25
KEPT_MODELS = 2


class Trial:
    """Models that segment a part of an image side by side.

    Parameters
    ----------
    load
        Function of the name of weights that loads them.
    """

    def __init__(self, load: Load) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._models: dict[str, TileSegmenter] = {}

    def outlines(
        self, sample: Sample, frame: int, box: tuple[float, ...], weights: str
    ) -> list[list[list[float]]]:
        """Segment the middle of a box; return the outlines of the cells, corners x, y in pixels.

        The cell diameter is that of the run.

        Parameters
        ----------
        sample, frame
            Image.
        box
            Corners x0, y0, x1, y1 in pixels.
        weights
            Name or path of the weights.

        Raises
        ------
        InputError
            The weights can't be loaded, or the image can't be read.
        """
        from cellsam_core.segmentation.image import drops_dark_cells, read_tile, segment_image
        from cellsam_core.segmentation.options import SegmentOptions

        recorded = sample.segmentation.get("cell_diameter_px")
        diameter_px = float(recorded or TYPICAL_DIAMETER_PX)
        tile = window(frame, box, sample.manifest.shape_yx, diameter_px)
        with self._lock:
            found = segment_image(
                self._model(weights),
                read_tile(omezarr.open_(sample.folder / "1_preprocessed/frames.zarr"), tile),
                diameter_px=diameter_px,
                tile_px=TILE_PX,
                min_area_px=MIN_AREA_PX,
                drops_dark=drops_dark_cells(SegmentOptions(), is_tissue=sample.tissue is not None),
            )
        return [outline_of(c.mask, c.y0 + tile.y0, c.x0 + tile.x0).tolist() for c in found]

    def _model(self, weights: str) -> TileSegmenter:
        model = self._models.pop(weights, None) or self._load(weights)
        self._models[weights] = model
        while len(self._models) > KEPT_MODELS:
            self._models.pop(next(iter(self._models)))
        return model


def window(
    frame: int, box: tuple[float, ...], shape_yx: tuple[int, int], diameter_px: float
) -> Tile:
    """Return the middle of a box, not larger than what is segmented in some seconds.

    Parameters
    ----------
    frame
        Frame, counted from 0.
    box
        Corners x0, y0, x1, y1 in pixels.
    shape_yx
        Height and width of the image in pixels.
    diameter_px
        Cell diameter in pixels.
    """
    longest = MAX_SIDE_PX * diameter_px / REFERENCE_PX
    ranges = []
    for low, high, size in zip(box[:2][::-1], box[2:][::-1], shape_yx, strict=True):
        middle, half = (low + high) / 2, min(high - low, longest) / 2
        ranges.append((max(0, int(np.floor(middle - half))), min(size, int(middle + half) + 1)))
    (y0, y1), (x0, x1) = ranges
    return Tile(frame, 0, y0, x0, y1, x1)


def described(weights: str, outlines: list[list[list[float]]]) -> dict[str, Any]:
    """Describe what one model found, for the page."""
    return {"weights": weights, "n": len(outlines), "outlines": outlines}
