"""Size of the spots, measured on decoded molecules, beside the one that was searched for."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.decoding.spots import LIT

if TYPE_CHECKING:
    import numpy.typing as npt

    from cellsam_core.decoding.codebook import Codebook
    from cellsam_core.decoding.field import Calls

    Floats = npt.NDArray[np.float64]

EDGE_PX = 3
MIN_SPOTS = 100
"""Fewest lit bits on which a size is measured."""
FACTOR = 1.4
"""Ratio of the size that was searched for and the measured one, or its inverse, that is told."""
WIDTHS_PX = np.geomspace(0.4, 60, 200)  # of a spot after the filter
OFFSETS_PX = (np.arange(21) - 10) / 20


def spot_light(stack: npt.NDArray[np.float32], calls: Calls, codebook: Codebook) -> Floats:
    """Add up the light of decoded molecules, at the peak and one pixel away.

    Parameters
    ----------
    stack
        Filtered images of the bits ``(bits, y, x)`` in noise levels.
    calls
        Calls in these images; the likely ones are looked at.
    codebook
        Features and their bits.

    Returns
    -------
    ndarray
        Number of lit bits, sum of the light at their peaks, sum of the mean light of the four
        pixels beside these.
    """
    height, width = stack.shape[1:]
    y, x = (np.rint(each).astype(np.int64) for each in (calls.y_px, calls.x_px))
    inside = (np.minimum(y, x) >= EDGE_PX) & (y < height - EDGE_PX) & (x < width - EDGE_PX)
    likely = np.flatnonzero(inside & (calls.log_odds > 0))
    molecule, bit = np.nonzero(codebook.bits[calls.codeword[likely]])
    y, x = y[likely][molecule], x[likely][molecule]
    # Each bit has its own peak, a pixel off at most.
    steps = np.array([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    around = np.stack([stack[bit, y + dy, x + dx] for dy, dx in steps.tolist()])
    best = around.argmax(axis=0) if len(bit) else np.zeros(0, dtype=np.int64)
    y, x = y + steps[best, 0], x + steps[best, 1]
    peak = stack[bit, y, x]
    beside = (stack[bit, y - 1, x] + stack[bit, y + 1, x]) / 4
    beside += (stack[bit, y, x - 1] + stack[bit, y, x + 1]) / 4
    lit = peak > LIT
    return np.array([lit.sum(), peak[lit].sum(), beside[lit].sum()], dtype=np.float64)


def measured_sigma_px(light: Floats, sigma_px: float) -> float | None:
    """Tell the standard deviation of the Gaussian image of a spot; None if too few were seen.

    Parameters
    ----------
    light
        Sum of :func:`spot_light` over the fields.
    sigma_px
        Standard deviation of the filter.
    """
    n, peak, beside = light
    if n < MIN_SPOTS:
        return None
    filtered = float(np.interp(beside / peak, _ratios(), WIDTHS_PX))
    return float(np.sqrt(max(filtered**2 - sigma_px**2, 0.0)))


@lru_cache(1)
def _ratios() -> Floats:
    """Light beside the peak over that of it, for each of `WIDTHS_PX`, averaged over its place.

    The filter makes the Laplacian of a wider Gaussian of a spot.
    """
    offset_y, offset_x = np.meshgrid(OFFSETS_PX, OFFSETS_PX)

    def light(y: Floats, x: Floats) -> Floats:
        variance = WIDTHS_PX[:, None, None] ** 2
        square = y**2 + x**2
        values = (2 / variance - square / variance**2) * np.exp(-square / 2 / variance)
        return np.asarray(values.mean(axis=(1, 2)))

    sides = [light(offset_y, offset_x + step) for step in (-1.0, 1.0)]
    return np.asarray(np.mean(sides, axis=0) / light(offset_y, offset_x))


def words_of_size(measured_px: float | None, searched_px: float) -> str:
    """Write that spots of another size were searched for; empty if they were not.

    Examples
    --------
    >>> words_of_size(1.3, 1.5)
    ''
    >>> words_of_size(0.8, 1.6)[:60]
    'Spots have a standard deviation of 0.80 px, and were searche'
    """
    if measured_px is None or 1 / FACTOR < measured_px / searched_px < FACTOR:
        return ""
    return (
        f"Spots have a standard deviation of {measured_px:.2f} px, and were searched for with"
        f" {searched_px:g} px: molecules are lost. Set `spot_sigma_px` in the section"
        f" `decode` of the config to {measured_px:.1f}."
    )
