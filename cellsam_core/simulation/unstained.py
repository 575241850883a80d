"""Light that passes unstained cells: their optical thickness, and how two microscopes show it.

A phase-contrast microscope shows the optical thickness of cells less its local mean, which is
what draws halos; differential interference contrast (DIC) shows its slope. So each cell gets a
thickness: a thin sheet with a ragged edge, a dome around the nucleus, granules and nucleoli.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import fft
from scipy import ndimage as ndi

from cellsam_core.simulation import shapes
from cellsam_core.simulation.optics import smooth_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Labels = NDArray[np.int32]
    Floats = NDArray[np.float64]

FRINGES_SHARE = 0.6
"""Share of the phase-contrast images whose edges have fringes, as those of sharp objectives."""


class Adherent(NamedTuple):
    """Cells of a field: labels, and of each label the soma's place and form.

    ``soma`` is ``(n + 1, 5)``: y, x, radius (px), square root of the ratio of its axes, angle.
    ``is_round`` is ``(n + 1,)``: in mitosis, or not attached.
    """

    labels: Labels
    soma: Floats
    is_round: NDArray[np.bool_]


def thickness_of(rng: np.random.Generator, cells: Adherent, diameter_px: float) -> Image:
    """Give each cell its optical thickness, in units of a soma's, float32 ``(y, x)``."""
    labels, soma = cells.labels, cells.soma
    shape_yx = labels.shape[0], labels.shape[1]
    grid_y, grid_x = np.indices(shape_yx, dtype=np.float32)
    y, x, radius, root, angle = soma[labels].transpose(2, 0, 1)
    radius, root = np.maximum(radius, 1), np.maximum(root, 1)
    dy, dx = grid_y - y, grid_x - x
    along = (dy * np.sin(angle) + dx * np.cos(angle)) / root
    across = (dy * np.cos(angle) - dx * np.sin(angle)) * root
    away = np.hypot(along, across) / radius
    depth = shapes.depth_px(labels)
    inside = labels > 0
    flat = (1 - np.exp(-depth / (diameter_px * rng.uniform(0.03, 0.12)))) * inside
    dome = np.exp(-((away / rng.uniform(0.25, 0.9)) ** 2)) * np.minimum(depth / 2, 1)
    nuclear = rng.uniform(0.22, 0.6)
    nucleus = 1 / (1 + np.exp(np.minimum(away - nuclear, 3) * 14)) * inside
    spots = np.clip(smooth_noise(rng, shape_yx, 0.08 * diameter_px) - 1, 0, 2)
    granules = smooth_noise(rng, shape_yx, max(0.03 * diameter_px, 1.2))
    coarse = np.clip(smooth_noise(rng, shape_yx, 0.06 * diameter_px) - 0.8, 0, 2)
    ring = np.exp(-(((away - 0.8) / 0.4) ** 2)) * inside
    sheet = rng.uniform(0.15, 0.6) * flat * (1 + rng.uniform(0, 0.3) * granules)
    body = rng.uniform(0.1, 0.8) * dome + rng.uniform(-0.35, 0.6) * nucleus
    body += rng.uniform(-0.25, 0.15) * np.exp(-(((away - nuclear) / 0.07) ** 2)) * inside
    body += rng.uniform(0, 0.7) * spots * nucleus + rng.uniform(-0.3, 0.6) * coarse * ring
    body += rng.uniform(0, 0.12) * granules * dome
    edge = np.exp(-((depth / (0.03 * diameter_px + 0.6)) ** 2)) * inside
    ragged = np.clip(smooth_noise(rng, shape_yx, 0.12 * diameter_px + 1), 0, 2.5)
    body += rng.uniform(-0.4, 0.5) * edge * ragged
    own = rng.lognormal(0, rng.uniform(0.1, 0.5), len(soma))
    spread = np.clip(own, 0.2, 2.5)[labels] * (sheet + body)
    ball = np.sqrt(np.clip(1 - away**2, 0, 1)) * (1 + 0.15 * granules)
    ball = rng.uniform(1.0, 3.0) * ball + rng.uniform(-0.5, 0.8) * edge
    thickness: Image = np.where(cells.is_round[labels], ball, spread).astype(np.float32)
    return thickness


