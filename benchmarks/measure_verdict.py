"""Measure how often the verdict is wrong, on simulated samples that are made worse step by step.

``python benchmarks/measure_verdict.py OUT [--seeds 0 1] [--only noise swapped]``

Each row of ``OUT/verdicts.tsv`` is a sample: its change, the level of the change from 0 (none)
to 1, the quality of its results against the truth, the verdict, and all measures. The quality of a
movie is the lower of two F1 scores, that of the masks at IoU 0.5 and that of the links between
frames; the quality of a tissue is the F1 score of the transcripts' owners. A run that was stopped
goes on where it was. The tables that are printed are those of ``docs/verdict.md``.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from bad_inputs import (
    IMAGE_CHANGES,
    change_movie,
    change_stains,
    other_region,
    shift_transcripts,
    swap_transform,
)
from PIL import Image

import cellsam_core as cc
from cellsam_core.evaluation.segmentation import find_overlaps, match
from cellsam_core.reporting.pictures.images import overlay, read_window, window_around
from cellsam_core.verdict.limits import LIMITS

MOVIE = cc.MovieOptions(frames=6, size_px=256, cells=26)
TISSUE = cc.TissueOptions(size_px=384, cells=100, transcripts=5000, z_planes=1)
LEVELS = (1.0, 0.6, 0.8, 0.4, 0.2)
STAIN_CHANGES = ("noise", "shot_noise", "defocus", "wrong_channel")
TRANSCRIPT_CHANGES = ("shifted", "swapped", "other_region")
SIZE_CHANGES = ("diameter_too_large", "diameter_too_small")
SHIFT_UM = 5.0
GOOD, BAD = 0.8, 0.5
BANDS = {f"from {GOOD}": (GOOD, 2.0), f"{BAD} to {GOOD}": (BAD, GOOD), f"below {BAD}": (-1.0, BAD)}
ORDER = ("green", "amber", "red")
NUCLEUS_PX = 20.0  # of the simulated nuclei; a wrong diameter is a multiple of it


def plan(seeds: list[int]) -> list[tuple[str, str, float, int]]:
    """List all samples: kind, change, level and seed; three unchanged ones stand for each seed."""
    unchanged = [3 * seed + k for seed in seeds for k in range(3)]
    rows = [(kind, "none", 0.0, seed) for seed in unchanged for kind in ("movie", "tissue")]
    for seed in seeds:
        rows += [("tissue", change, 1.0, seed) for change in ("swapped", "other_region")]
        for level in LEVELS:
            rows += [("movie", change, level, seed) for change in (*IMAGE_CHANGES, *SIZE_CHANGES)]
            rows += [("tissue", change, level, seed) for change in (*STAIN_CHANGES, "shifted")]
    return rows


def main() -> None:
    """Simulate, change, run all stages, judge; then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--only", nargs="+", help="changes to measure; all by default")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    path = args.output / "verdicts.tsv"
    done = read(path)
    known = set(zip(done["kind"], done["change"], done["level"], done["seed"], strict=True))
    model = None
    for row in plan(args.seeds):
        if row in known or (args.only and row[1] not in args.only):
            continue
        model = model or cc.load_model("tiny", device="cpu")
        measure = movie if row[0] == "movie" else tissue
        quality, verdict = measure(args.output / "sample", *row[1:], model)
        draw(args.output / "sample/results", args.output / ("_".join(map(str, row)) + ".png"))
        with path.open("a", encoding="utf-8") as file:
            file.write("\t".join([*map(str, row), f"{quality:.3f}", *columns_of(verdict)]) + "\n")
    show(read(path))


COLUMNS = ["kind", "change", "level", "seed", "quality", "verdict", "red", "amber", "measures"]


def read(path: Path) -> pd.DataFrame:
    """Read the rows that were measured so far."""
    if not path.exists():
        return pd.DataFrame(columns=COLUMNS)
    return pd.read_csv(path, sep="\t", names=COLUMNS, quoting=3, keep_default_na=False)


def columns_of(verdict: cc.Verdict) -> list[str]:
    """Return the verdict, the measures that are red and amber, and the values of all."""
    entries = [m for check in json.loads(verdict.to_json())["checks"] for m in check["measures"]]
    named = [
        ";".join(m["name"] for m in entries if m["colour"] == colour) for colour in ("red", "amber")
    ]
    return [verdict.colour, *named, json.dumps({m["name"]: m["value"] for m in entries})]


