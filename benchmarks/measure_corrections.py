"""Count the corrections of cells that are found again after another segmentation.

    OMP_NUM_THREADS=1 python benchmarks/measure_corrections.py [--side-px 900] [--seed 0]

Segments a dense simulated image, makes 100 corrections of its cells (delete, redraw, split, merge),
segments the image again with other thresholds, and replays them. A row is on a wrong cell if the
simulated cell below the corrected one is another than before.
"""

from __future__ import annotations

import argparse

import numpy as np

import cellsam_core as cc
from cellsam_core.corrections.cells_table import CellCorrection
from cellsam_core.corrections.outlines import outline_of
from cellsam_core.corrections.plane import plane_of
from cellsam_core.corrections.replay import replay
from cellsam_core.labels.tiles import LabelArray, measure_cells
from cellsam_core.simulation.cells import render_field

N = 100
OTHERS = {
    "score 0.2": {"score_threshold": 0.2},
    "score 0.6": {"score_threshold": 0.6},
    "mask 0.3": {"mask_threshold": 0.3},
    "mask 0.7": {"mask_threshold": 0.7},
}
KINDS = ("delete", "redraw", "split", "merge")


def corrections_of(labels: np.ndarray, rng: np.random.Generator) -> list[CellCorrection]:
    """Make a correction of each of 100 cells; the second cell of a merge is a neighbour."""
    numbers = rng.permutation(np.unique(labels)[1:])
    cells = measure_cells(LabelArray(labels)).set_index("label")
    outlines = {n: outline_of(labels == n) for n in numbers}
    used: set[int] = set()
    made = []
    for number in numbers.tolist():
        if len(made) == N or number in used:
            continue
        kind = KINDS[len(made) % len(KINDS)]
        outline = other = None
        used.add(number)
        y, x = cells.loc[number, ["y", "x"]]
        if kind == "redraw":
            outline = outlines[number]
        elif kind == "split":
            other = np.round(np.array([[x, y - 200], [x, y + 200]]) * 2) / 2
        elif kind == "merge":
            rest = cells.drop(index=list(used))
            nearest = int(np.hypot(rest["y"] - y, rest["x"] - x).idxmin())
            other = outlines[nearest]
            used.add(nearest)
        row = CellCorrection(
            f"row {len(made)}", len(made), "", kind, 0, outline, outlines[number], other, len(made)
        )
        made.append(row)
    return made


def main() -> None:
    """Print one line for each segmentation."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--side-px", type=int, default=900)
    parser.add_argument("--diameter-px", type=float, default=36)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    field = render_field(
        rng, (args.side_px,) * 2, style="fluo", diameter_px=args.diameter_px, density=0.95
    )
    image = (np.clip(field.image, 0, 1.5) * 20000).astype(np.uint16)
    model = cc.load_model("tiny", device="cpu")

    def segment(**options: float) -> np.ndarray:
        chosen = cc.SegmentOptions(cell_diameter_px=args.diameter_px, **options)
        return cc.segment(image[1], model, chosen)[0]

    before = segment()
    rows = corrections_of(before, rng)
    print(f"{len(np.unique(before)) - 1} cells, {len(rows)} corrections")
    for name, options in OTHERS.items():
        after = segment(**options)
        print(name, *judge(field.labels, before, after.copy(), rows))


def judge(
    truth: np.ndarray, before: np.ndarray, after: np.ndarray, rows: list[CellCorrection]
) -> tuple[str, ...]:
    """Replay the rows; count those found, those on a wrong cell, and those listed as lost."""
    plane = plane_of(after, (), measure_cells(LabelArray(after)))
    n_found = n_wrong = n_lost = 0
    for row in rows:
        shown = after.copy()
        outcome = replay(plane, row, "new")
        n_found += outcome.is_found
        n_lost += not outcome.is_found and bool(outcome.reason)
        changed = shown != after
        if outcome.is_found and changed.any():
            touched = np.unique(shown[changed & (shown > 0)])
            meant = np.unique(truth[_pixels(before, row)])
            for label in touched:
                below = np.bincount(truth[(shown == label)], minlength=1).argmax()
                n_wrong += int(below != 0 and below not in meant)
    return f"found {n_found}", f"wrong {n_wrong}", f"lost and listed {n_lost}"


def _pixels(before: np.ndarray, row: CellCorrection) -> np.ndarray:
    from cellsam_core.corrections.outlines import fill

    mask = np.zeros(before.shape, bool)
    for points in (row.anchor, row.other if row.operation == "merge" else None):
        if points is not None:
            region = fill(points, before.shape)
            mask[region.window] |= region.mask
    return mask


if __name__ == "__main__":
    main()
