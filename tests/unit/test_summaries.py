"""Bleaching measured on controls, responses of cells, means of conditions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fake_results import DRUG_FRAME, N_FRAMES, response, run_traces, write_movie
from refusals import follow

from cellsam_core.cli import main
from cellsam_core.errors import InputError
from cellsam_core.traces.bleaching import fit_ratio_decay
from cellsam_core.traces.files import read_responses
from cellsam_core.traces.summaries import condition_curve, mean_and_ci, resample, summarise_tracks

TIMES = np.arange(12.0)


def test_mean_and_confidence_interval():
    matrix = np.array([[1, np.nan, np.nan], [2, 5, np.nan], [3, np.nan, np.nan]])
    mean, half_width, n = mean_and_ci(matrix)
    np.testing.assert_allclose(mean, [2, 5, np.nan])
    # Student's t(0.975, 2) = 4.303, sd = 1
    np.testing.assert_allclose(half_width, [4.303 / np.sqrt(3), np.nan, np.nan], rtol=1e-3)
    assert n.tolist() == [3, 1, 0]
    curve = condition_curve(matrix)
    assert curve.loc[0, ["n", "mean", "sd"]].tolist() == [3, 2, 1]
    assert curve.loc[0, "sem"] == pytest.approx(1 / np.sqrt(3))
    assert curve.loc[1, ["sd", "sem", "ci95"]].isna().all()


def summary(*rows: list[float]) -> pd.DataFrame:
    matrix = pd.DataFrame(np.array(rows), index=np.arange(len(rows)) + 7)
    return summarise_tracks(matrix, 10 * TIMES, drug_time=40.0, unit="s")


def test_a_rise_is_timed_from_the_drug():
    up = [1, 1, 1, 1, 1, 1, 1.2, 1.8, 2.0, 2.0, 1.5, 1.0]
    row = summary(up).loc[7]
    assert (row["n_valid"], row["peak"], row["peak_time_s"]) == (12, 2.0, 40)
    assert row["response_time_s"] == 20
    assert row["half_time_s"] == pytest.approx(20 + 10 * 0.3 / 0.6)
    assert row["auc_s"] == pytest.approx(10 * (0.2 + 0.8 + 1 + 1 + 0.5))


def test_no_time_lies_before_the_drug():
    """Half of the response is there in the first frame after the drug."""
    at_once = [1, 1, 1, 1, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5]
    row = summary(at_once).loc[7]
    assert (row["half_time_s"], row["response_time_s"], row["peak_time_s"]) == (0, 0, 0)


def test_a_fall_is_a_response_too_and_gaps_are_bridged():
    down = [1, 1, 1, 1, 1, 0.9, np.nan, 0.6, 0.5, 0.5, 0.6, 0.7]
    row = summary(down).loc[7]
    assert (row["n_valid"], row["peak"], row["response_time_s"]) == (11, 0.5, 10)
    assert row["half_time_s"] == pytest.approx(10 + 20 * 0.15 / 0.3)
    assert row["auc_s"] < 0


def test_a_daughter_born_late_has_no_response_time():
    late = np.full(12, np.nan)
    late[6:] = 2
    row = summary(late.tolist(), [1.0] * 12).loc[7]
    assert (row["peak"], row["n_valid"]) == (2, 6)
    assert row[["half_time_s", "response_time_s"]].isna().all()


def test_noise_one_outlier_and_short_tracks_are_no_response():
    noise = np.random.default_rng(0).normal(1, 0.05, (8, 12))
    spike = noise[0].copy()
    spike[6] = 3
    short = np.full(12, np.nan)
    short[[0, 1, 5]] = 1
    table = summary(*noise.tolist(), spike.tolist(), short.tolist())
    assert table["response_time_s"].isna().all()
    assert table.loc[15, "peak"] == 3
    assert table.loc[16].drop("n_valid").isna().all()


def test_bleaching_is_the_slope_within_cells():
    rng = np.random.default_rng(1)
    rows = []
    for cell in range(40):  # cells come and go, brighter ones early: a naive mean would drift
        first = int(rng.integers(0, 30))
        frame = np.arange(first, first + 12)
        ratio = (3 - first / 20) * np.exp(-0.004 * frame) * rng.normal(1, 0.002, 12)
        rows.append(pd.DataFrame({"track_id": cell, "frame": frame, "ratio": ratio}))
    table = pd.concat(rows)
    assert fit_ratio_decay(table) == pytest.approx(0.004, abs=1e-4)
    assert fit_ratio_decay(table[table["frame"] < 2]) is None
    assert fit_ratio_decay(table.drop_duplicates("track_id")) is None


@pytest.fixture(scope="module")
def movie(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_movie(tmp_path_factory.mktemp("movie") / "results")


def traces_of(folder: Path) -> Path:
    return folder / "3_tracks/traces.parquet"


def bleached(folder: Path, rate: float) -> Path:
    """Rewrite a sample's traces as if it were an untreated, bleaching control."""
    table = pq.read_table(traces_of(folder))
    rows = table.to_pandas()
    rows["ratio"] = 2 * np.exp(-rate * rows["frame"])
    path = folder.parent / "control.parquet"
    pq.write_table(pa.Table.from_pandas(rows, schema=table.schema, preserve_index=False), path)
    return path


