"""Cells of which a single plane shows the membranes: epithelia, embryos, plants, dyed blood cells.

The light of a membrane that two cells share is that of one line, brighter where many molecules
are, or where three cells meet. Between the lines the plane is dark or hazy, holds vesicles,
nuclei that keep the dye out, and a second layer of cells out of focus. A reporter of the nucleus
may share the plane, and in a plane fused of several stains so does the cytoplasm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from cellsam_core.simulation import shapes
from cellsam_core.simulation.optics import debris, smooth_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Labels = NDArray[np.int32]

LOOSE_SHARE = 0.25
"""Fraction of the fields with single and touching cells instead of a sheet."""
ISLANDS_SHARE = 0.4
"""Fraction of the sheets that do not fill the field."""
NUCLEI_SHARE = 0.2
"""Fraction of the fields whose plane shows the nuclei as well."""
PATCHWORK_SHARE = 0.15
"""Fraction of the fields that show the cytoplasm in places, as a plane fused of stains does."""


def membranes(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> tuple[Image, Labels]:
    """Draw a field: scene ``(y, x)``, bright parts near 1, and labels of cells."""
    if rng.random() < LOOSE_SHARE:
        labels = shapes.scatter(
            rng, shape_yx, diameter_px, density, elongation=(1.1, 2.6), roughness=(0.01, 0.2)
        )
    else:
        labels = _sheet(rng, shape_yx, diameter_px)
    inside = np.float32(labels > 0)
    nuclei = shapes.nuclei(
        rng, labels, fraction=float(rng.uniform(0.4, 0.75)), missing=float(rng.uniform(0, 0.3))
    )
    scene = _lines(rng, labels, diameter_px)
    haze = float(rng.choice([0.0, rng.uniform(0, 0.15), rng.uniform(0.1, 0.55)]))
    amount = rng.lognormal(0, rng.uniform(0.1, 0.5), int(labels.max(initial=0)) + 1)
    grain = np.clip(1 + 0.25 * smooth_noise(rng, shape_yx, 0.1 * diameter_px + 1), 0.2, 2)
    kept_out = np.where(nuclei > 0, rng.uniform(0, 1), 1)
    body = np.minimum(amount, 2)[labels] * inside * grain * kept_out
    scene = scene + haze * body
    if rng.random() < PATCHWORK_SHARE:
        part = 1 / (1 + np.exp(-8 * smooth_noise(rng, shape_yx, 4 * diameter_px)))
        rim = np.minimum(shapes.depth_px(labels) / (0.08 * diameter_px + 0.5), 1)
        scene = (1 - part) * scene + part * 0.7 * body * (0.3 + 0.7 * rim)
    if rng.random() < NUCLEI_SHARE:
        dome = np.minimum(shapes.depth_px(nuclei) / (0.1 * diameter_px + 1), 1)
        scene = scene + rng.uniform(0.2, 1.2) * dome * (nuclei > 0)
    if rng.random() < 0.5:
        vesicles = smooth_noise(rng, shape_yx, rng.uniform(0.05, 0.12) * diameter_px + 1)
        scene = scene + rng.uniform(0.1, 0.6) * np.clip(vesicles - 2, 0, 1.5) * inside
    if rng.random() < 0.35:
        scene = scene + _other_layer(rng, shape_yx, diameter_px)
    specks = debris(rng, shape_yx, n=int(rng.integers(0, 6)), sigma_px=0.08 * diameter_px + 0.7)
    scene = scene + rng.uniform(0, 1) * specks
    return scene.astype(np.float32), labels


def _sheet(rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float) -> Labels:
    """Draw packed cells, which may leave wide parts of the field empty."""
    density = float(rng.choice([1.0, rng.uniform(0.5, 1)]))
    # Cells beside an empty site are larger; the mean shall be the diameter.
    pitch_px = diameter_px * np.sqrt(density)
    labels = shapes.sheet(rng, shape_yx, pitch_px, density, disorder=float(rng.uniform(0.05, 0.35)))
    if rng.random() < ISLANDS_SHARE:
        # Gaps are wider than a cell: one dark hole among cells looks like one of them.
        field = smooth_noise(rng, shape_yx, float(rng.uniform(3, 8)) * diameter_px)
        at = np.clip(np.rint(shapes.centres(labels)[0]), 0, np.array(shape_yx) - 1).astype(int)
        is_left = field[at[:, 0], at[:, 1]] > rng.uniform(-1, 0.8)
        is_left[0] = False
        labels = np.where(is_left[labels], labels, 0).astype(np.int32)
    return shapes.part(labels, float(rng.choice([0.0, 0.0, 0.0, 0.8, 1.6])), diameter_px)


def _lines(rng: np.random.Generator, labels: Labels, diameter_px: float) -> Image:
    """Draw the membranes: uneven in width and light, with gaps, brighter where cells meet."""
    shape_yx = labels.shape[0], labels.shape[1]
    away = _distance_to_border_px(labels)
    width = max(diameter_px * float(rng.uniform(0.02, 0.09)), 0.7)
    uneven = width * np.exp(rng.uniform(0, 0.4) * smooth_noise(rng, shape_yx, 0.4 * diameter_px))
    line = np.exp(-((away / uneven) ** 2))
    along = smooth_noise(rng, shape_yx, float(rng.uniform(0.3, 1.2)) * diameter_px)
    light = np.exp(rng.uniform(0.1, 0.5) * along)
    if rng.random() < 0.4:  # gaps
        seen = smooth_noise(rng, shape_yx, 0.5 * diameter_px) + rng.uniform(0.8, 2)
        light = light / (1 + np.exp(-4 * seen))
    if rng.random() < 0.4:  # clusters of molecules
        dots = smooth_noise(rng, shape_yx, 0.06 * diameter_px + 1)
        light = light * np.clip(1 + rng.uniform(0.2, 0.8) * dots, 0.1, 3)
    if rng.random() < 0.3:  # each cell makes its own amount, as in a mosaic
        own = np.clip(rng.lognormal(0, 0.5, int(labels.max(initial=0)) + 1), 0.1, 3)
        own[0] = 1
        light = light * ndi.gaussian_filter(own[labels], 0.6 * width)
    return np.asarray(line * light, np.float32)


def _distance_to_border_px(labels: Labels) -> Image:
    """Distance of each pixel to the nearest border of a cell, on both sides of it."""
    border = np.zeros(labels.shape, bool)
    border[:-1] |= labels[:-1] != labels[1:]
    border[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    if not border.any():
        return np.full(labels.shape, float(sum(labels.shape)), np.float32)
    return np.asarray(ndi.distance_transform_edt(~border), np.float32)


def _other_layer(rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float) -> Image:
    """Draw cells above or below the plane, which are not asked for."""
    pitch_px = diameter_px * float(rng.uniform(0.7, 1.3))
    other = shapes.sheet(rng, shape_yx, pitch_px, 1.0, disorder=0.2)
    lines = np.exp(-((_distance_to_border_px(other) / (0.08 * diameter_px + 0.5)) ** 2))
    blurred = ndi.gaussian_filter(lines, diameter_px * float(rng.uniform(0.08, 0.3)))
    patches = np.clip(0.5 + smooth_noise(rng, shape_yx, 3 * diameter_px), 0, 1.5)
    return np.asarray(rng.uniform(0.1, 0.5) * patches * blurred, np.float32)
