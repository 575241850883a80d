"""Our segmentation beside a vendor's: counts per cell, and pictures of where they differ most.

``python benchmarks/compare_vendor.py FOLDER -o out``, where FOLDER holds
``vizgen_mousebrain_mini`` and ``cosmx_lung12_mini``. Runs the commands of the workflow with their
defaults, prints a table, and draws ``<sample>.png``: vendor's cells in red, ours in white.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import tifffile
from matplotlib.image import imsave

from cellsam_core.cli import main as cellsam
from cellsam_core.evaluation.segmentation import find_overlaps, match
from cellsam_core.labels.expand import expand
from cellsam_core.labels.image import open_label_image
from cellsam_core.reporting.images import outlines, stretch, window_around
from cellsam_core.samples.frames import read_frame
from cellsam_core.samples.manifest import Manifest
from cellsam_core.samples.transcripts import apply_affine

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLDS = (0.25, 0.5)
N_PLACES = 6
MIN_SIDE_PX, MAX_SIDE_PX = 160, 260
RED, WHITE = (255, 60, 60), (255, 255, 255)


@dataclass(frozen=True)
class Sample:
    """A folder, the vendor's labels in it, and options of the commands."""

    name: str
    folder: str
    labels: str
    inspect: str
    segment: str = ""
    expand_um: float = 0.0


VIZGEN_OPTIONS = "--pixel-size-um 0.1086 --z-plane 0 --z-policy one"
VIZGEN = ("vizgen_mousebrain_mini", "cells_label_z0.tif", VIZGEN_OPTIONS)
COSMX = "--pixel-size-um 0.18 --channels CD45,PanCK,DAPI --fov"
COSMX_2 = ("cosmx_lung12_mini", "cells_label_F002.tif", f"{COSMX} 2")
COSMX_3 = ("cosmx_lung12_mini", "cells_label_F003.tif", f"{COSMX} 3")
SAMPLES = (
    Sample("vizgen", *VIZGEN),
    Sample("vizgen_80_px", *VIZGEN, "--cell-diameter-px 80"),
    Sample("vizgen_80_px_with_holes", *VIZGEN, "--cell-diameter-px 80 --dark-cells keep"),
    Sample("cosmx_2", *COSMX_2),
    Sample("cosmx_2_plus_2_um", *COSMX_2, expand_um=2),
    Sample("cosmx_3", *COSMX_3),
    Sample("cosmx_3_plus_2_um", *COSMX_3, expand_um=2),
)


def run(sample: Sample, data: Path, out: Path) -> None:
    """Run the workflow's commands up to the assignment."""
    batch, cells = out / "1-of-1.parquet", out / "cells.parquet"
    manifest, frames, masks = out / "manifest.json", out / "frames.zarr", out / "masks.zarr"
    folder = data / sample.folder
    for command in (
        f"inspect {folder} --sample s --assay merfish {sample.inspect} -o {manifest}",
        f"preprocess {manifest} -o {frames}",
        f"segment-batch {frames} --batch 1-of-1 --device cpu {sample.segment} -o {batch}",
        f"stitch {frames} {batch} --masks {masks} --cells {cells}",
        f"assign --manifest {manifest} --labels {masks} --cells {cells}"
        f" --expand-um {sample.expand_um} -o {out / '3_cells'}",
    ):
        if cellsam(command.split()) != 0:
            raise SystemExit(f"failed: {command}")


