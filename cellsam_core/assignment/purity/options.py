"""Options of measuring the purity of cells."""

from __future__ import annotations

from cellsam_core.options import Options, option, options


@options
class PurityOptions(Options):
    """Options of measuring the purity of cells."""

    min_ring_purity: float = option(
        0.5,
        "Least share of a cell's own transcripts in the last micrometre by which `expand_um: auto`"
        " grows cells. From 0.5, more right than wrong transcripts are gained.",
        minimum=0,
        maximum=1,
    )