def draw(results: Path, output: Path) -> None:
    """Draw the outlines over the stain of the middle frame, to look at."""
    found = cc.Results(results)
    image, masks = found.image(), found.masks()
    assert image is not None
    assert masks is not None
    frame = masks.n_frames // 2
    window = window_around(masks.shape_yx)
    plane = read_window(image, frame, len(image.channels) - 1, window)
    rgb = overlay(plane, read_window(masks, frame, 0, window))
    Image.fromarray(rgb.repeat(2, axis=0).repeat(2, axis=1)).save(output)


def movie(
    folder: Path, change: str, level: float, seed: int, model: cc.Model
) -> tuple[float, cc.Verdict]:
    """Run all stages on a changed movie; return the quality of its results and its verdict."""
    shutil.rmtree(folder, ignore_errors=True)
    raw, results = folder / "raw", folder / "results"
    cc.simulate_movie(raw, seed=seed, options=MOVIE)
    if change in IMAGE_CHANGES:
        change_movie(raw / "images", change, level, seed)
    scale = cc.InspectOptions(pixel_size_um=0.65, frame_interval_s=300)
    sample = cc.inspect(raw / "images", sample=change, assay="movie", options=scale)
    masks = segmented(sample, results, model, segment_options(change, level))
    cc.track(masks).write(results / "3_tracks")
    ratio = cc.TraceOptions(ratio="AMPKAR_480/AMPKAR_405")
    cc.trace(sample, masks, results / "3_tracks", ratio).write(results / "3_tracks")
    found = cc.Results(results)
    objects = found.table("3_tracks/objects.parquet")
    assert objects is not None
    return movie_quality(found, objects, raw / "truth"), cc.judge(results)


def segment_options(change: str, level: float) -> cc.SegmentOptions:
    """Return the options of segmentation, with a diameter that is wrong by up to 4 times."""
    if change not in SIZE_CHANGES:
        return cc.SegmentOptions()
    sign = 1 if change == "diameter_too_large" else -1
    return cc.SegmentOptions(cell_diameter_px=NUCLEUS_PX * 4 ** (sign * level))


def segmented(
    sample: cc.Manifest, results: Path, model: cc.Model, options: cc.SegmentOptions
) -> Path:
    """Write manifest, frames and masks; return the path of the masks."""
    sample.save(results / "0_manifest.json")
    frames = results / "1_preprocessed/frames.zarr"
    cc.preprocess(sample, frames)
    cc.segment_frames(frames, model, results / "2_masks", options)
    return results / "2_masks/masks.zarr"


def movie_quality(results: cc.Results, objects: pd.DataFrame, truth: Path) -> float:
    """Return the lower of the F1 scores of masks and of links.

    A true cell in two frames is one link; a link that was made is right if both its masks match
    the nuclei of one cell.
    """
    masks = results.masks()
    assert masks is not None
    right = n_found = n_true = 0
    found_links, true_links, good_links = 0, 0, 0
    before: dict[int, int] = {}  # true cell to the track that shows it
    tracks_before: set[int] = set()
    cells_before: set[int] = set()
    for frame in range(masks.n_frames):
        wanted = tifffile.imread(truth / "nuclei" / f"nuclei{frame:03d}.tif")
        found = np.asarray(masks.read((frame, slice(None), slice(None))))
        rows = objects[objects["frame"] == frame]
        track_of = dict(zip(rows["label"], rows["track_id"], strict=True))
        pairs = matches(found, wanted)
        ids, cells = set(track_of.values()), set(np.unique(wanted[wanted > 0]).tolist())
        right, n_found, n_true = right + len(pairs), n_found + len(ids), n_true + len(cells)
        now = {cell: track_of[label] for label, cell in pairs.items() if label in track_of}
        good_links += sum(before.get(cell) == track for cell, track in now.items())
        found_links += len(ids & tracks_before)
        true_links += len(cells & cells_before)
        before, tracks_before, cells_before = now, ids, cells
    return min(f1(right, n_found, n_true), f1(good_links, found_links, true_links))


