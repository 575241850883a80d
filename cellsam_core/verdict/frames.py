"""Facts about the pixels of frames: noise, repetition, order, sharpness, saturation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from scipy.sparse.csgraph import minimum_spanning_tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[Any]
    Floats = NDArray[np.floating[Any]]

THUMBNAIL_PX = 32
BLANK_CORRELATION = 0.1
"""Correlation of pixels that are 2 px apart, below which a plane is taken for noise.

Noise of a camera has none; the simulated cells with the least exposure that are still found have
0.3.
"""
MOVEMENT = 0.02
"""Least difference between distant and neighbouring frames that shows an order."""


@dataclass(frozen=True)
class PlaneFacts:
    """Facts about one plane.

    Attributes
    ----------
    correlation
        Correlation of pixels that are 2 px apart, 0 for noise and for a plane without contrast.
    edge_px
        Width of an edge in pixels: standard deviation of the signal over its mean gradient;
        infinite where no gradient stands out from the noise, as in phase contrast.
    thumbnail
        Means over squares ``(32, 32)``, at most, scaled to mean 0 and length 1.
    """

    correlation: float
    edge_px: float
    thumbnail: Floats

    @property
    def is_blank(self) -> bool:
        """True for a plane that shows no more than noise."""
        return self.correlation < BLANK_CORRELATION


def plane_facts(plane: Plane, diameter_px: float | None) -> PlaneFacts:
    """Measure a plane ``(y, x)`` of any real type, at least 8 px wide.

    Parameters
    ----------
    plane
        Pixels.
    diameter_px
        Diameter of the cells; light that changes over more than half of it is no edge of a cell.
    """
    values = np.nan_to_num(plane.astype(np.float32))
    if diameter_px is None:
        return PlaneFacts(_correlation(values), float("inf"), _thumbnail(values))
    size = max(3, round(diameter_px))
    local = values - ndimage.uniform_filter(ndimage.uniform_filter(values, size), size)
    return PlaneFacts(_correlation(values), _edge_width(local), _thumbnail(values))


def _correlation(values: Floats, step: int = 2) -> float:
    pairs = (values[step:], values[:-step]), (values[:, step:], values[:, :-step])
    found = []
    for ahead, behind in pairs:
        a, b = ahead - ahead.mean(), behind - behind.mean()
        scale = float(np.sqrt((a**2).sum() * (b**2).sum()))
        found.append(float((a * b).sum()) / scale if scale > 0 else 0.0)
    return float(np.mean(found))


def _edge_width(values: Floats) -> float:
    """Divide the standard deviation by the gradient, both without the noise of single pixels.

    The noise of neighbouring rows is independent, so products of two rows are free of it.
    """
    signal = gradient = 0.0
    for lines in (values, values.T):
        step = lines[:, 1:] - lines[:, :-1]
        gradient += float((step[1:] * step[:-1]).mean())
        signal += float((lines[1:] * lines[:-1]).mean())
    return float(np.sqrt(signal / gradient)) if min(signal, gradient) > 0 else float("inf")


def _thumbnail(values: Floats) -> Floats:
    height, width = values.shape
    step_y, step_x = max(1, height // THUMBNAIL_PX), max(1, width // THUMBNAIL_PX)
    cut = values[: height // step_y * step_y, : width // step_x * step_x]
    small = cut.reshape(height // step_y, step_y, width // step_x, step_x).mean(axis=(1, 3))
    small = small - small.mean()
    length = float(np.linalg.norm(small))
    return np.asarray(small / length if length > 0 else small)


def lost_order(thumbnails: Floats) -> float | None:
    """Tell how much of the resemblance of consecutive frames their order loses.

    Frames in the right order resemble their neighbours more than others. The sum of differences
    along the order is compared with the tree of least differences that connects all frames, which
    no order can beat. A jump of the stage is in both sums, so it costs nothing.

    Parameters
    ----------
    thumbnails
        ``(n, y, x)`` thumbnails of the frames in their order.

    Returns
    -------
    float or None
        0 for an order that can't be better, about 1 for a random one. None where there are fewer
        than 5 frames, or the frames hardly change, so that no order shows.
    """
    n = len(thumbnails)
    if n < 5:
        return None
    flat = thumbnails.reshape(n, -1)
    # scipy takes 0 for an edge that is not there, and frames may be equal.
    apart = np.clip(1 - flat @ flat.T, 1e-9, None)
    np.fill_diagonal(apart, 0)
    best = float(minimum_spanning_tree(apart).sum()) / (n - 1)
    given = float(np.diagonal(apart, 1).mean())
    random = float(apart.sum()) / (n * (n - 1))
    return None if random - best < MOVEMENT else (given - best) / (random - best)
