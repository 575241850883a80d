from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from ctc_metrics.scripts.validate import validate_sequence
from disc_movies import budding_movie, crowd, division_movie, draw
from refusals import follow

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.tracking.ctc import read_ctc, relabel, write_ctc
from cellsam_core.tracking.lineage import split_tracks
from cellsam_core.tracking.options import TrackOptions
from cellsam_core.tracking.tracker import track_labels


def export(folder: Path, frames: list[np.ndarray], parameters: TrackOptions | None = None):
    result = track_labels(frames, parameters)
    write_ctc(folder / "ctc", frames, len(frames), result.objects, result.tracks)
    return result, read_ctc(folder / "ctc")


@pytest.mark.parametrize(
    ("frames", "division"),
    [
        (division_movie(), "mitosis"),
        (budding_movie(), "budding"),
        (crowd(), "mitosis"),  # has gaps
        ([draw([]), draw([(3, 40, 40, 9)]), draw([])], "none"),
    ],
    ids=["division", "budding", "gaps", "mostly empty"],
)
def test_validator_accepts(tmp_path: Path, frames: list[np.ndarray], division: str) -> None:
    result, movie = export(tmp_path, frames, TrackOptions(division=division))
    assert validate_sequence(str(tmp_path / "ctc"), threads=1) == {"Valid": 1}
    for t, frame in enumerate(frames):
        assert ((movie.frame(t) > 0) == (frame > 0)).all()
        assert movie.frame(t).dtype == np.uint16
    if division == "mitosis":
        assert len(movie.tracks) == len(result.tracks) + result.tracks["n_gaps"].sum()


def test_lineage_survives(tmp_path: Path) -> None:
    _, movie = export(tmp_path, division_movie())
    at = {label: int(movie.frame(t)[y, x]) for label, t, y, x in ((1, 0, 60, 60), (2, 9, 60, 46))}
    rows = {row[0]: row[1:] for row in movie.tracks.tolist()}
    assert rows[at[1]] == [0, 3, 0]
    assert rows[at[2]] == [4, 9, at[1]]


def test_gap_and_bud_start_a_new_label(tmp_path: Path) -> None:
    frames = [draw([(5, 48, 60, 9)] if t != 2 else []) for t in range(5)]
    _, movie = export(tmp_path, frames)
    assert movie.tracks.tolist() == [[1, 0, 1, 0], [2, 3, 4, 1]]
    _, movie = export(tmp_path, budding_movie(), TrackOptions(division="budding"))
    mother = int(movie.frame(0)[48, 30])
    children = movie.tracks[movie.tracks[:, 3] == mother]
    assert children[:, 1].tolist() == [2, 2]
    assert int(movie.frame(8)[48, 30]) in children[:, 0]


def test_movie_without_cells(tmp_path: Path) -> None:
    """The file is empty, as it must be; validators want a track and can't accept it."""
    _, movie = export(tmp_path, [draw([])] * 3)
    assert movie.tracks.shape == (0, 4)
    assert [movie.frame(t).max() for t in range(3)] == [0, 0, 0]
    with pytest.raises(ValueError, match="zero-size"), pytest.warns(UserWarning, match="No tracks"):
        validate_sequence(str(tmp_path / "ctc"), threads=1)


def test_many_labels_and_long_movies(tmp_path: Path) -> None:
    grid = np.arange(1, 66_001, dtype=np.uint32).reshape(200, 330)
    _, movie = export(tmp_path, [grid], TrackOptions(registration="none"))
    assert movie.frame(0).dtype == np.uint32
    assert len(np.unique(movie.frame(0))) == 66_000
    few = track_labels([draw([])] * 2)
    write_ctc(tmp_path / "long", [draw([])] * 2, 1001, few.objects, few.tracks)
    assert (tmp_path / "long" / "mask0001.tif").exists()


