"""Random choices that depend on what is chosen alone: same cell or molecule, same choice."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    Floats = npt.NDArray[np.float64]
    Keys = npt.NDArray[np.uint64]


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


def text_keys(texts: Sequence[str]) -> Keys:
    """Return 64 bits for each text, the same in every process."""
    digests = [hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


def molecule_keys(x: Floats, y: Floats, gene: Keys) -> Keys:
    """Return 64 bits for each molecule, which follow from its place and its gene.

    Parameters
    ----------
    x, y
        Place of each molecule.
    gene
        Key of the gene of each molecule (`text_keys`).
    """
    key = gene
    for place in (x, y):
        # 0 is added because -0.0, which is the same place as 0.0, has other bits.
        key = hashed(key ^ (np.asarray(place, dtype=np.float64) + 0.0).view(np.uint64), 7)
    return key


def occurrences(sorted_keys: Keys) -> npt.NDArray[np.int64]:
    """Count for each key how many of the keys before are the same.

    Examples
    --------
    >>> occurrences(np.array([3, 3, 5, 7, 7, 7], dtype=np.uint64)).tolist()
    [0, 1, 0, 0, 1, 2]
    """
    at = np.arange(len(sorted_keys))
    is_first = np.ones(len(at), dtype=bool)
    is_first[1:] = sorted_keys[1:] != sorted_keys[:-1]
    return np.asarray(at - np.maximum.accumulate(np.where(is_first, at, 0)), dtype=np.int64)
