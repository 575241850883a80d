"""F1 of three stains of different quality by region, each alone and fused.

    python benchmarks/measure_fusion.py [--seeds 6] [--first-seed 100] [--mixed] [--picture OUT.png]

A simulated tissue of 512 x 1536 px is stained three times, for cytoplasm and for membranes. Each
stain is good in one third of the image and bad in the others, in one of three ways: dim, noisy, or
out of focus. The shipped weights segment each stain alone, the fused plane, and a plane that has
in each third the very pixels of its good stain (`chosen`), without a nuclear stain. F1 at an IoU of
0.5 is that of the cells of all tissues, in each third. `less_best` is the difference of the fused
plane and the best single stain, `se` its standard error from resampled tissues.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import ndimage

import cellsam_core as cc
from cellsam_core.evaluation.segmentation import match_image
from cellsam_core.simulation import shapes
from cellsam_core.simulation.cells import membrane_scene, polyt_scene
from cellsam_core.simulation.optics import expose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cellsam_core.segmentation.stage import Model

SIDE_PX, N_REGIONS, DIAMETER_PX = 512, 3, 30.0
CHANNELS = ("a", "b", "c")
KINDS = ("dim", "noisy", "out of focus")
SCENES = {"cytoplasm": (polyt_scene,) * 3, "mixed": (polyt_scene, membrane_scene, polyt_scene)}
"""Kinds of the three stains; `mixed` is measured with ``--mixed``."""
EDGE_PX = 40  # where the quality changes
BAD_LIGHT, PHOTONS, BAD_PHOTONS, READ_NOISE, BLUR_PX = 0.06, 150.0, 2.0, 2.0, 9.0
GAIN, OFFSET = 300.0, 100.0


def draw_stains(
    rng: np.random.Generator, scenes: str, kind: str, side_px: int = SIDE_PX
) -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Draw three stains ``(3, y, x)`` of one tissue, and its labels.

    Parameters
    ----------
    rng
        Source of all randomness.
    scenes
        Key of `SCENES`.
    kind
        One of `KINDS`: the way in which a stain is bad outside of its third.
    side_px
        Height of the image, and width of a third.
    """
    shape = (side_px, N_REGIONS * side_px)
    labels = shapes.tissue(rng, shape, DIAMETER_PX, 0.7)
    nuclei = shapes.nuclei(rng, labels, fraction=0.6, missing=0.1)
    x = np.arange(shape[1])
    stains = []
    for k, draw in enumerate(SCENES[scenes]):
        inside = np.minimum(x - k * side_px, (k + 1) * side_px - x)
        good = (1 / (1 + np.exp(-inside / (EDGE_PX / 4)))).astype(np.float32)[None]
        scene = ndimage.gaussian_filter(draw(rng, labels, nuclei, DIAMETER_PX), 0.8)
        if kind == "dim":
            scene = scene * (BAD_LIGHT + (1 - BAD_LIGHT) * good)
        if kind == "out of focus":
            scene = good * scene + (1 - good) * ndimage.gaussian_filter(scene, BLUR_PX)
        scene = (scene + 0.05).astype(np.float32)
        image = expose(rng, scene, photons=PHOTONS, read_noise=READ_NOISE)
        if kind == "noisy":
            worse = expose(rng, scene, photons=BAD_PHOTONS, read_noise=READ_NOISE)
            image = good * image + (1 - good) * worse
        stains.append(np.clip(GAIN * image + OFFSET, 0, 65535).astype(np.uint16))
    return np.stack(stains), labels


def planes_of(pixels: NDArray[np.uint16]) -> dict[str, cc.Frames]:
    """Preprocess each stain alone, all of them fused, and those chosen by the truth."""
    names = {name: (name,) for name in CHANNELS} | {"fused": CHANNELS}
    planes = {
        name: cc.preprocess(
            pixels, options=cc.PreprocessOptions(cell_channel=stains), channels=CHANNELS
        )
        for name, stains in names.items()
    }
    thirds = np.split(np.arange(pixels.shape[2]), N_REGIONS)
    best = [planes[k].array[:, :, x] for k, x in zip(CHANNELS, thirds, strict=True)]
    return planes | {"chosen": replace(planes["fused"], array=np.concatenate(best, axis=2))}


