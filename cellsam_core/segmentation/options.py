"""Options of segmentation: the model, and what counts as a cell."""

from __future__ import annotations

from typing import Literal

from cellsam_core import models
from cellsam_core.options import Options, option, options

Preset = models.Preset
Device = Literal["auto", "cpu", "cuda"]
Target = Literal["cell", "nucleus"]


@options
class ModelOptions(Options):
    """Options of loading a model."""

    weights: str = option(
        "tiny",
        "Name or path of the model's weights. `tiny` is shipped, and `tiny_f92dcf9d`, which was"
        " `tiny` in the release before; `vit_b` is the published CellSAM. `cellpose:MODEL`,"
        " `instanseg:MODEL` and `stardist:MODEL` are models of other packages, see"
        " docs/backends.md.",
    )
    preset: Preset = option(
        "official",
        "Thresholds and precision of the published CellSAM. It replaces the score, IoU and mask"
        " thresholds; other weights ignore it.",
    )
    device: Device = option(
        "auto",
        "`auto` uses a GPU if there is one, otherwise the CPU. `cuda` without a GPU is an error.",
    )
    target: Target = option(
        "cell",
        "Objects to find in images with a nuclear and a cell stain. `cell` uses both stains,"
        " `nucleus` only the nuclear one. Images with one stain need no target.",
    )


@options
class TargetOptions(Options):
    """Options of finding nuclei beside the cells in one run."""

    targets: Literal["cell", "nucleus,cell"] = option(
        "cell",
        "`nucleus,cell` also finds the nuclei in samples with a nuclear and a cell stain, and gives"
        " each nucleus the number of its cell, see docs/masks.md.",
    )
    nucleus_diameter_px: float | Literal["auto"] = option(
        "auto",
        "Typical diameter of a nucleus, in pixels of the raw image, if the nuclei are found as"
        " well. `auto` measures it on the nuclear stain.",
        minimum=1,
    )


@options
class SegmentOptions(Options):
    """Options of finding cells with a loaded model."""

    cell_diameter_px: float | Literal["auto"] = option(
        "auto",
        "Typical diameter of a cell, in pixels of the raw image. `auto` measures it on the image;"
        " for the published CellSAM it is 30 px.",
        minimum=1,
    )
    score_threshold: float = option(
        0.3, "Boxes to which CellFinder gives a lower score are dropped.", minimum=0, maximum=1
    )
    iou_threshold: float = option(
        0.5,
        "Masks with a lower predicted intersection over union (IoU) are dropped.",
        minimum=0,
        maximum=1,
    )
    mask_threshold: float = option(
        0.5, "Smallest probability at which a pixel belongs to a cell.", above=0, below=1
    )
    tile_px: int = option(
        512,
        "Usual side of a tile, in pixels of the resampled image that the model sees. Tiles are"
        " fitted to the image: they are smaller, or up to half larger, so that little is looked at"
        " twice. For the published CellSAM all tiles have this side.",
        minimum=128,
    )
    dark_cells: Literal["auto", "drop", "keep"] = option(
        "auto",
        "`drop` removes cells of a score below 0.5 that are darker than their surroundings in every"
        " channel, unless the cells beside them are so too: most of them are holes in the stain."
        " `keep` keeps them. `auto` drops them in samples that are tissues, and keeps them in"
        " movies and single images.",
    )
    min_area_px: int = option(
        25,
        "Smallest area of a cell, in pixels of the raw image. Smaller cells are dropped.",
        minimum=0,
    )