def test_the_control_s_bleaching_is_divided_out(movie, tmp_path):
    control = bleached(movie, 0.05)
    run_traces(movie, "--control", str(control), "-o", str(tmp_path), ratio="GFP/ExRai_405")
    plain, corrected = (pd.read_parquet(p) for p in (traces_of(movie), tmp_path / "traces.parquet"))
    factor = np.exp(-0.05 * plain["frame"])
    np.testing.assert_allclose(corrected["bleach_factor"], factor)
    np.testing.assert_allclose(corrected["ratio"], plain["ratio"] / factor)
    with pytest.raises(InputError, match="bleaching rate"):
        run_traces(movie, "--control", str(tmp_path / "traces.parquet"), ratio="GFP/ExRai_405")
    other = write_movie(tmp_path / "other/results", n_frames=2, with_units=False)
    with pytest.raises(InputError, match="frame interval"):
        run_traces(other, "--control", str(control), ratio="GFP/ExRai_405")


def test_the_drug_comes_after_the_baseline(movie, tmp_path):
    with pytest.raises(InputError, match="`drug_frame`: found 2"):
        run_traces(movie, "--drug-frame", "2", ratio="GFP/ExRai_405")
    options = ["--drug-frame", str(DRUG_FRAME), "-o", str(tmp_path)]
    run_traces(movie, *options, ratio="GFP/ExRai_405")
    table = pd.read_csv(tmp_path / "trace_summary.csv", index_col="track_id")
    expected = read_responses(tmp_path / "traces.parquet").table
    pd.testing.assert_frame_equal(table[expected.columns], expected, rtol=1e-5)
    assert table.loc[1, "peak"] == pytest.approx(response(N_FRAMES - 1), rel=0.02)
    assert table.loc[1, "response_time_s"] == 0


def test_conditions_are_pooled_and_drawn(movie, tmp_path, capsys):
    traces = traces_of(movie)
    assert main(["summarise", f"drug={traces}", f"drug={traces}", "-o", str(tmp_path)]) == 0
    curves = pd.read_csv(tmp_path / "condition_traces.csv")
    assert curves["condition"].unique().tolist() == ["drug"]
    assert curves["n"].tolist()[0] == 2 * 4
    assert curves["time_s"].max() == 30 * (N_FRAMES - 1)
    np.testing.assert_allclose(
        curves["mean"], [response(f) for f in range(N_FRAMES)], rtol=0.02, equal_nan=True
    )
    table = pd.read_csv(tmp_path / "condition_summary.csv").set_index("quantity")
    assert table.loc["peak", "n_samples"] == 2
    assert (tmp_path / "conditions.png").stat().st_size > 10_000
    assert "response_time_s" in capsys.readouterr().out


