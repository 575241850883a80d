"""Kinase translocation reporters (cytoplasm / nucleus): simulated cells, and the command."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from fake_results import run_traces, write_movie
from scipy import ndimage

import cellsam_core as cc
from cellsam_core.errors import InputError
from cellsam_core.simulation.movie import Frame, iter_frames
from cellsam_core.simulation.optics import expose, illumination
from cellsam_core.simulation.options import MovieOptions
from cellsam_core.traces.options import TraceOptions
from cellsam_core.traces.ratios import trace_frames
from cellsam_core.traces.settings import TraceSettings
from cellsam_core.tracking.options import TrackOptions

MOVIE = MovieOptions(frames=8, size_px=224, cells=12, drug_frame=4, cycle_frames=200)
KTR = TraceSettings(
    TraceOptions(reporter="ktr", ratio="KTR", baseline_frames=4, background="mode", ring_px=4),
    ("KTR", "KTR"),
)


def ktr_image(frame: Frame, medium: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """As much reporter in a cell as before; its true ratio is cytoplasm over nucleus."""
    nucleus, cytoplasm = np.zeros((2, frame.labels.max() + 1))
    for cell in frame.cells:
        nucleus[cell.track_id] = 3000 * cell.expression / (1 + cell.ratio)
        cytoplasm[cell.track_id] = nucleus[cell.track_id] * cell.ratio
    bright = np.where(frame.nucleus_labels > 0, nucleus[frame.labels], cytoplasm[frame.labels])
    light = ndimage.gaussian_filter(bright, 0.9) + medium
    return 100 + expose(rng, light, photons=1.0, read_noise=6.0)


def test_the_response_of_simulated_cells_is_found() -> None:
    rng = np.random.default_rng(4)
    medium = 120 * illumination(rng, (MOVIE.size_px, MOVIE.size_px), 0.4)
    frames, truth = [], {}
    for t, frame in enumerate(iter_frames(rng, MOVIE)):
        truth |= {(cell.track_id, t): cell.ratio for cell in frame.cells}
        ids = np.setdiff1d(frame.nucleus_labels, 0)
        objects = pd.DataFrame({"label": ids, "track_id": ids})
        frames.append((ktr_image(frame, medium, rng)[None], frame.nucleus_labels, objects))
    ids = np.unique(np.concatenate([objects["label"] for _, _, objects in frames]))
    tracks = pd.DataFrame({"track_id": ids, "lineage_id": ids, "parent_id": 0})
    tracks = tracks.assign(first_frame=0, last_frame=MOVIE.frames - 1)
    table = pd.concat(trace_frames(frames, ["KTR"], tracks, KTR, 60.0))
    # One ratio a cell, in the rows of all compartments.
    first = table.groupby(["track_id", "frame"])["ratio"].transform("first")
    pd.testing.assert_series_equal(table["ratio"], first)
    valid = table[table["valid"] & (table["compartment"] == "cell")]
    true = pd.Series(truth).loc[list(zip(valid["track_id"], valid["frame"], strict=True))]
    assert len(valid) > 50
    np.testing.assert_allclose(valid["ratio"], true, rtol=0.15)
    rest = true[true.index.get_level_values(1) < 4].groupby(level=0).mean()
    error = valid["r_over_r0"].to_numpy() / (true / rest.loc[valid["track_id"]].to_numpy()) - 1
    assert (error.abs() < 0.05).mean() > 0.9
    assert true.max() > 1.5 * rest.max()  # there is a response to find


def test_a_confluent_field_whose_background_is_subtracted(tmp_path, caplog) -> None:
    """The cytoplasm of the neighbours is no background: the warning names the option that works."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:160, :160]
    nuclei = (y % 32 - 16) ** 2 + (x % 32 - 16) ** 2 < 64
    labels = np.where(nuclei, 1 + y // 32 * 5 + x // 32, 0).astype(np.uint16)
    images = []
    for nucleus, cytoplasm in [(1000, 600)] * 3 + [(500, 700)] * 2:
        light = ndimage.gaussian_filter(np.where(nuclei, nucleus, cytoplasm).astype(float), 0.8)
        images.append(rng.normal(light, 20).clip(0)[None])
    movie, masks = np.array(images), np.array([labels] * 5)
    tracks = cc.track(masks, TrackOptions(division="none"))

    def trace(background: str) -> cc.Traces:
        options = TraceOptions(reporter="ktr", ratio="KTR", ring_px=4, background=background)
        return cc.trace(movie, masks, tracks, options, channels=["KTR"], frame_interval_s=270)

    trace("annulus").write(tmp_path / "annulus")
    assert "set `background` to mode. If" in caplog.text
    assert "set `background` to none" in caplog.text
    caplog.clear()
    traces = trace("none")
    traces.write(tmp_path / "none")
    assert "background" not in caplog.text
    rows = traces.table[traces.table["compartment"] == "cell"]
    assert rows["valid"].all()
    ratio = rows.groupby("frame")["ratio"].mean()
    np.testing.assert_allclose(ratio, [0.6] * 3 + [1.4] * 2, rtol=0.02)


@pytest.mark.parametrize(("offset", "is_told"), [(150, True), (5, False)])
def test_an_offset_that_nobody_subtracts_is_told(tmp_path, caplog, offset, is_told) -> None:
    rng = np.random.default_rng(0)
    labels = np.zeros((90, 90), np.int32)
    labels[20:30, 20:30] = 1
    movie = rng.normal(np.where(labels, 400, offset), 0.1)[None, None].repeat(3, axis=0)
    masks = labels[None].repeat(3, axis=0)
    tracks = cc.track(masks, TrackOptions(division="none"))
    options = TraceOptions(reporter="ktr", ratio="KTR", ring_px=4, background="none")
    traces = cc.trace(movie, masks, tracks, options, channels=["KTR"], frame_interval_s=60)
    traces.write(tmp_path)
    assert ("Far from all cells, channel KTR is at 150, 38 %" in caplog.text) == is_told


def test_a_ring_without_pixels_is_flagged() -> None:
    labels = np.ones((60, 60), np.int32)
    labels[:, 30:] = 2
    objects = pd.DataFrame({"label": [1, 2], "track_id": [1, 2]})
    tracks = pd.DataFrame({"track_id": [1, 2], "lineage_id": [1, 2], "parent_id": 0})
    tracks = tracks.assign(first_frame=0, last_frame=0)
    frame = (np.full((1, 60, 60), 500.0), labels, objects)
    options = TraceOptions(reporter="ktr", ratio="KTR", background="none", ring_px=4)
    settings = TraceSettings(options, ("KTR", "KTR"))
    table = pd.concat(trace_frames([frame], ["KTR"], tracks, settings, None))
    assert table["invalid_reason"].str.startswith("no pixels;").all()
    assert table["ratio"].isna().all()


def test_command(tmp_path) -> None:
    folder = write_movie(tmp_path / "results", n_frames=2, with_ratio=False)
    options = ["--reporter", "ktr", "--ring-px", "4", "--background", "mode"]
    run_traces(folder, *options, ratio="GFP")
    path = folder / "3_tracks/traces.parquet"
    traces = pd.read_parquet(path)
    cell = traces[traces["compartment"] == "cell"].set_index(["frame", "label"])
    sides = {
        name: rows.set_index(["frame", "label"]).eval("GFP_median - GFP_background")
        for name, rows in traces.groupby("compartment")
    }
    np.testing.assert_allclose(cell["ratio"], (sides["ring"] / sides["nucleus"])[cell.index])
    assert b'"reporter": "ktr"' in pq.read_schema(path).metadata[b"cellsam_traces"]
    with pytest.raises(InputError, match="`ring_px`: found 0"):
        run_traces(folder, "--reporter", "ktr", ratio="GFP")
    with pytest.raises(InputError, match="the reporter's channel, one of GFP, ExRai_405"):
        run_traces(folder, *options, ratio="GFP/ExRai_405")
