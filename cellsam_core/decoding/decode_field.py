"""One field of raw rounds: its rounds are registered, its planes decoded, its stains in place."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.decoding.bit_order import count_words, list_orders
from cellsam_core.decoding.colours import Colour
from cellsam_core.decoding.field import (
    decode_plane,
    drop_duplicates,
    in_place,
    join,
    prepare_bits,
)
from cellsam_core.decoding.registration import MIN_BEADS, find_beads, measure_drift
from cellsam_core.decoding.spot_size import spot_light
from cellsam_core.decoding.spots import LIT
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from cellsam_core.decoding.experiment import RawExperiment, RawField
    from cellsam_core.decoding.field import Calls, Detector
    from cellsam_core.decoding.registration import Drift
    from cellsam_core.files.plane import Plane

SPOTS_NAME = "spots"
SPOTS_PER_NOISE_LEVEL = 50  # grey values


@dataclass(frozen=True)
class DecodedField:
    """Content of one field, which does not depend on other fields.

    Attributes
    ----------
    calls
        All calls, in pixels of the field, good and bad ones.
    images
        Name -> image ``(y, x)`` of each stain in the place of the first round; without stains the
        maximum of all spots, as ``spots``.
    beads_yx
        float64 ``(n, 2)``: beads of the first round, in pixels.
    quality
        Figures for the report.
    """

    calls: Calls
    images: dict[str, NDArray[Any]]
    beads_yx: NDArray[np.float64]
    quality: dict[str, Any]


def decode_field(
    raw: RawExperiment,
    field: RawField,
    sigma_px: float,
    detect: Detector | None = None,
    colours: Mapping[str, Colour] | None = None,
) -> DecodedField:
    """Register the rounds of a field and decode all its planes.

    Parameters
    ----------
    raw
        The rounds.
    field
        Field of it.
    sigma_px
        Standard deviation of a spot.
    detect
        Function that finds spots, see :func:`.field.prepare_bits`.
    colours
        Transforms of the colours; those that it lacks are where the first one is.

    Raises
    ------
    InputError
        An image can't be read, or a round shows too few beads.
    """
    drifts, beads_yx = register(raw, field)
    known = colours or {}
    of_bit = [drifts[number] for number in raw.round_of_bit]
    colour_of_bit = [known.get(name, Colour(name)) for name in raw.colour_of_bit]
    planes, models, brightest = [], [], []
    lowest: list[float] = []
    bright_px = np.zeros(len(raw.round_of_bit), np.int64)
    n_words, light = np.zeros(0, np.int64), np.zeros(3)
    for z, bits in enumerate(field.bits):
        stack = prepare_bits(read_bits(raw, bits, lowest), of_bit, sigma_px, detect, colour_of_bit)
        bright_px += np.count_nonzero(stack > LIT, axis=(1, 2))
        calls, model = decode_plane(stack, raw.codebook, z)
        if z == len(field.bits) // 2:
            # One plane of the field, since others show the same molecules again.
            n_words = count_words(stack, raw.codebook, list_orders(raw))
            light = spot_light(stack, calls, raw.codebook)
        planes.append(calls)
        models.append(model)
        if not raw.round_of_stain:
            brightest.append(stack.max(axis=0))
    stains: dict[str, NDArray[Any]] = {}
    for stain, plane in field.stains.items():
        drift, colour = drifts[raw.round_of_stain[stain]], raw.colour_of_stain[stain]
        stains[stain] = _in_place(raw.read(plane), drift, known.get(colour))
    if brightest:
        grey = np.maximum.reduce(brightest) * SPOTS_PER_NOISE_LEVEL
        stains[SPOTS_NAME] = np.clip(grey, 0, 65535).astype(np.uint16)
    quality = {
        "field": field.name,
        "rounds": [_quality(number, drift) for number, drift in drifts.items()],
        "dropout": sum(model.dropout for model in models) / len(models),
        "false_bit": sum(model.false_bit for model in models) / len(models),
        "bright_px": bright_px.tolist(),
        "n_words": n_words.tolist(),
        "spot_light": light.tolist(),
        "share_at_lowest": float(np.median(lowest)),
        "seen_px": _seen(raw.shape_yx, drifts.values()),
    }
    return DecodedField(drop_duplicates(join(planes)), stains, beads_yx, quality)


def read_bits(raw: RawExperiment, bits: list[Plane], lowest: list[float]) -> Iterator[NDArray[Any]]:
    """Read the images of the bits of a plane, one after the other.

    Parameters
    ----------
    raw
        The rounds.
    bits
        Image of each bit.
    lowest
        List to which each image adds the share of its pixels that have its lowest value.

    Raises
    ------
    InputError
        An image can't be read, or two bits have the same image: genes that light one of them would
        be lost.
    """
    number_of: dict[bytes, int] = {}
    for number, plane in enumerate(bits):
        image = raw.read(plane)
        lowest.append(float(np.mean(image == image.min())))
        digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        other = number_of.setdefault(digest, number)
        if other != number and image.min() < image.max():
            names, there = raw.codebook.bit_names, bits[other]
            raise InputError(
                plane.path,
                found=f"the same image for {names[number]}, in page {plane.page}, as for"
                f" {names[other]}, in page {there.page} of {Path(there.path).name}",
                expected="an image of its own for each bit",
                remedy="correct the table of the rounds, or export the images of the round again",
            )
        yield image


def register(raw: RawExperiment, field: RawField) -> tuple[dict[int, Drift], NDArray[np.float64]]:
    """Measure the drift of each imaging round against the field's first.

    Returns
    -------
    tuple
        Drift of each round, and the beads of the first one, ``(n, 2)`` in pixels.

    Raises
    ------
    InputError
        A round shows too few beads of the first one.
    """
    rounds = sorted(field.fiducials)
    reference = find_beads(raw.read(field.fiducials[rounds[0]]))
    drifts = {n: measure_drift(reference, find_beads(raw.read(field.fiducials[n]))) for n in rounds}
    for number, drift in drifts.items():
        if drift.n_beads < MIN_BEADS:
            raise InputError(
                field.fiducials[number].path,
                found=f"{drift.n_beads} fiducials that the first round shows as well",
                expected=f"{MIN_BEADS} or more in field {field.name!r}",
                remedy="check the fiducial's page, or move the images of this field out of the"
                " folder",
            )
    return drifts, reference.yx


def _quality(number: int, drift: Drift) -> dict[str, Any]:
    return {
        "imaging_round": number,
        "shift_y_px": float(drift.shift_yx[0]),
        "shift_x_px": float(drift.shift_yx[1]),
        "residual_px": drift.residual_px,
        "n_fiducials": drift.n_beads,
    }


def _in_place(
    image: NDArray[np.generic], drift: Drift, colour: Colour | None
) -> NDArray[np.generic]:
    """Bring a stain into the place of the first round; its grey values keep their type."""
    moved = in_place(image.astype(np.float32), drift, colour)
    return np.rint(moved).astype(image.dtype)


def _seen(shape_yx: tuple[int, int], drifts: Iterable[Drift]) -> list[float]:
    """Return the first and last row and column that every round shows."""
    shifts = np.array([drift.shift_yx for drift in drifts])
    last = np.array(shape_yx) - 1
    low, high = np.maximum(-shifts, 0).max(axis=0), np.minimum(last - shifts, last).min(axis=0)
    return [float(low[0]), float(high[0]), float(low[1]), float(high[1])]
