"""Cells of which a reporter shows organelles or fibres: mitochondria, vesicles, reticulum, actin.

Single organelles are brighter than the cytoplasm between them, and none lies in the nucleus. A cell
is known by the haze of its cytoplasm and by where its organelles end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from cellsam_core.simulation import shapes
from cellsam_core.simulation.optics import smooth_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Labels = NDArray[np.int32]


def organelles(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> tuple[Image, Labels]:
    """Draw a field: scene ``(y, x)``, bright parts near 1, and labels of cells."""
    # On a dish some kinds are round, others spread with ragged ends.
    is_round = rng.random() < 0.5
    elongation, roughness = (2.2, 0.15) if is_round else (3.2, 0.4)
    labels = shapes.scatter(
        *(rng, shape_yx, diameter_px, density),
        elongation=(1.2, elongation),
        roughness=(0.02, roughness),
    )
    nuclei = shapes.nuclei(rng, labels, fraction=float(rng.uniform(0.4, 0.65)), missing=0)
    amount = np.minimum(rng.lognormal(0, rng.uniform(0.1, 0.5), int(labels.max(initial=0)) + 1), 3)
    amount[0] = 0
    rim = np.minimum(shapes.depth_px(labels) / (rng.uniform(0.03, 0.2) * diameter_px + 0.5), 1)
    haze = rng.uniform(0.05, 0.4)
    kept_out = np.where(nuclei > 0, rng.uniform(0.05, 0.6), 1)
    inside = haze + _pattern(rng, nuclei, diameter_px)
    scene = 0.7 * amount[labels] * (0.2 + 0.8 * rim) * inside * kept_out
    return scene.astype(np.float32), labels


def _pattern(rng: np.random.Generator, nuclei: Labels, diameter_px: float) -> Image:
    """Draw the organelles: threads or grains, denser near the nucleus in some kinds."""
    shape_yx = nuclei.shape[0], nuclei.shape[1]
    size_px = float(np.exp(rng.uniform(np.log(0.02), np.log(0.14)))) * diameter_px
    field = smooth_noise(rng, shape_yx, max(size_px, 1.3))
    if rng.random() < 0.5:
        pattern = np.exp(-((field / rng.uniform(0.15, 0.5)) ** 2))
    else:
        pattern = np.clip(field - rng.uniform(0.3, 1.8), 0, 2)
    away = ndi.distance_transform_edt(nuclei == 0)
    near = np.exp(-away / (rng.uniform(0.1, 0.8) * diameter_px))
    everywhere = rng.uniform(0, 1)
    return np.asarray(1.5 * pattern * (everywhere + (1 - everywhere) * near), np.float32)
