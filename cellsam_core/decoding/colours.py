"""Colours aligned with each other by molecules that light bits of two colours.

Light of another colour comes to another place of the camera: it is shifted, and stretched about
the middle of the field. The optics do so in the same way in all fields, so that some fields tell
it for all. A molecule is seen in two colours at two places a few pixels apart; so are, by chance,
two molecules. The affine transform that most pairs of spots fit is found by expectation
maximisation over "pair of one molecule" and "pair by chance".
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.decoding.codebook import Codebook

    Floats = NDArray[np.float64]

log = logging.getLogger(__name__)

REACH_PX = 4.0
"""Largest distance between the two places of a molecule that is looked at."""

MIN_PAIRS = 60
"""Fewest pairs that an affine transform rests on."""

SIGNIFICANT = 5.0
"""Standard deviations by which they exceed what chance gives."""

START_SIGMA_PX, LEAST_SIGMA_PX = 1.2, 0.1
ITERATIONS = 30
BIN_PX = 0.25


@dataclass(frozen=True)
class Colour:
    """Place of a colour's light against that of the first colour.

    Attributes
    ----------
    name
        The colour, as the sheet calls it.
    matrix, shift_yx
        A thing at ``p`` in the first colour is at ``matrix @ p + shift_yx`` in this one, with ``p``
        in pixels from the middle of the field, ``(y, x)``.
    n_pairs
        Number of pairs of spots in both colours that are of one molecule; four for a molecule that
        lights two bits of each.
    residual_px
        Median distance from where the transform puts them; NaN where it is not known.
    is_aligned
        True if the transform was measured, and for the first colour.
    """

    name: str
    matrix: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.0), (0.0, 1.0))
    shift_yx: tuple[float, float] = (0.0, 0.0)
    n_pairs: int = 0
    residual_px: float = float("nan")
    is_aligned: bool = False

    def is_identity(self) -> bool:
        """Tell if the colour is where the first one is."""
        return self.matrix == ((1.0, 0.0), (0.0, 1.0)) and self.shift_yx == (0.0, 0.0)

    def largest_shift_px(self, shape_yx: tuple[int, int]) -> float:
        """Return the largest distance from the first colour in a field."""
        half = (np.array(shape_yx) - 1) / 2
        corners = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)]) * half
        moved = corners @ np.array(self.matrix).T + self.shift_yx
        return float(np.hypot(*(moved - corners).T).max())


class Spots(NamedTuple):
    """Spots of one field.

    Attributes
    ----------
    yx
        Spots of each bit, float64 ``(n, 2)`` in pixels from the middle of the field, without the
        drift of its round.
    """

    yx: list[Floats]


def undo_shifts(
    image: NDArray[np.float32], drift_yx: NDArray[np.float64], colour: Colour
) -> NDArray[np.float32]:
    """Bring an image into the place of the first round and colour; what was not seen is 0.

    Parameters
    ----------
    image
        ``(y, x)``.
    drift_yx
        Drift of its round.
    colour
        Its colour.
    """
    matrix = np.array(colour.matrix)
    middle = (np.array(image.shape) - 1) / 2
    offset = middle - matrix @ middle + colour.shift_yx + drift_yx
    moved: NDArray[np.float32] = ndi.affine_transform(
        image, matrix, offset, order=1, mode="constant", cval=0.0
    )
    return moved


def first_colour(colour_of_bit: Sequence[str]) -> str:
    """Choose the colour that the others are aligned with: that of most bits, or the first."""
    return max(dict.fromkeys(colour_of_bit), key=list(colour_of_bit).count)


def measure_colours(
    fields: Sequence[Spots], codebook: Codebook, colour_of_bit: Sequence[str]
) -> dict[str, Colour]:
    """Measure the transforms of all colours of the bits.

    Parameters
    ----------
    fields
        Spots of some fields.
    codebook
        Says which bits a molecule may light together.
    colour_of_bit
        Colour of each bit.

    Returns
    -------
    dict
        Colour -> its transform. A colour of which too few molecules tell stays where it is.
    """
    reference = first_colour(colour_of_bit)
    together = codebook.bits.astype(int).T @ codebook.bits.astype(int) > 0
    found = {reference: Colour(reference, residual_px=0.0, is_aligned=True)}
    for name in dict.fromkeys(colour_of_bit):
        if name == reference:
            continue
        at, off = [np.zeros((0, 2))], [np.zeros((0, 2))]
        for i in (i for i, colour in enumerate(colour_of_bit) if colour == reference):
            for j in (j for j, colour in enumerate(colour_of_bit) if colour == name):
                if together[i, j]:
                    for field in fields:
                        pairs = _pairs(field.yx[i], field.yx[j])
                        at.append(pairs[0])
                        off.append(pairs[1])
        found[name] = _fit(name, np.concatenate(at), np.concatenate(off))
        if not found[name].is_aligned:
            log.warning("colour %s is not aligned: too few molecules are seen in two colours", name)
    return found


def _pairs(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Return the places of spots that have others within reach, and how far these are off."""
    if not (len(one) and len(other)):
        return np.zeros((0, 2)), np.zeros((0, 2))
    near = cKDTree(one).sparse_distance_matrix(cKDTree(other), REACH_PX, output_type="ndarray")
    near = near[np.lexsort((near["j"], near["i"]))]
    at = one[near["i"]]
    return at, other[near["j"]] - at