def tissue(
    folder: Path, change: str, level: float, seed: int, model: cc.Model
) -> tuple[float, cc.Verdict]:
    """Run all stages on a changed tissue; return the quality of its results and its verdict."""
    shutil.rmtree(folder, ignore_errors=True)
    raw, results = folder / "raw", folder / "results"
    cc.simulate_tissue(raw, seed=seed, options=TISSUE)
    owners = pd.read_csv(raw / "truth/transcripts.csv")["cell_id"].to_numpy()
    if change in IMAGE_CHANGES:
        change_stains(raw, change, level, seed)
    elif change == "shifted":
        shift_transcripts(raw, SHIFT_UM * level)
    elif change == "swapped":
        swap_transform(raw)
    elif change == "other_region":
        cc.simulate_tissue(folder / "other", seed=seed + 100, options=TISSUE)
        other_region(raw, folder / "other")
        owners = np.zeros_like(owners)
    sample = cc.inspect(raw, sample=change, assay="merfish")
    masks = segmented(sample, results, model, cc.SegmentOptions())
    cc.assign(
        sample,
        masks,
        cells=results / "2_masks/cells.parquet",
        sample=change,
        output=results / "3_cells",
    )
    wanted = tifffile.imread(raw / "truth/labels.tif")
    found = cc.Results(results)
    labels = found.masks()
    assert labels is not None
    pairs = matches(np.asarray(labels.read((slice(None), slice(None)))), wanted)
    table = found.table("3_cells/transcripts.parquet", ["cell_id"])
    assert table is not None
    given = table["cell_id"].to_numpy()
    right = int(((given > 0) & (owners == np.array([pairs.get(i, -1) for i in given]))).sum())
    return f1(right, int((given > 0).sum()), int((owners > 0).sum())), cc.judge(results)


def matches(found: Any, wanted: Any) -> dict[int, int]:
    """Return found label to true label of the cells that match at IoU 0.5."""
    overlaps = find_overlaps(found, wanted)
    chosen = match(overlaps, 0.5)
    labels, cells = (np.unique(image[image > 0]) for image in (found, wanted))
    rows, columns = overlaps.rows[chosen], overlaps.columns[chosen]
    return dict(zip(labels[rows].tolist(), cells[columns].tolist(), strict=True))


def f1(right: int, n_found: int, n_true: int) -> float:
    """Return the F1 score; 1 where nothing was to be found and nothing was found."""
    return 2 * right / (n_found + n_true) if n_found + n_true else 1.0


def show(rows: pd.DataFrame) -> None:
    """Print verdicts by quality, and by change and level, with the limits that are in force.

    The share of valid values of the ratio is left out: it judges the ratio, and the quality masks
    and tracks.
    """
    judged = [judge_again(json.loads(text)) for text in rows["measures"]]
    rows = rows.assign(verdict=[verdict for verdict, _ in judged], red=[red for _, red in judged])
    for kind, group in rows.groupby("kind"):
        print(f"\n{kind}: samples by quality and verdict\n")
        print("| quality | green | amber | red | measures that are red |\n|---|---|---|---|---|")
        for name, (low, high) in BANDS.items():
            part = group[group["quality"].between(low, high, inclusive="left")]
            counts = [int((part["verdict"] == colour).sum()) for colour in ORDER]
            reasons = sorted({f"{r.change}: {r.red}" for r in part.itertuples() if r.red})
            print(f"| {name} | " + " | ".join(map(str, counts)) + f" | {'; '.join(reasons)} |")
        print("\n| change | level: quality, verdict, red measures |\n|---|---|")
        for change, part in group.groupby("change"):
            said = [
                f"{row.level:g}: {row.quality:.2f} {row.verdict} {row.red}".strip()
                for row in part.sort_values(["level", "seed"]).itertuples()
            ]
            print(f"| {change} | " + "; ".join(said) + " |")


def judge_again(values: dict[str, float | None]) -> tuple[str, str]:
    """Return the worst colour of measures, and the names of those that are red."""
    known = {limit.name: limit for limit in LIMITS}
    found = {name: known[name].colour(v) for name, v in values.items() if name != "valid_values"}
    worst = next((colour for colour in ORDER[::-1] if colour in found.values()), "unknown")
    return worst, ", ".join(name for name, colour in found.items() if colour == "red")


if __name__ == "__main__":
    main()
