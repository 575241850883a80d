"""One field of view: images of all bits -> calls, each with its odds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from cellsam_core.decoding import mixture
from cellsam_core.decoding.colours import undo_shifts
from cellsam_core.decoding.pixels import Candidates, brightness_scale, find_candidates
from cellsam_core.decoding.registration import Drift, undo_drift
from cellsam_core.decoding.singles import MIN_SPOT, find_singles
from cellsam_core.decoding.spots import band_pass, keep_near, noise_level, refine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cellsam_core.decoding.codebook import Codebook
    from cellsam_core.decoding.colours import Colour
    from cellsam_core.decoding.mixture import BitModel

    Detector = Callable[[npt.NDArray[np.generic]], npt.NDArray[np.float64]]

Image = npt.NDArray[np.float32]

DUPLICATE_RADIUS_PX = 2.0
MAX_UNCORRECTED = 2  # bits of a word of which none can be missing


class Calls(NamedTuple):
    """Calls of a field, good and bad ones.

    Attributes
    ----------
    y_px, x_px
        float64 ``(n,)`` in the field; pixel centres are at integers.
    z
        int64 ``(n,)``: index of the plane.
    codeword
        int32 ``(n,)``: index into the codebook.
    log_odds, distance
        float32 ``(n,)``: of the mixture model; from the codeword's unit vector.
    """

    y_px: npt.NDArray[np.float64]
    x_px: npt.NDArray[np.float64]
    z: npt.NDArray[np.int64]
    codeword: npt.NDArray[np.int32]
    log_odds: npt.NDArray[np.float32]
    distance: npt.NDArray[np.float32]

    def take(self, index: npt.NDArray[np.generic]) -> Calls:
        """Return some of the calls."""
        return Calls(*(column[index] for column in self))


def prepare_bits(
    images: Iterable[npt.NDArray[np.generic]],
    drifts: Sequence[Drift],
    sigma_px: float,
    detect: Detector | None = None,
    colours: Sequence[Colour] | None = None,
) -> Image:
    """Filter the images of one plane, bring them into place, divide by their noise.

    Parameters
    ----------
    images
        ``(y, x)`` of each bit, read as they are needed.
    drifts
        Drift of the round of each bit.
    sigma_px
        Standard deviation of a spot.
    detect
        Function of an image ``(y, x)`` that gives the places ``(n, 2)`` of its spots: light away
        from them is then taken as none. None leaves it to the filter what is a spot.
    colours
        Colour of each bit; None if all are in one place.

    Returns
    -------
    ndarray
        float32 ``(bits, y, x)`` in noise levels.
    """
    stack = []
    of_bit = [None] * len(drifts) if colours is None else colours
    for image, drift, colour in zip(images, drifts, of_bit, strict=True):
        filtered = band_pass(image.astype(np.float32), sigma_px)
        filtered /= np.float32(noise_level(filtered))
        if detect is not None:
            filtered = keep_near(filtered, detect(image), 2 * sigma_px)
        stack.append(in_place(filtered, drift, colour))
    return np.stack(stack)


def in_place(image: Image, drift: Drift, colour: Colour | None = None) -> Image:
    """Bring an image into the place of the first round, and of the first colour."""
    if colour is None or colour.is_identity():
        return undo_drift(image, drift.shift_yx)
    return undo_shifts(image, drift.shift_yx, colour)


def decode_plane(stack: Image, codebook: Codebook, z: int = 0) -> tuple[Calls, BitModel]:
    """Decode one plane; words of one number of bits apart from those of another.

    Parameters
    ----------
    stack
        Images of the bits, from `prepare_bits`.
    codebook
        Features and their bits.
    z
        Index of the plane, for the calls.

    Returns
    -------
    calls, model
        Calls in the order of rows, those of words with the most bits first; what the mixture model
        learned of the bits of the largest group, with NaN for what single bits don't tell.
    """
    calls: list[Calls] = []
    models: dict[int, BitModel] = {}
    for group in codebook.by_weight():
        part = stack[group.bits] if len(group.bits) < len(stack) else stack
        if group.weight == 1:
            found = _decode_singles(part, group.codebook, z)
        else:
            found, model = _decode_words(part, group.codebook, z)
            models[len(group.words)] = model
        found = found._replace(codeword=group.words[found.codeword])
        calls.append(_without_explained(found, calls, codebook))
    return join(calls), models[max(models)] if models else mixture.unknown(len(stack))


def _decode_singles(stack: Image, codebook: Codebook, z: int) -> Calls:
    """Take the spots of each bit for molecules of its gene."""
    calls = []
    for word, bit in enumerate(codebook.bits.argmax(axis=1).tolist()):
        found = find_singles(stack[bit])
        n = len(found.y_px)
        numbers = np.full(n, z, np.int64), np.full(n, word, np.int32)
        distance = np.zeros(n, np.float32)
        calls.append(Calls(found.y_px, found.x_px, *numbers, found.log_odds, distance))
    return drop_duplicates(join(calls))


def _without_explained(found: Calls, surer: Sequence[Calls], codebook: Codebook) -> Calls:
    """Leave out calls that only show some bits of a molecule with more bits in the same place."""
    explained = np.zeros(len(found.codeword), dtype=bool)
    tree = cKDTree(np.stack([found.y_px, found.x_px], axis=1))
    for calls in surer:
        likely = calls.take(calls.log_odds > 0)
        there = cKDTree(np.stack([likely.y_px, likely.x_px], axis=1))
        near = tree.sparse_distance_matrix(there, DUPLICATE_RADIUS_PX, output_type="ndarray")
        i, j = near["i"], near["j"]
        word, other = codebook.bits[found.codeword[i]], codebook.bits[likely.codeword[j]]
        explained[i[~(word & ~other).any(axis=1)]] = True
    return found.take(~explained)


def _decode_words(stack: Image, codebook: Codebook, z: int) -> tuple[Calls, BitModel]:
    scale = brightness_scale(stack, codebook)
    found = find_candidates(stack, scale, codebook)
    if codebook.weight.max(initial=0) <= MAX_UNCORRECTED:
        found = _spots_in_all_bits(found, stack, codebook)
    values = mixture.compress(stack[:, found.row, found.column].T)
    model = mixture.fit(values, codebook, scale)
    scores = mixture.score(values, codebook, model)
    y, x = refine(found.projection, found.row, found.column)
    # Two ways to decide must agree; where they do not, it is a spot of no codeword.
    agree = scores.codeword == found.codeword
    plane = np.full(len(y), z, dtype=np.int64)
    calls = Calls(y, x, plane, scores.codeword, scores.log_odds, found.distance)
    return drop_duplicates(calls.take(agree)), model


def _spots_in_all_bits(found: Candidates, stack: Image, codebook: Codebook) -> Candidates:
    """Keep the candidates of which each bit alone would be a spot: of two bits none may be dark."""
    values = stack[:, found.row, found.column].T
    is_spot = ((values >= MIN_SPOT) | ~codebook.bits[found.codeword]).all(axis=1)
    return found._replace(
        row=found.row[is_spot],
        column=found.column[is_spot],
        codeword=found.codeword[is_spot],
        distance=found.distance[is_spot],
    )


def drop_duplicates(calls: Calls) -> Calls:
    """Keep the surest of the calls of one codeword within 2 px, in one plane or in neighbours.

    A molecule is seen in each plane that its light reaches, but it is one molecule: through the
    planes, a call stays if none of the two planes beside it has a surer one in its place.
    """
    order = np.argsort(-calls.log_odds, kind="stable")
    yx = np.stack([calls.y_px, calls.x_px], axis=1)
    pairs = cKDTree(yx).query_pairs(DUPLICATE_RADIUS_PX, output_type="ndarray")
    pairs = pairs[calls.codeword[pairs[:, 0]] == calls.codeword[pairs[:, 1]]]
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    surer = np.where(rank[pairs[:, 0]] < rank[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    other = pairs.sum(axis=1) - surer
    apart = np.abs(calls.z[surer] - calls.z[other])
    is_kept = np.ones(len(order), dtype=bool)
    # In a plane, the surest first: a call that is dropped itself drops no other.
    in_plane = np.flatnonzero(apart == 0)
    for i in in_plane[np.lexsort((rank[other[in_plane]], rank[surer[in_plane]]))]:
        if is_kept[surer[i]]:
            is_kept[other[i]] = False
    # From plane to plane, light fades: also a call that is dropped itself drops the next.
    beside = (apart == 1) & is_kept[surer] & is_kept[other]
    is_kept[other[beside]] = False
    return calls.take(is_kept)


def join(planes: Sequence[Calls]) -> Calls:
    """Put the calls of one or more planes together."""
    return Calls(*(np.concatenate(columns) for columns in zip(*planes, strict=True)))
