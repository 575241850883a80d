"""Ranking of the links and births that a user should check, the most useful first.

A lineage is correct if all of its links, divisions and buds are correct. If these are independent,
its probability is the product of theirs. Checking an event makes it certain; the event's gain is
the resulting increase in the expected number of correct lineages. Events with a probability of
0.998 or more count as correct and are not listed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cellsam_core.tracking.corrections import WORD

MAX_EVENTS = 1000
CERTAIN = 0.998
"""Probability from which an event counts as correct.

Of 29,625 such links in two simulated movies (mitosis, seed 31 of benchmarks/calibrate_tracking.py,
complete and with 1 % of the masks damaged) one was wrong. By the fitted probabilities 17 would be,
and these many small doubts would hide the large ones.
"""
LINK_KINDS = ("link", "rescue", "gap")
LEAST_PROBABILITY = 1e-6
"""Smallest probability of an event, so that checking it always has a gain."""


def review_table(
    objects: pd.DataFrame, tracks: pd.DataFrame, divisions: pd.DataFrame
) -> pd.DataFrame:
    """Rank the automatic links, divisions and buds by the gain from checking them.

    Parameters
    ----------
    objects
        Table of objects; link_probability is the probability of the link, NaN without a link.
    tracks
        Table of tracks with track_id and lineage_id.
    divisions
        Table of divisions; score is the probability of the event.

    Returns
    -------
    DataFrame
        At most 1000 rows: rank, event_kind (link, rescue, gap, mitosis, bud), frame, y, x, label
        (of the object whose past is uncertain; for a division, of the first daughter), track_ids
        (for a division parent and daughters, joined by ``;``), probability, expected_gain
        (correct lineages that a check adds, if all rows above are checked) and lineages_right
        (expected fraction of correct lineages once this row and all above are checked). Certain
        events and events corrected by the user are left out.
    """
    lineage = tracks.set_index("track_id")["lineage_id"]
    kinds = _links(objects), _births(objects, divisions)
    events = pd.concat([rows for rows in kinds if len(rows)] or kinds)
    events = events[events["probability"] < CERTAIN]
    events["lineage_id"] = lineage.reindex(events["track_id"]).to_numpy()
    log_p = np.log(events["probability"].astype("float64").clip(lower=LEAST_PROBABILITY))
    events = events.assign(log_p=log_p).sort_values(
        ["lineage_id", "log_p", "frame", "label"], ignore_index=True
    )
    by_lineage = events.groupby("lineage_id")["log_p"]
    doubt: pd.Series[float] = by_lineage.transform("sum") - by_lineage.cumsum()
    gain = pd.Series(np.exp(doubt) - np.exp(doubt + events["log_p"]))
    # In a lineage the most doubtful event comes first; a later one that gains more follows at once.
    ceiling = gain.groupby(events["lineage_id"]).cummin()
    order = np.argsort(-ceiling.to_numpy(), kind="stable")
    n_lineages = max(lineage.nunique(), 1)
    before = n_lineages - events["lineage_id"].nunique() + float(np.exp(by_lineage.sum()).sum())
    table = events.assign(expected_gain=gain).iloc[order]
    table["lineages_right"] = (before + table["expected_gain"].cumsum()) / n_lineages
    table = table.head(MAX_EVENTS)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table.drop(columns=["track_id", "lineage_id", "log_p"]).reset_index(drop=True)


@dataclass(frozen=True)
class LineageEstimate:
    """Estimate of how many lineages of a movie are right.

    Attributes
    ----------
    n_lineages
        Lineages of the movie.
    n_interrupted
        Lineages with a track that begins or ends inside the field without a division, where a
        link was missed or a cell was lost.
    right
        Expected number of lineages that are not interrupted and of which all links, divisions and
        buds are right.
    """

    n_lineages: int
    n_interrupted: int
    right: float

    def __str__(self) -> str:
        n, cut = self.n_lineages, self.n_interrupted
        if not n:
            return "There is no lineage."
        wrong = n - cut - self.right
        return (
            f"Estimate: {self.right:.1f} of the {n} lineages are right"
            f" ({100 * self.right / n:.1f} %). {cut} have a track that begins or ends inside the"
            f" field without a division: a link was missed there, or a cell was lost. Of the other"
            f" {n - cut}, about {wrong:.1f} contain a wrong link or division. Cells that were never"
            " found are not counted."
        )


def estimate_lineages(
    objects: pd.DataFrame, tracks: pd.DataFrame, divisions: pd.DataFrame
) -> LineageEstimate:
    """Estimate how many lineages are right: without interruption, and with all events right.

    Parameters
    ----------
    objects, tracks, divisions
        Tables as for :func:`review_table`; tracks have birth_kind and end_kind, too.
    """
    is_cut = (tracks["birth_kind"] == "appeared") | (tracks["end_kind"] == "lost")
    cut = set(tracks.loc[is_cut, "lineage_id"])
    lineage = tracks.set_index("track_id")["lineage_id"]
    kinds = _links(objects), _births(objects, divisions)
    events = pd.concat([rows for rows in kinds if len(rows)] or kinds)
    events = events[events["probability"] < CERTAIN]
    of = lineage.reindex(events["track_id"]).to_numpy()
    right = events["probability"].astype("float64").groupby(of).prod()
    whole = [name for name in lineage.unique() if name not in cut]
    expected = float(right.reindex(whole).fillna(1.0).sum())
    return LineageEstimate(int(lineage.nunique()), len(cut), expected)


def advice(review: pd.DataFrame, n_lineages: int, wanted: float = 0.99) -> str:
    """Tell the user how many rows of :func:`review_table` to check.

    Parameters
    ----------
    review
        Table of :func:`review_table`.
    n_lineages
        Number of lineages of the movie.
    wanted
        Share of the lineages in which every link that was made should be right.

    Returns
    -------
    str
        One sentence.
    """
    if review.empty:
        return f"No automatic link or division has a probability below {CERTAIN}."
    share, gain = review["lineages_right"], review["expected_gain"]
    goal = f"{100 * wanted:g} % of the lineages have no wrong link or division"
    n_needed = int((share - gain / n_lineages < wanted).sum())
    if not n_needed:
        return f"None need be checked: {goal} among those that were made."
    if share.iloc[-1] < wanted:
        return f"Check these {len(review)} events first; more are in doubt."
    which = "this event" if n_needed == 1 else f"these {n_needed} events"
    return f"Check {which}: then {goal} among those that were made."


def _links(objects: pd.DataFrame) -> pd.DataFrame:
    corrected = objects["flags"].str.split(";").map(lambda words: WORD in words).astype(bool)
    found = objects[
        objects["link_kind"].isin(LINK_KINDS) & objects["link_probability"].notna() & ~corrected
    ]
    return _events(found, found["link_kind"], found["track_id"], found["link_probability"])


def _births(objects: pd.DataFrame, divisions: pd.DataFrame) -> pd.DataFrame:
    events = divisions[divisions["status"] != WORD].reset_index(drop=True)
    daughters = events["daughter_ids"].astype(str)
    heads = objects.sort_values("frame", kind="stable").drop_duplicates("track_id")
    firsts = daughters.str.partition(";")[0].astype("int64") if len(events) else events["event_id"]
    found = heads.set_index("track_id", drop=False).loc[firsts].reset_index(drop=True)
    parents = events["parent_id"].astype(str) + ";"
    families = parents.where(events["parent_id"] > 0, "") + daughters
    return _events(found, events["kind"], families, events["score"])


def _events(
    objects: pd.DataFrame,
    kind: pd.Series[str],
    track_ids: pd.Series[int] | pd.Series[str],
    probability: pd.Series[float],
) -> pd.DataFrame:
    columns: dict[str, pd.Series[Any]] = {
        "event_kind": kind,
        **{name: objects[name] for name in ("frame", "y", "x", "label")},
    }
    columns |= {"track_ids": track_ids.astype(str), "probability": probability}
    return pd.DataFrame(columns | {"track_id": objects["track_id"]})
