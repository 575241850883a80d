"""Tissue as multiplexed fluorescence shows it: nuclei, and membranes of some of the cells.

A section is thinner than its cells are apart: nuclei of other planes shine through, and of some
cells the plane holds no nucleus. Membrane stains show some cell types alone; cells between them
are known by their nucleus, with a rim of cytoplasm. Vessels, fibres and blood shine by themselves.
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


def multiplex(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> tuple[Image, Labels, Labels]:
    """Draw a field.

    Returns
    -------
    tuple
        Nuclear and cell scene ``(2, y, x)``, bright parts near 1; labels of cells, and of nuclei.
    """
    tiles = shapes.tissue(rng, shape_yx, diameter_px, float(rng.uniform(0.55 + 0.4 * density, 1)))
    fraction = float(rng.uniform(0.6, 0.95))
    nuclei = shapes.nuclei(rng, tiles, fraction=fraction, missing=float(rng.uniform(0, 0.15)))
    stained = _stained_cells(rng, tiles, diameter_px)
    rim_px = float(rng.uniform(0.02, 0.12)) * diameter_px
    near = ndi.distance_transform_edt(nuclei == 0) <= rim_px
    labels = np.where(stained[tiles] | near, tiles, 0).astype(np.int32)
    labels = shapes.clean(labels, 0.1 * diameter_px**2)
    seen = np.isin(np.arange(int(tiles.max(initial=0)) + 1), labels)
    nuclear = _chromatin(rng, np.where(seen[nuclei], nuclei, 0).astype(np.int32), diameter_px)
    nuclear += _out_of_plane(rng, shape_yx, diameter_px)
    cell = _membranes(rng, tiles, stained, nuclei, diameter_px)
    glow = _autofluorescence(rng, shape_yx, diameter_px)
    nuclear += rng.uniform(0, 0.5) * glow
    cell += rng.uniform(0, 1.0) * glow + rng.choice([0, 0, rng.uniform(0, 0.4)]) * nuclear
    numbers = np.zeros(len(seen), np.int32)
    numbers[np.unique(labels[labels > 0])] = np.arange(1, len(np.unique(labels[labels > 0])) + 1)
    kept = np.where(labels > 0, numbers[nuclei] * (nuclei == labels), 0)
    scene = np.stack((nuclear, cell)).astype(np.float32)
    return scene, numbers[labels], shapes.clean(kept.astype(np.int32), 4)


def _stained_cells(
    rng: np.random.Generator, tiles: Labels, diameter_px: float
) -> NDArray[np.bool_]:
    """Choose the cells whose membrane takes the stain, in patches: none, some or all."""
    shape_yx = tiles.shape[0], tiles.shape[1]
    patches = smooth_noise(rng, shape_yx, float(rng.uniform(1.5, 6)) * diameter_px)
    centre_yx, radius = shapes.centres(tiles)
    at = np.clip(np.rint(centre_yx), 0, np.array(shape_yx) - 1).astype(int)
    height = patches[at[:, 0], at[:, 1]] + rng.normal(0, 0.3, len(radius))
    stained = height > float(rng.choice([-9.0, -0.7, 0.0, 0.7, 2.0]))
    stained[0] = False
    return np.asarray(stained)


def _painted(rng: np.random.Generator, n: int, spread: float) -> Image:
    factors: Image = np.clip(rng.lognormal(0, spread, n), 0.1, 3).astype(np.float32)
    factors[0] = 0
    return factors


def _chromatin(rng: np.random.Generator, nuclei: Labels, diameter_px: float) -> Image:
    """Nuclei of one plane: each with its own brightness, blotchy, touching ones hard to part."""
    shape_yx = nuclei.shape[0], nuclei.shape[1]
    amount = _painted(rng, int(nuclei.max(initial=0)) + 1, float(rng.uniform(0.15, 0.6)))[nuclei]
    blotch = smooth_noise(rng, shape_yx, max(float(rng.uniform(0.05, 0.15)) * diameter_px, 1.2))
    dome = np.minimum(shapes.depth_px(nuclei) / (float(rng.uniform(0.05, 0.3)) * diameter_px), 1)
    body = np.clip(1 + rng.uniform(0.05, 0.4) * blotch, 0.2, 2) * (0.35 + 0.65 * dome)
    return np.asarray(0.7 * amount * body, np.float32)


def _out_of_plane(rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float) -> Image:
    """Nuclei above and below: blurred and dim; they are not asked for."""
    other = shapes.tissue(rng, shape_yx, diameter_px, float(rng.uniform(0.05, 0.8)))
    other = shapes.nuclei(rng, other, fraction=0.7, missing=0.3)
    drawn = _painted(rng, int(other.max(initial=0)) + 1, 0.5)[other]
    blurred = ndi.gaussian_filter(drawn, diameter_px * float(rng.uniform(0.12, 0.35)))
    return np.asarray(rng.uniform(0, 0.5) * blurred, np.float32)


def _membranes(
    rng: np.random.Generator,
    tiles: Labels,
    stained: NDArray[np.bool_],
    nuclei: Labels,
    diameter_px: float,
) -> Image:
    """Membranes of the stained cells: uneven, with gaps, shared by neighbours; some cytoplasm."""
    shape_yx = tiles.shape[0], tiles.shape[1]
    depth = shapes.depth_px(tiles)
    width = diameter_px * float(rng.uniform(0.03, 0.12)) + 0.5
    uneven = width * np.exp(0.3 * smooth_noise(rng, shape_yx, 0.4 * diameter_px))
    ring = np.exp(-((depth / uneven) ** 2)) * (tiles > 0)
    gaps = 1 / (1 + np.exp(-3 * (smooth_noise(rng, shape_yx, 0.5 * diameter_px) + 0.9)))
    inner = rng.uniform(0, 0.5) * (nuclei == 0) * (tiles > 0)
    grain = np.clip(1 + 0.3 * smooth_noise(rng, shape_yx, 1.5), 0.2, 2)
    amount = _painted(rng, len(stained), float(rng.uniform(0.1, 0.6)))
    amount = amount * np.where(stained, 1, rng.uniform(0, 0.25))
    scene = amount[tiles] * (ring * gaps + inner) * grain
    # Of two neighbours' membranes light shows the sum.
    return np.asarray(ndi.gaussian_filter(scene, float(rng.uniform(0.3, 0.9))), np.float32)


def _autofluorescence(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float
) -> Image:
    """Fibres and vessel walls, blood cells and dust that shine in all channels."""
    field = smooth_noise(rng, shape_yx, float(rng.uniform(2, 6)) * diameter_px)
    thin = float(rng.uniform(0.03, 0.12))
    fibres = np.exp(-((field / thin) ** 2)) * (smooth_noise(rng, shape_yx, 3 * diameter_px) > 0.5)
    specks = np.clip(smooth_noise(rng, shape_yx, 0.25 * diameter_px) - 2.6, 0, 1)
    haze = np.clip(smooth_noise(rng, shape_yx, 4 * diameter_px), 0, None)
    glow = rng.uniform(0, 1) * fibres + rng.uniform(0, 2) * specks + rng.uniform(0, 0.2) * haze
    return np.asarray(glow, np.float32)
