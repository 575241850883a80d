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
        from cellsam_core.evaluation.segmentation import evaluate_segmentation

        scores: object = evaluate_segmentation(_pairs(args.predicted, args.truth))
    else:
        from cellsam_core.evaluation.tracking import evaluate_tracking

        scores = evaluate_tracking(args.predicted, args.truth)
    print(json.dumps(scores, indent=1))


def _pairs(
    predicted: Path, truth: Path
) -> Iterator[tuple[NDArray[np.integer], NDArray[np.integer]]]:
    from cellsam_core.labels.source import open_labels

    truths = _labels_by_name(truth)
    predictions = _labels_by_name(predicted)
    absent = sorted(set(truths) ^ set(predictions))
    if absent:
        is_missed = absent[0] in truths
        raise InputError(
            predicted if is_missed else truth,
            found=f"no {'prediction' if is_missed else 'truth'} for {absent[0]}",
            expected="label images of the same names in both folders",
            remedy="add it, an empty label image if no cell was found, or remove the other",
        )
    for name, path in predictions.items():
        a, b = open_labels(path), open_labels(truths[name])
        if (a.n_frames, *a.shape_yx) != (b.n_frames, *b.shape_yx):
            raise InputError(
                path,
                found=f"{a.n_frames} frame(s) of shape {a.shape_yx}",
                expected=f"{b.n_frames} of {b.shape_yx}, those of {truths[name].name}",
                remedy="compare images of one size",
            )
        for index in range(a.n_frames):
            yield a.frame(index), b.frame(index)


def _labels_by_name(folder: Path) -> dict[str, Path]:
    """Label images of a folder; where some are named ``<name>_label``, the others are images."""
    from cellsam_core.training.labelled import files_by_stem, labels_of

    files = files_by_stem(folder)
    if not files:
        raise InputError(
            folder,
            found="no label image",
            expected=".tif or .png files",
            remedy="check the folder",
        )
    return labels_of(files) or files
