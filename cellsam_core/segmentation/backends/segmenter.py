"""A model of another package in the place of our own: label images of tiles become cells."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from scipy import ndimage

from cellsam_core.errors import InputError, first_line
from cellsam_core.models import FITS_TILES
from cellsam_core.segmentation.instances import Instance, crop, largest_piece
from cellsam_core.segmentation.options import SegmentOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.segmentation.backends.contract import Network
    from cellsam_core.segmentation.segmenter import Features

THRESHOLDS = ("score_threshold", "iou_threshold", "mask_threshold")


def refuse_thresholds(weights: str, options: SegmentOptions) -> None:
    """Refuse thresholds beside a model of another package, which has its own.

    Raises
    ------
    InputError
        A threshold is not at its default.
    """
    defaults = {item.name: item.default for item in fields(SegmentOptions)}
    for name in THRESHOLDS:
        if getattr(options, name) != defaults[name]:
            raise InputError(
                f"option `{name}`",
                found=f"{getattr(options, name)} beside the weights {weights}",
                expected="no threshold, because the other package uses its own",
                remedy="leave the option out",
            )


class BackendSegmenter:
    """A model of another package as a :class:`..segmenter.TileSegmenter`.

    Parameters
    ----------
    weights
        Value of the option `weights`, for messages.
    network
        Loaded model.
    """

    fits_tiles = FITS_TILES["backend"]

    def __init__(self, weights: str, network: Network) -> None:
        self.weights = weights
        self.network = network

    def segment(self, pixels: NDArray[np.float32], diameter_px: float) -> list[Instance]:
        """Find and draw all cells of a tile ``(2, y, x)`` in [0, 1]: nuclear, whole cell.

        Raises
        ------
        InputError
            The model does not take images with these stains.
        """
        stains = [plane for plane in pixels[::-1] if plane.any()]
        try:
            labels, scores = self.network.draw(stains, diameter_px)
        except (RuntimeError, ValueError, TypeError) as error:
            raise InputError(
                f"weights {self.weights!r}",
                found=f"a model that fails on {len(stains)} stain(s) ({first_line(error)})",
                expected="a model of two-dimensional images with these stains",
                remedy="name another model, or set the nuclear and the cell channel",
            ) from error
        return instances_of(np.asarray(labels), scores)

    def measure_diameter_px(
        self,
        samples: Sequence[NDArray[np.float32]],
        limits_px: tuple[float, float] | None = None,
    ) -> float:
        """Measure the cell diameter, px; see :mod:`cellsam_core.segmentation.diameter`."""
        from cellsam_core.segmentation.diameter import NO_LIMITS_PX, measure_diameter_px

        return measure_diameter_px(samples, limits_px or NO_LIMITS_PX)

    def prompt(
        self, pixels: NDArray[np.float32], diameter_px: float, boxes: NDArray[np.float32]
    ) -> NoReturn:
        """Refuse to draw the cells in boxes."""
        self.refuse_boxes()

    def features(self, pixels: NDArray[np.float32], diameter_px: float) -> NoReturn:
        """Refuse to prepare an image for boxes."""
        self.refuse_boxes()

    def draw_boxes(self, features: Features, boxes: NDArray[np.float32]) -> NoReturn:
        """Refuse to draw the cells in boxes."""
        self.refuse_boxes()

    def refuse_boxes(self) -> NoReturn:
        """Tell that the model draws no cell in a given box.

        Raises
        ------
        InputError
            Always.
        """
        raise InputError(
            f"weights {self.weights!r}",
            found="a model that can't draw the cell in a given box",
            expected="weights of CellSAM for boxes",
            remedy="use the weights tiny or vit_b",
        )


def instances_of(labels: NDArray[np.integer], scores: NDArray[np.float64]) -> list[Instance]:
    """Cut a label image into cells; of a cell in several pieces, the largest one stays.

    Parameters
    ----------
    labels
        Label image ``(y, x)``.
    scores
        Score of the labels 1 to n.

    Returns
    -------
    list of Instance
        Cells in the order of their labels. The predicted IoU is not known: NaN.
    """
    found = []
    for label, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        mask = largest_piece(labels[window] == label)
        y0, x0, mask = crop(window[0].start, window[1].start, mask)
        found.append(Instance(y0, x0, mask, float(scores[label - 1]), np.nan))
    return found
