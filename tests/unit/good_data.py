"""A small valid tissue and movie, and commands that read them; OUT stands for the output."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from cellsam_core.cli import main
from cellsam_core.segmentation.batch_files import BatchWriter
from cellsam_core.segmentation.instances import Instance

SIZE = 128
CELL = Instance(40, 50, np.ones((20, 20), bool), 0.9, 0.9)
Arguments = list[object]


def run(*arguments: object) -> None:
    assert main([str(word) for word in arguments]) == 0


def write_good_data(root: Path) -> None:
    (root / "movie").mkdir()
    for t in range(4):
        image = np.full((SIZE, SIZE), 100 + t, np.uint16)
        tifffile.imwrite(root / "movie" / f"t{t}.tif", image)
    tissue = ("--size-px", SIZE, "--cells", 8, "--transcripts", 200)
    run("simulate", "merfish", "-o", root / "merfish", *tissue)
    for name in ("movie", "merfish"):
        sample = ("--sample", "s", "--assay", name)
        run("inspect", root / name, *sample, "-o", root / f"{name}.json")
    run("preprocess", root / "movie.json", "-o", root / "frames.zarr")
    (root / "batches").mkdir()
    for k, frames in enumerate(([0, 1], [2, 3]), start=1):
        with BatchWriter(root / "batches" / f"{k}-of-2.parquet", {"weights": "tiny"}) as writer:
            for frame in frames:
                writer.add(frame, [CELL])
    batches = sorted((root / "batches").iterdir())
    out = ("--masks", root / "masks.zarr", "--cells", root / "cells.parquet")
    run("stitch", root / "frames.zarr", *batches, *out)
    run("track", root / "masks.zarr", "-o", root / "tracks")
    shutil.copy(root / "merfish/truth/labels.tif", root / "labels.tif")


def inspect(folder: Path, assay: str, *options: object) -> Arguments:
    return ["inspect", folder, "--sample", "s", "--assay", assay, *options, "-o", "OUT/m.json"]


def traces(data: Path, *options: object, masks: str = "masks.zarr") -> Arguments:
    tables = ("--objects", data / "tracks/objects.parquet", "--tracks", data / "tracks/tracks.csv")
    masks_option = ("--masks", data / masks)
    return ["traces", data / "movie.json", *masks_option, *tables, *options, "-o", "OUT"]


def assign(data: Path, *options: object, labels: str = "labels.tif") -> Arguments:
    manifest = ("--manifest", data / "merfish.json")
    return ["assign", "--labels", data / labels, *manifest, *options, "-o", "OUT"]


def stitch(data: Path, *batches: object) -> Arguments:
    out = ("--masks", "OUT/masks.zarr", "--cells", "OUT/cells.parquet")
    return ["stitch", data / "frames.zarr", *batches, *out]


def batch(data: Path, *options: object, frames: str = "frames.zarr") -> Arguments:
    return ["segment-batch", data / frames, *options, "-o", "OUT/b.parquet"]


def segment(data: Path, *options: object) -> Arguments:
    return ["segment", data / "movie/t0.tif", *options, "-o", "OUT"]


def table_of(data: Path) -> Path:
    return data / "merfish/detected_transcripts.csv"


def change_table(data: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Arguments:
    change(pd.read_csv(table_of(data), index_col=0)).to_csv(table_of(data))
    return inspect(data / "merfish", "merfish")


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def cut(path: Path, keep: float = 0.5) -> Path:
    return write(path, path.read_bytes()[: int(keep * path.stat().st_size)])


def boxes(data: Path, content: str | bytes) -> Arguments:
    return segment(data, "--boxes", write(data / "boxes.csv", content))
