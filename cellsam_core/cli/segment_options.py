"""Options that ``segment`` and ``segment-batch`` share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.models import PRESET_NAMES, is_published
from cellsam_core.segmentation.segmenter import Thresholds

if TYPE_CHECKING:
    import argparse

    from cellsam_core.segmentation.segmenter import TileSegmenter
    from cellsam_core.segmentation.weights import WeightsInfo


def add_model_arguments(
    parser: argparse.ArgumentParser,
    diameter_help: str = "typical cell diameter in px, or auto: measured on the image",
) -> None:
    parser.add_argument("--weights", default="tiny", help="name (see `weights list`) or path")
    parser.add_argument(
        "--preset",
        choices=PRESET_NAMES,
        default=PRESET_NAMES[0],
        help="thresholds and precision for the published CellSAM (vit_b or a .pt file)",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto: the GPU if there is one",
    )
    parser.add_argument("--cell-diameter-px", default="auto", help=diameter_help)
    parser.add_argument(
        "--score-threshold",
        type=float,
        default=Thresholds.score,
        help="least CellFinder score, 0-1; not for the published CellSAM: see --preset",
    )
    parser.add_argument(
        "--iou-threshold",
        type=float,
        default=Thresholds.iou,
        help="least predicted IoU of a mask, 0-1; likewise",
    )
    parser.add_argument(
        "--mask-threshold",
        type=float,
        default=Thresholds.mask,
        help="least probability of a mask pixel, 0-1; likewise",
    )
    parser.add_argument(
        "--tile-px", type=int, default=512, help="side of a tile in the model's pixels"
    )


def add_dark_cells_argument(parser: argparse.ArgumentParser, auto_help: str) -> None:
    parser.add_argument(
        "--dark-cells",
        choices=("auto", "drop", "keep"),
        default="auto",
        help=f"cells darker than their surroundings in each channel; {auto_help}",
    )


def load_segmenter(args: argparse.Namespace) -> tuple[TileSegmenter, dict[str, Any]]:
    """Load the model; return it with what provenance records of it."""
    from cellsam_core.segmentation.weights import choose_device, info

    _check(args)
    device = choose_device(args.device)
    weights = info(args.weights)
    load = _published if is_published(weights.path) else _tiny
    segmenter, settings = load(args, weights, device)
    identity = {"weights": weights.name, "sha256": weights.sha256, "device": device}
    return segmenter, identity | settings | {"tile_px": args.tile_px}


def _tiny(
    args: argparse.Namespace, weights: WeightsInfo, device: str
) -> tuple[TileSegmenter, dict[str, Any]]:
    from cellsam_core.segmentation.tiny.predict import Segmenter
    from cellsam_core.segmentation.weights import load_model

    thresholds = Thresholds(args.score_threshold, args.iou_threshold, args.mask_threshold)
    model = load_model(args.weights, device)
    segmenter = Segmenter(model, device, thresholds, weights.diameter_limits_px)
    return segmenter, _recorded(thresholds)


def _published(
    args: argparse.Namespace, weights: WeightsInfo, device: str
) -> tuple[TileSegmenter, dict[str, Any]]:
    from cellsam_core.segmentation.vit_b.checkpoint import load, supports_bfloat16
    from cellsam_core.segmentation.vit_b.predict import PRESETS, VitBSegmenter

    preset = PRESETS[args.preset]
    low = preset.bfloat16 and supports_bfloat16(device)
    model = load(Path(weights.path), device=device, bfloat16=low)
    settings = {"preset": args.preset, "precision": "bfloat16" if low else "float32"}
    return VitBSegmenter(model, device, preset), settings | _recorded(preset.thresholds)


def _recorded(thresholds: Thresholds) -> dict[str, float]:
    return {
        "score_threshold": thresholds.score,
        "iou_threshold": thresholds.iou,
        "mask_threshold": thresholds.mask,
    }


def _check(args: argparse.Namespace) -> None:
    for option in ("score_threshold", "iou_threshold", "mask_threshold"):
        value = getattr(args, option)
        if not 0 <= value <= 1 or (option == "mask_threshold" and value in (0, 1)):
            raise InputError(
                f"option `{option}`",
                found=str(value),
                expected="a number from 0 to 1",
                remedy="correct it",
            )
    if args.tile_px < 128:
        raise InputError(
            "option `tile_px`",
            found=str(args.tile_px),
            expected="at least 128 px",
            remedy="raise it",
        )


def refuse_published(weights: str) -> None:
    """Refuse to train the published CellSAM, which is for use alone here."""
    if is_published(weights):
        raise InputError(
            "option `weights`",
            found=weights,
            expected="weights of the tiny model: tiny, or a .safetensors file",
            remedy="start from those",
        )


def given_diameter_px(value: str) -> float | None:
    """Parse ``--cell-diameter-px``; None means auto."""
    if value == "auto":
        return None
    try:
        diameter = float(value)
    except ValueError:
        diameter = 0.0
    if not 1 <= diameter < float("inf"):
        raise InputError(
            "option `cell_diameter_px`",
            found=repr(value),
            expected="`auto` or a diameter of at least 1 px",
            remedy="correct it",
        )
    return diameter
