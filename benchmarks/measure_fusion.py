"""F1 of three stains of different quality by region, each alone and fused.

    python benchmarks/measure_fusion.py [--seeds 6] [--first-seed 100] [--mixed] [--picture OUT.png]

A simulated tissue of 512 x 1536 px is stained three times, for cytoplasm and for membranes. Each
stain is good in one third of the image and bad in the others, in one of three ways: dim, noisy, or
out of focus. The shipped weights segment each stain alone, the mean of all, and the fused plane,
without a nuclear stain. F1 at an IoU of 0.5 is that of the cells of all tissues, in each third.
"""

from __future__ import annotations

import argparse
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
    from numpy.typing import NDArray

    from cellsam_core.segmentation.stage import Model

SIDE_PX, N_REGIONS, DIAMETER_PX = 512, 3, 30.0
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


def count_cells(
    model: Model, pixels: NDArray[np.uint16], labels: NDArray[np.int32], names: tuple[str, ...]
) -> NDArray[np.int64]:
    """Segment some channels of an image; return hits, false and missed cells of each third."""
    channels = ("a", "b", "c")
    options = cc.PreprocessOptions(cell_channel=names)
    frames = cc.preprocess(pixels, options=options, channels=channels)
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
            total: dict[str, NDArray[np.int64]] = {}
            for seed in range(args.first_seed, args.first_seed + args.seeds):
                rng = np.random.default_rng(seed)
                pixels, labels = draw_stains(rng, scenes, kind, args.side_px)
                inputs = {name: (name,) for name in "abc"} | {"fused": ("a", "b", "c")}
                for name, names in inputs.items():
                    counts = count_cells(model, pixels, labels, names)
                    total[name] = total.get(name, 0) + counts
                if args.picture and seed == args.first_seed:
                    save_picture(args.picture, f"{scenes}_{kind}", pixels)
            scores = {
                name: 2 * of[:, 0] / np.maximum(2 * of[:, 0] + of[:, 1] + of[:, 2], 1)
                for name, of in total.items()
            }
            for third in range(N_REGIONS):
                single = [scores[name][third] for name in "abc"]
                row = {"stains": scenes, "bad": kind, "third": third + 1}
                row |= dict(zip("abc", single, strict=True))
                fused = scores["fused"][third]
                rows.append(row | {"fused": fused, "less_best": fused - max(single)})
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda v: f"{v:.3f}"))


def save_picture(path: Path, name: str, pixels: NDArray[np.uint16]) -> None:
    """Draw the stains and the fused plane below each other."""
    from PIL import Image

    planes = [
        cc.preprocess(
            pixels, options=cc.PreprocessOptions(cell_channel=names), channels=("a", "b", "c")
        ).array[0]
        for names in (("a",), ("b",), ("c",), ("a", "b", "c"))
    ]
    stacked = np.concatenate(planes) >> 8
    target = path.with_name(f"{path.stem}_{name.replace(' ', '_')}.png")
    Image.fromarray(stacked.astype(np.uint8)).save(target)


if __name__ == "__main__":
    main()
