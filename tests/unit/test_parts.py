from __future__ import annotations

import shutil

import numpy as np
import pytest

from cellsam_core.cli import main
from cellsam_core.files import omezarr
from cellsam_core.files.atomic import atomic_path
from cellsam_core.segmentation import batch_parts as parts
from cellsam_core.segmentation.batch_files import iter_frames
from cellsam_core.segmentation.instances import Instance
from cellsam_core.segmentation.tiny.predict import Segmenter

N_FRAMES = 5


class Killed(Exception):
    pass


def write_frames(path, value: int) -> None:
    with atomic_path(path) as temporary:
        shape, axes = (N_FRAMES, 1, 64, 64), "tcyx"
        frames = omezarr.create(
            temporary, shape=shape, axes=axes, dtype="uint16", channels=("cell",)
        )
        frames.array[:] = np.arange(N_FRAMES)[:, None, None, None] + value
        frames.array[..., 0, 0] = 0  # tiles of one brightness are not segmented


@pytest.fixture
def frames(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "PART_TILES", 2)
    write_frames(tmp_path / "frames.zarr", 1)
    return tmp_path / "frames.zarr"


def segment(frames, output, monkeypatch, *, batch: str = "1-of-1", die_at: int = -1) -> list[int]:
    """Run the command with a segmenter that finds one cell a tile; return the tiles it saw."""
    seen: list[int] = []

    def fake(self, pixels, diameter_px):
        if len(seen) == die_at:
            raise Killed
        value = round(float(pixels.max()) * 65535)
        seen.append(value)
        return [Instance(value, 3, np.ones((4, 5), bool), 0.9, 0.8)]

    monkeypatch.setattr(Segmenter, "segment", fake)
    options = ["--batch", batch, "--cell-diameter-px", "24", "-o", str(output)]
    main(["segment-batch", str(frames), *options])
    return seen


def test_a_killed_job_goes_on_where_it_stopped(frames, tmp_path, monkeypatch) -> None:
    whole, killed = tmp_path / "whole.parquet", tmp_path / "killed.parquet"
    assert segment(frames, whole, monkeypatch) == [1, 2, 3, 4, 5]
    with pytest.raises(Killed):
        segment(frames, killed, monkeypatch, die_at=3)
    assert not killed.exists()
    assert segment(frames, killed, monkeypatch) == [3, 4, 5]
    assert killed.read_bytes() == whole.read_bytes()
    assert [len(cells) for cells in iter_frames([killed], N_FRAMES)] == [1] * N_FRAMES
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(
        ["frames.zarr", whole.name, killed.name]
    )


def test_parts_of_other_images_are_thrown_away(frames, tmp_path, monkeypatch) -> None:
    output = tmp_path / "b.parquet"
    with pytest.raises(Killed):
        segment(frames, output, monkeypatch, die_at=4)
    shutil.rmtree(frames)
    write_frames(frames, 11)
    assert segment(frames, output, monkeypatch) == [11, 12, 13, 14, 15]


@pytest.mark.parametrize(("batch", "its_tiles"), [("1-of-2", [1, 2]), ("2-of-2", [3, 4, 5])])
def test_parts_of_other_batches_are_thrown_away(
    frames, tmp_path, monkeypatch, batch, its_tiles
) -> None:
    """The file is the same; only the batch that is asked for tells whose the parts are."""
    output = tmp_path / "b.parquet"
    with pytest.raises(Killed):
        segment(frames, output, monkeypatch, batch="1-of-1", die_at=4)
    assert segment(frames, output, monkeypatch, batch=batch) == its_tiles
    cells = [len(found) for found in iter_frames([output], N_FRAMES)]
    assert cells == [int(frame + 1 in its_tiles) for frame in range(N_FRAMES)]


def test_parts_of_another_size_are_thrown_away(frames, tmp_path, monkeypatch) -> None:
    output = tmp_path / "b.parquet"
    with pytest.raises(Killed):
        segment(frames, output, monkeypatch, die_at=4)
    monkeypatch.setattr(parts, "PART_TILES", 1)
    assert segment(frames, output, monkeypatch) == [1, 2, 3, 4, 5]
