"""Options of preprocessing: channels and contrast."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from cellsam_core.models import clahe_clip_limit_of
from cellsam_core.options import Options, option, options


@options
class PreprocessOptions(Options):
    """Options of clipping and equalising the channels that are segmented."""

    nuclear_channel: str | tuple[str, ...] | None = option(
        None,
        "Name of the channel that shows the nuclei. Several names, separated by commas, are fused"
        " by their local signal to noise. If neither channel is given, both are guessed from the"
        " names of the channels.",
    )
    cell_channel: str | tuple[str, ...] | None = option(
        None,
        "Name of the channel that shows whole cells: cytoplasm, membrane or phase contrast."
        " Several names, separated by commas, are fused by their local signal to noise. If neither"
        " channel is given, both are guessed from the names of the channels.",
    )
    clip_percentile: float = option(
        99.9,
        "Brighter pixels are clipped at this percentile of a channel's non-zero pixels.",
        above=0,
        maximum=100,
    )
    clahe_kernel_px: int = option(
        128,
        "Side of the windows of the local contrast enhancement (CLAHE), in pixels.",
        minimum=8,
    )
    clahe_clip_limit: float | Literal["auto"] = option(
        "auto",
        "Contrast limit of the local contrast enhancement (CLAHE). 0 switches it off. `auto` is"
        " 0.01 for the published CellSAM, except in its preset `paper`; it is 0 for that preset"
        " and for all other weights.",
        minimum=0,
        maximum=1,
    )

    @property
    def clip_limit(self) -> float:
        """Contrast limit as a number; ``auto`` is that of the tiny model."""
        limit = self.clahe_clip_limit
        return clahe_clip_limit_of("tiny", "official") if limit == "auto" else limit

    def for_weights(self, weights: str, preset: str) -> PreprocessOptions:
        """Replace the contrast limit ``auto`` by that which weights were trained with."""
        if self.clahe_clip_limit != "auto":
            return self
        return replace(self, clahe_clip_limit=clahe_clip_limit_of(weights, preset))
