"""Order of the events to review, on tables made by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from cellsam_core.tracking.review import MAX_EVENTS, advice, estimate_lineages, review_table

NAN = float("nan")


def objects_of(rows: list[tuple[int, int, int, str, float, str]]) -> pd.DataFrame:
    columns = ["frame", "label", "track_id", "link_kind", "link_probability", "flags"]
    return pd.DataFrame(rows, columns=columns).assign(y=1.5, x=2.5)


def tracks_of(**lineages: int) -> pd.DataFrame:
    rows = [(int(name[1:]), lineage) for name, lineage in lineages.items()]
    return pd.DataFrame(rows, columns=["track_id", "lineage_id"])


def divisions_of(*rows: tuple[str, int, int, str, float, str]) -> pd.DataFrame:
    columns = ["kind", "frame", "parent_id", "daughter_ids", "score", "status"]
    return pd.DataFrame(rows, columns=columns).assign(event_id=range(1, len(rows) + 1))


def lines(*probabilities: list[float]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """One track a list, each a start and links of these probabilities."""
    rows = []
    for track, chain in enumerate(probabilities, start=1):
        rows += [(0, track, track, "start", NAN, "")]
        rows += [(t, track, track, "link", p, "") for t, p in enumerate(chain, start=1)]
    tracks = tracks_of(**{f"t{i}": i for i in range(1, len(probabilities) + 1)})
    return objects_of(rows), tracks, divisions_of()


def test_each_row_adds_the_most_that_is_left_to_gain() -> None:
    table = review_table(*lines([0.9], [0.6, 0.99], [0.5, 0.5], [0.9985, 1.0]))
    assert table["probability"].tolist() == [0.6, 0.5, 0.5, 0.9, 0.99]
    gains = [0.4 * 0.99, 0.25, 0.5, 0.1, 0.01]
    np.testing.assert_allclose(table["expected_gain"], gains)
    now = 0.9 + 0.6 * 0.99 + 0.25 + 1
    np.testing.assert_allclose(table["lineages_right"], (now + np.cumsum(gains)) / 4)
    assert table["rank"].tolist() == [1, 2, 3, 4, 5]


def test_the_expected_share_is_that_of_a_draw_of_all_outcomes() -> None:
    chains = [[0.7, 0.8], [0.95]]
    table = review_table(*lines(*chains))
    checked = table["probability"].iloc[0]
    total = 0.0
    for outcome in itertools.product([False, True], repeat=3):
        flat = [1.0 if p == checked else p for chain in chains for p in chain]
        weight = np.prod([p if good else 1 - p for p, good in zip(flat, outcome, strict=True)])
        total += weight * ((outcome[0] and outcome[1]) + outcome[2]) / 2
    assert table["lineages_right"].iloc[0] == pytest.approx(total)


def test_divisions_and_buds_stand_beside_links() -> None:
    objects = objects_of(
        [
            (0, 1, 1, "start", NAN, ""),
            (1, 4, 2, "division", NAN, ""),
            (2, 5, 3, "division", NAN, ""),
            (2, 9, 4, "start", NAN, "no_mother"),
            (3, 9, 4, "gap", 0.8, "gap"),
        ]
    )
    divisions = divisions_of(
        ("mitosis", 1, 1, "2;3", 0.7, "auto"), ("bud", 2, 0, "4", 0.0, "ambiguous")
    )
    table = review_table(objects, tracks_of(t1=1, t2=1, t3=1, t4=4), divisions)
    columns = ["event_kind", "frame", "label", "track_ids", "probability"]
    assert table[columns].to_numpy().tolist() == [
        ["bud", 2, 9, "4", 0.0],
        ["mitosis", 1, 4, "1;2;3", 0.7],
        ["gap", 3, 9, "4", 0.8],
    ]
    assert table["lineages_right"].iloc[-1] == pytest.approx(1)
    assert (table[["y", "x"]] == [1.5, 2.5]).all(axis=None)


def test_what_the_user_corrected_is_certain() -> None:
    objects = objects_of(
        [
            (0, 1, 1, "start", NAN, ""),
            (1, 1, 1, "link", 0.5, "border;corrected"),
            (2, 4, 2, "division", NAN, "corrected"),
        ]
    )
    divisions = divisions_of(("mitosis", 2, 1, "2", 0.5, "corrected"))
    table = review_table(objects, tracks_of(t1=1, t2=1), divisions)
    assert table.empty
    assert advice(table, 1) == "No automatic link or division has a probability below 0.998."


def test_the_advice_counts_the_events() -> None:
    def said(*chains: list[float]) -> str:
        return advice(review_table(*lines(*chains)), len(chains))

    goal = "99 % of the lineages have no wrong link or division among those that were made."
    assert said([0.99], [1.0]) == f"None need be checked: {goal}"
    assert said([0.5], [0.9]) == f"Check these 2 events: then {goal}"
    assert said([0.5], [1.0]) == f"Check this event: then {goal}"
    hopeless = said(*[[0.5]] * (2 * MAX_EVENTS))
    assert hopeless == f"Check these {MAX_EVENTS} events first; more are in doubt."


def test_missed_links_and_lost_cells_count_against_lineages() -> None:
    """Noise: hardly any link is made, so hardly any can be wrong, and yet nothing is right."""
    objects, tracks, divisions = lines([0.9], [], [], [0.5, 0.8])
    ends = {"birth_kind": "movie_start", "end_kind": "movie_end"}
    whole = estimate_lineages(objects, tracks.assign(**ends), divisions)
    assert (whole.n_lineages, whole.n_interrupted) == (4, 0)
    assert whole.right == pytest.approx(0.9 + 1 + 1 + 0.4)
    cut = tracks.assign(birth_kind=["movie_start", "appeared", "movie_start", "movie_start"])
    noise = estimate_lineages(
        objects, cut.assign(end_kind=["movie_end", "lost", "lost", "movie_end"]), divisions
    )
    assert noise.n_interrupted == 2
    assert noise.right == pytest.approx(0.9 + 0.4)
    assert str(noise).startswith(
        "Estimate: 1.3 of the 4 lineages are right (32.5 %). 2 have a track that begins or ends"
    )
    nothing = estimate_lineages(objects[:0], cut.assign(end_kind="lost")[:0], divisions)
    assert str(nothing) == "There is no lineage."


def test_no_cells() -> None:
    objects, tracks, divisions = lines([0.5])
    table = review_table(objects[:0], tracks[:0], divisions)
    assert table.empty
    assert table.columns.tolist() == review_table(objects, tracks, divisions).columns.tolist()
