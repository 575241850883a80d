"""Options of giving transcripts to cells."""

from __future__ import annotations

from typing import Literal

from cellsam_core.options import Options, option, options


@options
class AssignOptions(Options):
    """Options of giving transcripts to cells."""

    expand_um: float | Literal["auto"] = option(
        0.0,
        "Distance by which cells grow into the background, in micrometres. 2 to 5 is usual if the"
        " stain shows only nuclei. `auto` ends where a transcript no longer rather belongs to the"
        " cell, and does not grow the cells if that can't be known, see docs/purity.md.",
        minimum=0,
    )
    localisation_error_um: float = option(
        0.0,
        "Standard deviation of the position of a transcript, in micrometres. Above 0, the"
        " probability that a transcript belongs to its cell is computed.",
        minimum=0,
    )


@options
class AssignInputOptions(Options):
    """Options of transcripts and outlines given by hand; a manifest states those of a table."""

    min_qv: float | None = option(
        None, "Transcripts of a lower quality (column qv) are left out.", minimum=0
    )
    polygons_unit: Literal["um", "px"] = option(
        "um", "Unit of the coordinates of the outlines: micrometres, or pixels of the image."
    )
    outlines_in_all_planes: bool = option(
        False, "Outlines of one z plane own the transcripts of all planes."
    )
    outside: Literal["refuse", "drop"] = option(
        "refuse",
        "drop allows that transcripts or outlines show only a part of the other; refuse stops if"
        " they hardly meet.",
    )
