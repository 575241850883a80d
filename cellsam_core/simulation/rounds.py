"""Synthetic rounds of imaging: every molecule lights the bits of its codeword, imperfectly."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cellsam_core.decoding.codebook import Codebook, from_pseudocolours
from cellsam_core.simulation.optics import expose, illumination, smooth_noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Image = NDArray[np.float32]

PATCH_RADIUS_SIGMA = 4
MARGIN_PX = 16  # beads and molecules beyond the edge, which drift brings into view
OFFSET_COUNTS = 200.0
PHOTONS_PER_COUNT = 0.25
READ_NOISE_PHOTONS = 3.0
BEADS_PER_MEGAPIXEL = 400
MIN_BEADS = 24
BEAD_COUNTS = 4000.0
DARKEST = 0.01  # share of the brightness below which a molecule is not drawn in a plane


@dataclass(frozen=True)
class RoundsSpec:
    """Imperfections of simulated rounds.

    Attributes
    ----------
    sigma_px
        Standard deviation of the point spread function.
    spot_counts, spot_variation
        Median peak height of a spot; standard deviation of its logarithm, by molecule and again
        by bit.
    dropout, false_bit
        Chance that a lit bit stays dark, or that one dark bit of a molecule is lit.
    drift_px
        Standard deviation of the drift of a round against the first, along each axis.
    unevenness
        Half range of the illumination over the field; standard deviation of the logarithm of the
        brightness of the bits.
    background_counts
        Autofluorescence.
    """

    sigma_px: float = 1.3
    spot_counts: float = 500.0
    spot_variation: float = 0.25
    dropout: float = 0.08
    false_bit: float = 0.05
    drift_px: float = 4.0
    unevenness: float = 0.3
    background_counts: float = 300.0


class Rounds(NamedTuple):
    """Images of one field.

    Attributes
    ----------
    planes
        uint16 ``(planes, bits, y, x)``.
    fiducials
        uint16 ``(rounds, y, x)``: beads.
    drift_yx
        float64 ``(rounds, 2)``: shift of each round against round 0, in pixels.
    """

    planes: NDArray[np.uint16]
    fiducials: NDArray[np.uint16]
    drift_yx: NDArray[np.float64]

    @property
    def bits(self) -> NDArray[np.uint16]:
        """Bits of the first plane, uint16 ``(bits, y, x)``."""
        first: NDArray[np.uint16] = self.planes[0]
        return first


class Optics(NamedTuple):
    """Distortions of the light that all fields share.

    Attributes
    ----------
    matrix, shift_yx
        ``(bits, 2, 2)`` and ``(bits, 2)``: a thing at ``p`` from the middle of a field is seen at
        ``matrix @ p + shift_yx`` in a bit, in pixels.
    """

    matrix: NDArray[np.float64]
    shift_yx: NDArray[np.float64]


def draw_optics(
    rng: np.random.Generator,
    colour_of_bit: NDArray[np.int64],
    shape_yx: tuple[int, int],
    largest_px: float,
) -> Optics | None:
    """Draw where each colour but the first is seen; None without a distortion.

    Parameters
    ----------
    rng
        Source of all randomness.
    colour_of_bit
        ``(bits,)``: number of the colour of each bit.
    shape_yx
        Height and width of a field in pixels.
    largest_px
        Largest distance from the first colour, at one of the corners.
    """
    if largest_px == 0:
        return None
    corners = np.array([(-1, -1), (-1, 1), (1, -1), (1, 1)]) * (np.array(shape_yx) - 1) / 2
    n_colours = int(colour_of_bit.max()) + 1
    matrix, shift = np.tile(np.eye(2), (n_colours, 1, 1)), np.zeros((n_colours, 2))
    for colour in range(1, n_colours):
        linear = rng.normal(0, 1 / float(np.abs(corners).max()), size=(2, 2))
        offset = rng.normal(0, 1, size=2)
        scale = largest_px / np.hypot(*(corners @ linear.T + offset).T).max()
        matrix[colour] += scale * linear
        shift[colour] = scale * offset
    return Optics(matrix[colour_of_bit], shift[colour_of_bit])


def mhd4_codebook(
    genes: Sequence[str], blanks: Sequence[str], rng: np.random.Generator
) -> Codebook:
    """Give features 16-bit codewords of weight 4 which differ in at least 4 bits.

    These are the 140 words of weight 4 of the extended Hamming code: numbers of four bits whose
    exclusive or is 0 (Chen et al., Science 2015, 10.1126/science.aaa6090).
    """
    words = [w for w in combinations(range(16), 4) if w[0] ^ w[1] ^ w[2] ^ w[3] == 0]
    chosen = rng.permutation(len(words))[: len(genes) + len(blanks)]
    bits = np.zeros((len(chosen), 16), dtype=bool)
    for row, word in enumerate(chosen):
        bits[row, list(words[word])] = True
    return Codebook((*genes, *blanks), tuple(f"bit{b + 1}" for b in range(16)), bits)


def parity_colours(
    n_features: int, rng: np.random.Generator, *, rounds: int = 4, n_colours: int = 20
) -> NDArray[np.int64]:
    """Draw pseudocolours ``(features, rounds)`` from 1; the last round is the parity.

    Any three rounds tell the fourth (Eng et al., Nature 2019, 10.1038/s41586-019-1049-y).
    """
    free = rng.choice(n_colours ** (rounds - 1), size=n_features, replace=False)
    digits = np.stack([free // n_colours**i % n_colours for i in range(rounds - 1)], axis=1)
    parity = digits.sum(axis=1, keepdims=True) % n_colours
    return np.hstack([digits, parity]) + 1


def seqfish_codebook(
    genes: Sequence[str], blanks: Sequence[str], rng: np.random.Generator
) -> tuple[Codebook, NDArray[np.int64]]:
    """Give features pseudocolours of 4 rounds of 20; also return these ``(features, 4)``."""
    colours = parity_colours(len(genes) + len(blanks), rng)
    names = [f"round_{r + 1}" for r in range(colours.shape[1])]
    return from_pseudocolours((*genes, *blanks), colours, names), colours


def render(
    shape_yx: tuple[int, int],
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    peak: NDArray[np.float64],
    sigma_px: float,
) -> Image:
    """Draw Gaussian spots of the given peak heights, float32 ``(y, x)``."""
    radius = int(np.ceil(PATCH_RADIUS_SIGMA * sigma_px))
    offset = np.arange(-radius, radius + 1)
    row, column = np.rint(y).astype(int)[:, None] + offset, np.rint(x).astype(int)[:, None] + offset
    profile_y = np.exp(-0.5 * ((row - y[:, None]) / sigma_px) ** 2) * peak[:, None]
    profile_x = np.exp(-0.5 * ((column - x[:, None]) / sigma_px) ** 2)
    padded_width = shape_yx[1] + 2 * radius
    inside = (
        (row >= -radius)[:, :, None]
        & (row < shape_yx[0] + radius)[:, :, None]
        & (column >= -radius)[:, None, :]
        & (column < shape_yx[1] + radius)[:, None, :]
    )
    flat = (row + radius)[:, :, None] * padded_width + (column + radius)[:, None, :]
    light = profile_y[:, :, None] * profile_x[:, None, :]
    n_pixels = (shape_yx[0] + 2 * radius) * padded_width
    image = np.bincount(flat[inside], weights=light[inside], minlength=n_pixels)
    image = image.reshape(-1, padded_width)[radius:-radius, radius:-radius]
    drawn: Image = image.astype(np.float32)
    return drawn


def lit_bits(
    rng: np.random.Generator, codewords: NDArray[np.bool_], spec: RoundsSpec
) -> NDArray[np.float64]:
    """Draw the peak height of every molecule in every bit, ``(molecules, bits)``; 0 is dark."""
    lit = codewords & (rng.random(codewords.shape) >= spec.dropout)
    wrong = rng.random(len(codewords)) < spec.false_bit
    extra = rng.integers(codewords.shape[1], size=len(codewords))
    lit[wrong, extra[wrong]] = True
    molecule = rng.lognormal(0, spec.spot_variation, size=(len(codewords), 1))
    each = rng.lognormal(0, spec.spot_variation, size=codewords.shape)
    of_bit = rng.lognormal(0, spec.unevenness, size=codewords.shape[1])
    peaks: NDArray[np.float64] = lit * spec.spot_counts * molecule * each * of_bit
    return peaks


def simulate_rounds(
    rng: np.random.Generator,
    shape_yx: tuple[int, int],
    molecules: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    round_of_bit: NDArray[np.int64],
    spec: RoundsSpec,
    optics: Optics | None = None,
    focus: NDArray[np.float64] | None = None,
) -> Rounds:
    """Photograph all rounds of a field.

    Parameters
    ----------
    shape_yx
        Height and width in pixels.
    molecules
        ``y, x`` in pixels of round 0, and peak heights ``(molecules, bits)`` of `lit_bits`.
    round_of_bit
        ``(bits,)``: the round in which each bit is imaged.
    spec
        Imperfections.
    optics
        Places of the colours; None if all are in one place.
    focus
        ``(planes, molecules)``: share of its brightness that a molecule has in each plane; None
        for a single plane that shows all.
    """
    y, x, peak = molecules
    focus = np.ones((1, len(y))) if focus is None else focus
    n_rounds = int(round_of_bit.max()) + 1
    drift = rng.normal(0, spec.drift_px, size=(n_rounds, 2))
    drift[0] = 0
    area = np.prod([n + 2 * MARGIN_PX for n in shape_yx])
    n_beads = max(MIN_BEADS, round(BEADS_PER_MEGAPIXEL * float(area) / 1e6))
    beads = rng.uniform(-MARGIN_PX, np.array(shape_yx) + MARGIN_PX, size=(n_beads, 2))
    height = BEAD_COUNTS * rng.lognormal(0, 0.3, size=n_beads)
    fiducials = []
    for dy, dx in drift:
        light = render(shape_yx, beads[:, 0] + dy, beads[:, 1] + dx, height, spec.sigma_px)
        fiducials.append(_photograph(rng, light))
    tissue = np.exp(0.5 * smooth_noise(rng, shape_yx, 24.0)) * np.float32(spec.background_counts)
    middle = (np.array(shape_yx) - 1) / 2
    planes = []
    for brightness in focus:
        bits = []
        for bit, round_ in enumerate(round_of_bit):
            lit = (peak[:, bit] > 0) & (brightness > DARKEST)
            light = illumination(rng, shape_yx, spec.unevenness)
            at = np.column_stack([y[lit], x[lit]])
            if optics is not None:
                at = (at - middle) @ optics.matrix[bit].T + middle + optics.shift_yx[bit]
            at = at + drift[round_]
            height = peak[lit, bit] * brightness[lit]
            spots = render(shape_yx, at[:, 0], at[:, 1], height, spec.sigma_px)
            bits.append(_photograph(rng, (spots + tissue) * light))
        planes.append(np.stack(bits))
    return Rounds(np.stack(planes), np.stack(fiducials), drift)


def _photograph(rng: np.random.Generator, scene: Image) -> NDArray[np.uint16]:
    counts = expose(rng, scene, photons=PHOTONS_PER_COUNT, read_noise=READ_NOISE_PHOTONS)
    grey: NDArray[np.uint16] = np.clip(np.rint(counts + OFFSET_COUNTS), 0, 65535).astype(np.uint16)
    return grey
