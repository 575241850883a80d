"""Translation between frames by phase correlation of downsampled foregrounds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from cellsam_core.tracking.overlap import Labels, shifted_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_GAIN = 0.05
MAX_SHIFT_FRACTION = 0.25


@dataclass(frozen=True)
class CoarseForeground:
    """Fraction of cell interior in blocks of pixels.

    Attributes
    ----------
    share
        ``(y, x)`` fraction, one value per block.
    factor
        Side of a block, in pixels.
    """

    share: NDArray[np.float32]
    factor: int

    @cached_property
    def spectrum(self) -> NDArray[np.complex64]:
        """Fourier transform of `share`, cached because every frame needs it twice."""
        spectrum: NDArray[np.complex64] = fft.rfft2(self.share)
        return spectrum


def coarse_foreground(labels: Labels) -> CoarseForeground:
    """Measure the fraction of cell interior in blocks of pixels.

    Outlines between touching cells count as background, so that a confluent layer of cells still
    has structure to register.
    """
    factor = max(1, min(4, min(labels.shape) // 64))
    inside = labels != 0
    inside[:-1] &= labels[:-1] == labels[1:]
    inside[:, :-1] &= labels[:, :-1] == labels[:, 1:]
    height, width = (size // factor * factor for size in labels.shape)
    # Sums of strided slices: a mean over two axes of a reshaped image takes five times as long.
    counts = inside[:height, :width].view(np.uint8)
    counts = np.add.reduce([counts[k::factor] for k in range(factor)], dtype=np.uint8)
    counts = np.add.reduce([counts[:, k::factor] for k in range(factor)], dtype=np.uint8)
    return CoarseForeground(counts.astype(np.float32) / np.float32(factor**2), factor)


def estimate_shift(before: CoarseForeground, after: CoarseForeground) -> tuple[int, int]:
    """Estimate the translation from `before` to `after` with the accuracy of one block.

    The peak of the phase correlation (Kuglin & Hines 1975) is accepted only if it increases the
    overlap (soft intersection over union) of the foregrounds by at least `MIN_GAIN`, because a
    wrong offset does more harm than none.

    Returns
    -------
    dy, dx
        Translation in pixels of the image: the point ``(y, x)`` of `before` is at
        ``(y + dy, x + dx)`` in `after`; ``(0, 0)`` where no better offset is found.
    """
    if not before.share.any() or not after.share.any():
        return 0, 0
    shape = before.share.shape
    spectrum = after.spectrum * np.conj(before.spectrum)
    strength = np.abs(spectrum)
    spectrum /= strength + 1e-6 * float(strength.max())
    correlation = fft.irfft2(spectrum, s=shape)
    peak = np.unravel_index(int(np.argmax(correlation)), shape)
    dy, dx = (
        int(p) - size if p > size // 2 else int(p) for p, size in zip(peak, shape, strict=True)
    )
    too_far = any(
        abs(s) > MAX_SHIFT_FRACTION * size for s, size in zip((dy, dx), shape, strict=True)
    )
    if too_far:
        return 0, 0
    earlier, later = before.share, after.share
    if _overlap(earlier, later, (dy, dx)) < _overlap(earlier, later, (0, 0)) + MIN_GAIN:
        return 0, 0
    return before.factor * dy, before.factor * dx


def _overlap(
    before: NDArray[np.float32], after: NDArray[np.float32], shift_yx: tuple[int, int]
) -> float:
    window_before, window_after = shifted_windows(before.shape, shift_yx)
    a, b = before[window_before], after[window_after]
    union = float(np.maximum(a, b).sum())
    return float(np.minimum(a, b).sum()) / union if union else 0.0
