"""Options of preprocessing: channels and contrast."""

from __future__ import annotations

from typing import Literal

from cellsam_core.options import Options, option, options


@options
class PreprocessOptions(Options):
    """Options of clipping and equalising the channels that are segmented."""

    nuclear_channel: str | None = option(
        None,
        "Name of the nuclear stain; guessed from the names of the channels if neither channel is"
        " given.",
    )
    cell_channel: str | None = option(
        None,
        "Name of the cytoplasm, membrane or phase channel; guessed if neither is given.",
    )
    clip_percentile: float = option(
        99.9,
        "Brighter pixels are clipped at this percentile of a channel's non-zero pixels.",
        above=0,
        maximum=100,
    )
    clahe_kernel_px: int = option(
        128,
        "Side of the windows of the adaptive histogram equalisation, in pixels.",
        minimum=8,
    )
    clahe_clip_limit: float | Literal["auto"] = option(
        "auto",
        "Contrast limit of the adaptive histogram equalisation; 0 leaves it out. auto is 0.01 for"
        " the published CellSAM but in its preset paper, and 0 for other weights.",
        minimum=0,
        maximum=1,
    )
