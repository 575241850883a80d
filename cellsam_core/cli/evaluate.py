"""``cellsam-core evaluate``: scores against ground truth, as JSON on standard output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

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
    tracks = what.add_parser("tracking", help="Cell Tracking Challenge folders")
    tracks.add_argument("predicted", type=Path, help="folder with mask*.tif and res_track.txt")
    tracks.add_argument("truth", type=Path, help="folder with man_track*.tif and man_track.txt")


def run(args: argparse.Namespace) -> None:
    if args.what == "segmentation":
        from cellsam_core.evaluate.segmentation import evaluate_segmentation

        scores: object = evaluate_segmentation(_pairs(args.predicted, args.truth))
    else:
        from cellsam_core.evaluate.tracking import evaluate_tracking

        scores = evaluate_tracking(args.predicted, args.truth)
    print(json.dumps(scores, indent=1))


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
