"""Which links and births a user should look at, the most useful first.

A lineage is right if all of its links, divisions and buds are. Taken as independent, its
probability is their product. Checking an event makes it certain; what that adds to the expected
number of right lineages is the event's gain. Events of a probability of 0.998 or more count as
right, and are not listed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from cellsam_core.tracking.corrections import WORD

MAX_EVENTS = 1000
CERTAIN = 0.998
"""More probable events count as right: of 29,625 such links in two simulated movies (mitosis,
seed 31 of benchmarks/calibrate_tracking.py, whole and with 1 % of the masks spoiled) one was wrong,
and the many tiny doubts, of which the fit sums up 17, would drown the large ones."""
LINK_KINDS = ("link", "rescue", "gap")
LEAST_PROBABILITY = 1e-6
"""Of an event: no score rules it out for sure, and a lineage must be able to gain."""


def review_table(
    objects: pd.DataFrame, tracks: pd.DataFrame, divisions: pd.DataFrame
) -> pd.DataFrame:
    """Rank the automatic links, divisions and buds by what checking them gains.

    Parameters
    ----------
    objects
        With link_probability: that a link is right, NaN without a link.
    tracks
        track_id and lineage_id.
    divisions
        With score: that the event is right.

    Returns
    -------
    DataFrame
        At most 1000 rows: rank, event_kind (link, rescue, gap, mitosis, bud), frame, y, x, label
        (of the object whose past is in doubt; of a division the first daughter's), track_ids
        (of a division parent and daughters, joined by ``;``), probability, expected_gain (right
        lineages that a check adds, if all rows above are checked) and lineages_right (expected
        share of right lineages once this row and all above are checked). What is certain, or
        corrected by the user, is left out.
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


def advice(review: pd.DataFrame, n_lineages: int, wanted: float = 0.99) -> str:
    """Say in a sentence how many rows of :func:`review_table` lead to `wanted` right lineages."""
    if review.empty:
        return f"No automatic link or division has a probability below {CERTAIN}."
    share, gain = review["lineages_right"], review["expected_gain"]
    now = share.iloc[0] - gain.iloc[0] / n_lineages
    expected = (
        f"{100 * now:.1f} % of the {n_lineages} lineages are expected to be right, if links and"
        f" divisions of a probability of {CERTAIN} or more are"
    )
    if now >= wanted:
        return f"{expected}. None need be checked to reach {100 * wanted:g} %."
    enough = np.flatnonzero(share >= wanted)
    if len(enough):
        n = int(enough[0]) + 1
        which = "this event" if n == 1 else f"these {n} events"
        return f"{expected}. Check {which} to reach {100 * wanted:g} % of lineages right."
    return f"{expected}. Checking these {len(review)} events leads to {100 * share.iloc[-1]:.1f} %."


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
