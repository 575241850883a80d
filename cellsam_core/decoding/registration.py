"""Drift between rounds of imaging, from beads that every round shows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage as ndi
from scipy.spatial import cKDTree
from skimage.registration import phase_cross_correlation

from cellsam_core.decoding.spots import band_pass, find_peaks, noise_level, refine

Image = npt.NDArray[np.float32]

BEAD_SIGMA_PX = 1.5
BEAD_NOISE_LEVELS = 8.0
UPSAMPLING = 50
MATCH_RADIUS_PX = 2.0
MIN_BEADS = 3


class Beads(NamedTuple):
    """Beads of an image.

    Attributes
    ----------
    image
        ``(y, x)``: the image, less its background and noise.
    yx
        float64 ``(n, 2)``: their places to a fraction of a pixel.
    """

    image: Image
    yx: npt.NDArray[np.float64]


class Drift(NamedTuple):
    """Position of a round against the reference.

    Attributes
    ----------
    shift_yx
        A thing at ``p`` in the reference is at ``p + shift`` in the round, in pixels.
    residual_px
        Median distance of beads from where the shift puts them; NaN with fewer than three
        beads in common.
    n_beads
        Beads in common.
    """

    shift_yx: npt.NDArray[np.float64]
    residual_px: float
    n_beads: int


def find_beads(image: npt.NDArray[np.generic]) -> Beads:
    """Find the beads of an image ``(y, x)``."""
    filtered = band_pass(image.astype(np.float32), BEAD_SIGMA_PX)
    floor = BEAD_NOISE_LEVELS * noise_level(filtered)
    kept: Image = np.where(filtered > floor, filtered, np.float32(0))
    row, column = find_peaks(kept, 0.0)
    return Beads(kept, np.stack(refine(kept, row, column), axis=1))


def measure_drift(reference: Beads, moving: Beads) -> Drift:
    """Find the drift of a round to a fraction of a pixel.

    Background and noise are taken off and the edges faded out first: else a camera's fixed
    pattern and the borders, which do not drift, correlate best at no shift.

    Parameters
    ----------
    reference, moving
        The same beads in two images of one shape.
    """
    if not (reference.image.any() and moving.image.any()):
        return Drift(np.zeros(2), float("nan"), 0)
    # Plain cross-correlation: whitening would weigh the noise like the beads.
    shift, _, _ = phase_cross_correlation(
        _fade(moving.image), _fade(reference.image), upsample_factor=UPSAMPLING, normalization=None
    )
    at, found = reference.yx, moving.yx
    if not (len(at) and len(found)):
        return Drift(shift, float("nan"), 0)
    distance, _ = cKDTree(found).query(at + shift, distance_upper_bound=MATCH_RADIUS_PX)
    matched = distance[np.isfinite(distance)]
    residual = float(np.median(matched)) if len(matched) >= MIN_BEADS else float("nan")
    return Drift(shift, residual, len(matched))


def undo_drift(image: Image, shift_yx: npt.NDArray[np.float64]) -> Image:
    """Bring an image of a round into the reference's place; what was not seen is 0."""
    if not shift_yx.any():
        return image
    moved: Image = ndi.shift(image, -shift_yx, order=1, mode="constant", cval=0.0)
    return moved


def _fade(image: Image) -> Image:
    faded: Image = image * np.outer(*(np.hanning(n) for n in image.shape)).astype(np.float32)
    return faded
