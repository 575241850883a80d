from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import binary_dilation

from cellsam_core.traces.background import fit_surface, mode_of
from cellsam_core.traces.intensities import measure_frame
from cellsam_core.traces.options import TraceOptions
from cellsam_core.traces.pixel_groups import PixelGroups
from cellsam_core.traces.ratios import (
    add_ratio,
    baseline_ratios,
    columns_of,
    division_windows,
    near_division,
    normalise,
    trace_frames,
)
from cellsam_core.traces.settings import TraceSettings

CHANNELS = ("num", "den")
OPTIONS = TraceOptions(ratio=CHANNELS)
RATIO = TraceSettings(OPTIONS, CHANNELS)


def two_cells() -> np.ndarray:
    labels = np.zeros((60, 90), np.uint32)
    labels[20:30, 20:30] = 7
    labels[25:35, 60:70] = 3
    return labels


def tracks_table(*rows: tuple[int, int, int, int]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["track_id", "parent_id", "first_frame", "last_frame"])
    return table.assign(lineage_id=1)


def by_label(table: pd.DataFrame, compartment: str = "cell") -> pd.DataFrame:
    return table[table["compartment"] == compartment].set_index("label")


def test_groups_agree_with_brute_force():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 6, (30, 30)).astype(np.uint16)
    plane = rng.integers(0, 50, (30, 30)).astype(np.uint16)
    ids = np.array([1, 3, 5, 9])  # 2 and 4 are left out, 9 is absent
    groups = PixelGroups(labels, ids)
    values = groups.values(plane)
    for i, label in enumerate(ids[:3]):
        pixels = plane[labels == label]
        assert groups.counts[i] == pixels.size
        assert groups.mean(values)[i] == pytest.approx(pixels.mean())
        assert groups.median(values)[i] == np.median(pixels)
        mad = np.median(np.abs(pixels - np.median(pixels)))
        assert groups.robust_sd(values)[i] == pytest.approx(1.4826 * mad)
    assert groups.counts[3] == 0
    assert np.isnan(groups.mean(values)[3])
    assert np.isnan(groups.median(values)[3])


def test_mode_ignores_a_bright_minority():
    rng = np.random.default_rng(1)
    dark = rng.normal(100, 10, 20_000).round()
    bright = rng.uniform(100, 1000, 6_000).round()
    assert mode_of(np.concatenate([dark, bright])) == pytest.approx(100, abs=2)
    assert mode_of(np.full(50, 7.0)) == 7
    assert mode_of(np.array([4.0])) == 4


def test_annulus_background_is_local_and_skips_rim_and_other_cells():
    labels = two_cells()
    image = np.full((2, *labels.shape), 1000, np.uint16)
    image[:, :, :45] = 100  # left half darker
    image[:, :, 45:] = 300
    rim = binary_dilation(labels > 0, iterations=5) & (labels == 0)
    image[:, rim] = 5000  # blur around the cells, not background
    image[0, labels == 7] = 400
    image[1, labels == 7] = 200
    image[0, labels == 3] = 900
    image[1, labels == 3] = 500
    table = by_label(measure_frame(image, labels, CHANNELS, OPTIONS))
    assert table.loc[7, "num_background"] == pytest.approx(100, abs=4)
    assert table.loc[3, "num_background"] == pytest.approx(300, abs=4)
    assert table.loc[7, "num_mean"] == 400
    assert table.loc[3, "den_median"] == 500
    assert set(table["background_source"]) == {"annulus"}
    assert table["n_px"].tolist() == [100, 100]
    ratio = add_ratio(table.reset_index(), RATIO, np.zeros(2, bool)).set_index("label")["ratio"]
    assert ratio[7] == pytest.approx((400 - 100) / (200 - 100), rel=0.04)
    assert ratio[3] == pytest.approx((900 - 300) / (500 - 300), rel=0.04)


