"""Options of giving transcripts to cells."""

from __future__ import annotations

from cellsam_core.options import Options, option, options


@options
class AssignOptions(Options):
    """Options of giving transcripts to cells."""

    expand_um: float = option(
        0.0,
        "Distance by which cells grow into the background, in micrometres. 2 to 5 is usual if the"
        " stain shows only nuclei.",
        minimum=0,
    )
    localisation_error_um: float = option(
        0.0,
        "Standard deviation of the position of a transcript, in micrometres. Above 0, the"
        " probability that a transcript belongs to its cell is computed.",
        minimum=0,
    )
