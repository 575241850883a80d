"""Verdict on tables and images made by hand: bad inputs of plausible form end red."""

from __future__ import annotations

import json
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fake_results import write_movie, write_spatial
from scipy import ndimage

import cellsam_core as cc
from cellsam_core.reporting.page import render
from cellsam_core.verdict import limits
from cellsam_core.verdict.cells import found_measures, size_measures
from cellsam_core.verdict.checks import Check, Measure, Verdict, worst_of
from cellsam_core.verdict.frames import lost_order, plane_facts
from cellsam_core.verdict.images import Pixels, image_measures, look
from cellsam_core.verdict.motion import (
    area_change,
    doubtful_links,
    interruptions,
    largest_step,
    link_check,
    valid_values,
)
from cellsam_core.verdict.registration import BINS_PER_DIAMETER, register

ROOT = Path(__file__).resolve().parents[2]
SIDE, DIAMETER, N_FRAMES = 128, 16, 8


def scene(n_frames: int = N_FRAMES, seed: int = 0) -> np.ndarray:
    """Discs that move 2 px a frame, over the noise of a camera."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    centres = [(20 + 36 * i, 20 + 36 * j) for i in range(3) for j in range(3)]
    frames = []
    for t in range(n_frames):
        moved = [np.hypot(y - a - 2 * t * (a % 3 - 1), x - b - 2 * t) < 8 for a, b in centres]
        signal = ndimage.gaussian_filter(600.0 * np.any(moved, axis=0), 0.7)
        frames.append(100 + signal + rng.normal(0, 6, signal.shape))
    return np.array(frames).round().astype(np.uint16)


def judged(frames: np.ndarray, saturation: float | None = None) -> dict[str, Measure]:
    manifest = SimpleNamespace(n_frames=len(frames), shape_yx=frames.shape[1:])
    middle = (float(frames.min()) + float(frames.max())) / 2
    masks = SimpleNamespace(axes="tyx", read=lambda index: frames[index] > middle)
    results = SimpleNamespace(manifest=manifest, masks=lambda: masks)

    def read(frame: int, window: tuple[int, int, int, int]) -> np.ndarray:
        y0, y1, x0, x1 = window
        return frames[frame, y0:y1, x0:x1]

    facts = look(Pixels(read, saturation), results, DIAMETER)
    return {m.limit.name: m for m in image_measures(facts, DIAMETER)}


def colours(measures: dict[str, Measure]) -> set[str]:
    return {measure.colour for measure in measures.values()}


def test_a_sharp_movie_in_order_is_green():
    found = judged(scene(), 65535)
    assert colours(found) == {"green"}, {k: (m.colour, m.value) for k, m in found.items()}


@pytest.mark.parametrize("offset", [0, 100])
def test_black_frames_are_red(offset):
    frames = scene()
    dark = np.random.default_rng(1).normal(offset, 6, frames.shape).clip(0)
    frames[::2] = dark[::2]
    measure = judged(frames)["blank_frames"]
    assert measure.colour == "red"
    assert measure.detail == "4 of 8 frames show no more than noise."


def test_repeated_and_shuffled_frames_are_red():
    frames = scene()
    assert judged(frames[[0, 0, 1, 1, 2, 2, 3, 3]])["repeated_frames"].colour == "red"
    assert judged(frames[[4, 0, 6, 2, 7, 1, 5, 3]])["order"].colour == "red"
    still = np.repeat(frames[:1], N_FRAMES, axis=0)
    assert judged(still + (np.arange(N_FRAMES)[:, None, None] % 2).astype(np.uint16))[
        "order"
    ].value in (None, 0)


def test_focus_is_judged_by_the_width_of_edges():
    blurred = ndimage.gaussian_filter(scene().astype(float), (0, 7, 7))
    noisy = blurred + np.random.default_rng(2).normal(0, 3, blurred.shape)
    assert judged(noisy)["blur"].colour == "red"
    half = scene().astype(float)
    half[4:] = noisy[4:]
    assert judged(half)["focus_change"].colour in ("amber", "red")


def test_saturated_cells_are_red():
    frames = (scene().astype(float) * 600).clip(0, 65535).astype(np.uint16)
    assert judged(frames, 65535)["saturated"].colour == "red"
    assert judged(frames, None)["saturated"].colour == "unknown"


def cells_table(n: int = 40, score: float = 0.8, area: float = 200) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    columns = {"frame": np.arange(n) % 4, "score": score, "area_px": area * rng.normal(1, 0.1, n)}
    return pd.DataFrame(columns)


def test_scores_of_noise_are_red_and_say_why():
    score, *_ = found_measures(cells_table(score=0.385), 4)
    assert score.colour == "red"
    assert "median detection score 0.39; 100 % are below 0.5. The model is unsure" in score.reason
    assert found_measures(cells_table(score=0.85), 4)[0].colour == "green"


def test_no_cells_are_red():
    empty = cells_table().iloc[:0]
    assert {measure.colour for measure in found_measures(empty, 4)} == {"red"}
    assert [m.colour for m in found_measures(cells_table(3), 4)][1] == "amber"


@pytest.mark.parametrize(("searched", "colour"), [(16, "green"), (64, "red"), (4, "red")])
def test_a_diameter_that_is_wrong_by_4_is_red(searched, colour):
    factor = size_measures(cells_table(), {"cell_diameter_px": searched}, (256, 256), None)[0]
    assert factor.colour == colour


def test_light_that_fills_the_field_and_specks_are_no_cells():
    found = {m.limit.name: m for m in size_measures(cells_table(area=60_000), {}, (256, 256), None)}
    assert found["size_in_field"].colour == "red"
    found = {m.limit.name: m for m in size_measures(cells_table(area=24), {}, (256, 256), None)}
    assert found["diameter"].colour == "red"


def tracks_of(births: str, ends: str) -> pd.DataFrame:
    names = {"m": "movie_start", "a": "appeared", "e": "movie_end", "l": "lost", "d": "division"}
    return pd.DataFrame(
        {
            "track_id": range(len(births)),
            "birth_kind": [names[letter] for letter in births],
            "end_kind": [names[letter] for letter in ends],
            "first_frame": 0,
            "last_frame": 3,
        }
    )


def objects_of(n_tracks: int, probability: float = 0.999) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = np.tile(np.arange(4), n_tracks)
    return pd.DataFrame(
        {
            "track_id": np.repeat(np.arange(n_tracks), 4),
            "frame": frame,
            "area_px": 200 * rng.normal(1, 0.05, 4 * n_tracks),
            "link_probability": np.where(frame > 0, probability, np.nan),
        }
    )


@pytest.mark.parametrize(
    ("interval_s", "colour"), [(None, None), (300, "green"), (60, "amber"), (0.3, "red")]
)
def test_cells_that_double_within_minutes_are_told(interval_s, colour):
    objects = pd.DataFrame({"link_probability": np.ones(400)})
    divisions = pd.DataFrame({"status": ["clear"] * 40})
    found = {m.limit.name: m for m in link_check(objects, divisions, interval_s).measures}
    assert (found["doubling_time"].colour if interval_s else None) == colour
    assert ("doubling_time" in found) == (interval_s is not None)
    few = link_check(objects, divisions[:4], interval_s)
    assert "doubling_time" not in {m.limit.name for m in few.measures}


@pytest.mark.parametrize(
    ("pixel_size_um", "colour"),
    [(None, None), (0.325, "green"), (6.5, "amber"), (65, "red"), (0.001, "red")],
)
def test_cells_of_a_size_that_no_cell_has_are_told(pixel_size_um, colour):
    found = size_measures(cells_table(area=1000), {}, (256, 256), pixel_size_um)
    of_size = {m.limit.name: m for m in found}.get("size_um")
    assert (of_size and of_size.colour) == colour
    if colour == "amber":
        assert of_size.detail == "With pixels of 6.5 µm, the median diameter is 230 µm."


def test_tracks_in_pieces_are_red():
    whole = interruptions(objects_of(10), tracks_of("m" * 10, "e" * 9 + "d"), 4)
    assert (whole.value, whole.colour) == (0, "green")
    pieces = interruptions(objects_of(10), tracks_of("a" * 10, "l" * 10), 4)
    assert pieces.value == pytest.approx(100 * 10 / 40)
    assert pieces.colour == "red"
    assert pieces.detail.startswith("10 tracks begin and 10 end inside the field")
    assert interruptions(objects_of(10), tracks_of("m", "e"), 1).colour == "unknown"


def test_doubtful_links_and_specks_that_never_change():
    assert doubtful_links(objects_of(10)).colour == "green"
    assert doubtful_links(objects_of(10, 0.7)).colour == "red"
    assert area_change(objects_of(10)).colour == "green"
    assert area_change(objects_of(10).assign(area_px=30)).colour == "red"


def test_the_chief_reason_for_invalid_values_is_named():
    rows = pd.DataFrame({"valid": [True] * 5 + [False] * 25})
    rows["invalid_reason"] = [""] * 5 + ["low denominator"] * 20 + ["touches border"] * 5
    measure = valid_values(rows, ["a", "b"])
    assert measure.colour == "red"
    assert 'Chief reason for the others: "low denominator" (20 values).' in measure.detail
    assert valid_values(rows, None).reason == "Not measured. No ratio was asked for."


def test_a_jump_of_the_stage_is_named():
    drift = pd.DataFrame({"y_px": [0.0, 0, 80, 80], "x_px": 0.0})
    measure = largest_step(drift, 16.0)
    assert measure.colour == "red"
    assert measure.detail == "Largest step 80 px, before frame 2."


@pytest.mark.parametrize(("n_cells", "value"), [([1, 1, 1, 1], None), ([9, 9, 2, 9], 0.0)])
def test_the_way_of_few_cells_is_not_taken_for_the_stage(n_cells, value):
    drift = pd.DataFrame({"y_px": [0.0, 0, 80, 80], "x_px": 0.0, "n_cells": n_cells})
    assert largest_step(drift, 16.0).value == value


@pytest.mark.parametrize(("area", "is_told"), [(30, True), (90, False)])
def test_buds_that_begin_tracks_are_told(area, is_told):
    n = 40
    tracks = pd.DataFrame({"track_id": range(1, n + 1), "first_frame": 0, "last_frame": 9})
    tracks["birth_kind"], tracks["end_kind"] = "first_frame", "last_frame"
    tracks.loc[:14, ["first_frame", "birth_kind"]] = [3, "appeared"]
    objects = tracks.merge(pd.DataFrame({"frame": range(10)}), how="cross")
    objects = objects[objects["frame"] >= objects["first_frame"]][["track_id", "frame"]]
    objects["area_px"] = 100
    objects.loc[(objects["track_id"] <= 15) & (objects["frame"] == 3), "area_px"] = area
    measure = interruptions(objects, tracks, 10)
    assert ("if they are buds" in measure.detail) == is_told


def cell_map(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Bins that cells cover, and transcripts of which 9 in 10 lie in cells."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :120]
    discs = [np.hypot(y - a, x - b) < 4 for a, b in rng.uniform(0, (160, 120), (120, 2))]
    cover = np.any(discs, axis=0).astype(float)
    return cover, rng.poisson(0.2 * cover + 0.02).astype(float)


def test_registration_finds_shifts_swaps_and_other_regions():
    cover, counts = cell_map(0)
    reach = 3 * BINS_PER_DIAMETER
    right = register([cover], [counts], reach)
    assert right.sigma > limits.CONTRAST.green
    assert right.contrast > 1.15
    assert right.density_ratio == pytest.approx(0.22 / 0.02, rel=0.2)
    assert right.offset_yx == (0, 0)
    moved = register([cover], [np.roll(counts, (3, -2), (0, 1))], reach)
    assert moved.offset_yx == (3, -2)
    assert moved.is_clear
    square = cover[:120], counts[:120]
    for other in (square[1].T, cell_map(1)[1][:120]):
        found = register([square[0]], [other], reach)
        assert found.sigma < limits.CONTRAST.red
        assert found.density_ratio < limits.DENSITY.red
    assert register([cover * 0], [counts], reach) is None


def test_order_needs_movement():
    same = np.repeat(plane_facts(scene(1)[0], DIAMETER).thumbnail[None], 6, axis=0)
    assert lost_order(same) is None
    assert lost_order(same[:3]) is None


def test_an_order_by_text_and_a_turned_order_are_told_and_a_jump_is_not():
    thumbnails = np.array([plane_facts(plane, DIAMETER).thumbnail for plane in scene(14)])
    jumped = np.concatenate((thumbnails[:7], thumbnails[7:, ::-1]))
    for right in (thumbnails, thumbnails[::-1], jumped):
        assert lost_order(right) < 0.02
    by_text = thumbnails[np.argsort([str(k) for k in range(14)])]
    turned = np.roll(thumbnails, 5, axis=0)
    assert min(map(lost_order, (by_text, turned))) > limits.ORDER.red / 100


def test_the_worst_measure_decides():
    good, bad = Measure(limits.SCORE, 0.9, "good."), Measure(limits.EMPTY_FRAMES, 50, "empty.")
    absent = Measure(limits.AT_BORDER, None, "too few.")
    checks = (
        Check("cells", "Cells", "a", (good, bad)),
        Check("borders", "Borders", "b", (absent,)),
    )
    verdict = Verdict("s", "movie", checks)
    assert (verdict.colour, verdict.word) == ("red", "bad")
    assert verdict["cells"].worst is bad
    assert verdict.of_colour("unknown") == [checks[1]]
    assert worst_of([]) == "unknown"
    doubt = Check("size", "Size", "c", (Measure(limits.SIZE_FACTOR, 1.8, "large."),))
    assert Verdict("s", "movie", (doubt,) * 3).colour == "amber"
    assert Verdict("s", "movie", (doubt,) * 4).colour == "red"
    record = json.loads(verdict.to_json())
    assert record["checks"][0] | {"measures": 0} == {
        "name": "cells",
        "title": "Cells",
        "measure": "empty_frames",
        "colour": "red",
        "value": 50.0,
        "unit": "%",
        "limit": {"green": 0, "red": 10},
        "higher_is_better": False,
        "reason": f"empty. {limits.EMPTY_FRAMES.cause}",
        "link": "report.html#a",
        "measures": 0,
    }


def test_few_checks_are_never_good(tmp_path):
    results = tmp_path / "tissue"
    write_spatial(results)
    for name in ("1_preprocessed", "2_masks", "3_cells"):
        shutil.rmtree(results / name)
    assert cc.judge(results).colour == "unknown"
    (results / "0_decoded").mkdir()
    rounds = [{"residual_px": 0.1}]
    quality = {"fields": [{"rounds": rounds}], "colours": []}
    (results / "0_decoded/decode_qc.json").write_text(json.dumps(quality))
    verdict = cc.judge(results)
    assert verdict["alignment"].colour == "green"
    assert (verdict.colour, verdict.checks[0].name) == ("amber", "completeness")
    said = verdict["completeness"].worst.reason
    assert said.startswith("1 of 8 checks could be made. These could not: Cells found, Cell size")
    assert f'id="{verdict["completeness"].link}"' in render("s", "", [], [], verdict)


def test_limits_are_sound():
    assert len({limit.name for limit in limits.LIMITS}) == len(limits.LIMITS) > 20
    for limit in limits.LIMITS:
        assert (limit.green > limit.red) == limit.higher_is_better
        assert limit.colour(limit.green) == "green"
        assert limit.colour(limit.red) == "amber"
        assert limit.colour(float("nan")) == "unknown"
        assert limit.cause.endswith(".")


def test_verdict_of_whole_results(tmp_path):
    movie = cc.judge(write_movie(tmp_path / "movie"))
    names = ["cells", "size", "borders", "tracks", "links", "traces", "drift", "images"]
    assert [check.name for check in movie.checks] == names
    assert movie.numbers == {"cells": 53, "frames": 12, "tracks": 6, "divisions": 1}
    tissue = cc.judge(write_spatial(tmp_path / "tissue"))
    names = ["cells", "size", "borders", "transcripts", "controls", "purity", "registration"]
    assert [check.name for check in tissue.checks] == [*names, "images"]
    assert tissue["purity"].colour == "unknown"
    assert tissue.numbers["purity"] is None
    assert tissue["registration"].measures[0].value > limits.CONTRAST.red


def test_the_table_of_limits_is_up_to_date():
    tool = runpy.run_path(str(ROOT / "tools" / "make_verdict_table.py"))
    text = (ROOT / "docs" / "verdict.md").read_text(encoding="utf-8")
    assert tool["with_table"](text) == text
