"""Scores of every method on every image, and their summary by split, modality and set."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from cellsam_core.benchmark.images import ALL_SETS
from cellsam_core.evaluation.segmentation import ImageMatches, match_image, summarise

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from cellsam_core.benchmark.images import Entry
    from cellsam_core.benchmark.methods import Method
    from cellsam_core.training.labelled import LabelledImage

    Diameter = float | Literal["truth"] | None

log = logging.getLogger(__name__)

GROUP = ["split", "modality", "set", "method"]


@dataclass(frozen=True)
class Result:
    """Result of one method on one image; `seconds` is the run time of the method alone."""

    entry: Entry
    method: str
    matches: ImageMatches
    seconds: float


def segment_timed(
    image: LabelledImage, method: Method, diameter_px: Diameter
) -> tuple[NDArray[np.integer], float]:
    """Segment an image; return labels and seconds.

    Parameters
    ----------
    image
        Labelled image.
    method
        Method whose function is given the channels of the image, after CLAHE if `clahe` is set.
    diameter_px
        Diameter of the cells in pixels; ``truth`` takes the median of the image's labels, None
        lets the method find it.
    """
    planes = image.equalised if method.clahe else image.channels
    pixels = np.asarray(planes / np.float32(255), np.float32)
    diameter = image.diameter_px if diameter_px == "truth" else diameter_px
    start = time.perf_counter()
    labels = method.segment(pixels, diameter)
    return labels, time.perf_counter() - start


def score_image(labels: NDArray[np.integer], image: LabelledImage) -> ImageMatches:
    """Match what was found with the truth.

    Where the truth is partial, a cell found mostly where it may lack labels is left out.
    """
    if image.unknown is not None and labels.any():
        areas = np.bincount(labels.ravel())
        open_areas = np.bincount(labels[image.unknown], minlength=len(areas))
        labels = np.where(open_areas[labels] > areas[labels] / 2, 0, labels)
    return match_image(labels, image.labels)


def run_methods(
    entries: Iterable[Entry], methods: Mapping[str, Method], diameter_px: Diameter
) -> list[Result]:
    """Score all methods image by image; only one image is held at a time."""
    results = []
    for entry in entries:
        image = entry.read()
        for name, method in methods.items():
            labels, seconds = segment_timed(image, method, diameter_px)
            result = Result(entry, name, score_image(labels, image), seconds)
            log.info("%s, %s: F1 %.3f", entry.name, name, result.matches.f1_50)
            results.append(result)
    return results


def image_table(results: Sequence[Result]) -> pd.DataFrame:
    """Make a table with one row an image and method."""
    return pd.DataFrame(
        [
            {
                "split": r.entry.split,
                "modality": r.entry.modality,
                "set": r.entry.set_name,
                "image": r.entry.name,
                "method": r.method,
                "f1_50": r.matches.f1_50,
                "n_cells": len(r.matches.jaccard),
                "n_predicted": int(r.matches.counts[0, :2].sum()),
                "seconds": r.seconds,
            }
            for r in results
        ]
    )


def summary_table(results: Sequence[Result]) -> pd.DataFrame:
    """Summarise by split, modality, set and method; the set ``all`` pools a modality's sets.

    Returns
    -------
    DataFrame
        ``split, modality, set, method, n_images, n_cells, n_predicted, f1_50`` (mean over
        images), ``f1_50_pooled, error`` (1 - f1_50), ``ap_50_95`` (mean over IoU 0.5 to 0.95 of
        TP / (TP + FP + FN), as Cellpose and StarDist have it), ``pq, seconds_per_image,
        cells_per_second`` (true cells). Sorted; methods in the order of `results`.
    """
    groups: dict[tuple[str, str, str, str], list[Result]] = {}
    for r in results:
        for name in (ALL_SETS, r.entry.set_name):
            key = (r.entry.split, r.entry.modality, name, r.method)
            groups.setdefault(key, []).append(r)
    order = list(dict.fromkeys(r.method for r in results))
    # "all" comes before the sets that it holds.
    keys = sorted(groups, key=lambda k: (k[0], k[1], k[2] != ALL_SETS, k[2], order.index(k[3])))
    return pd.DataFrame([dict(zip(GROUP, key, strict=True)) | _sum_up(groups[key]) for key in keys])


def without_repeats(summary: pd.DataFrame) -> pd.DataFrame:
    """Leave out the set ``all`` of modalities that have a single set."""
    n_sets = summary.groupby(["split", "modality"])["set"].transform("nunique")
    return summary[(n_sets > 2) | (summary["set"] != ALL_SETS)]


def _sum_up(results: Sequence[Result]) -> dict[str, float | int | None]:
    scores = summarise([r.matches for r in results])
    seconds = sum(r.seconds for r in results)
    n_cells = scores["n_true"] or 0
    f1 = scores["f1_50"]
    return {
        "n_images": scores["n_images"],
        "n_cells": n_cells,
        "n_predicted": scores["n_predicted"],
        "f1_50": f1,
        "f1_50_pooled": scores["f1_50_pooled"],
        "error": None if f1 is None else 1 - f1,
        "ap_50_95": scores["ap_mean"],
        "pq": scores["pq"],
        "seconds_per_image": seconds / len(results),
        "cells_per_second": n_cells / max(seconds, 1e-9),
    }
