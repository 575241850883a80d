"""Scores by kind and set of image: F1 with the diameter measured and named, AP, and the baseline.

``python benchmarks/measure_kinds.py --data DATA -o OUT [--weights A,B] [--split validation,test]``
reads each image of the manifest once, segments it with every weights file, with the diameter
measured (auto) and that of the labels (truth), and by Otsu's threshold and a watershed. It writes
``kinds.tsv`` (one row a set and method) and ``images.tsv``, and prints the first. The segmentation
is that of ``cellsam-core benchmark``.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cellsam_core.benchmark.images import MANIFEST, manifest_entries
from cellsam_core.benchmark.methods import Method, cellsam
from cellsam_core.benchmark.otsu import segment_otsu_watershed
from cellsam_core.benchmark.score import score_image, segment_timed
from cellsam_core.evaluation.segmentation import summarise
from cellsam_core.segmentation.options import SegmentOptions
from cellsam_core.segmentation.stage import load_model

if TYPE_CHECKING:
    from cellsam_core.benchmark.images import Entry
    from cellsam_core.benchmark.score import Diameter
    from cellsam_core.evaluation.segmentation import ImageMatches

log = logging.getLogger(__name__)

TILE_PX, MIN_AREA_PX = 512, 25
SHOWN = ["f1_50", "ap_50", "ap_75", "ap_90", "pq", "seg", "n_images", "n_true", "n_predicted"]
KEY = ["split", "modality", "set", "method"]


def methods(weights: list[str], diameters: list[str]) -> dict[str, tuple[Method, Diameter]]:
    """Load every weights file, for each way to know the diameter, and the baseline."""
    loaded: dict[str, tuple[Method, Diameter]] = {}
    for name in weights:
        segmenter = load_model(name, device="cpu").segmenter(SegmentOptions())
        method = cellsam(segmenter, tile_px=TILE_PX, min_area_px=MIN_AREA_PX)
        if "auto" in diameters:
            loaded[f"{name} auto"] = method, None
        if "truth" in diameters:
            loaded[f"{name} truth"] = method, "truth"
    if "otsu" in diameters:
        loaded["otsu_watershed"] = Method(segment_otsu_watershed), None
    return loaded


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path, nargs="?", default=MANIFEST)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--weights", default="tiny", help="names or paths, comma separated")
    parser.add_argument("--split", default="validation,test")
    parser.add_argument("--diameters", default="auto,truth,otsu", help="some of these")
    parser.add_argument("--sets", default="", help="only these, comma separated")
    parser.add_argument("--every", type=int, default=1, help="of each set, each so-manyth image")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    compared = methods(args.weights.split(","), args.diameters.split(","))
    wanted = [name for name in args.sets.split(",") if name]
    entries = manifest_entries(args.manifest, args.data, args.split.split(","))
    entries = [e for e in entries if not wanted or e.set_name in wanted]
    k = len(compared)
    counts: dict[tuple[str, str], int] = {}
    found: list[tuple[Entry, str, ImageMatches, float]] = []
    for entry in entries:
        counts[entry.split, entry.set_name] = n = counts.get((entry.split, entry.set_name), -1) + 1
        if n % args.every:
            continue
        image = entry.read()
        for name, (method, diameter) in compared.items():
            labels, seconds = segment_timed(image, method, diameter)
            found.append((entry, name, score_image(labels, image), seconds))
        log.info("%s: %s", entry.name, ", ".join(f"{m.f1_50:.3f}" for _, _, m, _ in found[-k:]))
    args.output.mkdir(parents=True, exist_ok=True)
    images = pd.DataFrame(
        [
            {"split": e.split, "modality": e.modality, "set": e.set_name, "image": e.name}
            | {"method": m, "f1_50": s.f1_50, "seconds": t}
            for e, m, s, t in found
        ]
    )
    images.to_csv(args.output / "images.tsv", sep="\t", index=False, float_format="%.4f")
    groups: dict[tuple[str, ...], list[ImageMatches]] = {}
    for e, m, s, _ in found:
        groups.setdefault((e.split, e.modality, e.set_name, m), []).append(s)
    rows = []
    for key, group in sorted(groups.items()):
        scores = summarise(group)
        rows.append(dict(zip(KEY, key, strict=True)) | {name: scores[name] for name in SHOWN})
    table = pd.DataFrame(rows)
    table.to_csv(args.output / "kinds.tsv", sep="\t", index=False, float_format="%.4f")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