def _fit(name: str, at: Floats, off: Floats) -> Colour:
    """Fit the affine transform that most pairs follow.

    Parameters
    ----------
    name
        The colour.
    at, off
        Places in the first colour, and how far the spots of this colour are from there.
    """
    if len(at) < MIN_PAIRS:
        return Colour(name)
    scale = max(float(np.abs(at).max()), 1.0)
    design = np.column_stack([np.ones(len(at)), at / scale])
    fitted = np.zeros((3, 2))
    fitted[0] = _commonest(off)
    sigma, share, by_chance = START_SIGMA_PX, 0.5, 1 / (np.pi * REACH_PX**2)
    weight = np.zeros(len(at))
    for _ in range(ITERATIONS):
        squared = ((off - design @ fitted) ** 2).sum(axis=1)
        one = share * np.exp(-0.5 * squared / sigma**2) / (2 * np.pi * sigma**2)
        weight = one / (one + (1 - share) * by_chance)
        weighted = design * weight[:, None]
        if weight.sum() < MIN_PAIRS / 2:
            return Colour(name)
        # A trace of the start keeps the sum solvable for spots on one line.
        fitted = np.linalg.solve(weighted.T @ design + 1e-6 * np.eye(3), weighted.T @ off)
        squared = ((off - design @ fitted) ** 2).sum(axis=1)
        sigma = max(float(np.sqrt((weight * squared).sum() / (2 * weight.sum()))), LEAST_SIGMA_PX)
        share = float(np.clip(weight.mean(), 0.01, 0.99))
    near = squared <= (2 * sigma) ** 2
    chance = (1 - share) * len(at) * (2 * sigma / REACH_PX) ** 2
    n_pairs = int(near.sum() - chance)
    if n_pairs < max(MIN_PAIRS, SIGNIFICANT * np.sqrt(chance)):
        return Colour(name, n_pairs=max(n_pairs, 0))
    linear = np.eye(2) + fitted[1:].T / scale
    return Colour(
        name,
        ((float(linear[0, 0]), float(linear[0, 1])), (float(linear[1, 0]), float(linear[1, 1]))),
        (float(fitted[0, 0]), float(fitted[0, 1])),
        n_pairs,
        float(np.median(np.sqrt(squared[weight > 0.5]))),
        is_aligned=True,
    )


def _commonest(off: Floats) -> Floats:
    """Find the commonest of displacements, to within a smoothed bin."""
    edges = np.arange(-REACH_PX, REACH_PX + BIN_PX / 2, BIN_PX)
    counts, _, _ = np.histogram2d(off[:, 0], off[:, 1], bins=(edges, edges))
    smooth = ndi.gaussian_filter(counts, START_SIGMA_PX / BIN_PX / 2, mode="constant")
    row, column = np.unravel_index(int(np.argmax(smooth)), smooth.shape)
    return np.array([edges[row] + BIN_PX / 2, edges[column] + BIN_PX / 2])