@dataclass(frozen=True)
class Both:
    """Two label images, and the cells of both that each transcript is in."""

    ours: NDArray[np.int64]
    theirs: NDArray[np.int64]
    owner: pd.DataFrame

    def row(self, threshold: float) -> str:
        """Build a row of the table: cells matched at an IoU of at least `threshold`."""
        overlaps = find_overlaps(self.ours, self.theirs)
        pairs = match(overlaps, threshold)
        rows, columns = overlaps.rows[pairs], overlaps.columns[pairs]
        mine, true = np.setdiff1d(self.ours, 0), np.setdiff1d(self.theirs, 0)
        n_mine, n_true = len(mine), len(true)
        mine, true = mine[rows], true[columns]
        genes = pd.crosstab(self.owner["ours"], self.owner["feature"])
        other = pd.crosstab(self.owner["theirs"], self.owner["feature"])
        genes, other = (
            table.reindex(cells, fill_value=0).to_numpy()
            for table, cells in ((genes, mine), (other, true))
        )
        partner = self.owner["ours"].map(dict(zip(mine, true, strict=True)))
        in_matched = self.owner[self.owner["theirs"].isin(true)]
        same = (partner[in_matched.index] == in_matched["theirs"]).mean()
        totals = np.corrcoef(genes.sum(axis=1), other.sum(axis=1))[0, 1]
        single = np.corrcoef(genes.ravel(), other.ravel())[0, 1]
        figures = f"{len(mine)} | {n_mine - len(mine)} | {n_true - len(mine)}"
        return f"{threshold} | {figures} | {totals:.3f} | {single:.3f} | {same:.3f}"

    def differing(self) -> list[tuple[int, int]]:
        """Find the centres, apart from each other, of the squares with most disagreement."""
        step = max(1, max(self.ours.shape) // 200)
        wrong = (self.ours > 0) ^ (self.theirs > 0)
        small = wrong[::step, ::step].astype(float)
        side = max(3, 200 // 8)
        total = np.pad(small.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        score = total[side:, side:] - total[:-side, side:] - total[side:, :-side]
        score = score + total[:-side, :-side]
        found = []
        for _ in range(N_PLACES):
            y, x = np.unravel_index(np.argmax(score), score.shape)
            found.append((int(y + side // 2) * step, int(x + side // 2) * step))
            score[max(0, y - side) : y + side, max(0, x - side) : x + side] = -1
        return found


def load(sample: Sample, data: Path, out: Path) -> tuple[Manifest, Both]:
    """Read both label images and look up each transcript in both."""
    manifest = Manifest.load(out / "manifest.json")
    assert manifest.transcripts is not None
    image = open_label_image(out / "masks.zarr")
    assert image.pixel_size_um is not None
    tiles = expand(image.tiles, sample.expand_um / image.pixel_size_um)
    ours = tiles.window(0, tiles.shape_yx[0], 0, tiles.shape_yx[1]).astype(np.int64)
    theirs = tifffile.imread(data / sample.folder / sample.labels).astype(np.int64)
    table = pd.read_parquet(out / "3_cells/transcripts.parquet")
    um = table[["x_um", "y_um"]].to_numpy().T
    x, y = np.rint(apply_affine(np.array(manifest.transcripts.um_to_px), um)).astype(int)
    inside = (x >= 0) & (x < theirs.shape[1]) & (y >= 0) & (y < theirs.shape[0])
    table = table[inside].assign(ours=table["cell_id"], theirs=theirs[y[inside], x[inside]])
    return manifest, Both(ours, theirs, table[["feature", "ours", "theirs"]].reset_index(drop=True))


def draw(manifest: Manifest, both: Both, path: Path) -> None:
    """Draw the stains, with the vendor's cells above and ours below, where they differ most."""
    stains = read_frame(manifest, 0)
    shown = [stretch(stain) for stain in stains]
    shown = shown if len(shown) == 3 else [shown[-1] * 0, shown[-1], shown[0]]
    rgb = np.stack(shown, axis=-1)
    above, below = [], []
    for centre in both.differing():
        side = max(rgb.shape[0] // 8, MIN_SIDE_PX)
        window = window_around(rgb.shape[:2], centre, side, MAX_SIDE_PX)
        place = np.s_[window.y0 : window.y1 : window.stride, window.x0 : window.x1 : window.stride]
        for labels, colour, row in ((both.theirs, RED, above), (both.ours, WHITE, below)):
            picture = rgb[place].copy()
            picture[outlines(labels[place])] = colour
            row.append(np.pad(picture, ((4, 4), (4, 4), (0, 0))))
    imsave(path, np.vstack([np.hstack(above), np.hstack(below)]))


def main() -> None:
    """Print one row for each sample and threshold; draw one picture for each sample."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    rows = []
    for sample in SAMPLES:
        out = args.output / sample.name
        out.mkdir(parents=True, exist_ok=True)
        run(sample, args.data, out)
        manifest, both = load(sample, args.data, out)
        shares = " | ".join(f"{(both.owner[name] > 0).mean():.3f}" for name in ("ours", "theirs"))
        rows += [f"| {sample.name} | {shares} | {both.row(t)} |" for t in THRESHOLDS]
        draw(manifest, both, args.output / f"{sample.name}.png")
    print(
        "| sample | transcripts in our cells | in the vendor's | IoU | matched | only ours", end=""
    )
    print(" | only theirs | r of totals | r of cell by gene | in the matched cell |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
