"""Colours of raw rounds aligned by the spots of some fields; the file that holds the transforms."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.decoding.colours import Colour, Spots, measure_colours
from cellsam_core.decoding.decode_field import register
from cellsam_core.decoding.pixels import SPOT_NOISE_LEVELS
from cellsam_core.decoding.spots import band_pass, find_peaks, noise_level, refine
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.tables import table_errors

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.decoding.experiment import RawExperiment, RawField

ENOUGH_SPOTS = 30_000
LEAST_FIELDS, MOST_FIELDS = 4, 24


def align_colours(raw: RawExperiment, sigma_px: float) -> dict[str, Colour]:
    """Measure where the colours of the bits lie against each other, in some fields of a slide.

    Parameters
    ----------
    raw
        The rounds.
    sigma_px
        Standard deviation of a spot.

    Returns
    -------
    dict
        Colour -> its transform; empty if all bits are of one colour, or the files name none.

    Raises
    ------
    InputError
        An image can't be read, or a round shows too few beads.
    """
    if len(set(raw.colour_of_bit)) < 2:
        return {}
    fields: list[Spots] = []
    n_spots = 0
    for number in spread(len(raw.fields))[:MOST_FIELDS]:
        if len(fields) >= LEAST_FIELDS and n_spots >= ENOUGH_SPOTS:
            break
        fields.append(_spots(raw, raw.fields[number], sigma_px))
        n_spots += sum(map(len, fields[-1].yx))
    return measure_colours(fields, raw.codebook, raw.colour_of_bit)


def spread(n: int) -> list[int]:
    """Order the numbers 0 to n - 1 so that the first of them are spread over all."""
    golden = (5**0.5 - 1) / 2
    return sorted(range(n), key=lambda i: ((i + 0.5) * golden) % 1)


def _spots(raw: RawExperiment, field: RawField, sigma_px: float) -> Spots:
    """Find the spots of all bits of the middle plane."""
    drifts, _ = register(raw, field)
    middle = (np.array(raw.shape_yx) - 1) / 2
    found = []
    for plane, number in zip(field.bits[len(field.bits) // 2], raw.round_of_bit, strict=True):
        filtered = band_pass(raw.read(plane).astype(np.float32), sigma_px)
        filtered /= np.float32(noise_level(filtered))
        yx = refine(filtered, *find_peaks(filtered, SPOT_NOISE_LEVELS))
        found.append(np.stack(yx, axis=1) - drifts[number].shift_yx - middle)
    return Spots(found)


def write_colours(path: Path, colours: dict[str, Colour]) -> None:
    """Write the transforms of the colours as JSON."""
    with atomic_path(path) as temporary:
        content = {"colours": [as_json(colour) for colour in colours.values()]}
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_colours(path: Path) -> dict[str, Colour]:
    """Read the transforms that `write_colours` wrote.

    Raises
    ------
    InputError
        The file can't be read or holds something else.
    """
    with table_errors(path):
        said = json.loads(path.read_text(encoding="utf-8"))["colours"]
        return {item["name"]: colour_of_json(item) for item in said}


def as_json(colour: Colour) -> dict[str, Any]:
    """Describe a colour as JSON, which knows no NaN."""
    residual = colour.residual_px
    return asdict(colour) | {"residual_px": None if np.isnan(residual) else residual}


def colour_of_json(item: dict[str, Any]) -> Colour:
    """Make a colour of its description."""
    said = dict(item)
    if said["residual_px"] is None:
        said["residual_px"] = float("nan")
    said["matrix"] = tuple(tuple(row) for row in said["matrix"])
    said["shift_yx"] = tuple(said["shift_yx"])
    return Colour(**said)
