"""Decoded fields joined to one slide: mosaics, transcripts counted once, one error rate."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.decoding.decode_field import SPOTS_NAME
from cellsam_core.decoding.decoded import DecodedWriter
from cellsam_core.decoding.seams import owned_calls
from cellsam_core.mosaic import Mosaic
from cellsam_core.samples.placement import refuse_scattered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cellsam_core.decoding.experiment import RawExperiment
    from cellsam_core.decoding.field_files import FieldFiles
    from cellsam_core.decoding.options import DecodeOptions

log = logging.getLogger(__name__)

FIELDS_HELD = 64
"""Number of fields whose calls are held: about two rows of a large slide."""


def place_fields(path: str | Path, raw: RawExperiment) -> Mosaic:
    """Lay the fields out where the stage says.

    Parameters
    ----------
    path
        Folder of the raw rounds, for messages.
    raw
        The rounds.

    Raises
    ------
    InputError
        The fields are scattered so far that they can't be of one sample.
    """
    positions = [field.origin_um for field in raw.fields]
    refuse_scattered(path, np.array(positions) / raw.pixel_size_um, raw.shape_yx)
    return Mosaic.from_positions(positions, raw.shape_yx, raw.pixel_size_um)


def join(
    path: str | Path,
    raw: RawExperiment,
    fields: Sequence[FieldFiles],
    root: Path,
    options: DecodeOptions,
) -> dict[str, Any]:
    """Write the folder of a slide from its decoded fields.

    Parameters
    ----------
    path
        Folder of the raw rounds, for messages.
    raw
        The rounds.
    fields
        One decoded field for each of them.
    root
        Empty folder to fill.
    options
        Options of decoding.

    Returns
    -------
    dict
        Numbers of calls and the rate that they have.
    """
    mosaic = place_fields(path, raw)

    @lru_cache(FIELDS_HELD)
    def calls_of(number: int) -> Any:
        return fields[number].calls()

    with DecodedWriter(root, raw.codebook, mosaic) as writer:
        for number, field in enumerate(fields):
            for name in field.facts["images"]:
                add = writer.add_spots if name == SPOTS_NAME else writer.add_stain
                add(number, name, field.image(name))
            calls = owned_calls(mosaic, number, calls_of)
            n_calls = writer.add_calls(number, raw.fields[number].name, calls)
            writer.fields.append({**field.facts["quality"], "n_candidates": n_calls})
            log.info("field %d of %d: %d candidates", number + 1, len(fields), n_calls)
        return writer.finish(options.misidentification_rate)
