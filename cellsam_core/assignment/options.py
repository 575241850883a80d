"""Options of giving transcripts to cells."""

from __future__ import annotations

from cellsam_core.options import Options, option, options


@options
class AssignOptions(Options):
    """Options of giving transcripts to cells."""

    expand_um: float = option(
        0.0,
        "Grow cells by this much into the background; for stains that show nuclei alone, 2 to 5 um"
        " are usual.",
        minimum=0,
    )
    localisation_error_um: float = option(
        0.0,
        "Standard deviation of transcripts' places in um; above 0, the chance of each owner is"
        " given.",
        minimum=0,
    )
