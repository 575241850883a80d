"""Options that ``segment`` and ``segment-batch`` share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse

    from cellsam_core.segment.predict import Segmenter


def add_model_arguments(
    parser: argparse.ArgumentParser,
    diameter_help: str = "typical cell diameter in px, or auto: measured on the image",
) -> None:
    parser.add_argument("--weights", default="tiny", help="name (see `weights list`) or path")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto: the GPU if there is one",
    )
    parser.add_argument("--cell-diameter-px", default="auto", help=diameter_help)
    parser.add_argument(
        "--score-threshold", type=float, default=0.4, help="least CellFinder score, 0-1"
    )
    parser.add_argument(
        "--iou-threshold", type=float, default=0.5, help="least predicted IoU of a mask, 0-1"
    )
    parser.add_argument(
        "--mask-threshold", type=float, default=0.5, help="least probability of a mask pixel, 0-1"
    )
    parser.add_argument(
        "--tile-px", type=int, default=512, help="side of a tile in the model's pixels"
    )


def load_segmenter(args: argparse.Namespace) -> tuple[Segmenter, dict[str, Any]]:
    """Load the model; return it with what provenance records of it."""
    from cellsam_core.segment.predict import Segmenter, Thresholds
    from cellsam_core.segment.weights import choose_device, info, load_model

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
    device = choose_device(args.device)
    weights = info(args.weights)
    thresholds = Thresholds(args.score_threshold, args.iou_threshold, args.mask_threshold)
    model = load_model(args.weights, device)
    segmenter = Segmenter(model, device, thresholds, weights.diameter_limits_px)
    settings = {
        "weights": weights.name,
        "sha256": weights.sha256,
        "device": device,
        "score_threshold": args.score_threshold,
        "iou_threshold": args.iou_threshold,
        "mask_threshold": args.mask_threshold,
        "tile_px": args.tile_px,
    }
    return segmenter, settings


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