def written(path: Path, interval_s: float, drug_frame: int, n_frames: int) -> Path:
    """Traces of two cells: R/R0 is 1, and from the drug on rises by 0.001 a second."""
    frame = np.tile(np.arange(n_frames), 2)
    since = (frame - drug_frame) * interval_s
    rows = {
        "track_id": np.repeat([1, 2], n_frames),
        "frame": frame,
        "time_s": frame * interval_s,
        "compartment": "cell",
        "r_over_r0": 1 + 0.001 * np.maximum(since, 0),
        "valid": (frame != 3) | (np.arange(2 * n_frames) < n_frames),  # but one frame of cell 2
    }
    table = pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)
    options = {"cellsam_traces": json.dumps({"drug_frame": drug_frame})}
    pq.write_table(table.replace_schema_metadata(options), path)
    return path


def test_other_intervals_are_interpolated_and_aligned_at_the_drug(tmp_path):
    slow = written(tmp_path / "slow.parquet", 60, 3, 10)
    fast = written(tmp_path / "fast.parquet", 25, 4, 20)
    out = tmp_path / "out"
    assert main(["summarise", f"a={slow}", f"b={fast}", f"c={slow}", "-o", str(out)]) == 0
    curves = pd.read_csv(out / "condition_traces.csv")
    a, b, c = (curves[curves["condition"] == name] for name in "abc")
    times = 60.0 * np.arange(10)
    for curve in (a, b, c):
        assert curve["time_s"].tolist() == times.tolist()
    # The fast movie has frames from 100 s before its drug to 375 s after.
    inside = (times >= 180 - 100) & (times <= 180 + 375)
    assert (b["n"] > 0).tolist() == inside.tolist()
    expected = 1 + 0.001 * np.maximum(times - 180, 0)
    np.testing.assert_allclose(a["mean"], expected, rtol=1e-5)
    np.testing.assert_allclose(b["mean"][inside], expected[inside], rtol=1e-5)
    assert a["n"].tolist() == [2, 2, 2, 1, 2, 2, 2, 2, 2, 2]
    assert (out / "conditions.png").stat().st_size > 10_000


def test_resampling_needs_both_neighbours():
    matrix = np.array([[1.0, 2.0, np.nan, 4.0]])
    at = np.array([-0.5, 0, 0.25, 1, 1.5, 2, 3.0000001, 3.2])
    np.testing.assert_allclose(
        resample(matrix, at), [[np.nan, 1, 1.25, 2, np.nan, np.nan, 4, np.nan]]
    )


def test_what_cannot_be_compared_is_named(movie, tmp_path, capsys):
    other = write_movie(tmp_path / "other/results", n_frames=2, with_units=False)
    both = [f"a={traces_of(movie)}", f"b={traces_of(other)}"]
    for arguments, message in (
        (both, "times in s, some in frames"),
        (["no_condition.parquet"], "a name, an equals sign"),
        (["a=missing.parquet"], "missing.parquet"),
    ):
        assert main(["summarise", *arguments, "-o", str(tmp_path / "out")]) == 1
        assert message in capsys.readouterr().err
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("frame", "told"), [(1e300, "1e+300"), (1.5, "1.5"), (-1, "frame -1")])
def test_a_frame_that_is_none_is_refused(tmp_path, frame, told):
    rows = {"track_id": 1, "frame": [0.0, 1, 2, frame], "time_s": np.nan, "compartment": "cell"}
    path = tmp_path / "traces.parquet"
    pd.DataFrame(rows | {"r_over_r0": 1.0, "valid": True}).to_parquet(path)

    def corrected():
        whole = pd.DataFrame(rows | {"frame": range(4), "r_over_r0": 1.0, "valid": True})
        whole.assign(frame=whole["frame"].astype(float)).to_parquet(path)
        assert read_responses(path).matrix.shape == (1, 4)

    with pytest.raises(InputError) as refused:
        read_responses(path)
    assert told in str(refused.value)
    follow(lambda: read_responses(path), "correct the", then=corrected)
