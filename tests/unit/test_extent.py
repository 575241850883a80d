"""The size of a sample that jobs are planned with equals that of `inspect`; it reads one header."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile

from cellsam_core.run_plan.extent import Extent, Tiles, read_extent
from cellsam_core.run_plan.plan import Pilot, SampleWork, hours, page, read_pilot
from cellsam_core.samples.movies import inspect_movie

IMAGE = np.zeros((20, 30), np.uint16)


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, IMAGE)


@pytest.mark.parametrize(
    ("names", "n_frames"),
    [
        (["t0.tif", "t1.tif", "t2.tif"], 3),
        (["a_t0_c1.tif", "a_t0_c2.tif", "a_t1_c1.tif", "a_t1_c2.tif"], 2),
        (["GFP/t0.tif", "GFP/t1.tif", "RFP/t0.tif", "RFP/t1.tif"], 2),
        (["01/t000.tif", "01/t001.tif", "01_GT/SEG/man_seg000.tif"], 2),
        (["only.tif"], 1),
    ],
)
def test_frames_of_a_movie_are_those_of_inspect(tmp_path: Path, names: list[str], n_frames: int):
    write(*(tmp_path / name for name in names))
    manifest = inspect_movie(tmp_path, sample="s", assay="movie")
    extent = read_extent(tmp_path, is_movie=True)
    assert extent == Extent(manifest.n_frames, manifest.shape_yx) == Extent(n_frames, (20, 30))


def test_a_stack_is_counted_by_its_header(tmp_path: Path):
    stack = np.zeros((5, 2, 20, 30), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "TCYX"})
    assert read_extent(tmp_path / "a.tif", is_movie=True) == Extent(5, (20, 30))


def test_a_tissue_is_one_image(tmp_path: Path):
    write(*(tmp_path / f"region_0/images/mosaic_DAPI_z{z}.tif" for z in range(3)))
    assert read_extent(tmp_path, is_movie=False) == Extent(1, (20, 30))


def test_what_is_unclear_is_left_to_inspect(tmp_path: Path):
    assert read_extent(tmp_path, is_movie=True) is None
    (tmp_path / "t0.tif").write_bytes(b"II*\0broken")
    assert read_extent(tmp_path, is_movie=True) is None


def test_hours_are_those_of_jobs_that_ran(tmp_path: Path):
    segment = tmp_path / "a" / "segment"
    segment.mkdir(parents=True)
    (segment / "2-of-3.tsv").write_text("s\th:m:s\n30.0\t0:00:30\n")
    pilot = read_pilot({"a": 10, "b": 5}, tmp_path)
    assert pilot == Pilot(seconds=30.0, n_tiles=3, n_jobs=1)  # tiles 3, 4, 5 of 10
    work = SampleWork("b", Tiles(720, 512.0**2), 100, 2, 8, "tiny")
    assert hours(work, pilot) == pytest.approx(2.0)
    assert 0 < hours(work, Pilot()) < hours(replace(work, weights="vit_b"), Pilot())


def test_unclear_samples_are_named_on_the_page():
    text = page([SampleWork("a", None, None, 1, 7, "tiny")], Pilot())
    assert "counted as one job without tiles: a." in text


@pytest.mark.parametrize("is_movie", [True, False])
def test_a_folder_that_is_not_there_is_left_to_inspect(tmp_path, is_movie):
    assert read_extent(tmp_path / "none", is_movie=is_movie) is None
