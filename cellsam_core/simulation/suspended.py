"""Round bodies in transmitted light: cells in suspension, eggs, embryos, organoids, pollen.

A body is a lens and a filter: lighter or darker in its middle, grainy where it is full of yolk or
organelles, with a sharp rim and, beyond it, a fringe of the other sign. One kind lies on a slide,
and each body differs from the others in its focus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.simulation import shapes
from cellsam_core.simulation.optics import smooth_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Labels = NDArray[np.int32]


def suspended(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> tuple[Image, Labels]:
    """Draw a field: contrast ``(y, x)`` around 0, and labels of cells."""
    n = int(np.clip(0.9 * density * np.prod(shape_yx) / diameter_px**2, 1, 250)) + 1
    radii = 0.5 * diameter_px * np.clip(rng.normal(1, rng.uniform(0.03, 0.25), size=n), 0.5, 1.7)
    discs = shapes.place(rng, shape_yx, radii, clustering=float(rng.uniform(0, 0.9)), overlap=0.03)
    labels = shapes.blobs(
        rng, discs, shape_yx, elongation=rng.uniform(1.02, 1.6), roughness=rng.uniform(0, 0.06)
    )
    depth = shapes.depth_px(labels)
    inside = np.float32(labels > 0)
    signed = shapes.signed_distance_px(labels)
    n_cells = int(labels.max(initial=0)) + 1

    def each(low: float, high: float, spread: float) -> Image:
        """Draw one value for the kind, and for each body one beside it."""
        drawn = rng.uniform(low, high) + spread * rng.normal(size=n_cells)
        return np.asarray(drawn, np.float32)[labels]

    # From 0 at the rim to 1 in the middle, as the thickness of a ball.
    reach = np.clip(depth / (0.5 * diameter_px), 0, 1)
    ball = np.sqrt(1 - (1 - reach) ** 2)
    fine = smooth_noise(rng, shape_yx, float(rng.uniform(0.04, 0.12)) * diameter_px + 0.8)
    coarse = smooth_noise(rng, shape_yx, float(rng.uniform(0.12, 0.35)) * diameter_px)
    grain = rng.uniform(0, 0.12) * fine + rng.choice([0, rng.uniform(0, 0.18)]) * coarse
    body = each(-0.4, 0.12, 0.04) + each(-0.2, 0.35, 0.05) * ball**2 + grain
    width = np.float32(diameter_px * rng.uniform(0.02, 0.07) + 0.6)
    rim = np.exp(-(((signed + width) / width) ** 2))
    fringe = np.exp(-(((signed - 0.7 * width) / width) ** 2))
    sign = 1 if rng.random() < 0.75 else -1  # the other side of focus
    contrast = inside * body - sign * rng.uniform(0.05, 0.45) * rim
    contrast += sign * rng.uniform(0, 0.3) * fringe
    return (contrast * rng.uniform(0.6, 1.1)).astype(np.float32), labels
