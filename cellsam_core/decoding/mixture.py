"""Mixture model over brightness vectors: codewords, background, and spots of no codeword.

A bit's brightness, in noise levels and on a scale that is linear in the noise and logarithmic
above it, is drawn from one of two normal distributions, *dark* or *lit*, whose parameters are the
bit's own. A molecule lights the bits of its codeword, but loses each with the chance `dropout` and
shows each other bit with the chance `false_bit`. Background lights none; a spot of no codeword
lights every bit with the same chance. This is the model of Polaris (Laubscher et al., Cell Systems
2024, 10.1016/j.cels.2024.04.006) with normal distributions in place of relaxed Bernoulli ones, so
that all codewords are scored by one matrix product and fitted by expectation maximisation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import expit

if TYPE_CHECKING:
    from cellsam_core.decoding.codebook import Codebook

Array = npt.NDArray[np.float32]

ITERATIONS = 12
CHUNK_SPOTS = 8192
MIN_SD = 0.15
TINY = 1e-12


@dataclass(frozen=True)
class BitModel:
    """Brightness of dark and lit bits.

    Attributes
    ----------
    dark_mean, dark_sd, lit_mean, lit_sd
        ``(bits,)`` float32, of ``arcsinh(noise levels / 2)``.
    dropout, false_bit
        Chance that a bit of the codeword is dark, that another one is lit.
    """

    dark_mean: Array
    dark_sd: Array
    lit_mean: Array
    lit_sd: Array
    dropout: float
    false_bit: float


class Scores(NamedTuple):
    """How well spots fit their codeword.

    Attributes
    ----------
    codeword
        ``(n,)`` int32: the most likely one.
    log_odds
        ``(n,)`` float32: logarithm of the odds of it against all other codewords, background and
        spots of no codeword. ``expit(log_odds)`` is the posterior.
    """

    codeword: npt.NDArray[np.int32]
    log_odds: Array


def compress(noise_levels: Array) -> Array:
    """Scale on which brightness is modelled: linear in the noise, logarithmic above it."""
    compressed: Array = np.arcsinh(noise_levels / 2)
    return compressed


def fit(values: Array, codebook: Codebook, scale: Array) -> BitModel:
    """Fit the model to spots by expectation maximisation with the most likely codeword of each.

    Parameters
    ----------
    values
        ``(n, bits)`` of `compress`.
    codebook
        All codewords are taken as equally frequent: were rare ones thought less likely, blanks
        would vanish and could no longer measure the errors.
    scale
        ``(bits,)`` brightness of lit bits in noise levels, to start from.
    """
    n_bits = values.shape[1]
    model = BitModel(
        np.full(n_bits, 0.3, np.float32),
        np.full(n_bits, 0.7, np.float32),
        compress(scale.astype(np.float32)),
        np.full(n_bits, 0.5, np.float32),
        0.1,
        0.03,
    )
    if not len(values):
        return model
    for _ in range(ITERATIONS):
        scores = score(values, codebook, model)
        posterior = expit(scores.log_odds)[:, None]
        should = codebook.bits[scores.codeword]
        dark, lit = _densities(values, model)
        chance = np.where(should, 1 - model.dropout, model.false_bit)
        is_lit = posterior * chance * lit / (chance * lit + (1 - chance) * dark)
        is_dark = 1 - is_lit
        model = BitModel(
            *_moments(values, is_dark, model.dark_mean, model.dark_sd),
            *_moments(values, is_lit, model.lit_mean, model.lit_sd),
            _share((posterior - is_lit)[should], (posterior * should)[should], 0.3),
            _share(is_lit[~should], (posterior * ~should)[~should], 0.2),
        )
    return model


def unknown(n_bits: int) -> BitModel:
    """Model of bits of which nothing was learned."""
    nothing = np.full(n_bits, np.nan, np.float32)
    return BitModel(nothing, nothing, nothing, nothing, float("nan"), float("nan"))


def score(values: Array, codebook: Codebook, model: BitModel) -> Scores:
    """Most likely codeword of each spot and its log odds.

    Parameters
    ----------
    values
        ``(n, bits)`` of `compress`.
    """
    codewords = codebook.bits.astype(np.float32)
    chance_lit = float(codewords.mean())
    best = np.empty(len(values), dtype=np.int32)
    log_odds = np.empty(len(values), dtype=np.float32)
    for start in range(0, len(values), CHUNK_SPOTS):
        chunk = slice(start, start + CHUNK_SPOTS)
        dark, lit = _densities(values[chunk], model)
        log_off = np.log(dark * (1 - model.false_bit) + lit * model.false_bit)
        log_on = np.log(lit * (1 - model.dropout) + dark * model.dropout)
        # All relative to "every bit is off", the background.
        words = (log_on - log_off) @ codewords.T
        unknown = (np.log(lit * chance_lit + dark * (1 - chance_lit)) - log_off).sum(axis=1)
        best[chunk] = words.argmax(axis=1)
        at = np.arange(len(words)), best[chunk]
        top = words[at]
        words[at] = -np.inf
        equal_share = np.log(len(codewords))
        others = np.logaddexp.reduce(words, axis=1) - equal_share
        rest = np.logaddexp(np.logaddexp(others, unknown), 0)
        log_odds[chunk] = top - equal_share - rest
    return Scores(best, log_odds)


def _densities(values: Array, model: BitModel) -> tuple[Array, Array]:
    dark, lit = (
        np.exp(-0.5 * ((values - mean) / sd) ** 2) / sd + np.float32(TINY)
        for mean, sd in ((model.dark_mean, model.dark_sd), (model.lit_mean, model.lit_sd))
    )
    return dark, lit


def _moments(values: Array, weight: Array, mean: Array, sd: Array) -> tuple[Array, Array]:
    """Weighted mean and deviation of each bit; what was before where there is hardly any weight."""
    total = weight.sum(axis=0)
    new_mean = (weight * values).sum(axis=0) / np.maximum(total, TINY)
    variance = (weight * (values - new_mean) ** 2).sum(axis=0) / np.maximum(total, TINY)
    known = total >= 3
    return (
        np.where(known, new_mean, mean).astype(np.float32),
        np.where(known, np.maximum(np.sqrt(variance), MIN_SD), sd).astype(np.float32),
    )


def _share(part: Array, whole: Array, most: float) -> float:
    return float(np.clip(part.sum() / max(float(whole.sum()), TINY), 0.002, most))
