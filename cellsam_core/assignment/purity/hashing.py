"""Random choices that depend on a number alone: same row or cell, same choice, in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def hashed(numbers: npt.NDArray[np.integer[Any]], salt: int) -> npt.NDArray[np.uint64]:
    """Mix whole numbers to 64 random bits (splitmix64); another salt, other bits."""
    offset = np.uint64((0x9E3779B97F4A7C15 * (salt + 1)) % 2**64)
    bits = np.asarray(numbers).astype(np.uint64) + offset
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return np.asarray(bits ^ (bits >> np.uint64(31)), dtype=np.uint64)


def uniform(numbers: npt.NDArray[np.integer[Any]], salt: int) -> npt.NDArray[np.float64]:
    """Return a random number from 0 to 1 for each whole number."""
    return np.asarray((hashed(numbers, salt) >> np.uint64(11)) / float(2**53), dtype=np.float64)