def test_pieces_do_not_branch_for_graphs_without_gaps() -> None:
    result = track_labels(budding_movie(), TrackOptions(division="budding"))
    piece, pieces = split_tracks(result.objects, result.tracks, at_gaps=False)
    assert piece.index.equals(result.objects.index)
    assert pieces["piece"].tolist() == list(range(1, 6))
    assert pieces["parent"].gt(0).sum() == 2


@pytest.mark.parametrize("largest", [900, 3_000_000_000])
def test_relabel_drops_what_has_no_new_label(largest: int) -> None:
    labels = np.array([[0, 4, 4], [7, largest, 2]], dtype=np.uint32)
    new = relabel(labels, np.array([largest, 4, largest + 1]), np.array([1, 2, 3]))
    assert (new.dtype, new.tolist()) == (np.int64, [[0, 2, 2], [0, 1, 0]])


def test_unreadable_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"res_track\.txt"):
        read_ctc(tmp_path)
    tifffile.imwrite(tmp_path / "mask000.tif", np.zeros((4, 4), np.uint16))
    (tmp_path / "res_track.txt").write_text("1 0 0\n")
    with pytest.raises(InputError, match="four integers"):
        read_ctc(tmp_path)
    (tmp_path / "res_track.txt").write_text("1 0 0 0\n")
    (tmp_path / "mask000.tif").write_bytes(b"II*\0")
    with pytest.raises(InputError, match=r"mask000\.tif"):
        read_ctc(tmp_path).frame(0)


def test_folders_of_other_programs_are_read(tmp_path: Path) -> None:
    """Windows' byte-order mark and line ends, and suffixes in other letters."""
    tifffile.imwrite(tmp_path / "mask000.TIF", np.zeros((4, 4), np.uint16))
    tifffile.imwrite(tmp_path / "mask001.tiff", np.zeros((4, 4), np.uint16))
    (tmp_path / "res_track.txt").write_bytes(b"\xef\xbb\xbf1 0 1 0\r\n")
    movie = read_ctc(tmp_path)
    assert list(movie.masks) == [0, 1]
    assert movie.tracks.tolist() == [[1, 0, 1, 0]]


def test_two_files_of_a_frame_are_refused(tmp_path: Path) -> None:
    for name in ("mask000.tif", "mask0000.tif"):
        tifffile.imwrite(tmp_path / name, np.zeros((4, 4), np.uint16))
    (tmp_path / "res_track.txt").write_text("1 0 0 0\n")
    follow(
        lambda: read_ctc(tmp_path),
        "to another folder",
        lambda: (tmp_path / "mask0000.tif").unlink(),
    )


def run(labels: Path, out: Path, *options: str) -> int:
    return main(["track", str(labels), "-o", str(out), *options])


def test_command_writes_every_file_the_same_each_time(tmp_path: Path) -> None:
    import pandas as pd

    (tmp_path / "in").mkdir()
    for t, frame in enumerate(division_movie()):
        tifffile.imwrite(tmp_path / "in" / f"t{t}.tif", frame)
    assert run(tmp_path / "in", tmp_path / "a") == run(tmp_path / "in", tmp_path / "b") == 0
    tables = {"objects.parquet", "tracks.csv", "divisions.csv", "intervals.csv", "drift.csv"}
    names = tables | {"review.csv", "corrections.csv", "ctc", "tracks.geff"}
    assert {p.name for p in (tmp_path / "a").iterdir()} == names
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    for name in files:
        if (tmp_path / "a" / name).is_file():
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    objects = pd.read_parquet(tmp_path / "a" / "objects.parquet")
    expected = track_labels(division_movie()).objects
    pd.testing.assert_frame_equal(objects[expected.columns], expected)
    tracks = pd.read_csv(tmp_path / "a" / "tracks.csv")
    assert tracks["parent_id"].tolist() == [0, 0, 2, 2]


