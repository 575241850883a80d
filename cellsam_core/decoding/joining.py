"""Decoded fields joined to one slide: mosaics, transcripts counted once, one error rate."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.decoding.align import colour_of_json
from cellsam_core.decoding.bit_order import check_order, list_orders, word_spots
from cellsam_core.decoding.decode_field import SPOTS_NAME
from cellsam_core.decoding.decoded import DecodedWriter
from cellsam_core.decoding.positions import BEAD, Points, refine_positions
from cellsam_core.decoding.quality import doubts
from cellsam_core.decoding.seams import owned_calls
from cellsam_core.decoding.spot_size import measured_sigma_px
from cellsam_core.decoding.stage_axes import check_positions
from cellsam_core.mosaic import Mosaic
from cellsam_core.samples.placement import refuse_scattered

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from cellsam_core.decoding.codebook import Codebook
    from cellsam_core.decoding.experiment import RawExperiment
    from cellsam_core.decoding.field import Calls
    from cellsam_core.decoding.field_files import FieldFiles
    from cellsam_core.decoding.options import DecodeOptions
    from cellsam_core.decoding.positions import Refined

log = logging.getLogger(__name__)

SHIFT_KEYS = ("stage_shift_y_px", "stage_shift_x_px")
MIN_LIGHT = 0.05
"""Light of a bit, as a share of that of the others, below which it is called dark."""

MIN_GENES = 5
"""Fewest genes of a bit that is judged: fewer may all be absent from a tissue."""

FIELDS_HELD = 64
"""Number of fields whose calls are held: about two rows of a large slide."""


def place_fields(
    path: str | Path,
    raw: RawExperiment,
    points_of: Callable[[int], Points],
    stage_error_px: float,
) -> tuple[Mosaic, Refined]:
    """Lay the fields out where the stage says, refined in their overlaps.

    Parameters
    ----------
    path
        Folder of the raw rounds, for messages.
    raw
        The rounds.
    points_of
        Function that returns the points of a field that its neighbours see as well.
    stage_error_px
        Largest error of a position; 0 keeps them.

    Raises
    ------
    InputError
        The fields are scattered so far that they can't be of one sample, or what they show in
        their overlaps contradicts their positions.
    """
    positions = np.array([field.origin_um for field in raw.fields])
    refuse_scattered(path, positions / raw.pixel_size_um, raw.shape_yx)
    stage = Mosaic.from_positions(list(map(tuple, positions)), raw.shape_yx, raw.pixel_size_um)
    found = refine_positions(stage, points_of, stage_error_px)
    check_positions(path, stage, points_of, stage_error_px, found)
    # The layout of the stage is rounded to pixels; the corrections are against that.
    low = positions.min(axis=0)
    rounded = low + stage.offset_yx[:, ::-1] * raw.pixel_size_um
    linked = {number for link in found.links for number in (link.first, link.second)}
    is_linked = np.isin(np.arange(len(positions)), sorted(linked))[:, None]
    refined = np.where(is_linked, rounded + found.shift_yx[:, ::-1] * raw.pixel_size_um, positions)
    places = list(map(tuple, refined))
    return Mosaic.from_positions(places, raw.shape_yx, raw.pixel_size_um), found


def shared_points(field: FieldFiles, calls: Calls) -> Points:
    """Return the molecules and beads of a field, which its neighbours see as well."""
    likely, beads = calls.take(calls.log_odds > 0), field.beads_yx()
    yx = np.concatenate([np.stack([likely.y_px, likely.x_px], axis=1), beads])
    kind = np.concatenate([likely.codeword.astype(np.int64), np.full(len(beads), BEAD)])
    return Points(yx, kind)


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
    n_words = np.sum([field.n_words() for field in fields], axis=0)
    check_order(path, list_orders(raw), n_words)

    @lru_cache(FIELDS_HELD)
    def calls_of(number: int) -> Any:
        return fields[number].calls()

    @lru_cache(FIELDS_HELD)
    def points_of(number: int) -> Any:
        return shared_points(fields[number], calls_of(number))

    mosaic, found = place_fields(path, raw, points_of, options.stage_error_px)
    n_links = np.bincount([n for link in found.links for n in link[:2]], minlength=len(fields))
    if len(fields) > 1 and options.stage_error_px > 0 and not n_links.all():
        log.warning(
            "%d of %d fields share too little with others and keep the position of the stage",
            int((n_links == 0).sum()),
            len(fields),
        )

    bright_px, light = np.zeros(len(raw.codebook.bit_names), np.int64), np.zeros(3)
    at_lowest: list[float] = []
    with DecodedWriter(root, raw.codebook, mosaic) as writer:
        for number, field in enumerate(fields):
            for name in field.facts["images"]:
                add = writer.add_spots if name == SPOTS_NAME else writer.add_stain
                add(number, name, field.image(name))
            calls = owned_calls(mosaic, number, calls_of)
            n_calls = writer.add_calls(number, raw.fields[number].name, calls)
            quality = {**field.facts["quality"], "n_candidates": n_calls}
            bright_px += np.array(quality.pop("bright_px", 0))
            light += np.array(quality.pop("spot_light"))
            at_lowest.append(quality["share_at_lowest"])
            del quality["n_words"]
            quality |= dict(zip(SHIFT_KEYS, found.shift_yx[number].tolist(), strict=True))
            writer.fields.append(quality | {"n_links": int(n_links[number])})
            log.info("field %d of %d: %d candidates", number + 1, len(fields), n_calls)
        searched_px = options.spot_sigma_px
        measured_px = measured_sigma_px(light, searched_px)
        seen = {
            "share_at_lowest": float(np.median(at_lowest)),
            "spot_sigma_px": {"measured": measured_px, "searched": searched_px},
            "dark_bits": dark_bits(raw.codebook, bright_px),
            "word_spots": word_spots(raw.codebook, n_words),
        }
        for said in doubts(seen):
            log.warning("%s", said)
        alignment = seen | {
            "colours": _colours(fields[0].facts["settings"]["colours"], raw.shape_yx),
            "stage": _stage(found, n_links),
        }
        summary = writer.finish(options.misidentification_rate, alignment)
    if not summary["n_gene_calls"]:
        log.warning(
            "no molecule of a gene was called: look at the images, and test if the codebook and the"
            " table of the rounds are those of this sample"
        )
    return summary


def dark_bits(codebook: Codebook, bright_px: NDArray[np.int64]) -> list[str]:
    """Name the bits that show hardly any light, for as many words as light them.

    Parameters
    ----------
    codebook
        Features and their bits.
    bright_px
        ``(bits,)``: pixels of each bit that are well above its noise, in all fields.
    """
    n_words = codebook.bits[~codebook.is_blank].sum(axis=0)
    is_used = n_words >= MIN_GENES
    if not is_used.any():
        return []
    share = bright_px / np.maximum(n_words, 1)
    is_dark = is_used & (share < MIN_LIGHT * np.median(share[is_used]))
    return [codebook.bit_names[i] for i in np.flatnonzero(is_dark)]


def _colours(said: list[dict[str, Any]], shape_yx: tuple[int, int]) -> list[dict[str, Any]]:
    """Describe the alignment of each colour for the report."""
    colours = [colour_of_json(item) for item in said]
    return [
        {**item, "largest_shift_px": colour.largest_shift_px(shape_yx)}
        for item, colour in zip(said, colours, strict=True)
    ]


def _stage(found: Refined, n_links: NDArray[np.int64]) -> dict[str, Any]:
    """Describe the refined positions for the report."""
    residuals = [link.residual_px for link in found.links]
    return {
        "n_fields": len(n_links),
        "n_linked_fields": int((n_links > 0).sum()),
        "n_links": len(found.links),
        "n_links_left_out": found.n_left_out,
        "residual_px": float(np.median(residuals)) if residuals else None,
        "largest_shift_px": float(np.hypot(*found.shift_yx.T).max()),
    }
