"""Options of segmentation: the model, and what counts as a cell."""

from __future__ import annotations

from typing import Literal

from cellsam_core import models
from cellsam_core.options import Options, option, options

Preset = models.Preset
Device = Literal["auto", "cpu", "cuda"]


@options
class ModelOptions(Options):
    """Options of loading a model."""

    weights: str = option(
        "tiny", "Name or path of the model's weights; vit_b is the published CellSAM."
    )
    preset: Preset = option(
        "official",
        "Thresholds and precision of the published CellSAM, instead of the three below.",
    )
    device: Device = option(
        "auto", "auto takes a GPU if there is one; cuda without a GPU is an error."
    )


@options
class SegmentOptions(Options):
    """Options of finding cells with a loaded model."""

    cell_diameter_px: float | Literal["auto"] = option(
        "auto", "Typical diameter of a cell in pixels of the raw image, or auto.", minimum=1
    )
    score_threshold: float = option(
        0.35, "Boxes that CellFinder scores lower are dropped.", minimum=0, maximum=1
    )
    iou_threshold: float = option(
        0.5,
        "Masks with a lower predicted intersection over union are dropped.",
        minimum=0,
        maximum=1,
    )
    mask_threshold: float = option(
        0.5, "Probability from which a pixel belongs to a cell.", above=0, below=1
    )
    tile_px: int = option(
        512, "Side of a tile in pixels, at the scale that the model sees.", minimum=128
    )
    dark_cells: Literal["auto", "drop", "keep"] = option(
        "auto",
        "Cells darker than their surroundings in each channel, mostly holes in the stain; auto"
        " drops them in tissues and keeps them in movies, which may be bright-field.",
    )
    min_area_px: int = option(25, "Smaller cells are dropped, in pixels.", minimum=0)
