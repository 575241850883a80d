"""Pixel-based decoding: the codeword nearest to each pixel's normalised brightness vector."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from cellsam_core.decoding.spots import find_peaks

if TYPE_CHECKING:
    from cellsam_core.decoding.codebook import Codebook

Image = npt.NDArray[np.float32]

CHUNK_PIXELS = 8192  # the products of a chunk stay in the processor's cache
SPOT_NOISE_LEVELS = 6.0
SCALE_ITERATIONS = 3
GOOD_FIT = 0.75  # of the distance of a missing bit
MIN_CALLS_FOR_SCALE = 5
MIN_BRIGHTNESS = 0.18  # of a typical call's; low enough that the blanks decide, not this


class Nearest(NamedTuple):
    """Nearest codeword of each vector.

    Attributes
    ----------
    codeword
        ``(n,)`` int32, index into the codebook.
    projection
        ``(n,)`` float32: length of the vector along its codeword's unit vector.
    distance
        ``(n,)`` float32: between the two unit vectors, 0 to sqrt(2); sqrt(2) for no light.
    """

    codeword: npt.NDArray[np.int32]
    projection: npt.NDArray[np.float32]
    distance: npt.NDArray[np.float32]


def nearest_codewords(
    vectors: npt.NDArray[np.float32], unit_vectors: npt.NDArray[np.float32]
) -> Nearest:
    """Find the codeword at the least Euclidean distance after normalisation to length 1.

    Parameters
    ----------
    vectors
        ``(bits, n)`` brightness, none negative.
    unit_vectors
        ``(codewords, bits)``, each of length 1.

    Returns
    -------
    Nearest
        The first of the codewords at the same distance.
    """
    n = vectors.shape[1]
    codeword = np.empty(n, dtype=np.int32)
    projection = np.empty(n, dtype=np.float32)
    for start in range(0, n, CHUNK_PIXELS):
        chunk = slice(start, start + CHUNK_PIXELS)
        products = vectors[:, chunk].T @ unit_vectors.T
        best = products.argmax(axis=1)
        codeword[chunk] = best
        projection[chunk] = np.take_along_axis(products, best[:, None], axis=1)[:, 0]
    length = np.sqrt(np.einsum("bn,bn->n", vectors, vectors))
    cosine = np.divide(projection, length, out=np.zeros_like(projection), where=length > 0)
    distance = np.sqrt(np.maximum(2 - 2 * cosine, 0), dtype=np.float32)
    return Nearest(codeword, projection, distance)


class Candidates(NamedTuple):
    """Places where a codeword fits its surroundings best.

    Attributes
    ----------
    row, column
        ``(n,)`` pixels.
    codeword, distance
        ``(n,)`` as in `Nearest`.
    projection
        float32 ``(y, x)``: of all pixels; 0 where it is too dark to decode.
    """

    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    codeword: npt.NDArray[np.int32]
    distance: npt.NDArray[np.float32]
    projection: Image


def find_candidates(stack: Image, scale: npt.NDArray[np.float32], codebook: Codebook) -> Candidates:
    """Decode every pixel and keep the peaks.

    A candidate is brighter along its codeword than its eight neighbours of the same codeword;
    molecules side by side with different codewords are both found.

    Parameters
    ----------
    stack
        ``(bits, y, x)`` band-passed images in units of their noise.
    scale
        ``(bits,)`` brightness of a typical lit bit, see `brightness_scale`.
    codebook
        Its `distance_cut` bounds the distance.
    """
    n_bits, height, width = stack.shape
    weight = codebook.bits.sum(axis=1)
    least = MIN_BRIGHTNESS * np.sqrt(weight)
    vectors = np.maximum(stack.reshape(n_bits, -1) / scale[:, None], 0)
    # No projection is longer than its vector: most pixels need no decoding.
    length = np.sqrt(np.einsum("bn,bn->n", vectors, vectors))
    pixels = np.flatnonzero(length > least.min(initial=np.inf))
    nearest = nearest_codewords(np.ascontiguousarray(vectors[:, pixels]), codebook.unit_vectors)
    is_bright = nearest.projection > least[nearest.codeword]
    is_near = nearest.distance <= codebook.distance_cut[nearest.codeword]
    word = np.full(height * width, -1, dtype=np.int32)
    projection, distance = np.zeros((2, height * width), dtype=np.float32)
    word[pixels] = np.where(is_bright & is_near, nearest.codeword, -1)
    projection[pixels], distance[pixels] = nearest.projection, nearest.distance
    row, column = _peaks_of_each(word.reshape(height, width), projection.reshape(height, width))
    at = row * width + column
    return Candidates(row, column, word[at], distance[at], projection.reshape(height, width))


def _peaks_of_each(
    word: npt.NDArray[np.int32], height: Image
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pixels that no neighbour of the same word overtops; of equal ones the first."""
    row, column = np.nonzero(word >= 0)
    is_peak = np.ones(len(row), dtype=bool)
    padded_word = np.pad(word, 1, constant_values=-1)
    padded = np.pad(height, 1)
    here, value = word[row, column], height[row, column]
    for i, (dy, dx) in enumerate(np.ndindex(3, 3)):
        if (dy, dx) == (1, 1):
            continue
        other = padded[row + dy, column + dx]
        beaten = other >= value if i < 4 else other > value
        is_peak &= ~((padded_word[row + dy, column + dx] == here) & beaten)
    return row[is_peak], column[is_peak]


def brightness_scale(stack: Image, codebook: Codebook) -> npt.NDArray[np.float32]:
    """Brightness of a lit bit, bit by bit, from the data's own calls.

    Starts from the spots of each bit and then, a few times over, decodes and takes the median
    brightness of a bit in the calls that should have it lit and fit their codeword well. Bits
    with fewer than five such calls keep what they have.

    Parameters
    ----------
    stack
        ``(bits, y, x)`` band-passed images in units of their noise.

    Returns
    -------
    ndarray
        ``(bits,)``, above 0.
    """
    scale = np.array([_spot_height(image) for image in stack], dtype=np.float32)
    for _ in range(SCALE_ITERATIONS):
        found = find_candidates(stack, scale, codebook)
        good = found.distance < codebook.correctable_distance[found.codeword] * GOOD_FIT
        lit = codebook.bits[found.codeword[good]]
        values = stack[:, found.row[good], found.column[good]].T
        for bit in range(len(scale)):
            if lit[:, bit].sum() >= MIN_CALLS_FOR_SCALE:
                scale[bit] = max(np.median(values[lit[:, bit], bit]), 1.0)
    return scale


def _spot_height(image: Image) -> float:
    """Median height of an image's spots in noise levels; the least height if it has none."""
    peaks = image[find_peaks(image, SPOT_NOISE_LEVELS)]
    return float(np.median(peaks)) if len(peaks) else SPOT_NOISE_LEVELS
