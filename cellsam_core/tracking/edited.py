"""Tracks edited in another program: a GEFF, or a folder of the Cell Tracking Challenge."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from geff.core_io import read_to_memory

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.omezarr import is_omezarr
from cellsam_core.tracking.ctc import read_ctc
from cellsam_core.tracking.geff import edges
from cellsam_core.tracking.lineage import split_tracks

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from cellsam_core.labels.source import LabelSource

Node = tuple[int, int]
"""Frame and label of an object."""
MIN_IOU = 0.5


@dataclass
class TrackGraph:
    """Objects and links between them.

    Attributes
    ----------
    nodes
        Frame and label of each object.
    past
        Object to the one that it comes from: the same cell earlier, or the parent.
    """

    nodes: set[Node]
    past: dict[Node, Node] = field(default_factory=dict)

    def children(self) -> dict[Node, set[Node]]:
        """Return for each object the objects that come from it."""
        found: dict[Node, set[Node]] = {}
        for child, parent in self.past.items():
            found.setdefault(parent, set()).add(child)
        return found


def graph_of(objects: pd.DataFrame, tracks: pd.DataFrame) -> TrackGraph:
    """Make the graph of the tables of :class:`cellsam_core.tracking.tracks.Tracks`."""
    keys = list(zip(objects["frame"].tolist(), objects["label"].tolist(), strict=True))
    found = edges(objects, *split_tracks(objects, tracks, at_gaps=False)).astype(int)
    return TrackGraph(set(keys), {keys[after]: keys[before] for before, after in found})


def read_edited(path: Path, objects: pd.DataFrame, labels: LabelSource) -> TrackGraph:
    """Read edited tracks, with the objects named by the labels of our masks.

    Parameters
    ----------
    path
        GEFF folder, a folder that holds one, or a folder of the Cell Tracking Challenge.
    objects
        Table of the objects before the edit.
    labels
        Label images that were tracked.

    Raises
    ------
    InputError
        There is no such file, or it has cells that are not in the masks, or cells that come from
        two others.
    """
    if (path / "res_track.txt").is_file():
        return _read_ctc(path, labels)
    for folder in (path, *sorted(p for p in path.glob("*") if p.is_dir())):
        if is_omezarr(folder) and "geff" in zarr.open_group(str(folder), mode="r").attrs:
            return _read_geff(folder, objects)
    raise InputError(
        path,
        found="neither a GEFF nor res_track.txt",
        expected="tracks that another program has edited",
        remedy="give the folder that it has exported",
    )


def _read_geff(path: Path, objects: pd.DataFrame) -> TrackGraph:
    try:
        memory = read_to_memory(path)
    except (OSError, ValueError, LookupError) as error:
        raise InputError(
            path,
            found=f"no GEFF that can be read ({first_line(error)})",
            expected="a complete one",
            remedy="export it again",
        ) from error
    ids = memory["node_ids"].astype(np.int64).tolist()
    props: dict[str, Any] = memory["node_props"]
    time = next((a.name for a in memory["metadata"].axes or [] if a.type == "time"), "t")
    frames = props[time]["values"].astype(np.int64).tolist() if time in props else []
    # Nodes keep the numbers that we gave them; a number of the editor's own is a new cell.
    known = list(zip(objects["frame"].tolist(), objects["label"].tolist(), strict=True))
    own = dict(enumerate(known, start=1))
    strange = [
        f"node {node} in frame {frame}"
        for node, frame in zip(ids, frames, strict=True)
        if own.get(node, (None, 0))[0] != frame
    ]
    if strange or not frames:
        raise _new_cells(path, strange)
    graph = TrackGraph({own[node] for node in ids})
    for before, after in memory["edge_ids"].astype(np.int64).tolist():
        _connect(path, graph, own[before], own[after])
    return graph


def _connect(path: Path, graph: TrackGraph, before: Node, after: Node) -> None:
    if graph.past.setdefault(after, before) != before:
        raise InputError(
            path,
            found=f"a cell in frame {after[0]} that comes from two others",
            expected="cells that come from one cell",
            remedy="remove one of the two links",
        )


def _read_ctc(path: Path, labels: LabelSource) -> TrackGraph:
    movie = read_ctc(path)
    if len(movie.masks) != labels.n_frames:
        raise InputError(
            path,
            found=f"{len(movie.masks)} label images",
            expected=f"{labels.n_frames}, one for each frame of the movie",
            remedy="give the edited folder of this movie",
        )
    places: dict[int, dict[int, Node]] = {}
    strange = []
    for frame in sorted(movie.masks):
        found, unknown = _matched(movie.frame(frame), labels.frame(frame))
        strange += [f"label {label} in frame {frame}" for label in unknown]
        for label, own in found.items():
            places.setdefault(label, {})[frame] = (frame, own)
    if strange:
        raise _new_cells(path, strange)
    graph = TrackGraph({node for track in places.values() for node in track.values()})
    for label, _, _, parent in movie.tracks.tolist():
        track = [places.get(label, {})[f] for f in sorted(places.get(label, {}))]
        for before, after in pairwise(track):
            _connect(path, graph, before, after)
        if parent and track and parent in places:
            _connect(path, graph, places[parent][max(places[parent])], track[0])
    return graph


def _matched(edited: Any, own: Any) -> tuple[dict[int, int], list[int]]:
    """Find our label of each edited cell by IoU above 0.5; list cells without one."""
    is_cell = edited > 0
    pairs, n_px = np.unique(np.stack([edited[is_cell], own[is_cell]]), axis=1, return_counts=True)
    area = dict(zip(*(v.tolist() for v in np.unique(edited, return_counts=True)), strict=True))
    own_area = dict(zip(*(v.tolist() for v in np.unique(own, return_counts=True)), strict=True))
    found = {}
    for a, b, n in zip(*pairs.tolist(), n_px.tolist(), strict=True):
        if b and n / (area[a] + own_area[b] - n) > MIN_IOU:
            found[a] = b
    return found, [label for label in area if label and label not in found]


def _new_cells(path: Path, cells: list[str]) -> InputError:
    shown = ", ".join(cells[:3]) + (", ..." if len(cells) > 3 else "")
    return InputError(
        path,
        found=f"{len(cells)} cells that are not in the masks ({shown})"
        if cells
        else "nodes without a time",
        expected="the cells of the masks, linked in another way or deleted",
        remedy="draw, cut and join cells in `cellsam-core view`, and edit the tracks after that",
    )