def test_command_passes_options_on(tmp_path: Path) -> None:
    import pandas as pd

    tifffile.imwrite(tmp_path / "movie.tif", np.stack(division_movie()))
    assert run(tmp_path / "movie.tif", tmp_path / "a", "--division-area-max", "0.41") == 0
    assert pd.read_csv(tmp_path / "a" / "divisions.csv").empty
    assert run(tmp_path / "movie.tif", tmp_path / "a", "--division", "none") == 0


def test_command_on_a_movie_without_cells(tmp_path: Path) -> None:
    import pandas as pd

    tifffile.imwrite(tmp_path / "movie.tif", np.zeros((3, 32, 32), np.uint16))
    assert run(tmp_path / "movie.tif", tmp_path / "a", "--pixel-size-um", "0.5") == 0
    for name in ("tracks.csv", "divisions.csv", "intervals.csv", "review.csv"):
        assert pd.read_csv(tmp_path / "a" / name).empty
    assert pd.read_parquet(tmp_path / "a" / "objects.parquet").empty


@pytest.mark.parametrize(
    "option", [["--sigma-iou", "0"], ["--pixel-size-um", "-1"], ["--frame-interval-s", "nan"]]
)
def test_command_refuses_bad_options(
    tmp_path: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", np.zeros((3, 32, 32), np.uint16))
    assert run(tmp_path / "movie.tif", tmp_path / "a", *option) == 1
    assert option[0].strip("-").split("-")[0] in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def images_beside(folder: Path, frames: list[np.ndarray]) -> Path:
    """Two channels, `num` three times as bright as `den` in every cell, over a background of 20."""
    for channel, bright in (("num", 300), ("den", 100)):
        (folder / channel).mkdir(parents=True)
        for t, frame in enumerate(frames):
            image = (20 + bright * (frame > 0)).astype(np.uint16)
            tifffile.imwrite(folder / channel / f"t{t:03d}.tif", image)
    return folder


def test_command_traces_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also those of cells that a correction merges of two labels."""
    import pandas as pd

    frames = division_movie()
    frames[2][:, 22:][frames[2][:, 22:] == 9] = 8
    tifffile.imwrite(tmp_path / "movie.tif", np.stack(frames), photometric="minisblack")
    images = images_beside(tmp_path / "images", frames)
    header = "operation,frame,label,other_frame,other_label\n"
    (tmp_path / "corrections.csv").write_text(header + "merge,2,9,2,8\n")
    options = ["--images", str(images), "--channels", "num,den", "--frame-interval-s", "30"]
    options += ["--corrections", str(tmp_path / "corrections.csv")]
    assert run(tmp_path / "movie.tif", tmp_path / "a", *options, "--ratio", "num/den") == 0
    objects = pd.read_parquet(tmp_path / "a" / "objects.parquet")
    traces = pd.read_parquet(tmp_path / "a" / "traces.parquet")
    both = traces.merge(objects, on=["frame", "label", "track_id"])
    assert len(both) == len(traces) == len(objects)
    assert (both["n_px"] == both["area_px"]).all()
    np.testing.assert_allclose(traces["ratio"], 3)
    assert traces["time_s"].max() == 270
    wide = pd.read_csv(tmp_path / "a" / "traces_wide.csv", index_col="track_id")
    assert wide.shape == (objects["track_id"].nunique(), 10)
    # Traces of earlier tracks do not stay beside new ones.
    assert run(tmp_path / "movie.tif", tmp_path / "a", "--division", "none") == 0
    assert (tmp_path / "a" / "objects.parquet").exists()
    assert not list((tmp_path / "a").glob("*trace*"))
    named = ["--channels", "num,den", "--images"]
    for wrong, message in (
        (["--ratio", "num/den"], "--ratio: found no --images"),
        (["--images", str(images), "--ratio", "num/den"], "name den, num in `channels`"),
        ([*named, str(images), "--ratio", "num/other"], "channels num, den"),
        ([*named, str(images_beside(tmp_path / "few", frames[:3]))], "as in few"),
    ):
        assert run(tmp_path / "movie.tif", tmp_path / "b", *wrong) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / "b").exists()
