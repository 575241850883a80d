"""Tables of the finished graph: track identities, lineages and divisions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellsam_core.tracking.graph import NONE, Event, LinkGraph

if TYPE_CHECKING:
    from cellsam_core.tracking.overlap import Floats, Ints

BIRTHS = ("movie_start", "division", "bud", "border", "appeared")
ENDS = ("division", "movie_end", "border", "lost")


def track_ids(graph: LinkGraph) -> Ints:
    """Return track numbers from 1, in order of frame, y and x of the first object."""
    first = graph.first_objects()
    _, rank = np.unique(first, return_inverse=True)
    return rank.astype(np.int64) + 1


def objects_table(graph: LinkGraph, track_id: Ints, link_probability: Floats) -> pd.DataFrame:
    """Tabulate the objects, one row per object, sorted by frame and label."""
    flags = [";".join(["border"] * bool(b)) for b in graph.border]
    for row, words in graph.flags.items():
        flags[row] = ";".join(filter(None, [flags[row], *words]))
    merged = [""] * len(graph)
    for row, labels in graph.merged.items():
        merged[row] = ";".join(map(str, labels))
    table = pd.DataFrame(
        {
            "frame": graph.frame.astype(np.int32),
            "label": graph.label,
            "track_id": track_id,
            "y": graph.yx[:, 0],
            "x": graph.yx[:, 1],
            "area_px": graph.area_px,
            "bbox_y0": graph.bbox[:, 0].astype(np.int32),
            "bbox_x0": graph.bbox[:, 1].astype(np.int32),
            "bbox_y1": graph.bbox[:, 2].astype(np.int32),
            "bbox_x1": graph.bbox[:, 3].astype(np.int32),
            "touches_border": graph.border,
            "link_kind": pd.Series(graph.kind, dtype=object).astype(str),
            "link_iou": graph.iou,
            "link_cost": graph.cost,
            "link_margin": graph.margin,
            "link_probability": link_probability,
            "flags": pd.Series(flags, dtype=object).astype(str),
            "merged_labels": pd.Series(merged, dtype=object).astype(str),
        }
    )
    return table.sort_values(["frame", "label"], ignore_index=True)


def tracks_table(graph: LinkGraph, track_id: Ints, events: list[Event]) -> pd.DataFrame:
    """Tabulate the tracks, one row per track, sorted by track_id."""
    n = int(track_id.max(initial=0))
    rows = np.arange(len(graph))
    head, tail = np.full(n + 1, len(graph)), np.full(n + 1, NONE)
    np.minimum.at(head, track_id, rows)
    np.maximum.at(tail, track_id, rows)
    head, tail = head[1:], tail[1:]
    n_obs = np.bincount(track_id, minlength=n + 1)[1:]
    measured = (graph.predecessor != NONE) & ~np.isnan(graph.iou)
    n_links = np.bincount(track_id[measured], minlength=n + 1)[1:]
    iou_sum = np.bincount(track_id[measured], graph.iou[measured], n + 1)[1:]
    iou = iou_sum / np.maximum(n_links, 1)
    margin = np.full(n + 1, np.inf)
    known = ~np.isnan(graph.margin)
    np.minimum.at(margin, track_id[known], graph.margin[known])
    first_frame, last_frame = graph.frame[head], graph.frame[tail]
    parent = np.where(graph.parent[head] == NONE, 0, track_id[graph.parent[head]]) if n else head
    lineage, generation = _descent(parent)
    return pd.DataFrame(
        {
            "track_id": np.arange(1, n + 1),
            "lineage_id": lineage,
            "parent_id": parent,
            "sister_id": _sisters(track_id, events, n),
            "generation": generation,
            "birth_kind": _births(graph, head),
            "first_frame": first_frame,
            "last_frame": last_frame,
            "n_obs": n_obs,
            "n_gaps": np.bincount(track_id[graph.kind == "gap"], minlength=n + 1)[1:],
            "end_kind": _ends(graph, tail, events),
            "mean_iou": np.where(n_links > 0, iou, np.nan),
            "min_margin": np.where(np.isinf(margin[1:]), np.nan, margin[1:]),
            "quality": iou * n_obs / (last_frame - first_frame + 1),
        }
    )


def divisions_table(graph: LinkGraph, track_id: Ints, events: list[Event]) -> pd.DataFrame:
    """Tabulate the divisions and buds, one row per event, sorted by frame and daughters."""

    def identity(row: int) -> int:
        return 0 if row == NONE else int(track_id[row])

    def born(event: Event) -> int:
        return int(graph.frame[list(event.daughters)].min())

    def runner_up(event: Event) -> int:
        other = identity(event.runner_up)
        return 0 if other == identity(event.parent) else other

    ordered = sorted(events, key=lambda e: (born(e), sorted(e.daughters)))
    return pd.DataFrame(
        {
            "event_id": np.arange(1, len(ordered) + 1),
            "kind": pd.Series([e.kind for e in ordered], dtype=str),
            "frame": np.array([born(e) for e in ordered], dtype=np.int64),
            "parent_id": np.array([identity(e.parent) for e in ordered], dtype=np.int64),
            "daughter_ids": pd.Series(
                [";".join(str(i) for i in sorted(map(identity, e.daughters))) for e in ordered],
                dtype=str,
            ),
            "score": np.array([e.score for e in ordered], dtype=float),
            "area_ratio": np.array([e.area_ratio for e in ordered], dtype=float),
            "symmetry": np.array([e.symmetry for e in ordered], dtype=float),
            "overlap": np.array([e.overlap for e in ordered], dtype=float),
            "runner_up_parent": np.array([runner_up(e) for e in ordered], dtype=np.int64),
            "status": pd.Series([e.status for e in ordered], dtype=str),
        }
    )


def split_tracks(
    objects: pd.DataFrame, tracks: pd.DataFrame, *, at_gaps: bool
) -> tuple[pd.Series[int], pd.DataFrame]:
    """Split tracks into unbranched pieces, at buds and optionally at gaps.

    Graph formats have no mother that lives on: her piece ends where the bud appears, and both the
    bud and her own next piece descend from it.

    Parameters
    ----------
    objects, tracks
        Tables of :class:`cellsam_core.tracking.tracks.Tracks`.
    at_gaps
        If true, also split where frames are missing (Cell Tracking Challenge).

    Returns
    -------
    piece
        Number of the piece of each row of `objects`, from 1, sorted by first frame, y and x.
    pieces
        Columns ``piece, track_id, first_frame, last_frame, parent`` (0 for none), sorted by piece.
    """
    ordered = objects[["frame", "track_id", "y", "x"]].sort_values(["track_id", "frame"])
    frame, track = ordered["frame"].to_numpy(), ordered["track_id"].to_numpy()
    is_head = np.ones(len(ordered), dtype=bool)
    is_head[1:] = track[1:] != track[:-1]
    if at_gaps:
        is_head[1:] |= frame[1:] - frame[:-1] > 1
    for bud in tracks[tracks["birth_kind"] == "bud"].itertuples():
        own = np.flatnonzero((track == bud.parent_id) & (frame >= bud.first_frame))
        is_head[own[:1]] = True
    provisional = np.cumsum(is_head) - 1
    heads = ordered[is_head]
    rank = np.empty(len(heads), dtype=np.int64)
    rank[np.lexsort((heads["x"], heads["y"], heads["frame"]))] = np.arange(1, len(heads) + 1)
    piece = pd.Series(rank[provisional], index=ordered.index, dtype=np.int64).reindex(objects.index)
    last = np.flatnonzero(np.append(is_head[1:], True)) if len(ordered) else np.zeros(0, int)
    pieces = pd.DataFrame(
        {
            "piece": rank,
            "track_id": track[is_head],
            "first_frame": frame[is_head],
            "last_frame": frame[last],
        }
    ).sort_values(["piece"], ignore_index=True)
    pieces["parent"] = _piece_parents(pieces, tracks)
    return piece, pieces


def _piece_parents(pieces: pd.DataFrame, tracks: pd.DataFrame) -> Ints:
    """Return the parent of each piece: the piece before, or the last piece of the parent track."""
    parent_of: dict[int, int] = dict(zip(tracks["track_id"], tracks["parent_id"], strict=True))
    so_far: dict[int, list[tuple[int, int]]] = {}
    parents = []
    rows: list[list[int]] = (
        pieces[["piece", "track_id", "first_frame", "last_frame"]].to_numpy().tolist()
    )
    for piece, own_track, first, last in rows:
        track = own_track if own_track in so_far else parent_of[own_track]
        ended = [p for p, end in so_far.get(track, []) if end < first]
        parents.append(ended[-1] if ended else 0)
        so_far.setdefault(own_track, []).append((piece, last))
    return np.array(parents, dtype=np.int64)


def _descent(parent: Ints) -> tuple[Ints, Ints]:
    """Return lineage (track of the founder) and generation; parents are numbered first."""
    lineage, generation = np.arange(1, len(parent) + 1), np.zeros(len(parent), dtype=np.int64)
    for child in np.flatnonzero(parent):
        lineage[child] = lineage[parent[child] - 1]
        generation[child] = generation[parent[child] - 1] + 1
    return lineage, generation


def _sisters(track_id: Ints, events: list[Event], n: int) -> Ints:
    sister = np.zeros(n, dtype=np.int64)
    for event in events:
        if event.kind == "mitosis" and len(event.daughters) == 2:
            a, b = track_id[list(event.daughters)]
            sister[a - 1], sister[b - 1] = b, a
    return sister


def _births(graph: LinkGraph, head: Ints) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    kind = graph.kind[head]
    conditions = [graph.frame[head] == 0, kind == "division", kind == "bud", graph.border[head]]
    return np.select(conditions, BIRTHS[:4], BIRTHS[4]).astype(object)


def _ends(
    graph: LinkGraph, tail: Ints, events: list[Event]
) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    divided = np.array([e.parent for e in events if e.kind == "mitosis"], dtype=np.int64)
    conditions = [
        np.isin(tail, divided),
        graph.frame[tail] == graph.n_frames - 1,
        graph.border[tail],
    ]
    return np.select(conditions, ENDS[:3], ENDS[3]).astype(object)
