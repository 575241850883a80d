"""Draw the best, the median and the worst image of each kind, for the model card.

``python benchmarks/make_failures.py OUT/images.tsv --data DATA -o OUT.png [--sets A,B]``
takes the scores that `measure_kinds.py` wrote (method "tiny auto") and shows part of three images
of each set and kind, truth to the left of what was found. Without `--sets`: the validation images
of BBBC038 (CC0).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure

from cellsam_core.benchmark.images import MANIFEST, manifest_entries
from cellsam_core.benchmark.methods import cellsam
from cellsam_core.benchmark.page import draw_matches
from cellsam_core.evaluation.segmentation import find_overlaps, match
from cellsam_core.files.atomic import atomic_path
from cellsam_core.reporting.figures.common import STYLE
from cellsam_core.segmentation.tiny.predict import Segmenter
from cellsam_core.segmentation.weights import load_network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.benchmark.methods import Segment
    from cellsam_core.training.labelled import LabelledImage

METHOD = "tiny auto"
SIDE_DIAMETERS = 12


def main() -> None:
    """Choose the images, segment them and draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scores", type=Path, help="images.tsv")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--sets", default="dsb2018", help="comma separated")
    args = parser.parse_args()
    scores = pd.read_csv(args.scores, sep="\t")
    wanted = scores["set"].isin(args.sets.split(",")) & (scores["method"] == METHOD)
    scores = scores[wanted].sort_values(["f1_50", "image"])
    entries = {e.name: e for e in manifest_entries(MANIFEST, args.data, ["validation", "test"])}
    segmenter = Segmenter(load_network("tiny", "cpu"), "cpu")
    segment = cellsam(segmenter, tile_px=512, min_area_px=25).segment
    kinds = list(scores.groupby(["set", "modality"], sort=True))
    with style.context(STYLE):
        figure = Figure(figsize=(15, 2.7 * len(kinds)), dpi=80, layout="constrained")
        grid = figure.subplots(len(kinds), 6, squeeze=False)
        for row, ((_, kind), group) in zip(grid, kinds, strict=True):
            chosen = group.iloc[[len(group) - 1, len(group) // 2, 0]]
            names = ("best", "median", "worst")
            for k, (name, scored) in enumerate(zip(names, chosen.itertuples(), strict=True)):
                image = entries[str(scored.image)].read()
                title = f"{kind}, {name}, F1 {scored.f1_50:.2f}"
                for axes, panel in zip(row[2 * k :], _panels(image, segment), strict=False):
                    axes.imshow(panel, interpolation="nearest")
                    axes.set_title(title)
                    title = "found"
        for axes in grid.flat:
            axes.set_axis_off()
    with atomic_path(args.output) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _panels(image: LabelledImage, segment: Segment) -> list[NDArray[np.uint8]]:
    """Truth and prediction, cut around a cell."""
    found = segment((image.channels / 255).astype(np.float32), None)
    overlaps = find_overlaps(found, image.labels)
    pairs = match(overlaps, 0.5)
    rows, columns = overlaps.rows[pairs], overlaps.columns[pairs]
    height, width = image.labels.shape
    side = min(height, width, round(SIDE_DIAMETERS * image.diameter_px))
    # Around the cell in the middle of the list of all cells' pixels: there is something to see.
    cells = np.argwhere(image.labels > 0)
    centre = cells[len(cells) // 2] if len(cells) else np.array([height, width]) // 2
    y, x = np.clip(centre - side // 2, 0, (height - side, width - side))
    window = np.s_[y : y + side, x : x + side]
    plane = image.channels[1]
    pairs = ((image.labels, columns), (found, rows))
    return [draw_matches(plane, labels, matched)[window] for labels, matched in pairs]


if __name__ == "__main__":
    main()
