"""Stage functions from a folder or an array to labels, with a stand-in for the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from scipy import ndimage

import cellsam_core as cc
from cellsam_core.files import omezarr
from cellsam_core.labels.source import open_labels
from cellsam_core.samples.manifest import Manifest
from cellsam_core.segmentation import batch_parts
from cellsam_core.segmentation.batches import segment_batch, stitch
from cellsam_core.segmentation.instances import Instance
from cellsam_core.segmentation.segmenter import Model

OPTIONS = cc.SegmentOptions(cell_diameter_px=12, tile_px=128, min_area_px=5)


class Threshold:
    """Takes every bright piece for a cell, and draws given boxes whole."""

    fits_tiles = True

    def measure_diameter_px(self, samples: Sequence[Any], limits_px: Any = None) -> float:
        return 12.0 if limits_px is None else float(limits_px[0])

    def segment(self, pixels: np.ndarray, diameter_px: float) -> list[Instance]:
        pieces, _ = ndimage.label(pixels.max(0) > 0.5)
        windows = enumerate(ndimage.find_objects(pieces), start=1)
        return [Instance(w[0].start, w[1].start, pieces[w] == k, 0.9, 0.8) for k, w in windows]

    def prompt(self, pixels: np.ndarray, diameter_px: float, boxes: np.ndarray) -> list[Instance]:
        corners = boxes.astype(int).tolist()
        return [
            Instance(y0, x0, np.ones((y1 - y0, x1 - x0), bool), 1, 1) for x0, y0, x1, y1 in corners
        ]


@pytest.fixture
def model() -> Model:
    file = "toy.safetensors"
    weights: Any = SimpleNamespace(name="toy", given=file, path=file, sha256="0" * 64)
    return Model(weights, "official", "cpu", lambda _: Threshold(), lambda _: {"limit": 0.5})


@pytest.fixture
def movie() -> np.ndarray:
    """Three frames of two channels, the first empty; discs move."""
    y, x = np.mgrid[:90, :120]
    frames = np.full((3, 2, 90, 120), 100, np.uint16)
    for t in range(3):
        for row, column in ((20, 20), (50, 60 + 4 * t), (70, 100)):
            frames[t, 1][np.hypot(y - row, x - column) < 6] = 900
    return frames


def write_movie(folder: Path, movie: np.ndarray) -> None:
    folder.mkdir()
    for t, frame in enumerate(movie):
        for name, plane in zip(("DAPI", "YFP"), frame, strict=True):
            tifffile.imwrite(folder / f"{name}_t{t}.tif", plane)


def test_a_sample_is_named_after_its_folder(tmp_path, movie):
    write_movie(tmp_path / "pos 1 (a)", movie)
    manifest = cc.inspect(tmp_path / "pos 1 (a)", assay="movie")
    assert manifest.sample == "pos-1-a"
    manifest.save(tmp_path / "results" / "0_manifest.json")
    assert Manifest.load(tmp_path / "results" / "0_manifest.json") == manifest


@pytest.mark.parametrize(
    ("options", "words"),
    [({"fov": "3"}, "fov"), ({"channels": "a,,b"}, "channels: found 'a,,b'")],
)
def test_options_that_do_not_fit_a_movie_are_refused(tmp_path, movie, options, words):
    write_movie(tmp_path / "m", movie)
    with pytest.raises(cc.InputError, match=words):
        cc.inspect(tmp_path / "m", assay="movie", options=cc.InspectOptions(**options))


def test_an_unknown_assay_is_refused(tmp_path):
    with pytest.raises(cc.InputError, match="`assay`"):
        cc.inspect(tmp_path, assay="film")


def test_array_manifest_and_file_give_the_same_frames(tmp_path, movie):
    write_movie(tmp_path / "m", movie)
    facts = {"pixel_size_um": 0.5, "frame_interval_s": 60}
    manifest = cc.inspect(tmp_path / "m", assay="movie", options=cc.InspectOptions(**facts))
    options = cc.PreprocessOptions(nuclear_channel="DAPI", cell_channel="YFP")
    given = movie, manifest
    of_array, of_manifest = (
        cc.preprocess(sample, options=options, **more)
        for sample, more in zip(given, ({"channels": ["DAPI", "YFP"], **facts}, {}), strict=True)
    )
    written = cc.preprocess(manifest, tmp_path / "frames.zarr", options)
    for frames in (of_array, of_manifest, written):
        assert (frames.axes, frames.channels, frames.n_frames) == ("tcyx", ("nuclear", "cell"), 3)
        assert (frames.shape_yx, frames.pixel_size_um) == ((90, 120), 0.5)
        assert frames.frame_interval_s == 60
        np.testing.assert_array_equal(frames.array[:], of_array.array)
        np.testing.assert_array_equal(frames.frame(2), of_array.array[2])


@pytest.mark.parametrize(
    ("shape", "channels", "axes", "expected"),
    [
        ((40, 50), None, "cyx", (1, 40, 50)),
        ((2, 40, 50), ["nuclear", "cell"], "cyx", (2, 40, 50)),
        ((3, 40, 50), "YFP", "tcyx", (3, 1, 40, 50)),
        ((1, 40, 50), "YFP", "cyx", (1, 40, 50)),
        ((3, 1, 40, 50), None, "tcyx", (3, 1, 40, 50)),
    ],
)
def test_axes_of_an_array_follow_from_its_shape_and_names(shape, channels, axes, expected):
    pixels = np.random.default_rng(0).random(shape)
    frames = cc.preprocess(pixels, channels=channels)
    assert (frames.axes, frames.array.shape) == (axes, expected)


@pytest.mark.parametrize(
    ("array", "more", "words"),
    [
        (np.zeros(5), {}, r"array of shape \(5,\)"),
        (np.zeros((0, 5)), {}, r"array of shape \(0, 5\)"),
        (np.zeros((2, 4, 4), complex), {}, "real numbers"),
        (np.zeros((2, 4, 4)), {"channels": ["a", "b", "c"]}, "found 3 names"),
        (np.zeros((2, 4, 4)), {}, "channel_0, channel_1, none of which names"),
        (np.zeros((2, 4, 4)), {"channels": "a,a"}, "different names"),
        (np.zeros((4, 4)), {"pixel_size_um": 0}, "`pixel_size_um`"),
    ],
)
def test_arrays_that_are_no_images_are_refused(array, more, words):
    with pytest.raises(cc.InputError, match=words):
        cc.preprocess(array, **more)


def test_a_manifest_knows_its_channels(tmp_path, movie):
    write_movie(tmp_path / "m", movie)
    manifest = cc.inspect(tmp_path / "m", assay="movie")
    with pytest.raises(cc.InputError, match="argument `channels`: found it beside a manifest"):
        cc.preprocess(manifest, channels=["DAPI", "YFP"])


@pytest.mark.parametrize("is_movie", [True, False])
def test_memory_folder_and_batches_give_the_same_cells(tmp_path, movie, model, is_movie):
    raw = movie if is_movie else movie[0]
    names = {"channels": ["DAPI", "PolyT"], "pixel_size_um": 0.5}
    frames = cc.preprocess(raw, **names)
    labels, cells = cc.segment_frames(frames, model, options=OPTIONS)
    assert labels.shape == ((3, 90, 120) if is_movie else (90, 120))
    assert labels.dtype == np.uint32
    assert cells["label"].tolist() == [1, 2, 3] * (3 if is_movie else 1)
    # In a folder, by the path of stored frames.
    stored = tmp_path / "frames.zarr"
    write_frames(stored, frames)
    source, table = cc.segment_frames(str(stored), model, tmp_path / "out", OPTIONS)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["cells.parquet", "masks.zarr"]
    read = np.stack([source.frame(t) for t in range(source.n_frames)])
    np.testing.assert_array_equal(read if is_movie else read[0], labels)
    pd.testing.assert_frame_equal(table.drop(columns="sample"), cells)
    # As the workflow does it.
    opened = omezarr.open_(stored)
    batches = [tmp_path / f"{k}-of-2.parquet" for k in (1, 2)]
    for k, path in enumerate(batches, start=1):
        segment_batch(opened, path, model, OPTIONS, (k, 2))
    stitch(stored, batches, tmp_path / "m.zarr", tmp_path / "c.parquet", OPTIONS.min_area_px)
    by_batches = open_labels(tmp_path / "m.zarr")
    for t in range(source.n_frames):
        np.testing.assert_array_equal(by_batches.frame(t), source.frame(t))
    assert (tmp_path / "c.parquet").read_bytes() == (tmp_path / "out/cells.parquet").read_bytes()
    recorded = [dict(zarr.open_group(p).attrs) for p in (tmp_path / "m.zarr", source.path)]
    assert recorded[0] == recorded[1]
    assert recorded[0]["cellsam"]["dark_cells"] == ("keep" if is_movie else "drop")


def test_a_killed_run_in_a_folder_goes_on_where_it_stopped(tmp_path, movie, model, monkeypatch):
    monkeypatch.setattr(batch_parts, "PART_TILES", 1)
    frames = cc.preprocess(movie[:, 1], channels="YFP")
    seen, die_at = [], 0
    find = Threshold.segment

    def segment(self, pixels, diameter_px):
        seen.append(pixels)
        if len(seen) == die_at:
            raise KeyboardInterrupt
        return find(self, pixels, diameter_px)

    monkeypatch.setattr(Threshold, "segment", segment)
    whole, _ = cc.segment_frames(frames, model, options=OPTIONS)
    n_tiles, die_at = len(seen), len(seen) + 5
    with pytest.raises(KeyboardInterrupt):
        cc.segment_frames(frames, model, tmp_path / "out", OPTIONS)
    source, _ = cc.segment_frames(frames, model, tmp_path / "out", OPTIONS)
    assert len(seen) == 2 * n_tiles + 1
    np.testing.assert_array_equal([source.frame(t) for t in range(3)], whole)


def write_frames(path: Path, frames: Any) -> None:
    store = omezarr.create(
        path,
        shape=frames.array.shape,
        axes=frames.axes,
        dtype="uint16",
        channels=frames.channels,
        pixel_size_um=frames.pixel_size_um,
    )
    store.array[:] = frames.array


def test_one_image_is_segmented_as_a_movie_of_one_frame(movie, model):
    names = {"channels": ["DAPI", "PolyT"], "pixel_size_um": 0.5}
    labels, cells = cc.segment(movie[0], model, OPTIONS, **names)
    frames = cc.preprocess(movie[:1], **names)
    by_movie, table = cc.segment_frames(frames, model, options=OPTIONS)
    np.testing.assert_array_equal(labels, by_movie[0])
    pd.testing.assert_frame_equal(cells, table)
    assert {"x_um", "area_um2"} <= set(cells.columns)
    plain, cells = cc.segment(movie[0, 1], model, OPTIONS)
    np.testing.assert_array_equal(plain, labels)
    assert cells["x_um"].isna().all()


def test_cells_in_boxes_are_drawn(movie, model):
    boxes = pd.DataFrame({"x0": [10, 50], "y0": [12, 40], "x1": [30, 70], "y1": [32, 60]})
    labels, cells = cc.segment(movie[0, 1], model, OPTIONS, boxes=boxes)
    assert cells["area_px"].tolist() == [400, 400]
    np.testing.assert_array_equal(labels[40:60, 50:70], 2)
    same, _ = cc.segment(movie[0, 1], model, OPTIONS, boxes=boxes.to_numpy())
    np.testing.assert_array_equal(same, labels)
    none, cells = cc.segment(movie[0, 1], model, OPTIONS, boxes=np.zeros((0, 4)))
    assert not none.any()
    assert len(cells) == 0


@pytest.mark.parametrize(
    ("boxes", "words"),
    [
        ([[0, 0, 5]], r"shape \(1, 3\)"),
        ([[0, 0, 5, 5], [9, 9, 4, 4]], "no box in row 2"),
        ([[400, 4, 409, 9]], "a box outside of the image in row 1"),
    ],
)
def test_boxes_that_are_none_are_refused(movie, model, boxes, words):
    with pytest.raises(cc.InputError, match=words):
        cc.segment(movie[0, 1], model, OPTIONS, boxes=boxes)


def test_dark_cells_are_not_dropped_beside_boxes(movie, model):
    with pytest.raises(cc.InputError, match="drop beside `boxes`"):
        cc.segment(movie[0, 1], model, cc.SegmentOptions(dark_cells="drop"), boxes=[[0, 0, 9, 9]])


def test_a_movie_is_no_image(movie, model):
    with pytest.raises(cc.InputError, match="call preprocess and segment_frames"):
        cc.segment(movie, model)
