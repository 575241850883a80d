"""Imaging by a microscope: uneven light, blur, debris, shot noise and read noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]


def smooth_noise(
    rng: np.random.Generator, shape_yx: tuple[int, int], correlation_px: float
) -> Image:
    """Draw a random field with zero mean and unit standard deviation, float32 ``(y, x)``.

    Parameters
    ----------
    correlation_px
        Distance over which the field changes, in pixels. A coarse field is drawn on a coarse
        grid and interpolated, so the cost does not grow with it.
    """
    step = max(correlation_px, 1.0)
    if step < 3:
        white = rng.standard_normal(shape_yx, dtype=np.float32)
        field = ndi.gaussian_filter(white, step / 2)
    else:
        grid = [int(np.ceil(n / step)) + 4 for n in shape_yx]
        coarse = rng.standard_normal(grid, dtype=np.float32)
        offset_yx = rng.uniform(1.0, 2.0, size=2)
        field = _interpolate(coarse, shape_yx[0], step, offset_yx[0])
        field = _interpolate(field.T, shape_yx[1], step, offset_yx[1]).T
    field -= field.mean()
    scaled: Image = field / max(float(field.std()), 1e-6)
    return scaled


def _interpolate(knots: Image, n: int, step: float, offset: float) -> Image:
    """Catmull-Rom interpolation along the first axis, at `n` points `step` to a knot.

    Four taps a point, without a matrix product: BLAS threads would fight over the cores
    with a network in training.
    """
    position = offset + np.arange(n) / step
    below = np.floor(position).astype(int)
    f = (position - below)[:, None].astype(np.float32)
    taps = (
        ((-0.5 * f + 1.0) * f - 0.5) * f,
        (1.5 * f - 2.5) * f * f + 1.0,
        ((-1.5 * f + 2.0) * f + 0.5) * f,
        (0.5 * f - 0.5) * f * f,
    )
    between: Image = np.zeros((n, knots.shape[1]), dtype=np.float32)
    for tap, weight in enumerate(taps):
        between += weight * knots[below - 1 + tap]
    return between


def illumination(rng: np.random.Generator, shape_yx: tuple[int, int], strength: float) -> Image:
    """Draw a slowly varying gain around 1, float32 ``(y, x)``; `strength` is its half range."""
    field = smooth_noise(rng, shape_yx, 0.7 * max(shape_yx))
    gain: Image = (1 + strength * np.tanh(field)).astype(np.float32)
    return gain


def debris(
    rng: np.random.Generator, shape_yx: tuple[int, int], *, n: int, sigma_px: float
) -> Image:
    """Draw `n` out-of-focus specks of peak 0.3 to 1, float32 ``(y, x)``."""
    out: Image = np.zeros(shape_yx, dtype=np.float32)
    for _ in range(n):
        centre_yx = rng.uniform((0, 0), shape_yx)
        sigma_yx = sigma_px * rng.uniform(0.5, 1.6, size=2)
        profile_y, profile_x = (
            np.exp(-0.5 * ((np.arange(size) - c) / s) ** 2)
            for size, c, s in zip(shape_yx, centre_yx, sigma_yx, strict=True)
        )
        out += np.float32(rng.uniform(0.3, 1.0)) * np.outer(profile_y, profile_x).astype(np.float32)
    return out


def expose(rng: np.random.Generator, scene: Image, *, photons: float, read_noise: float) -> Image:
    """Photograph a scene: Poisson shot noise and Gaussian read noise, float32, same unit.

    Parameters
    ----------
    scene
        Expected brightness, negative values count as dark.
    photons
        Detected photons at brightness 1.
    read_noise
        Standard deviation in photons.
    """
    counts = rng.poisson(np.maximum(scene, 0) * photons).astype(np.float32)
    counts += np.float32(read_noise) * rng.standard_normal(scene.shape, dtype=np.float32)
    image: Image = counts / np.float32(photons)
    return image