def test_enclosed_cell_takes_the_mode_of_the_frame():
    labels = np.zeros((100, 100), np.uint16)
    labels[10:70, 10:70] = 1
    labels[35:45, 35:45] = 2
    image = np.where(labels > 0, 500, 120).astype(np.uint16)[None]
    table = by_label(measure_frame(image, labels, ["a"], TraceOptions()))
    assert table.loc[1, "background_source"] == "annulus"
    assert table.loc[2, "background_source"] == "mode"
    assert table.loc[2, "a_background"] == pytest.approx(120)


def uneven(shape_yx):
    y, x = np.mgrid[: shape_yx[0], : shape_yx[1]]
    return 100 + 0.5 * y + 0.3 * x + 0.002 * (x - 60) ** 2


@pytest.mark.parametrize("background", ["annulus", "mode"])
def test_uneven_background_is_that_under_the_cell(background):
    labels = np.zeros((120, 160), np.uint16)
    labels[10:60, 10:40] = 1  # a wall of cells: background on one side of each
    labels[10:60, 40:70] = 2
    field = uneven(labels.shape)
    image = (field + 300 * (labels > 0)).astype(np.float32)[None]
    image[0, 90:96, 100:106] += 2000  # debris
    table = by_label(measure_frame(image, labels, ["a"], TraceOptions(background=background)))
    for label in (1, 2):
        assert table.loc[label, "a_background"] == pytest.approx(
            field[labels == label].mean(), 0.01
        )
        assert table.loc[label, "a_mean"] - table.loc[label, "a_background"] == pytest.approx(
            300, 0.01
        )


def test_surface_is_flat_where_there_is_little_background():
    plane = uneven((60, 60))
    outside = np.zeros((60, 60), bool)
    outside[:20] = True
    assert not fit_surface(plane, outside).any()
    assert fit_surface(plane, np.ones((60, 60), bool)) == pytest.approx(
        plane - plane.mean(), abs=1e-6
    )


def test_confluent_frame_has_no_background_and_says_so():
    labels = np.ones((40, 40), np.uint16)
    labels[:, 20:] = 2
    image = np.full((2, 40, 40), 500, np.uint16)
    table = add_ratio(measure_frame(image, labels, CHANNELS, OPTIONS), RATIO, np.zeros(2, bool))
    assert table["num_background"].isna().all()
    assert table["ratio"].isna().all()
    assert table["invalid_reason"].str.contains("no background").all()
    options = TraceOptions(ratio=CHANNELS, background="none")
    none = TraceSettings(options, CHANNELS)
    table = add_ratio(measure_frame(image, labels, CHANNELS, options), none, np.zeros(2, bool))
    assert table["ratio"].tolist() == [1, 1]


def test_saturation_border_and_weak_denominator_are_named():
    labels = two_cells()
    labels[0:4, 0:4] = 9
    rng = np.random.default_rng(2)
    image = rng.normal(100, 5, (2, *labels.shape)).round().astype(np.uint16)
    labels[26:30, 82:86] = 11
    image[0, labels > 0] = 400
    image[1, labels == 7] = 200
    image[1, labels == 11] = 300
    image[0, labels == 11] = 104  # the same in the numerator
    image[1, labels == 3] = 108  # 8 above a background of noise 5
    image[0, 20, 20] = 65535
    table = add_ratio(measure_frame(image, labels, CHANNELS, OPTIONS), RATIO, np.zeros(4, bool))
    reasons = table.set_index("label")["invalid_reason"]
    assert reasons[7] == "saturated"
    assert reasons[3] == "low denominator"
    assert reasons[11] == "low numerator"
    assert reasons[9] == "low denominator;touches border"
    assert table.set_index("label").loc[7, "num_n_saturated"] == 1
    lower = TraceOptions(ratio=CHANNELS, saturation_value=400)
    table = by_label(measure_frame(image, labels, CHANNELS, lower))
    assert table.loc[3, "num_n_saturated"] == 100


