from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tifffile
from fake_results import DIVISION_FRAME, N_FRAMES, response, run_traces, write_movie

from cellsam_core.errors import InputError
from cellsam_core.samples.manifest import Manifest
from cellsam_core.traces.check import parse_ratio
from cellsam_core.traces.ratios import columns_of

CONTRACT = ["track_id", "lineage_id", "frame", "time_s", "compartment", "GFP_mean"]
CONTRACT += ["GFP_background", "ExRai_405_mean", "ExRai_405_background", "ratio", "r0"]
CONTRACT += ["r_over_r0", "dr_r0", "valid", "invalid_reason"]


@pytest.fixture(scope="module")
def movie(tmp_path_factory) -> Path:
    return write_movie(tmp_path_factory.mktemp("movie") / "results")


def test_files_hold_the_true_response(movie):
    traces = pd.read_parquet(movie / "3_tracks/traces.parquet")
    assert set(CONTRACT) <= set(traces.columns)
    truth = traces["frame"].map(response)
    np.testing.assert_allclose(traces["r_over_r0"], truth, rtol=0.01)
    assert traces["time_s"].max() == 30 * (N_FRAMES - 1)
    assert traces.loc[traces["track_id"].isin([5, 6]), "lineage_id"].unique().tolist() == [4]
    flagged = traces.loc[~traces["valid"], ["track_id", "frame"]]
    near = set(flagged["frame"])
    assert near == set(range(DIVISION_FRAME - 2, DIVISION_FRAME + 2))
    assert set(flagged["track_id"]) == {4, 5, 6}


def test_wide_table_is_the_long_one_pivoted(movie):
    wide = pd.read_csv(movie / "3_tracks/traces_wide.csv", index_col="track_id")
    assert wide.columns.tolist() == [str(f) for f in range(N_FRAMES)]
    traces = pd.read_parquet(movie / "3_tracks/traces.parquet")
    pivot = traces.pivot_table(index="track_id", columns="frame", values="r_over_r0")
    np.testing.assert_allclose(wide.to_numpy(), pivot.to_numpy(), rtol=1e-5)
    assert wide.loc[5].isna().sum() == DIVISION_FRAME


def test_options_are_recorded(movie):
    metadata = pq.read_schema(movie / "3_tracks/traces.parquet").metadata
    options = json.loads(metadata[b"cellsam_traces"])
    assert options["ratio"] == ["GFP", "ExRai_405"]
    assert options["baseline_frames"] == 3


def test_same_input_gives_same_bytes(movie, tmp_path):
    again = write_movie(tmp_path / "results")
    for name in ("traces.parquet", "traces_wide.csv"):
        assert (movie / "3_tracks" / name).read_bytes() == (again / "3_tracks" / name).read_bytes()


def test_no_cells_and_no_ratio(tmp_path):
    empty = write_movie(tmp_path / "empty/results", n_frames=2, with_cells=False)
    traces = pd.read_parquet(empty / "3_tracks/traces.parquet")
    assert len(traces) == 0
    assert traces.columns.tolist() == list(columns_of(["GFP", "ExRai_405"]))
    assert (empty / "3_tracks/traces_wide.csv").read_text() == "track_id,0,1\n"
    plain = write_movie(tmp_path / "plain/results", n_frames=2, with_ratio=False, with_units=False)
    traces = pd.read_parquet(plain / "3_tracks/traces.parquet")
    assert set(traces["invalid_reason"]) == {"no ratio"}
    assert traces["time_s"].isna().all()
    assert (plain / "3_tracks/traces_wide.csv").read_text() == "track_id,0,1\n" + "".join(
        f"{i},,\n" for i in (1, 2, 3, 4)
    )


