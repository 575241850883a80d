"""``cellsam-core evaluate``: scores against ground truth, as JSON on standard output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.cli.segment_options import (
    add_model_arguments,
    given_diameter_px,
    load_segmenter,
)
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_subparsers(dest="what", required=True)
    masks = what.add_parser("segmentation", help="label images against label images of one name")
    masks.add_argument("predicted", type=Path, help="folder of label images")
    masks.add_argument("truth", type=Path, help="folder with <name>.tif or <name>_label.tif|png")
    model = what.add_parser("model", help="weights on the labelled images of a manifest")
    model.add_argument("manifest", type=Path, help="image, label, modality, split; see `train`")
    model.add_argument("--data", type=Path, required=True, help="folder of the manifest's paths")
    model.add_argument("--split", default="validation", help="rows of the manifest to score")
    model.add_argument("--min-area-px", type=int, default=25, help="smaller cells are left out, px")
    add_model_arguments(model, diameter_help="px, auto, or truth: the median of the labels")
    tracks = what.add_parser("tracking", help="Cell Tracking Challenge folders")
    tracks.add_argument("predicted", type=Path, help="folder with mask*.tif and res_track.txt")
    tracks.add_argument("truth", type=Path, help="folder with man_track*.tif and man_track.txt")


def run(args: argparse.Namespace) -> None:
    if args.what == "model":
        scores: object = _score_model(args)
    elif args.what == "segmentation":
        from cellsam_core.evaluate.segmentation import evaluate_segmentation

        scores = evaluate_segmentation(_pairs(args.predicted, args.truth))
    else:
        from cellsam_core.evaluate.tracking import evaluate_tracking

        scores = evaluate_tracking(args.predicted, args.truth)
    print(json.dumps(scores, indent=1))


def _score_model(args: argparse.Namespace) -> dict[str, dict[str, float | int | None]]:
    from cellsam_core.segment.labelled import load_manifest
    from cellsam_core.segment.validate import score_by_modality

    given = args.cell_diameter_px
    diameter = given if given == "truth" else given_diameter_px(given)
    images = load_manifest(args.manifest, args.data, args.split)
    segmenter, _ = load_segmenter(args)
    return score_by_modality(
        segmenter,
        images,
        diameter_px=diameter,
        tile_px=args.tile_px,
        min_area_px=args.min_area_px,
    )


def _pairs(
    predicted: Path, truth: Path
) -> Iterator[tuple[NDArray[np.integer], NDArray[np.integer]]]:
    from cellsam_core.io.labels import open_labels

    files = sorted(p for p in predicted.glob("*") if p.suffix in (".tif", ".tiff", ".png"))
    if not files:
        raise InputError(
            predicted,
            found="no label image",
            expected=".tif or .png files",
            remedy="check the folder",
        )
    for path in files:
        names = [
            f"{path.stem}{tail}.{ext}" for tail in ("_label", "") for ext in ("tif", "tiff", "png")
        ]
        match = next((p for name in names if (p := truth / name).is_file()), None)
        if match is None:
            raise InputError(
                truth, found=f"no truth for {path.name}", expected=names[0], remedy="add it"
            )
        a, b = open_labels(path).frame(0), open_labels(match).frame(0)
        if a.shape != b.shape:
            raise InputError(
                path,
                found=f"shape {a.shape}",
                expected=f"{b.shape}, that of {match.name}",
                remedy="compare images of one size",
            )
        yield a, b
