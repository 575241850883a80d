"""Options of the benchmark."""

from __future__ import annotations

from typing import Literal

from cellsam_core.options import MAX_SEED, Options, option, options


@options
class BenchmarkOptions(Options):
    """Options of comparing segmentation methods on labelled images."""

    methods: str | tuple[str, ...] = option(
        "",
        "Methods, separated by commas: `cellsam` (this package with the option weights),"
        " `otsu_watershed`, `cellpose`, `stardist`, `official`. If it is not given, these are the"
        " first two and all others that are installed.",
    )
    split: str | tuple[str, ...] | None = option(
        None,
        "Splits of the manifest to score, separated by commas; validation,test without it.",
    )
    seed: int | None = option(
        None, "Seed of the simulated images; 0 without it.", minimum=0, maximum=MAX_SEED
    )
    cell_diameter_px: float | Literal["auto", "truth"] = option(
        "auto",
        "Typical diameter of a cell in pixels, auto, or truth, the median of the labels; for the"
        " methods that take a diameter.",
        minimum=1,
    )
    clahe: bool = option(
        False, "cellsam - shows it images after CLAHE, as the published weights always see them."
    )
    speed: bool = option(True, "Measures the speed of the methods, too.")
