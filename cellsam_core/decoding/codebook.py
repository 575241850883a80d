"""Codebooks: which bits are lit for which feature, and how far a call may be from its codeword."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cellsam_core.features import classify_feature

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_DENSITY = 0.5  # of lit bits in the words of a group
MIN_CORRECTING_DISTANCE = 4  # Hamming: a word with one wrong bit is then nearest to one codeword


@dataclass(frozen=True)
class Codebook:
    """Codewords of genes and blanks.

    Attributes
    ----------
    names
        Feature of each codeword.
    bit_names
        Name of each bit.
    bits
        ``(codewords, bits)`` bool.
    """

    names: tuple[str, ...]
    bit_names: tuple[str, ...]
    bits: npt.NDArray[np.bool_]

    @property
    def is_blank(self) -> npt.NDArray[np.bool_]:
        """``(codewords,)``: codewords given to no gene, which measure the errors."""
        return np.array([classify_feature(name) == "blank" for name in self.names])

    @property
    def weight(self) -> npt.NDArray[np.int64]:
        """``(codewords,)``: lit bits of each."""
        weight: npt.NDArray[np.int64] = self.bits.sum(axis=1)
        return weight

    def by_weight(self) -> list[WordGroup]:
        """Part the codewords by their number of bits, the most bits first.

        Words of another number of bits are wrong in another way and number: none can tell how
        often another is. A group looks at the bits that its words use; where those hardly differ,
        at all bits, since a word then shows in what is dark.
        """
        groups = []
        for weight in np.unique(self.weight)[::-1].tolist():
            words = np.flatnonzero(self.weight == weight)
            used = self.bits[words].any(axis=0)
            if weight > 1 and self.bits[np.ix_(words, used)].mean() > MAX_DENSITY:
                used = np.ones(len(self.bit_names), dtype=bool)
            bits = np.flatnonzero(used)
            book = Codebook(
                tuple(self.names[i] for i in words),
                tuple(self.bit_names[i] for i in bits),
                self.bits[np.ix_(words, bits)],
            )
            groups.append(WordGroup(weight, words.astype(np.int32), bits, book))
        return groups

    @property
    def unit_vectors(self) -> npt.NDArray[np.float32]:
        """``(codewords, bits)`` float32, each of length 1."""
        length = np.sqrt(self.bits.sum(axis=1, keepdims=True))
        vectors: npt.NDArray[np.float32] = (self.bits / length).astype(np.float32)
        return vectors

    @property
    def correctable_distance(self) -> npt.NDArray[np.float64]:
        """``(codewords,)`` distance of a unit vector with one bit missing from its codeword's.

        0.5176 for the weight of 4 that MERlin's default assumes. A word with one bit too many
        lies nearer.
        """
        return self._distance_without(1)

    @property
    def distance_cut(self) -> npt.NDArray[np.float64]:
        """``(codewords,)`` largest distance at which a pixel may be a call.

        Where all codewords differ in four bits or more one wrong bit can be corrected, also
        where the light of a neighbour adds to it: words as far as with two bits missing are
        left to the mixture model and the blanks to judge. Other codebooks can detect errors but
        not correct them: half of the distance of one missing bit.
        """
        if self.min_hamming_distance < MIN_CORRECTING_DISTANCE:
            return self.correctable_distance / 2
        # Of two bits none can be missing. At the very cut nothing may hang on rounding.
        far = self._distance_without(2) + 1e-3
        return np.where(self.weight > 2, far, self.correctable_distance / 2)

    def _distance_without(self, n_bits: int) -> npt.NDArray[np.float64]:
        """Distance for weight w with n bits missing: ``sqrt(2 - 2 sqrt((w - n) / w))``."""
        weight = self.bits.sum(axis=1)
        kept = np.maximum(weight - n_bits, 0) / weight
        distance: npt.NDArray[np.float64] = np.sqrt(2 - 2 * np.sqrt(kept))
        return distance

    @property
    def min_hamming_distance(self) -> int:
        """Least number of bits in which two codewords differ."""
        bits = self.bits.astype(np.int32)
        weight = bits.sum(axis=1)
        distance = weight[:, None] + weight - 2 * bits @ bits.T
        np.fill_diagonal(distance, bits.shape[1] + 1)
        return int(distance.min(initial=bits.shape[1] + 1))


@dataclass(frozen=True)
class WordGroup:
    """Codewords of one number of bits.

    Attributes
    ----------
    weight
        Lit bits of each word.
    words, bits
        Indices of the words and of the bits that are looked at, in the whole codebook.
    codebook
        Of these words and bits alone.
    """

    weight: int
    words: npt.NDArray[np.int32]
    bits: npt.NDArray[np.intp]
    codebook: Codebook


def from_pseudocolours(
    names: Sequence[str], colours: npt.NDArray[np.integer], round_names: Sequence[str]
) -> Codebook:
    """Turn pseudocolours into bits, one bit for each pseudocolour that a round uses.

    Parameters
    ----------
    names
        Features.
    colours
        ``(codewords, rounds)``, from 1; 0 where the feature is dark in a round.
    round_names
        Of the columns; pseudocolour 7 of ``round_2`` becomes the bit ``round_2=7``.
    """
    bit_names, columns = [], []
    for name, column in zip(round_names, colours.T, strict=True):
        for colour in np.unique(column[column > 0]):
            bit_names.append(f"{name}={colour}")
            columns.append(column == colour)
    bits = np.stack(columns, axis=1) if columns else np.zeros((len(names), 0), dtype=bool)
    return Codebook(tuple(names), tuple(bit_names), bits)