def test_ring_surrounds_the_nucleus_and_keeps_off_the_neighbour():
    labels = np.zeros((60, 60), np.uint16)
    labels[20:30, 20:30] = 1
    labels[20:30, 36:46] = 2
    image = np.full((1, 60, 60), 50, np.uint16)
    image[0, labels == 1] = 300
    image[0, labels == 2] = 900
    options = TraceOptions(ring_px=4)
    table = measure_frame(image, labels, ["ktr"], options)
    nucleus, ring = by_label(table, "nucleus"), by_label(table, "ring")
    assert nucleus.loc[1, "ktr_mean"] == 300
    assert ring.loc[1, "ktr_mean"] == 50  # none of the neighbour's 900
    # 3-6 px beyond a 10 px square: 4 sides of 4 x 10 px, and corners; the gap of 6 px is shared
    assert 120 < ring.loc[1, "n_px"] < 4 * 40 + 4 * 36
    assert set(table["compartment"]) == {"cell", "nucleus", "ring"}


def test_float_and_big_endian_images():
    labels = two_cells()
    image = np.where(labels > 0, 5.5, 1.0)[None]
    table = by_label(measure_frame(image, labels, ["a"], TraceOptions()))
    swapped = by_label(measure_frame(image.astype(">f4"), labels, ["a"], TraceOptions()))
    assert table.loc[7, "a_mean"] == 5.5
    pd.testing.assert_frame_equal(table, swapped)


def test_division_windows_mask_mitosis_but_not_budding():
    tracks = tracks_table(
        (1, 0, 0, 9), (2, 1, 10, 19), (3, 1, 10, 19), (4, 0, 0, 19), (5, 4, 6, 19)
    )
    windows = division_windows(tracks, 2)
    assert windows.loc[1, "divides_from"] == 8
    assert windows.loc[2, "born_until"] == 11
    assert windows.loc[4, "divides_from"] == 20
    assert windows.loc[5, "born_until"] == -1


@pytest.mark.parametrize("margin", [0, 1, 2, 5])
def test_as_many_frames_of_the_mother_as_of_each_daughter_are_masked(margin):
    # The second daughter is seen a frame late, and the mother not in the frame before the first.
    tracks = tracks_table((1, 0, 0, 8), (2, 1, 10, 19), (3, 1, 11, 19))
    windows = division_windows(tracks, margin)
    for track, life, masked in (
        (1, range(9), range(9 - margin, 9)),
        (2, range(10, 20), range(10, 10 + margin)),
        (3, range(11, 20), range(11, 11 + margin)),
    ):
        ids = np.array([track])
        assert [t for t in life if near_division(t, ids, windows)[0]] == list(masked)


def test_baseline_is_inherited_along_the_lineage():
    tracks = tracks_table((1, 0, 0, 9), (2, 1, 10, 19), (3, 2, 15, 19), (4, 0, 5, 19))
    baseline = pd.DataFrame(
        {
            "track_id": [1, 1, 1],
            "compartment": "cell",
            "ratio": [2.0, 4.0, 100.0],
            "invalid_reason": ["", "", "saturated"],
        }
    )
    r0 = baseline_ratios(baseline, tracks).xs("cell", level="compartment")
    assert r0["r0"].to_dict() == {1: 3.0, 2: 3.0, 3: 3.0}
    assert r0["r0_track_id"].to_dict() == {1: 1, 2: 1, 3: 1}
    rows = pd.DataFrame(
        {"track_id": [3, 4], "compartment": "cell", "ratio": [6.0, 6.0], "invalid_reason": ""}
    )
    result = normalise(rows, baseline_ratios(baseline, tracks))
    assert result["r_over_r0"].tolist()[0] == 2
    assert result["dr_r0"].tolist()[0] == 1
    assert result["valid"].tolist() == [True, False]
    assert result["invalid_reason"].tolist() == ["", "no baseline"]


