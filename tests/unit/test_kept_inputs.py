"""Commands run by hand do not replace what they read, whatever follows `-o`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import tifffile
from refusals import follow

import cellsam_core as cc
from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.atomic import atomic_path
from cellsam_core.labels.tiles import LabelArray, measure_cells

if TYPE_CHECKING:
    from pathlib import Path


def labels() -> np.ndarray:
    image = np.zeros((32, 32), np.uint32)
    image[4:12, 4:12], image[20:28, 20:28] = 1, 2
    return image


def masks(folder: Path) -> Path:
    """Write masks and the table of their cells."""
    store = omezarr.create(folder / "masks.zarr", shape=(32, 32), axes="yx", dtype="uint32")
    store.array[:] = labels()
    measure_cells(LabelArray(labels())).assign(frame=0).to_parquet(folder / "cells.parquet")
    return folder / "masks.zarr"


def contents(folder: Path) -> dict[str, bytes]:
    """Files of a folder, without locks that a command has held."""
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(folder: Path, call: Any, output: Path) -> None:
    """Check that a call whose output replaces an input is refused and changes nothing."""
    before = contents(folder)
    follow(lambda: call(folder), "choose another output", then=lambda: call(output))
    assert {name: contents(folder)[name] for name in before} == before


def test_transcripts_stay(tmp_path: Path) -> None:
    table, raw = tmp_path / "raw" / "transcripts.parquet", tmp_path / "raw"
    raw.mkdir()
    pd.DataFrame({"gene": ["A", "B"], "x_px": [5.0, 22], "y_px": [5.0, 22]}).to_parquet(table)

    def assign(output: Path) -> Any:
        return cc.assign(table, labels(), pixel_size_um=1.0, output=output)

    refused(raw, assign, tmp_path / "3_cells")
    (tmp_path / "link").symlink_to(raw)
    with pytest.raises(InputError, match="found an input of this command"):
        assign(tmp_path / "link")


def test_masks_stay_when_nuclei_are_paired_and_cells_corrected(tmp_path: Path) -> None:
    path = masks(tmp_path)
    refused(tmp_path, lambda output: cc.pair_nuclei(path, path, output), tmp_path / "nuclei")
    rows = tmp_path / "new" / "corrections.csv"
    rows.parent.mkdir()
    text = "operation,frame,anchor,outline,other\ndelete,0,4 3.5;11 3.5;11.5 11;4 11.5,,\n"
    rows.write_text(text)
    for folder in (tmp_path, tmp_path / "new"):
        refused(
            folder,
            lambda output: cc.correct(path, tmp_path / "cells.parquet", rows, output),
            tmp_path / "corrected",
        )


def test_label_images_stay_when_they_are_tracked(tmp_path: Path) -> None:
    movie = np.stack([labels()] * 3).astype(np.uint16)
    cc.track(movie).write(tmp_path / "old")
    given = tmp_path / "old" / "ctc"
    refused(tmp_path / "old", lambda output: cc.track(given).write(output), tmp_path / "new")
    assert main(["track", str(given), "-o", str(tmp_path / "old")]) == 1
    assert main(["track", str(given), "-o", str(tmp_path / "newer")]) == 0


def test_frames_stay_when_masks_are_imported(tmp_path: Path, capsys: Any) -> None:
    image = np.full((2, 32, 32), 100, np.uint16)
    image[:, labels() > 0] = 900
    tifffile.imwrite(tmp_path / "movie.tif", image)
    np.save(tmp_path / "given.npy", np.stack([labels()] * 2))
    manifest = cc.inspect(tmp_path / "movie.tif", assay="movie")
    manifest.save(tmp_path / "0_manifest.json")
    frames = str(tmp_path / "frames.zarr")
    cc.preprocess(manifest, frames)
    command = ["import-masks", str(tmp_path / "given.npy"), "--frames", frames]
    command += ["--manifest", str(tmp_path / "0_manifest.json")]
    command += ["--cells", str(tmp_path / "cells.parquet"), "--masks"]
    assert main([*command, frames]) == 1
    assert "found an input of this command in its place" in capsys.readouterr().err
    assert main([*command, str(tmp_path / "masks.zarr")]) == 0


def test_a_raw_image_stays_when_it_is_preprocessed(tmp_path: Path) -> None:
    raw = omezarr.create(tmp_path / "raw.zarr", shape=(1, 32, 32), axes="cyx", dtype="uint16")
    raw.array[0] = labels() * 100
    path = tmp_path / "raw.zarr"
    manifest = replace(cc.inspect(path, assay="movie"), channels=["nuclear"])
    refused(
        path,
        lambda output: cc.preprocess(manifest, path if output == path else output / "frames.zarr"),
        tmp_path,
    )


def test_a_folder_does_not_take_the_place_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_text("mine")

    def write(path: Path) -> None:
        with atomic_path(path) as folder:
            folder.mkdir()

    follow(lambda: write(path), "choose another output", then=lambda: write(tmp_path / "another"))
    assert path.read_text() == "mine"
