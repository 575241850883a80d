from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from disc_movies import division_movie
from identities import Lineage, found_lineage, score_identities

from cellsam_core.simulation.movie import simulate_labels
from cellsam_core.simulation.options import MovieOptions
from cellsam_core.tracking.options import TrackOptions
from cellsam_core.tracking.tracker import track_labels


def lineage(tracks: dict[int, range], births: list[tuple[int, tuple[int, ...]]]) -> Lineage:
    """Objects in the order of frame, then of the tracks' ids."""
    objects = sorted((frame, track) for track, frames in tracks.items() for frame in frames)
    frame, track = np.array(objects, dtype=np.int64).T
    return Lineage(frame, track, births)


TRUTH = lineage({1: range(4), 2: range(4, 8), 3: range(4, 8), 9: range(8)}, [(1, (2, 3))])


def test_what_is_right_scores_one() -> None:
    assert set(score_identities(TRUTH, TRUTH).values()) == {1.0}
    names = np.array([0, 70, 20, 50, 0, 0, 0, 0, 0, 4])
    renamed = Lineage(TRUTH.frame, names[TRUTH.track], [(70, (50, 20))])
    assert set(score_identities(renamed, TRUTH).values()) == {1.0}


def test_a_link_too_few_and_a_broken_track() -> None:
    track = TRUTH.track.copy()
    track[(track == 9) & (TRUTH.frame >= 6)] = 10
    scores = score_identities(replace(TRUTH, track=track), TRUTH)
    assert scores["link_f1"] == pytest.approx(2 * 15 / (15 + 16))
    assert scores["complete_tracks"] == 3 / 4
    assert scores["birth_f1"] == 1


def test_a_late_division_counts_with_tolerance_only() -> None:
    track = TRUTH.track.copy()
    track[(track == 2) & (TRUTH.frame == 4)] = 1  # the mother seems to live one frame longer
    scores = score_identities(replace(TRUTH, track=track), TRUTH)
    assert (scores["birth_f1"], scores["birth_f1_within_1"]) == (0, 1)


@pytest.mark.parametrize("births", [[], [(9, (2, 3))], [(1, (2, 9))]])
def test_wrong_births_do_not_count(births: list[tuple[int, tuple[int, ...]]]) -> None:
    scores = score_identities(replace(TRUTH, births=births), TRUTH)
    assert scores["birth_f1_within_1"] == scores["birth_recall_within_1"] == 0


def test_the_mother_of_a_bud_lives_on() -> None:
    truth = lineage({1: range(8), 2: range(8), 3: range(4, 8)}, [(1, (3,))])
    assert score_identities(truth, truth)["birth_recall"] == 1
    wrong = replace(truth, births=[(2, (3,))])
    assert score_identities(wrong, truth)["birth_recall_within_1"] == 0


def test_objects_that_are_no_cells_cost_links() -> None:
    track = TRUTH.track.copy()
    track[track == 9] = 0
    scores = score_identities(TRUTH, replace(TRUTH, track=track))
    assert scores["link_f1"] == pytest.approx(2 * 9 / (9 + 16))
    assert scores["complete_tracks"] == 1


def test_nothing_to_score() -> None:
    empty = Lineage(np.zeros(0, np.int64), np.zeros(0, np.int64), [])
    assert all(math.isnan(score) for score in score_identities(empty, empty).values())


def test_tracks_of_a_movie() -> None:
    result = track_labels(division_movie())
    label = result.objects["label"].to_numpy(np.int64)
    truth = Lineage(result.objects["frame"].to_numpy(), label, [(1, (2, 3))])
    assert set(
        score_identities(found_lineage(result.objects, result.divisions), truth).values()
    ) == {1.0}


@pytest.mark.parametrize("division", ["mitosis", "budding"])
def test_simulated_labels_are_followed(division: str) -> None:
    options = MovieOptions(
        frames=20, size_px=200, cells=12, diameter_px=30, cycle_frames=14, division=division
    )
    frames, births = [], []
    for labels, divisions in simulate_labels(np.random.default_rng(5), options):
        frames.append(labels)
        births += [(d.parent_id, d.daughter_ids) for d in divisions]
    assert len(births) > 5
    result = track_labels(frames, TrackOptions(division=division))  # type: ignore[arg-type]
    label = result.objects["label"].to_numpy(np.int64)
    truth = Lineage(result.objects["frame"].to_numpy(np.int64), label, births)
    scores = score_identities(found_lineage(result.objects, result.divisions), truth)
    assert scores["link_f1"] > 0.995
    assert scores["birth_recall_within_1"] > 0.9