def synthetic_movie(n_frames: int = 8, drug_frame: int = 3):
    """Two cells; the true ratio rises by a known factor after the drug; the second one divides."""
    rng = np.random.default_rng(3)
    yy, xx = np.mgrid[:120, :160]
    factors = np.ones(n_frames)
    factors[drug_frame:] = 1 + 2 * (1 - np.exp(-np.arange(n_frames - drug_frame) / 2))
    frames = []
    for t in range(n_frames):
        labels = np.zeros((120, 160), np.uint16)
        labels[(yy - 60) ** 2 + (xx - 40 - t) ** 2 < 14**2] = 1
        if t < 6:
            labels[(yy - 60) ** 2 + (xx - 110) ** 2 < 14**2] = 2
            objects = pd.DataFrame({"label": [1, 2], "track_id": [10, 20]})
        else:
            labels[(yy - 45) ** 2 + (xx - 110) ** 2 < 10**2] = 2
            labels[(yy - 75) ** 2 + (xx - 110) ** 2 < 10**2] = 3
            objects = pd.DataFrame({"label": [1, 2, 3], "track_id": [10, 21, 22]})
        background = np.stack([200 + 0.5 * xx, 150 + 0.3 * yy])
        signal = np.stack([np.where(labels > 0, 300 * r, 0) for r in (factors[t] * 0.8, 1.0)])
        image = rng.normal(background + signal, 8).round().clip(0).astype(np.uint16)
        frames.append((image, labels, objects))
    tracks = tracks_table((10, 0, 0, 7), (20, 0, 0, 5), (21, 20, 6, 7), (22, 20, 6, 7))
    return frames, tracks, factors


def test_known_response_is_recovered_within_one_percent():
    frames, tracks, factors = synthetic_movie()
    tables = list(trace_frames(iter(frames), CHANNELS, tracks, RATIO, 30.0))
    assert [len(t) for t in tables] == [2, 2, 2, 2, 2, 2, 3, 3]
    table = pd.concat(tables)
    assert list(table.columns) == list(columns_of(CHANNELS))
    expected = factors[table["frame"]]
    np.testing.assert_allclose(table["r_over_r0"], expected, rtol=0.01)
    np.testing.assert_allclose(table["ratio"], 0.8 * expected, rtol=0.015)
    assert table["time_s"].tolist() == (table["frame"] * 30.0).tolist()
    daughters = table[table["track_id"].isin([21, 22])]
    assert set(daughters["r0_track_id"]) == {20}
    assert set(daughters["invalid_reason"]) == {"division window"}
    assert table.loc[table["track_id"] == 10, "valid"].all()
    mother = table[table["track_id"] == 20].set_index("frame")["valid"]
    assert mother.to_dict() == {0: True, 1: True, 2: True, 3: True, 4: False, 5: False}


def test_without_ratio_intensities_remain():
    frames, tracks, _ = synthetic_movie()
    table = pd.concat(
        trace_frames(frames, CHANNELS, tracks, TraceSettings(TraceOptions(), None), None)
    )
    assert set(table["invalid_reason"]) == {"no ratio"}
    assert not table["valid"].any()
    assert table["ratio"].isna().all()
    assert table["time_s"].isna().all()
    assert (table["num_mean"] > table["num_background"]).all()


def test_no_cells_gives_typed_empty_tables():
    empty = (
        np.zeros((2, 20, 20), np.uint16),
        np.zeros((20, 20), np.uint16),
        pd.DataFrame({"label": pd.Series(dtype=int), "track_id": pd.Series(dtype=int)}),
    )
    tables = list(trace_frames([empty] * 4, CHANNELS, tracks_table(), RATIO, 1.0))
    assert [len(t) for t in tables] == [0] * 4
    assert {c: str(t) for c, t in tables[0].dtypes.items()} == columns_of(CHANNELS)


def test_movie_shorter_than_the_baseline_and_unlisted_labels():
    frames, tracks, _ = synthetic_movie(n_frames=4)
    image, labels, objects = frames[0]
    only_first = objects[objects["track_id"] == 10]
    table = pd.concat(trace_frames([(image, labels, only_first)], CHANNELS, tracks, RATIO, None))
    assert table["track_id"].tolist() == [10]
    assert table["r_over_r0"].tolist() == [1.0]
