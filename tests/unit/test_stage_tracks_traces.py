"""The stages `track` and `traces` as functions: on arrays in memory as on files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from disc_movies import division_movie, draw

import cellsam_core as cc
from cellsam_core.comparison.conditions import compare_conditions
from cellsam_core.errors import InputError
from cellsam_core.labels.movie import open_label_movie
from cellsam_core.samples.manifest import Manifest
from cellsam_core.traces.check import channel_pair, check_against
from cellsam_core.traces.files import write_traces
from cellsam_core.tracking.corrections import Correction

CHANNELS = ("num", "den")
OPTIONS = cc.TraceOptions(ratio="num/den", baseline_frames=2)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.stack(division_movie())


@pytest.fixture(scope="module")
def images(labels: np.ndarray) -> np.ndarray:
    """Two channels: `num` is three times as bright as `den` in every cell, and 4.5 from frame 5."""
    rise = np.where(np.arange(len(labels)) < 5, 300, 450)[:, None, None]
    cells = labels > 0
    return np.stack([20 + rise * cells, 20 + 100 * cells], axis=1).astype(np.uint16)


@pytest.fixture(scope="module")
def traces(images: np.ndarray, labels: np.ndarray):
    return cc.trace(images, labels, cc.track(labels), OPTIONS, channels=CHANNELS)


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_arrays_sequences_generators_and_files_give_the_same_tracks(labels, tmp_path):
    tifffile.imwrite(tmp_path / "movie.tif", labels, photometric="minisblack")
    first, *others = (
        cc.track(given)
        for given in (labels, list(labels), iter(labels), str(tmp_path / "movie.tif"))
    )
    for name, tracks in enumerate(others):
        pd.testing.assert_frame_equal(tracks.objects, first.objects)
        pd.testing.assert_frame_equal(tracks.review, first.review)
        tracks.write(tmp_path / str(name))
    from_list, from_iterator, from_file = (files_of(tmp_path / name) for name in "012")
    assert from_list == from_iterator
    # Only a file has a path that the graph can name.
    assert b"movie.tif" in from_file.pop("tracks.geff/.zattrs")
    assert b"movie.tif" not in from_list.pop("tracks.geff/.zattrs")
    assert from_list == from_file
    assert {path.name for path in (tmp_path / "0").iterdir()} == {
        *("objects.parquet", "tracks.csv", "divisions.csv", "intervals.csv", "drift.csv"),
        *("review.csv", "corrections.csv", "ctc", "tracks.geff"),
    }


def test_a_lazy_array_is_read_frame_by_frame(labels):
    class Lazy:
        ndim, n_read = 3, 0

        def __len__(self) -> int:
            return len(labels)

        def __getitem__(self, index: int) -> np.ndarray:
            self.n_read += 1
            return labels[index]

    lazy = Lazy()
    assert cc.track(lazy).n_frames == len(labels)
    assert lazy.n_read == len(labels) + 1  # the first one also tells the size


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((8, 8), int), "an array with 2 dimensions"),
        ([np.zeros(8, int)], "frame 0 with 1 dimensions"),
        ([np.zeros((8, 8), int), np.zeros((8, 9), int)], "8 x 9 px"),
        (np.full((2, 8, 8), 0.5), "numbers that are not whole"),
        (np.full((2, 8, 8), -1), "negative labels in frame 0"),
    ],
)
def test_arrays_that_are_no_movie_of_labels_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        cc.track(given)


def test_a_movie_without_frames_has_no_tracks():
    assert cc.track([]).objects.empty


def test_the_calibration_is_checked_and_kept(labels):
    with pytest.raises(InputError, match="`pixel_size_um`: found -1"):
        cc.track(labels, pixel_size_um=-1)
    movie = cc.track(labels, pixel_size_um=0.5, frame_interval_s=60).labels
    assert movie is not None
    assert (movie.pixel_size_um, movie.frame_interval_s) == (0.5, 60)
    assert open_label_movie(movie, pixel_size_um=2).pixel_size_um == 2


def test_corrections_are_given_as_a_list_or_a_table(labels, tmp_path):
    frame_0 = int(labels[0].max())
    correction = Correction("row", "delete", 0, frame_0)
    table = tmp_path / "corrections.csv"
    table.write_text(
        f"operation,frame,label,other_frame,other_label\ndelete,0,{frame_0},,\n", "utf-8"
    )
    listed, read = cc.track(labels, corrections=[correction]), cc.track(labels, corrections=table)
    pd.testing.assert_frame_equal(listed.objects, read.objects)
    assert frame_0 not in listed.objects.query("frame == 0")["label"].to_numpy()
    read.write(tmp_path / "out")
    mask = tifffile.imread(tmp_path / "out/ctc/mask000.tif")
    assert not mask[labels[0] == frame_0].any()


def test_tracks_without_label_images_are_not_written(labels, tmp_path):
    from cellsam_core.tracking.tracker import track_labels

    with pytest.raises(InputError, match="tracks without their label images"):
        track_labels(labels).write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["TrackParameters", "Tracks", "track_labels"])
def test_names_of_before_warn(name):
    import cellsam_core.tracking

    with pytest.warns(DeprecationWarning, match=f"tracking.{name} is deprecated"):
        assert getattr(cellsam_core.tracking, name) is not None
    with pytest.raises(AttributeError):
        _ = cellsam_core.tracking.absent


def test_traces_in_memory_are_those_in_the_files(traces, images, labels, tmp_path):
    streamed = cc.trace(images, labels, cc.track(labels), OPTIONS, channels=CHANNELS)
    streamed.write(tmp_path / "streamed")
    assert "table" not in vars(streamed)  # measured frame by frame, never held whole
    table = traces.table
    traces.write(tmp_path / "held")
    assert files_of(tmp_path / "streamed") == files_of(tmp_path / "held")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "held/traces.parquet"), table)
    wide = pd.read_csv(tmp_path / "held/traces_wide.csv", index_col="track_id")
    np.testing.assert_allclose(traces.wide, wide, rtol=1e-5)
    summary = pd.read_csv(tmp_path / "held/trace_summary.csv", index_col="track_id")
    assert summary.columns.tolist() == [*traces.summary, "sample"]
    in_file = summary[list(traces.summary)]
    pd.testing.assert_frame_equal(traces.summary, in_file, rtol=1e-5)


def test_the_response_is_found(traces):
    assert traces.table.query("frame < 5")["ratio"].to_numpy() == pytest.approx(3)
    assert traces.wide.iloc[0, 5] == pytest.approx(1.5)
    assert traces.summary["peak"].max() == pytest.approx(1.5)
    assert "peak_time_frames" in traces.summary


def test_tracks_are_taken_from_a_folder(traces, images, labels, tmp_path):
    cc.track(labels).write(tmp_path / "3_tracks")
    again = cc.trace(images, labels, tmp_path / "3_tracks", OPTIONS, channels=CHANNELS)
    pd.testing.assert_frame_equal(again.table, traces.table)


def test_a_movie_without_cells_has_empty_traces(tmp_path):
    labels = np.stack([draw([])] * 2)
    images = np.ones((2, 2, *labels.shape[1:]), np.uint8)
    traces = cc.trace(images, labels, cc.track(labels), OPTIONS, channels=CHANNELS)
    traces.write(tmp_path)
    assert traces.wide.shape == (0, 2)
    assert traces.table.empty
    assert traces.summary.empty
    written = pd.read_parquet(tmp_path / "traces.parquet")
    assert written.columns.tolist() == traces.table.columns.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": ("num",)}, r"channels num, expected a \(t, c, y, x\) array"),
        ({"channels": ("num", "num")}, "a different name"),
        ({"channels": None}, r"channels \(none\)"),
        ({"frame_interval_s": 0}, "`frame_interval_s`: found 0"),
        ({"options": cc.TraceOptions(ratio=("num", "other"))}, r"`ratio`: found \('num', 'other'"),
        ({"options": cc.TraceOptions(drug_frame=100)}, "`drug_frame`: found 100"),
    ],
)
def test_options_that_do_not_fit_are_refused_at_once(images, labels, change, message):
    given = {"channels": CHANNELS, "options": OPTIONS} | change
    with pytest.raises(InputError, match=message):
        cc.trace(images, labels, cc.track(labels), **given)


def test_other_labels_are_refused(images, labels):
    with pytest.raises(InputError, match=r"labels: found 3 frame\(s\)"):
        cc.trace(images, labels[:3], cc.track(labels), OPTIONS, channels=CHANNELS)


def test_a_pair_of_channels_is_given_as_text_or_as_two_names():
    names = ["a/b", "b"]
    assert channel_pair(cc.TraceOptions(ratio="a/b/b"), names) == ("a/b", "b")
    assert channel_pair(cc.TraceOptions(ratio=("b", "a/b")), names) == ("b", "a/b")
    assert channel_pair(cc.TraceOptions(), names) is None
    ktr = {"reporter": "ktr", "ring_px": 3}
    assert channel_pair(cc.TraceOptions(ratio="b", **ktr), names) == ("b", "b")
    with pytest.raises(InputError, match="the reporter's channel, one of a/b, b"):
        channel_pair(cc.TraceOptions(ratio=("b", "a/b"), **ktr), names)


def test_options_are_checked_before_anything_runs():
    check_against(cc.TraceOptions(ratio="a/b", drug_frame=9), ["a", "b"], 10)
    with pytest.raises(InputError, match="at most 9, the last of 10"):
        check_against(cc.TraceOptions(drug_frame=10), ["a"], 10)
    with pytest.raises(InputError, match="two of the channels a, b"):
        check_against(cc.TraceOptions(ratio="a/c"), ["a", "b"], 10)


def test_a_control_in_memory_corrects_like_one_on_disk(images, labels, tmp_path):
    decay = 0.9 ** np.arange(len(images))[:, None, None]
    control = images.astype(float)
    control[:, 0] = 20 + (control[:, 0] > 20) * 300 * decay
    plain = cc.trace(control, labels, cc.track(labels), OPTIONS, channels=CHANNELS)
    plain.write(tmp_path)
    of_both = [
        cc.trace(images, labels, cc.track(labels), OPTIONS, channels=CHANNELS, control=given)
        for given in (plain, tmp_path / "traces.parquet")
    ]
    rates = [traces.settings.bleach_rate for traces in of_both]
    assert rates[0] == pytest.approx(-np.log(0.9), rel=1e-3)
    assert rates[0] == rates[1]
    with pytest.raises(InputError, match="bleaching rate"):
        cc.trace(images, labels, cc.track(labels), OPTIONS, channels=CHANNELS, control=of_both[0])


def test_a_manifest_and_an_array_give_the_same_traces(traces, images, labels, tmp_path):
    from cellsam_core.samples.movies import inspect_movie

    for channel, name in enumerate(CHANNELS):
        (tmp_path / "images" / name).mkdir(parents=True)
        for t, image in enumerate(images[:, channel]):
            tifffile.imwrite(tmp_path / "images" / name / f"t{t:03d}.tif", image)
    manifest = inspect_movie(
        tmp_path / "images", sample="s", assay="movie", format="channel_folders"
    )
    assert isinstance(manifest, Manifest)
    tracks = cc.track(labels)
    table = cc.trace(manifest, labels, tracks, OPTIONS, frame_interval_s=10).table
    assert table["time_s"].max() == 10 * (len(labels) - 1)
    (tmp_path / "0_manifest.json").write_text(manifest.to_json())
    again = cc.trace(tmp_path / "0_manifest.json", labels, tracks, OPTIONS).table
    columns = again.columns.drop("time_s")
    pd.testing.assert_frame_equal(again[columns], table[columns])
    with pytest.raises(InputError, match="a manifest has its own channels"):
        cc.trace(manifest, labels, tracks, OPTIONS, channels=CHANNELS)
    shared = traces.table.set_index(["track_id", "frame"])["ratio"]
    np.testing.assert_allclose(table.set_index(["track_id", "frame"])["ratio"], shared)


def test_conditions_are_compared_in_memory_and_on_disk(traces, tmp_path):
    write_traces(tmp_path / "t.parquet", iter([traces.table]), CHANNELS, traces.record)
    held = compare_conditions({"drug": [traces, traces]})
    read = compare_conditions({"drug": [tmp_path / "t.parquet", traces.responses]})
    pd.testing.assert_frame_equal(held.curves, read.curves)
    pd.testing.assert_frame_equal(held.summary, read.summary)
    assert (held.unit, held.drug_time, held.how_pooled) == ("frames", 2.0, "")
    held.write(tmp_path / "out")
    assert len(pd.read_csv(tmp_path / "out/condition_traces.csv")) == len(held.curves)
    for samples in ({}, {"drug": []}):
        with pytest.raises(InputError, match="without a sample"):
            compare_conditions(samples)
