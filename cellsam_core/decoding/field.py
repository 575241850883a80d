"""One field of view: images of all bits -> calls, each with its odds."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from cellsam_core.decoding import mixture
from cellsam_core.decoding.pixels import brightness_scale, find_candidates
from cellsam_core.decoding.registration import Drift, undo_drift
from cellsam_core.decoding.spots import band_pass, keep_near, noise_level, refine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cellsam_core.decoding.codebook import Codebook
    from cellsam_core.decoding.mixture import BitModel

    Detector = Callable[[npt.NDArray[np.generic]], npt.NDArray[np.float64]]

Image = npt.NDArray[np.float32]

DUPLICATE_RADIUS_PX = 2.0


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
) -> Image:
    """Filter the images of one plane, bring them into place, divide by their noise.

    Parameters
    ----------
    images
        ``(y, x)`` of each bit, read as they are needed.
    drifts
        Of the round of each bit.
    sigma_px
        Standard deviation of a spot.
    detect
        Function of an image ``(y, x)`` that gives the places ``(n, 2)`` of its spots: light away
        from them is then taken as none. None leaves it to the filter what is a spot.

    Returns
    -------
    ndarray
        float32 ``(bits, y, x)`` in noise levels.
    """
    stack = []
    for image, drift in zip(images, drifts, strict=True):
        filtered = band_pass(image.astype(np.float32), sigma_px)
        filtered /= np.float32(noise_level(filtered))
        if detect is not None:
            filtered = keep_near(filtered, detect(image), 2 * sigma_px)
        stack.append(undo_drift(filtered, drift.shift_yx))
    return np.stack(stack)


def decode_plane(stack: Image, codebook: Codebook, z: int = 0) -> tuple[Calls, BitModel]:
    """Decode one plane.

    Parameters
    ----------
    stack
        Of `prepare_bits`.
    codebook
        Features and their bits.
    z
        Index of the plane, for the calls.

    Returns
    -------
    calls, model
        Calls in the order of rows; what the mixture model learned of the bits.
    """
    scale = brightness_scale(stack, codebook)
    found = find_candidates(stack, scale, codebook)
    values = mixture.compress(stack[:, found.row, found.column].T)
    model = mixture.fit(values, codebook, scale)
    scores = mixture.score(values, codebook, model)
    y, x = refine(found.projection, found.row, found.column)
    # Two ways to decide must agree; where they do not, it is a spot of no codeword.
    agree = scores.codeword == found.codeword
    plane = np.full(len(y), z, dtype=np.int64)
    calls = Calls(y, x, plane, scores.codeword, scores.log_odds, found.distance)
    return drop_duplicates(calls.take(agree)), model


def drop_duplicates(calls: Calls) -> Calls:
    """Of calls of one codeword within 2 px, in one plane or two neighbouring ones, keep the surest.

    A molecule is seen in each plane that its light reaches, but it is one molecule.
    """
    order = np.argsort(-calls.log_odds, kind="stable")
    yx = np.stack([calls.y_px, calls.x_px], axis=1)
    pairs = cKDTree(yx).query_pairs(DUPLICATE_RADIUS_PX, output_type="ndarray")
    same = calls.codeword[pairs[:, 0]] == calls.codeword[pairs[:, 1]]
    near = np.abs(calls.z[pairs[:, 0]] - calls.z[pairs[:, 1]]) <= 1
    pairs = pairs[same & near]
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    surer = np.where(rank[pairs[:, 0]] < rank[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    other = pairs.sum(axis=1) - surer
    is_kept = np.ones(len(order), dtype=bool)
    # The surest first: a call that is dropped itself drops no other.
    for i in np.lexsort((rank[other], rank[surer])):
        if is_kept[surer[i]]:
            is_kept[other[i]] = False
    return calls.take(is_kept)


def join(planes: Sequence[Calls]) -> Calls:
    """Put the calls of one or more planes together."""
    return Calls(*(np.concatenate(columns) for columns in zip(*planes, strict=True)))