def count_cells(model: Model, frames: cc.Frames, labels: NDArray[np.int32]) -> NDArray[np.int64]:
    """Segment a plane; return hits, false and missed cells of each third."""
    found, _ = cc.segment_frames(
        frames, model, options=cc.SegmentOptions(cell_diameter_px=DIAMETER_PX)
    )
    side = labels.shape[1] // N_REGIONS
    thirds = [np.s_[:, k * side + EDGE_PX : (k + 1) * side - EDGE_PX] for k in range(N_REGIONS)]
    return np.stack(
        [
            match_image(np.asarray(found)[third].astype(np.int64), labels[third]).counts[0]
            for third in thirds
        ]
    )


def f1(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the F1 of hits, false and missed cells ``(..., 3)``."""
    hits, false, missed = np.moveaxis(counts, -1, 0)
    score: NDArray[np.float64] = 2 * hits / np.maximum(2 * hits + false + missed, 1)
    return score


def rows_of(counts: dict[str, NDArray[np.int64]]) -> Iterator[dict[str, float]]:
    """Make a row for each third from the counts ``(tissues, thirds, 3)`` of each plane."""
    scores = {name: f1(of.sum(0)) for name, of in counts.items()}
    n = len(counts["fused"])
    drawn = np.random.default_rng(0).integers(0, n, (1000, n))
    for third in range(N_REGIONS):
        best = max(CHANNELS, key=lambda name, third=third: scores[name][third])
        pair = [f1(counts[name][drawn, third].sum(1)) for name in ("fused", best)]
        row = {"third": third + 1} | {name: of[third] for name, of in scores.items()}
        less = scores["fused"][third] - scores[best][third]
        yield row | {"less_best": less, "se": float(np.std(pair[0] - pair[1]))}


def main() -> None:
    """Print one row for each kind of stains and quality."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--first-seed", type=int, default=100)
    parser.add_argument("--side-px", type=int, default=SIDE_PX)
    parser.add_argument("--mixed", action="store_true", help="membranes among the stains, too")
    parser.add_argument("--weights", default="tiny")
    parser.add_argument("--picture", type=Path, help="PNG of the first tissue of each row")
    args = parser.parse_args()
    model = cc.load_model(args.weights, device="cpu")
    rows = []
    for scenes in SCENES if args.mixed else ("cytoplasm",):
        for kind in KINDS:
            counts: dict[str, list[NDArray[np.int64]]] = {}
            for seed in range(args.first_seed, args.first_seed + args.seeds):
                rng = np.random.default_rng(seed)
                pixels, labels = draw_stains(rng, scenes, kind, args.side_px)
                planes = planes_of(pixels)
                for name, frames in planes.items():
                    counts.setdefault(name, []).append(count_cells(model, frames, labels))
                if args.picture and seed == args.first_seed:
                    save_picture(args.picture, f"{scenes}_{kind}", planes)
            found = {name: np.stack(of) for name, of in counts.items()}
            rows += [{"stains": scenes, "bad": kind} | row for row in rows_of(found)]
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.3f}"))


def save_picture(path: Path, name: str, planes: dict[str, cc.Frames]) -> None:
    """Draw the stains and the fused plane below each other."""
    from PIL import Image

    shown = [planes[of].array[0] for of in (*CHANNELS, "fused")]
    stacked = np.concatenate(shown) >> 8
    target = path.with_name(f"{path.stem}_{name.replace(' ', '_')}.png")
    Image.fromarray(stacked.astype(np.uint8)).save(target)


if __name__ == "__main__":
    main()
