from __future__ import annotations

import numpy as np
import pytest
from disc_movies import budding_movie, crowd, division_movie, draw

from cellsam_core.tracking.confidence import event_cues, probability
from cellsam_core.tracking.graph import Event
from cellsam_core.tracking.options import TrackOptions
from cellsam_core.tracking.tracker import track_labels


def test_every_link_and_birth_has_a_probability() -> None:
    for movie, division in ((division_movie(), "mitosis"), (budding_movie(), "budding")):
        parameters = TrackOptions(division=division)  # type: ignore[arg-type]
        tracks = track_labels(movie, parameters)
        known = tracks.objects["link_probability"].notna()
        assert (known == (tracks.objects["link_kind"] != "start")).all()
        assert tracks.objects["link_probability"].dropna().between(0.5, 1).all()
        born = tracks.objects[tracks.objects["link_kind"].isin(["division", "bud"])]
        assert set(born["link_probability"]) == set(tracks.divisions["score"])
        assert tracks.divisions["status"].tolist() == ["auto"]


def test_a_close_choice_is_less_probable() -> None:
    """A cell that moves between two others' places, and the same cell alone."""
    alone = [draw([(1, 48, 40 + x, 9)]) for x in (0, 8)]
    rivals = [
        draw([(1, 48, 40, 9), (2, 48, 58, 9)]),
        draw([(1, 48, 49, 9), (2, 20, 100, 9)]),
    ]
    sure, doubtful = (
        track_labels(m, TrackOptions(division="none", registration="none")).objects
        for m in (alone, rivals)
    )
    found = [t.query("frame == 1")["link_probability"].max() for t in (sure, doubtful)]
    assert found[0] > 0.9 > 0.6 > found[1]


def test_gaps_are_less_sure_than_links() -> None:
    objects = track_labels(crowd()).objects
    mean = objects.groupby("link_kind")["link_probability"].mean()
    assert mean["gap"] < mean["link"]
    assert objects.loc[objects["link_kind"] == "gap", "link_margin"].notna().all()


@pytest.mark.parametrize("worse", [{"symmetry": 0.5}, {"area_ratio": 0.5}, {"area_ratio": 1.5}])
def test_unlikely_divisions_score_less(worse: dict[str, float]) -> None:
    good = {"area_ratio": 1.0, "symmetry": 0.95, "overlap": 0.6}
    scores = [
        float(probability("mitosis", event_cues(Event("mitosis", 0, (1, 2), 0.0, **cues))))
        for cues in (good, good | worse)
    ]
    assert scores[1] < scores[0] - 0.03
    assert np.isfinite(scores).all()