def test_ring_and_mode_options(tmp_path):
    folder = write_movie(tmp_path / "results", n_frames=2, with_ratio=False)
    run_traces(folder, "--ring-px", "3", "--background", "mode", ratio="GFP/ExRai_405")
    traces = pd.read_parquet(folder / "3_tracks/traces.parquet")
    assert traces["compartment"].value_counts().to_dict() == {"cell": 8, "nucleus": 8, "ring": 8}
    assert set(traces["background_source"]) == {"mode"}
    ring = traces[traces["compartment"] == "ring"]
    assert (ring["GFP_mean"] - ring["GFP_background"]).abs().max() < 3  # nothing but background
    assert ring["invalid_reason"].str.startswith("low denominator;low numerator").all()


def test_ratio_names():
    assert parse_ratio("a/b", ["b", "a"]) == ("a", "b")
    assert parse_ratio("CFP/YFP FRET / CFP", ["CFP", "CFP/YFP FRET"]) == ("CFP/YFP FRET", "CFP")
    for text in ("a/c", "a", "/", ""):
        with pytest.raises(InputError, match="channels a, b"):
            parse_ratio(text, ["a", "b"])


def test_unusable_input_is_refused_and_leaves_nothing(movie, tmp_path):
    with pytest.raises(InputError, match="`baseline_frames`: found 0"):
        run_traces(movie, "--baseline-frames", "0")
    other = write_movie(tmp_path / "short/results", n_frames=2)
    masks = str(other / "2_masks/masks.zarr")
    with pytest.raises(InputError, match=r"2 frame\(s\)"):
        run_traces(movie, "--masks", masks)
    objects = pd.read_parquet(movie / "3_tracks/objects.parquet")
    objects.loc[3, "label"] = 77
    objects.to_parquet(tmp_path / "objects.parquet")
    out = tmp_path / "out"
    with pytest.raises(InputError, match="label 77 in frame 0"):
        run_traces(movie, "--objects", str(tmp_path / "objects.parquet"), "-o", str(out))
    objects.assign(label=1, merged_labels="one").to_parquet(tmp_path / "objects.parquet")
    with pytest.raises(InputError, match="no table that can be read"):
        run_traces(movie, "--objects", str(tmp_path / "objects.parquet"), "-o", str(out))
    assert list(out.iterdir()) == []


def test_a_movie_without_cells_keeps_its_frame_interval(tmp_path):
    empty = write_movie(tmp_path / "results", n_frames=2, with_cells=False)
    header = (empty / "3_tracks/trace_summary.csv").read_text()
    assert "peak_time_s" in header
    metadata = pq.read_schema(empty / "3_tracks/traces.parquet").metadata
    assert json.loads(metadata[b"cellsam_traces"])["frame_interval_s"] == 30


def test_the_drug_is_given_within_the_movie(movie):
    with pytest.raises(InputError, match=r"`drug_frame`: found 500.*at most 11"):
        run_traces(movie, "--drug-frame", "500")


def test_pixels_that_are_no_number_are_flagged_and_no_background(tmp_path):
    folder = write_movie(tmp_path / "results")
    manifest = Manifest.load(folder / "0_manifest.json")
    raw = Path(manifest.planes[3][0].path)
    before = pd.read_parquet(folder / "3_tracks/traces.parquet")
    image = tifffile.imread(raw).astype(np.float32)
    image[..., :12, :] = np.nan
    image[..., 40, 43] = np.nan  # in the cell of track 1
    tifffile.imwrite(raw, image)
    run_traces(folder, ratio="GFP/ExRai_405")
    after = pd.read_parquet(folder / "3_tracks/traces.parquet")
    hit = (after["frame"] == 3) & (after["track_id"] == 1)
    assert hit.sum() == 1
    assert after.loc[hit, "invalid_reason"].str.contains("not finite").all()
    assert not after.loc[hit, "valid"].any()
    assert after.loc[after["valid"], "r_over_r0"].notna().all()
    other = after["valid"] & ~hit
    np.testing.assert_allclose(after.loc[other, "ratio"], before.loc[other, "ratio"], rtol=0.02)
