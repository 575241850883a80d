"""Options of nuclei that are paired with cells."""

from __future__ import annotations

from typing import Literal

from cellsam_core.options import Options, option, options


@options
class PairOptions(Options):
    """Options of pairing nuclei with cells."""

    orphan_nuclei: Literal["keep", "drop"] = option(
        "keep",
        "Nuclei that belong to no cell, if nuclei are paired with cells. `keep` lists them in"
        " nuclei.parquet with the cell number 0; `drop` leaves them out, and the log has their"
        " number.",
    )
