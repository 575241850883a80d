"""Tracks edited in another program: a GEFF, or a folder of the Cell Tracking Challenge."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from geff.core_io import read_to_memory

from cellsam_core.errors import InputError, first_line, shortened
from cellsam_core.files.omezarr import is_omezarr
from cellsam_core.tracking.ctc import read_ctc
from cellsam_core.tracking.geff import edges
from cellsam_core.tracking.lineage import split_tracks

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from cellsam_core.labels.source import LabelSource
    from cellsam_core.tracking.ctc import CtcMovie

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
    if not path.exists():
        raise InputError(
            path,
            found="no such folder",
            expected="the tracks that another program has edited",
            remedy="give the folder that it has exported",
        )
    for table, name in (("res_track.txt", "mask"), ("man_track.txt", "man_track")):
        if (path / table).is_file():
            return _read_ctc(read_ctc(path, name), labels)
    for folder in (path, *sorted(p for p in path.glob("*") if p.is_dir())):
        if is_omezarr(folder) and "geff" in zarr.open_group(str(folder), mode="r").attrs:
            return _read_geff(folder, objects)
    raise InputError(
        path,
        found="neither a GEFF nor res_track.txt nor man_track.txt",
        expected="tracks that another program has edited",
        remedy="export them there as GEFF or for the Cell Tracking Challenge, and give the folder",
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
    if not frames:
        raise _new_cells(path, [])
    known = list(zip(objects["frame"].tolist(), objects["label"].tolist(), strict=True))
    own = _objects_of_nodes(ids, frames, props, known)
    strange = [
        f"node {node} in frame {frame}"
        for node, frame in zip(ids, frames, strict=True)
        if own.get(node, (None, 0))[0] != frame
    ]
    if strange:
        raise _new_cells(path, strange)
    graph = TrackGraph({own[node] for node in ids})
    for before, after in memory["edge_ids"].astype(np.int64).tolist():
        gone = {before, after} - set(own)
        if gone or not {own[before], own[after]} <= graph.nodes:
            raise InputError(
                path,
                found=f"a link of the nodes {before} and {after}, one of which is missing",
                expected="links between nodes that are there",
                remedy="remove the link, or export the tracks again",
            )
        _connect(path, graph, *sorted((own[before], own[after])))
    return graph


def _objects_of_nodes(
    ids: list[int], frames: list[int], props: dict[str, Any], known: list[Node]
) -> dict[int, Node]:
    """Name the object of each node: by the number that we gave it, or by its frame and label.

    Editors keep our numbers, or number the nodes anew and keep their column `label`. A node that
    is neither in our numbers nor labels is a new cell of the editor.
    """
    by_number = dict(enumerate(known, start=1))
    if "label" not in props or len(props["label"]["values"]) != len(ids):
        return by_number
    labels = np.asarray(props["label"]["values"]).astype(np.int64).tolist()
    by_label = dict(zip(ids, zip(frames, labels, strict=True), strict=True))
    agree = all(by_number.get(node) == named for node, named in by_label.items())
    named = set(by_label.values())
    return by_label if not agree and len(named) == len(ids) and named <= set(known) else by_number


def _connect(path: Path, graph: TrackGraph, before: Node, after: Node) -> None:
    if before[0] == after[0]:
        raise InputError(
            path,
            found=f"a link between two cells of frame {after[0]}",
            expected="links from a frame to a later one",
            remedy="remove the link",
        )
    if graph.past.setdefault(after, before) != before:
        raise InputError(
            path,
            found=f"a cell in frame {after[0]} that comes from two others",
            expected="cells that come from one cell",
            remedy="remove one of the two links",
        )


def _read_ctc(movie: CtcMovie, labels: LabelSource) -> TrackGraph:
    path = movie.folder
    if list(movie.masks) != list(range(labels.n_frames)):
        numbers = f"{min(movie.masks)} to {max(movie.masks)}"
        raise InputError(
            path,
            found=f"{len(movie.masks)} label images, with the numbers {numbers}",
            expected=f"{labels.n_frames}, numbered from 0, one for each frame of the movie",
            remedy="give the edited folder of this movie",
        )
    places: dict[int, dict[int, Node]] = {}
    strange = []
    for frame in movie.masks:
        edited, ours = movie.frame(frame), labels.frame(frame)
        if edited.shape != ours.shape:
            raise InputError(
                movie.masks[frame],
                found=f"an image of shape {edited.shape}",
                expected=f"{ours.shape}, that of the masks",
                remedy="give the edited folder of this movie",
            )
        found, unknown = _matched(edited, ours)
        strange += [f"label {label} in frame {frame}" for label in unknown]
        for label, own in found.items():
            places.setdefault(label, {})[frame] = (frame, own)
    if strange:
        raise _new_cells(path, strange)
    _refuse_other_rows(movie, places)
    graph = TrackGraph({node for track in places.values() for node in track.values()})
    for label, _, _, parent in movie.tracks.tolist():
        track = [places.get(label, {})[f] for f in sorted(places.get(label, {}))]
        for before, after in pairwise(track):
            _connect(path, graph, before, after)
        if not parent or not track or parent not in places:
            continue  # cells without a parent, or whose own or parent's images were deleted
        earlier = [frame for frame in places[parent] if frame < track[0][0]]
        if not earlier:
            raise InputError(
                path,
                found=f"track {label}, which begins in frame {track[0][0]}, with the parent "
                f"{parent}, which begins in frame {min(places[parent])}",
                expected="parents that begin before their daughters",
                remedy="correct the fourth number of the row in the table of tracks",
            )
        # A parent that goes on in its row is one daughter, and the track is the other.
        _connect(path, graph, places[parent][max(earlier)], track[0])
    return graph


def _refuse_other_rows(movie: CtcMovie, places: dict[int, dict[int, Node]]) -> None:
    """Refuse a table that tells of other tracks than the label images do.

    Rows may be longer than their tracks in the images: cells were deleted there.
    """
    rows = {label: (first, last) for label, first, last, _ in movie.tracks.tolist()}
    parents = set(movie.tracks[:, 3].tolist()) - {0, *rows}
    told = [f"the parent {parent} has no row" for parent in sorted(parents)]
    for label, track in sorted(places.items()):
        first, last = rows.get(label, (0, -1))
        frame = next((f for f in sorted(track) if not first <= f <= last), None)
        if frame is not None:
            row = f"its row has frames {first} to {last}" if label in rows else "no row names it"
            told.append(f"label {label} is in the image of frame {frame}, and {row}")
    if len(rows) < len(movie.tracks):
        told.append("a label has two rows")
    if told:
        raise InputError(
            movie.folder,
            found=shortened(told),
            expected="a table of tracks that agrees with the label images",
            remedy="change both: to cut a track, give its later part a new label in the images "
            "and a row of its own",
        )


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