def not_cells(rng: np.random.Generator, labels: Labels, diameter_px: float) -> Image:
    """Draw what is no cell where none is: dots, dirt, fragments and bubbles, thickness units."""
    shape_yx = labels.shape[0], labels.shape[1]
    grid_y, grid_x = np.indices(shape_yx, dtype=np.float32)
    out = np.zeros(shape_yx, np.float32)
    for _ in range(rng.poisson(rng.choice([1, 4, 15]))):
        at_y, at_x = rng.uniform((0, 0), shape_yx)
        radius = diameter_px * rng.uniform(0.02, 0.12)
        low_y, low_x = max(0, int(at_y - radius)), max(0, int(at_x - radius))
        near = np.s_[low_y : int(at_y + radius) + 2, low_x : int(at_x + radius) + 2]
        within = np.hypot(grid_y[near] - at_y, grid_x[near] - at_x) < radius
        out[near] += np.float32(rng.choice([-1, 1, 1]) * rng.uniform(0.3, 3)) * within
    for _ in range(rng.poisson(0.5)):  # bubbles: a thick rim, the middle bright
        at_y, at_x = rng.uniform((0, 0), shape_yx)
        away = np.hypot(grid_y - at_y, grid_x - at_x) / (diameter_px * rng.uniform(0.1, 0.7))
        out += (-rng.uniform(2, 5) * (away < 1) * (0.3 + away**2)).astype(np.float32)
    if rng.random() < 0.4:  # dirt: rough patches that have neither a soma nor an edge
        patch = smooth_noise(rng, shape_yx, 0.5 * diameter_px) > rng.uniform(1.5, 2.5)
        grain = smooth_noise(rng, shape_yx, 0.05 * diameter_px + 1)
        out += (rng.uniform(0.1, 0.6) * patch * grain).astype(np.float32)
    for _ in range(rng.poisson(0.7)):  # out of focus: rings
        at_y, at_x = rng.uniform((0, 0), shape_yx)
        away = np.hypot(grid_y - at_y, grid_x - at_x) / diameter_px
        waves = np.cos(away * rng.uniform(12, 30)) * np.exp(-((away / rng.uniform(0.2, 0.7)) ** 2))
        out += (rng.uniform(0.02, 0.15) * waves).astype(np.float32)
    clear = np.minimum(ndi.distance_transform_edt(labels == 0) / (0.1 * diameter_px), 1)
    drawn: Image = (out * np.maximum(clear, 0.15 * (rng.random() < 0.3))).astype(np.float32)
    return drawn


def phase_contrast(rng: np.random.Generator, thickness: Image, diameter_px: float) -> Image:
    """Show thickness as phase contrast does: less its local mean, of either sign, saturated."""
    reach_px = diameter_px * float(np.exp(rng.uniform(np.log(0.06), np.log(0.4))))
    local = ndi.gaussian_filter(thickness, reach_px)
    shown = thickness - rng.uniform(0.6, 1.0) * local
    shown = ndi.gaussian_filter(shown, float(rng.uniform(0.4, 1.0)))
    if rng.random() < FRINGES_SHARE:
        shown = _with_fringes(rng, shown)
    gain = float(rng.choice([-1, 1])) * float(np.exp(rng.uniform(np.log(0.3), np.log(1.0))))
    ceiling = float(rng.uniform(0.3, 0.6))
    return np.asarray(ceiling * np.tanh(gain * shown / ceiling), np.float32)


def interference_contrast(rng: np.random.Generator, thickness: Image, diameter_px: float) -> Image:
    """Show the slope of thickness along one direction, as DIC does."""
    smooth = ndi.gaussian_filter(thickness, float(rng.uniform(0.5, 1.2)))
    angle = rng.uniform(0, 2 * np.pi)
    down, right = np.gradient(smooth)
    slope = np.sin(angle) * down + np.cos(angle) * right
    gain = 0.04 * diameter_px * float(rng.uniform(0.5, 1.5))
    return np.asarray(0.45 * np.tanh(gain * slope / 0.45), np.float32)


def _with_fringes(rng: np.random.Generator, shown: Image) -> Image:
    """Amplify one spatial frequency, so that every edge is followed by lines that fade."""
    per_px = 1 / float(rng.uniform(3, 9))
    gain, width = float(rng.uniform(0.4, 2.0)), per_px * float(rng.uniform(0.2, 0.5))
    size = [fft.next_fast_len(n + 16, real=True) for n in shown.shape]
    frequency = np.hypot(fft.fftfreq(size[0])[:, None], fft.rfftfreq(size[1])[None])
    passed = 1 + gain * np.exp(-(((frequency - per_px) / width) ** 2))
    edge = [(0, s - n) for s, n in zip(size, shown.shape, strict=True)]
    spectrum = fft.rfft2(np.pad(shown, edge, mode="reflect"))
    fringed: Image = fft.irfft2(spectrum * passed.astype(np.float32), size)
    return fringed[: shown.shape[0], : shown.shape[1]].astype(np.float32)
