"""HTML page of the benchmark: tables, bars, and the best, median and worst image."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

from cellsam_core.benchmark.images import ALL_SETS
from cellsam_core.benchmark.score import segment_timed
from cellsam_core.evaluation.segmentation import find_overlaps, match
from cellsam_core.reporting.figures.common import CATEGORICAL, encode, new_figure
from cellsam_core.reporting.page import Picture, Section, Table, render
from cellsam_core.reporting.pictures.images import outlines, stretch
from cellsam_core.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from cellsam_core.benchmark.methods import Method
    from cellsam_core.benchmark.score import Diameter, Result
    from cellsam_core.training.labelled import LabelledImage

MATCHED, UNMATCHED = (60, 220, 200), (255, 90, 60)
THIN_UP_TO_PX = 500
"""Side of the largest image whose outlines stay one pixel wide; in larger ones they are wider."""

COLUMNS = {
    "f1_50": "F1",
    "f1_50_pooled": "pooled",
    "error": "error",
    "ap_50_95": "AP",
    "pq": "PQ",
    "seconds_per_image": "s/image",
}

INTRODUCTION = (
    "F1 counts cells that match at an intersection over union (IoU) of 0.5. It is the mean over "
    "images, or pooled over all cells; error is 1 - F1. AP is TP / (TP + FP + FN), averaged over "
    "IoU 0.5 to 0.95; AP and PQ are pooled. Seconds are the run time of the method, with its "
    "search for the scale of the cells, without loading, reading and contrast enhancement."
)


def build_page(
    summary: pd.DataFrame, speed: pd.DataFrame | None, pictures: Sequence[Section]
) -> str:
    """Render the page; :func:`picture_sections` makes the pictures."""
    whole = summary[summary["set"] == ALL_SETS]
    sets = summary[summary["set"] != ALL_SETS]
    scores = Section(
        "Scores",
        [INTRODUCTION],
        [Picture(encode(lambda: figure_bars(whole)), "F1 at IoU 0.5, mean over images.")],
        [block_table(whole, "By modality.", []), block_table(sets, "By set.", ["set"])],
    )
    sections = [scores, *([] if speed is None else [speed_section(speed)]), *pictures]
    methods = list(dict.fromkeys(summary["method"]))
    one = whole[whole["method"] == methods[0]]
    headline = [("images", int(one["n_images"].sum())), ("cells", int(one["n_cells"].sum()))]
    headline += [("methods", len(methods)), ("modalities", one["modality"].nunique())]
    return render(
        "Benchmark", f"{', '.join(methods)}; cellsam_core {__version__}", headline, sections
    )


def block_table(rows: pd.DataFrame, caption: str, extra: list[str]) -> Table:
    """Make a table with one row a split and modality, and one block of columns a method."""
    methods = list(dict.fromkeys(rows["method"]))
    keys = ["split", "modality", *extra]
    body = []
    for key, group in rows.groupby(keys, sort=False):
        by_method = group.set_index("method")
        first = by_method.iloc[0]
        values = by_method.loc[methods, list(COLUMNS)].to_numpy(float).ravel()
        body.append([*key, int(first["n_images"]), int(first["n_cells"]), *map(_fixed, values)])
    header = [*keys, "images", "cells", *list(COLUMNS.values()) * len(methods)]
    blocks = [("", len(keys) + 2), *((m, len(COLUMNS)) for m in methods)]
    return Table(caption, header, body, blocks)


def _fixed(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def figure_bars(whole: pd.DataFrame) -> Figure:
    """Draw bars of F1, grouped by split and modality."""
    methods = list(dict.fromkeys(whole["method"]))
    groups = list(dict.fromkeys(zip(whole["split"], whole["modality"], strict=True)))
    figure = new_figure(0.7 + 0.2 * len(groups) * (len(methods) + 1))
    axes = figure.add_subplot()
    height = 0.8 / len(methods)
    for i, method in enumerate(methods):
        values = whole[whole["method"] == method].set_index(["split", "modality"])["f1_50"]
        y = np.arange(len(groups)) + (i - (len(methods) - 1) / 2) * height
        heights = [float(values[group]) for group in groups]
        bars = axes.barh(y, heights, height, color=CATEGORICAL[i % len(CATEGORICAL)], label=method)
        axes.bar_label(bars, fmt="%.3f", padding=3, fontsize=7)
    axes.set_yticks(range(len(groups)), [f"{modality} ({split})" for split, modality in groups])
    axes.invert_yaxis()
    axes.set_xlim(0, 1.08)
    axes.set_xlabel("F1 at IoU 0.5")
    figure.legend(loc="outside upper right", ncols=len(methods))
    return figure


def speed_section(speed: pd.DataFrame) -> Section:
    """Make the section of the run times."""
    text = (
        "One simulated image of 512 px, from raw pixels to labels, without loading the model; "
        "each method runs in its own process. The floor is the shortest time that a pipeline with "
        "SAM's ViT-B at 1024 px, such as the official CellSAM, needs on this machine: its encoder "
        "twice and its mask decoder once a box, without anything else. vit_b is this package's "
        "implementation of that pipeline with random weights, run once."
    )
    names = {
        "name": "method",
        "seconds": "s",
        "cpu_seconds": "CPU s",
        "images_per_second": "images/s",
        "n_cells": "cells",
        "peak_rss_mb": "MB",
        "times_faster": "times faster (CPU)",
    }
    rows = speed[list(names)].astype(object).to_numpy().tolist()
    table = Table(
        "Medians of up to five runs; MB is the peak memory; CPU s adds up all threads.",
        list(names.values()),
        rows,
    )
    return Section("Speed", [text], [], [table])


def picture_sections(
    results: Sequence[Result], name: str, method: Method, diameter_px: Diameter
) -> list[Section]:
    """Make a section a modality with its best, median and worst image, segmented again."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for r in results:
        if r.method == name:
            groups.setdefault((r.entry.split, r.entry.modality), []).append(r)
    sections = []
    for (split, modality), members in sorted(groups.items()):
        ranked = sorted(members, key=lambda r: (-r.matches.f1_50, r.entry.name))
        chosen = {(len(ranked) - 1) // 2: "median", len(ranked) - 1: "worst", 0: "best"}
        pictures = []
        for rank, word in sorted(chosen.items()):
            result = ranked[rank]
            image = result.entry.read()
            labels, _ = segment_timed(image, method, diameter_px)
            tp, fp, fn = result.matches.counts[0]
            caption = (
                f"{word.capitalize()} of {len(ranked)}: {result.entry.name}. F1 "
                f"{result.matches.f1_50:.3f}; {tp} matched, {fn} missed, {fp} false."
            )
            picture = encode(partial(figure_pair, image, labels, name), photograph=True)
            pictures.append(Picture(picture, caption))
        text = (
            f"Truth and what {name} found. Turquoise: matched at IoU 0.5; "
            "red: missed (in the truth) or false (in the prediction)."
        )
        sections.append(Section(f"{modality}, {split}", [text], pictures))
    return sections


def figure_pair(image: LabelledImage, predicted: NDArray[np.integer], method: str) -> Figure:
    """Draw truth and prediction side by side."""
    overlaps = find_overlaps(predicted, image.labels)
    pairs = match(overlaps, 0.5)
    plane = image.channels[1] if image.channels[1].any() else image.channels[0]
    height, width = plane.shape
    figure = new_figure(float(np.clip(4.1 * height / width + 0.3, 1.5, 6.0)))
    for axes, labels, matched, title in zip(
        figure.subplots(1, 2),
        (image.labels, predicted),
        (overlaps.columns[pairs], overlaps.rows[pairs]),
        ("truth", method),
        strict=True,
    ):
        axes.imshow(draw_matches(plane, labels, matched), interpolation="nearest")
        axes.set_title(title)
        axes.set_axis_off()
    return figure


def draw_matches(
    plane: NDArray[Any], labels: NDArray[np.integer], matched: NDArray[np.intp]
) -> NDArray[np.uint8]:
    """Outline matched and unmatched cells; `matched` are indices into the sorted labels."""
    rgb = np.repeat(stretch(plane)[..., None], 3, axis=2)
    ids = np.unique(labels[labels > 0])
    edge = outlines(labels)
    hit = np.isin(labels, ids[matched])
    for colour, part in ((MATCHED, edge & hit), (UNMATCHED, edge & ~hit)):
        for _ in range(max(labels.shape) // THIN_UP_TO_PX):
            part = ndi.binary_dilation(part)
        rgb[part] = colour
    return rgb
