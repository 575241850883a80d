"""Scores of a tracker that was given the true masks: who is linked to whom, who divided.

As no masks have to be matched, movies with lost and with split masks are scored exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

Birth = tuple[int, tuple[int, ...]]
LONGEST_LINK_FRAMES = 3


@dataclass(frozen=True)
class Lineage:
    """Tracks of one movie, true or found.

    Attributes
    ----------
    frame, track
        ``(n,)`` frame of each object and the id of its track, 0 for an object that is no cell.
        Lineages that are compared list the same objects in the same order.
    births
        ``(parent, daughters)`` of each mitosis, ``(mother, (bud,))`` of each bud, as track ids.
    """

    frame: Ints
    track: Ints
    births: list[Birth]

    @cached_property
    def links(self) -> Ints:
        """``(m,)`` pairs of consecutive objects of a track, `i n + j`, at most 3 frames apart."""
        order = np.lexsort((self.frame, self.track))
        i, j = order[:-1], order[1:]
        linked = (self.track[i] == self.track[j]) & (self.track[i] != 0)
        linked &= self.frame[j] - self.frame[i] <= LONGEST_LINK_FRAMES
        pairs: Ints = i[linked] * len(order) + j[linked]
        return pairs

    @cached_property
    def spans(self) -> dict[int, tuple[int, int]]:
        """Track -> first and last frame."""
        ids, index = np.unique(self.track, return_inverse=True)
        first, last = np.full(len(ids), np.iinfo(np.int64).max), np.full(len(ids), -1)
        np.minimum.at(first, index, self.frame)
        np.maximum.at(last, index, self.frame)
        return dict(zip(ids.tolist(), zip(first.tolist(), last.tolist(), strict=True), strict=True))

    @property
    def shown_births(self) -> list[Birth]:
        """Births of which the movie shows parent and daughters."""
        return [b for b in self.births if all(t in self.spans for t in (b[0], *b[1]))]


def found_lineage(objects: pd.DataFrame, divisions: pd.DataFrame) -> Lineage:
    """Take the lineage from the tables of a :class:`cellsam_core.tracking.Tracks`."""
    births = [
        (int(parent), tuple(map(int, str(daughters).split(";"))))
        for parent, daughters in divisions[["parent_id", "daughter_ids"]].to_numpy().tolist()
        if parent > 0
    ]
    frame, track = objects["frame"].to_numpy(np.int64), objects["track_id"].to_numpy(np.int64)
    return Lineage(frame, track, births)


def score_identities(found: Lineage, truth: Lineage) -> dict[str, float]:
    """Score links, births and whole tracks.

    A birth is found where parent and daughters are the true ones and begin (of a mitosis: the
    parent ends) in their true frames, or at most one frame off. True births of which the movie
    shows the parent or a daughter in no frame do not count.

    Returns
    -------
    scores
        ``link_f1``; ``birth_f1`` and ``birth_recall`` at the exact frame,
        ``birth_f1_within_1`` and ``birth_recall_within_1`` (of buds: the accuracy of mother-bud
        pairs) at one frame off; ``complete_tracks``, the share of true tracks that one found
        track holds, all of it and nothing else. NaN where there is nothing to score.
    """
    hits = len(np.intersect1d(found.links, truth.links))
    scores = {"link_f1": _f1(hits, len(found.links), len(truth.links))}
    shown = truth.shown_births
    for tolerance, suffix in ((0, ""), (1, "_within_1")):
        hits = len(right_births(found, truth, tolerance))
        scores[f"birth_f1{suffix}"] = _f1(hits, len(found.births), len(shown))
        scores[f"birth_recall{suffix}"] = hits / len(shown) if shown else float("nan")
    scores["complete_tracks"] = _complete(found, truth)
    return scores


def _f1(hits: int, n_found: int, n_true: int) -> float:
    return 2 * hits / (n_found + n_true) if n_found + n_true else float("nan")


def _complete(found: Lineage, truth: Lineage) -> float:
    pairs = np.unique(np.stack([truth.track, found.track], axis=1), axis=0)
    true, other = pairs.T
    alone = (np.bincount(true)[true] == 1) & (np.bincount(other)[other] == 1)
    n = np.count_nonzero(np.unique(true))
    return float(np.count_nonzero(alone & (true != 0)) / n) if n else float("nan")


def right_births(found: Lineage, truth: Lineage, tolerance: int) -> list[Birth]:
    """Births of `found` that are true ones, at most `tolerance` frames off."""
    objects = zip(truth.track.tolist(), truth.frame.tolist(), strict=True)
    tracks: list[int] = found.track.tolist()
    found_at = dict(zip(objects, tracks, strict=True))
    birth_of = {daughter: birth for birth in found.births for daughter in birth[1]}

    def daughter_of(true: int) -> int:
        """Find the track that begins with this true daughter, 0 for none."""
        first = truth.spans[true][0]
        for frame in range(first, first + tolerance + 1):
            other = found_at.get((true, frame), 0)
            if other in birth_of and abs(found.spans[other][0] - first) <= tolerance:
                return other
        return 0

    def same(parent: int, daughters: tuple[int, ...]) -> Birth | None:
        others = {daughter_of(d) for d in daughters}
        birth = birth_of.get(min(others))
        if birth is None or set(birth[1]) != others or len(others) != len(daughters):
            return None
        ends = truth.spans[parent][1], found.spans[birth[0]][1]
        if len(daughters) > 1 and abs(ends[0] - ends[1]) > tolerance:
            return None
        born = min(s.spans[d][0] for s, ids in ((truth, daughters), (found, others)) for d in ids)
        frames = range(min(*ends, born - 1), min(*ends, born - 1) - LONGEST_LINK_FRAMES, -1)
        last = next((f for f in frames if (parent, f) in found_at), None)
        return birth if last is not None and found_at[parent, last] == birth[0] else None

    return [birth for birth in (same(*true) for true in truth.shown_births) if birth is not None]
