"""Order of the bits, tested by spots that are words of the codebook: bits or rounds exchanged.

Where two bits are exchanged, genes that light one of them are no words any more: they are lost
without a trace in the error rate, since the words that are left are as right as before.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cellsam_core.decoding.spots import LIT, find_peaks
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from cellsam_core.decoding.codebook import Codebook
    from cellsam_core.decoding.experiment import RawExperiment

    Ints = npt.NDArray[np.int64]

MIN_WEIGHT = 3
"""Fewest lit bits of a word: of two bits, too many pairs are words by chance."""
MIN_WORDS = 5
MAX_FREE_BITS = 40
"""Bits, of all rounds, up to which any two are exchanged for a test; of more, two of one round."""
MAX_SPOTS = 2000
"""Spots of a plane that are looked at, the brightest first."""
SURE = 6.0
"""Standard deviations by chance of the words that another order gains, less those that it loses."""
MANY = 2.0
"""Ratio of the words that another order gains, without the gene of most, to those that it loses."""


class Order(NamedTuple):
    """Another order of the bits.

    Attributes
    ----------
    words
        What is changed, as the end of a sentence.
    bits
        ``(bits,)``: bit of the codebook that each image would show.
    """

    words: str
    bits: Ints


def list_orders(raw: RawExperiment) -> list[Order]:
    """List the orders that a mistake in the table of the rounds makes of the right one.

    Two bits, two rounds or two colours are exchanged, or images are sorted as text (1, 10, 2).
    """
    names = raw.codebook.bit_names
    # The round of the barcode, where each pseudocolour of it is an image of its own.
    rounds = [name.partition("=")[0] for name in names]
    pairs = list(combinations(range(len(names)), 2))
    if len(names) > MAX_FREE_BITS:
        pairs = [(i, j) for i, j in pairs if rounds[i] == rounds[j]]
    found = [_exchange(f"{names[i]} and {names[j]}", [i], [j], len(names)) for i, j in pairs]
    groups: tuple[tuple[str, Sequence[int | str]], ...] = (
        ("rounds", rounds),
        ("imaging rounds", raw.round_of_bit),
        ("colours", raw.colour_of_bit),
    )
    for what, group_of_bit in groups:
        for a, b in combinations(sorted(set(group_of_bit)), 2):
            first, second = (
                [i for i, k in enumerate(group_of_bit) if k == each] for each in (a, b)
            )
            if len(first) == len(second) > 1:
                found.append(_exchange(f"the {what} {a} and {b}", first, second, len(names)))
    as_text = np.array(sorted(range(len(names)), key=lambda i: names[i]))
    for each in (as_text, as_text.argsort()):
        if (np.diff(each) != 1).any():
            words = "the images sorted as numbers (1, 2, 10), not as text (1, 10, 2)"
            found.append(Order(words, each))
    return found


def _exchange(words: str, first: Sequence[int], second: Sequence[int], n_bits: int) -> Order:
    bits = np.arange(n_bits)
    bits[[*first, *second]] = [*second, *first]
    return Order(f"{words} exchanged", bits)


def count_words(
    stack: npt.NDArray[np.float32], codebook: Codebook, orders: Sequence[Order]
) -> Ints:
    """Count the spots of a plane that are words of genes, in each order of the bits.

    Parameters
    ----------
    stack
        ``(bits, y, x)`` in noise levels.
    codebook
        Features and their bits.
    orders
        Orders of the bits.

    Returns
    -------
    ndarray
        ``(1 + orders, 3)``: spots with as many lit bits as most genes have, those of them that are
        words, and 0; then for each order the words that it gains, those of them that are of one
        gene, at most, and those that it loses. Zeros if genes have too few bits, or are too few.
    """
    counts = np.zeros((1 + len(orders), 3), dtype=np.int64)
    words = _words(codebook)
    if not len(words):
        return counts
    lit = _lit(stack, int(words[0].sum()))
    # The sum of the keys of its bits names a word.
    key = np.random.default_rng(0).integers(2**63, size=(words.shape[1],))
    known, name = np.sort(words @ key), np.asarray(lit @ key)
    is_word = np.isin(name, known)
    counts[0, :2] = len(lit), np.count_nonzero(is_word)
    for count, order in zip(counts[1:], orders, strict=True):
        moved = np.flatnonzero(order.bits != np.arange(len(key)))
        other = name + lit[:, moved] @ (key[order.bits[moved]] - key[moved])
        would_be = np.isin(other, known)
        gained = np.unique(other[would_be & ~is_word], return_counts=True)[1]
        count[:] = gained.sum(), gained.max(initial=0), np.count_nonzero(is_word & ~would_be)
    return counts


def _words(codebook: Codebook) -> npt.NDArray[np.bool_]:
    """Return the words ``(words, bits)`` of genes with as many bits as most have, if they tell."""
    genes = codebook.bits[~codebook.is_blank]
    weights = np.bincount(genes.sum(axis=1), minlength=1)
    weight = int(weights.argmax())
    tells = weight >= MIN_WEIGHT and weights[weight] >= MIN_WORDS
    return np.asarray(genes[(genes.sum(axis=1) == weight) & tells])


def _lit(stack: npt.NDArray[np.float32], weight: int) -> Ints:
    """Return the bits ``(spots, bits)`` of the spots at which just `weight` bits are lit."""
    light = np.zeros(stack.shape[1:], dtype=np.float32)
    for image in stack:
        light += np.clip(image, 0, 2 * LIT)
    row, column = find_peaks(light, weight * LIT)
    values = np.zeros((len(stack), len(row)), dtype=np.float32)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            y = np.clip(row + dy, 0, stack.shape[1] - 1)
            x = np.clip(column + dx, 0, stack.shape[2] - 1)
            np.maximum(values, stack[:, y, x], out=values)
    lit = (values > LIT).T
    at = np.flatnonzero(lit.sum(axis=1) == weight)
    brightest = np.argsort(-light[row[at], column[at]], kind="stable")[:MAX_SPOTS]
    return lit[at[np.sort(brightest)]].astype(np.int64)


def check_order(path: str | Path, orders: Sequence[Order], counts: Ints) -> None:
    """Refuse an order of the bits if the spots are words of the codebook in another one.

    Parameters
    ----------
    path
        Folder of the raw rounds, for messages.
    orders
        Orders of the bits, from :func:`list_orders`.
    counts
        ``(1 + orders, 3)``: sum of :func:`count_words` over the fields.

    Raises
    ------
    InputError
        Many more spots are words in another order.
    """
    gained, of_one_gene, lost = counts[1:].T
    best = int((gained - lost).argmax())
    more = int(gained[best] - lost[best])
    # A frequent gene may always light a wrong bit; an order that is wrong hides many genes.
    if more - of_one_gene[best] <= SURE * np.sqrt(gained[best] + lost[best]):
        return
    # So may two genes; but words that the right order loses are chance, and thus few.
    if gained[best] - of_one_gene[best] < MANY * lost[best]:
        return
    n = int(counts[0, 1])
    raise InputError(
        path,
        found=f"{n} spots whose bits are those of a gene, and {n + more} with {orders[best].words}",
        expected="the images in the order of the codebook's bits",
        remedy="correct the table of the rounds, or the order of the codebook's bits",
    )


def word_spots(codebook: Codebook, counts: Ints) -> dict[str, Any]:
    """Describe how many spots are words of genes, for the report.

    Parameters
    ----------
    codebook
        Features and their bits.
    counts
        Sum of :func:`count_words` over the fields.
    """
    words = _words(codebook)
    n_bits = int(words[0].sum()) if len(words) else 0
    possible = comb(words.shape[1], n_bits)
    return {
        "n_bits": n_bits,
        "n_spots": int(counts[0, 0]),
        "n_words": int(counts[0, 1]),
        "share_by_chance": len(words) / possible,
    }
