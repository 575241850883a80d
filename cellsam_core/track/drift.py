"""Translation between frames, by phase correlation of downsampled foregrounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from cellsam_core.track.overlap import Labels, shifted_windows

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_GAIN = 0.05
MAX_SHIFT_FRACTION = 0.25


def coarse_foreground(labels: Labels) -> tuple[NDArray[np.float32], int]:
    """Fraction of cell interior in blocks of pixels, and the side of a block.

    Outlines between touching cells count as background, so that a confluent layer still
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
    return counts.astype(np.float32) / np.float32(factor**2), factor


def estimate_shift(before: NDArray[np.float32], after: NDArray[np.float32]) -> tuple[int, int]:
    """Estimate the translation from `before` to `after`, in their own pixels.

    The peak of the phase correlation (Kuglin & Hines 1975) is believed only if it raises the
    overlap (soft intersection over union) of the foregrounds by `MIN_GAIN`: an offset that
    can't be verified does more harm than none.

    Returns
    -------
    dy, dx
        What is at ``(y, x)`` in `before` is at ``(y + dy, x + dx)`` in `after`; ``(0, 0)``
        where no better offset is found.
    """
    if not before.any() or not after.any():
        return 0, 0
    spectrum = fft.rfft2(after) * np.conj(fft.rfft2(before))
    spectrum /= np.abs(spectrum) + 1e-6 * float(np.abs(spectrum).max())
    correlation = fft.irfft2(spectrum, s=before.shape)
    peak = np.unravel_index(int(np.argmax(correlation)), before.shape)
    dy, dx = (
        int(p) - size if p > size // 2 else int(p)
        for p, size in zip(peak, before.shape, strict=True)
    )
    too_far = any(
        abs(s) > MAX_SHIFT_FRACTION * size for s, size in zip((dy, dx), before.shape, strict=True)
    )
    if too_far or _overlap(before, after, (dy, dx)) < _overlap(before, after, (0, 0)) + MIN_GAIN:
        return 0, 0
    return dy, dx


def _overlap(
    before: NDArray[np.float32], after: NDArray[np.float32], shift_yx: tuple[int, int]
) -> float:
    window_before, window_after = shifted_windows(before.shape, shift_yx)
    a, b = before[window_before], after[window_after]
    union = float(np.maximum(a, b).sum())
    return float(np.minimum(a, b).sum()) / union if union else 0.0
