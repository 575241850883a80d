"""Objects beside unstained cells that are no cells: walls and letters of a chip, dead cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from cellsam_core.simulation.optics import smooth_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]

CLEARANCE = 0.3
"""Distance from cells, in diameters, within which clutter fades out."""


def clutter(rng: np.random.Generator, labels: NDArray[np.int32], diameter_px: float) -> Image:
    """Draw a wall, a letter or clumps where no cell is, float32 ``(y, x)`` around 0.

    Parameters
    ----------
    rng
        All randomness comes from it.
    labels
        ``(y, x)``, 0 where there is room.
    diameter_px
        Diameter of a cell; strokes and clumps are about as wide, so that they look like cells.
    """
    draw = clumps if rng.random() < 0.4 else relief
    drawn = draw(rng, (labels.shape[0], labels.shape[1]), diameter_px)
    if labels.any():
        away_px = ndi.distance_transform_edt(labels == 0)
        drawn = drawn * np.minimum(away_px / (CLEARANCE * diameter_px), 1)
    return drawn.astype(np.float32)


def relief(rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float) -> Image:
    """Draw the edges of a letter or a stepped wall as phase contrast shows them.

    A spine with one to four arms at right angles, corners rounded. Along the edges run up to
    three lines, with a shade inside and a halo outside, as around cells.
    """
    stroke = diameter_px * np.exp(rng.normal(0, 0.4))
    length = stroke * rng.uniform(3, 9)
    bars = [(0.0, 0.0, stroke / 2, length / 2)]
    for _ in range(rng.integers(1, 5)):
        reach = stroke * rng.uniform(1, 4)
        thickness = stroke * rng.choice([1.0, 1.0, 1.0, rng.uniform(0.6, 3)])
        side = rng.choice([-1.0, 1.0, 1.0])
        bars.append((side * reach / 2, rng.uniform(-0.5, 0.5) * length, reach / 2, thickness / 2))
    centre_yx = rng.uniform((0, 0), shape_yx)
    theta = rng.uniform(0, 2 * np.pi)
    y, x = np.indices(shape_yx, dtype=np.float32)
    u = (x - centre_yx[1]) * np.cos(theta) + (y - centre_yx[0]) * np.sin(theta)
    v = (y - centre_yx[0]) * np.cos(theta) - (x - centre_yx[1]) * np.sin(theta)
    rounding = stroke * rng.uniform(0.05, 0.5)
    distance = np.min([_beyond_bar(u, v, bar, rounding) for bar in bars], axis=0)
    width = 0.04 * diameter_px * rng.uniform(0.7, 1.6) + 0.7
    lines = zip((-1.6, 0.0, 1.6), rng.uniform((-0.1, -0.4, -0.1), (0.6, 0.4, 0.6)), strict=True)
    image: Image = np.sum(
        [height * np.exp(-((distance / width - place) ** 2)) for place, height in lines], axis=0
    )
    reach = diameter_px * rng.uniform(0.1, 0.4)
    side = np.where(distance < 0, -rng.uniform(0, 0.2), rng.uniform(0, 0.15))
    image += side * np.exp(-np.abs(distance) / reach)
    return image


def _beyond_bar(
    u: Image, v: Image, bar: tuple[float, float, float, float], rounding_px: float
) -> Image:
    """Compute the distance to a bar (centre, half sides along u and v), negative inside."""
    right = np.abs(u - bar[0]) - bar[2] + rounding_px
    above = np.abs(v - bar[1]) - bar[3] + rounding_px
    outside = np.hypot(np.maximum(right, 0), np.maximum(above, 0))
    distance: Image = outside + np.minimum(np.maximum(right, above), 0) - rounding_px
    return distance


def clumps(rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float) -> Image:
    """Draw one to three heaps of dead cells: dark vesicles in a haze, of ragged shape, no rim."""
    shape = np.zeros(shape_yx, np.float32)
    y, x = np.indices(shape_yx, dtype=np.float32)
    for _ in range(rng.integers(1, 4)):
        centre_yx = rng.uniform((0, 0), shape_yx)
        spread = diameter_px * rng.uniform(0.2, 0.8)
        for _ in range(rng.integers(3, 10)):
            at_yx = centre_yx + rng.normal(0, spread, 2)
            radius = diameter_px * rng.uniform(0.12, 0.4)
            away = np.hypot(y - at_yx[0], x - at_yx[1])
            shape = np.maximum(shape, 1 / (1 + np.exp((away - radius) / (0.06 * diameter_px))))
    grain = smooth_noise(rng, shape_yx, diameter_px * rng.uniform(0.04, 0.16) + 0.8)
    vesicles = np.maximum(smooth_noise(rng, shape_yx, diameter_px * rng.uniform(0.1, 0.2)), 0)
    haze = ndi.gaussian_filter(shape, diameter_px * rng.uniform(0.05, 0.25))
    image: Image = rng.uniform(0, 0.35) * haze + shape * (
        rng.uniform(0.03, 0.25) * grain - rng.uniform(0, 0.35) * vesicles
    )
    return image
