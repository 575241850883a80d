"""Segment one simulated field with several tile sizes and compare the cells.

    python benchmarks/seams.py --side-px 4096 [--style fluo] [--tiles 512,768,1024]

The field is a mosaic of simulated fields of 1024 px, each with brightness and crowding of its own.
Uses the shipped weights and the true mean diameter. Prints, for every tile size: cells; how many
more or fewer than without tiles; the share that has no partner (IoU above 0.5) without tiles; and
F1 at an IoU of 0.5 against the truth, for true cells within 20 px of a tile's border and for the
others (a false positive counts where it lies).
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import ndimage

from cellsam_core.preprocessing.contrast import preprocess_plane
from cellsam_core.segmentation.image import segment_image
from cellsam_core.segmentation.instances import draw_labels
from cellsam_core.segmentation.tiles import REFERENCE_PX, plan
from cellsam_core.segmentation.tiny.predict import Segmenter
from cellsam_core.segmentation.weights import load_network
from cellsam_core.simulation.cells import STYLES, render_field

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.segmentation.tiles import Tile

NEAR_PX = 20
MIN_AREA_PX = 25
PIECE_PX = 1024


@dataclass(frozen=True)
class Pairs:
    """Which cells of two label images are one, at an IoU above 0.5.

    Attributes
    ----------
    found, true
        Of every label from 1 on: whether it has a partner.
    """

    found: NDArray[np.bool_]
    true: NDArray[np.bool_]


def pair(found: NDArray[np.integer], true: NDArray[np.integer]) -> Pairs:
    """Match cells; above an IoU of 0.5 no cell has two partners."""
    n_found, n_true = int(found.max()), int(true.max())
    both = found.astype(np.int64) * (n_true + 1) + true
    keys, shared = np.unique(both, return_counts=True)
    a, b = keys // (n_true + 1), keys % (n_true + 1)
    union = np.bincount(found.ravel())[a] + np.bincount(true.ravel())[b] - shared
    hit = (a > 0) & (b > 0) & (2 * shared > union)
    result = Pairs(np.zeros(n_found, bool), np.zeros(n_true, bool))
    result.found[a[hit] - 1] = result.true[b[hit] - 1] = True
    return result


def near_border(
    labels: NDArray[np.integer], tiles: list[Tile], shape_yx: tuple[int, int]
) -> NDArray[np.bool_]:
    """Tell for every label whether a border of a tile inside the image is within 20 px."""
    inner = (
        {y for t in tiles for y in (t.y0, t.y1)} - {0, shape_yx[0]},
        {x for t in tiles for x in (t.x0, t.x1)} - {0, shape_yx[1]},
    )
    near = []
    for window in ndimage.find_objects(labels):
        near.append(
            any(
                w.start - NEAR_PX <= line < w.stop + NEAR_PX
                for w, lines in zip(window, inner, strict=True)
                for line in lines
            )
        )
    return np.array(near, bool)


def f1(pairs: Pairs, found: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Return F1 of the cells chosen by two masks."""
    hits = int(pairs.true[true].sum())
    wrong = int((~pairs.found[found]).sum()) + int((~pairs.true[true]).sum())
    return 2 * hits / (2 * hits + wrong) if hits + wrong else 1.0


def mosaic(style: str, side_px: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return a large field: image ``(2, y, x)`` and labels. The simulator draws small ones."""
    image = np.zeros((2, side_px, side_px), np.float32)
    labels = np.zeros((side_px, side_px), np.int64)
    rng = np.random.default_rng(seed)
    for y in range(0, side_px, PIECE_PX):
        for x in range(0, side_px, PIECE_PX):
            window = np.s_[y : y + PIECE_PX, x : x + PIECE_PX]
            shape = labels[window].shape
            piece = render_field(rng, shape, style=style, diameter_px=REFERENCE_PX, density=0.5)
            image[:, *window] = piece.image
            labels[window] = np.where(piece.labels > 0, piece.labels + labels.max(), 0)
    return image, labels


def main() -> None:
    """Print one row a tile size."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side-px", type=int, default=4096)
    parser.add_argument("--style", choices=STYLES, default="fluo")
    parser.add_argument("--tiles", default="512,768,1024")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    shape = (args.side_px, args.side_px)
    image, true_labels = mosaic(args.style, args.side_px, args.seed)
    pixels = np.stack([preprocess_plane(plane, clahe_clip_limit=0) for plane in image])
    segmenter = Segmenter(load_network("tiny", "cpu"), "cpu")
    rows = []
    whole: NDArray[np.uint32] | None = None
    for tile_px in (args.side_px, *map(int, args.tiles.split(","))):
        cells = segment_image(
            segmenter, pixels, diameter_px=REFERENCE_PX, tile_px=tile_px, min_area_px=MIN_AREA_PX
        )
        labels = draw_labels(cells, 0, *shape)
        whole = labels if whole is None else whole
        tiles = plan(1, shape, REFERENCE_PX, tile_px, fits=True)
        same, right = pair(labels, whole), pair(labels, true_labels)
        near = near_border(labels, tiles, shape), near_border(true_labels, tiles, shape)
        alone = int((~same.found).sum() + (~same.true).sum())
        row = {
            "tile_px": tile_px,
            "tiles": len(tiles),
            "cells": len(cells),
            "more_%": 100 * (len(cells) / whole.max() - 1),
            "unpaired_%": 100 * alone / (len(same.found) + len(same.true)),
            "true_near": int(near[1].sum()),
            "f1_near": f1(right, *near),
            "f1_others": f1(right, ~near[0], ~near[1]),
        }
        rows.append(row)
    print(f"{args.style}, {args.side_px} px, {int(true_labels.max())} true cells")
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.4g}"))


if __name__ == "__main__":
    main()
