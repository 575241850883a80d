"""Tracking scores of the Cell Tracking Challenge.

DET, TRA and LNK: Matula et al. 2015, "Cell tracking accuracy measurement based on comparison of
acyclic oriented graphs". Complete tracks and branching correctness: Ulman et al. 2017.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import tifffile

from cellsam_core.errors import InputError
from cellsam_core.tracking.overlap import count_overlaps, measure_objects

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

Node = tuple[int, int]
WEIGHTS = {"NS": 5.0, "FN": 10.0, "FP": 1.0, "ED": 1.0, "EA": 1.5, "EC": 1.0}


@dataclass
class _Matches:
    """Cells (frame, label) of both movies, and their matches.

    A cell of the result matches a true cell where it covers more than half of it.
    """

    truth: set[Node] = field(default_factory=set)
    result: set[Node] = field(default_factory=set)
    of_truth: dict[Node, Node] = field(default_factory=dict)
    count: dict[Node, int] = field(default_factory=dict)

    def unique(self, true: Node) -> Node | None:
        """Return the cell of the result that matches this true cell and no other."""
        found = self.of_truth.get(true)
        return found if found is not None and self.count[found] == 1 else None


class Movie(Protocol):
    """Tracked movie whose label images show the track of each cell.

    A :class:`.ctc.CtcMovie` is one on disk, an :class:`ArrayMovie` one in memory.
    """

    @property
    def folder(self) -> str | Path:
        """Name of the movie in error messages."""

    @property
    def masks(self) -> Mapping[int, str | Path]:
        """Name of the label image of each frame, in order."""

    @property
    def tracks(self) -> NDArray[np.int64]:
        """Rows label, first frame, last frame, parent (0 = none), ``(n, 4)``."""

    def frame(self, index: int) -> NDArray[Any]:
        """Return the label image ``(y, x)`` of a frame."""


@dataclass(frozen=True)
class ArrayMovie:
    """Tracked movie in memory.

    Attributes
    ----------
    folder
        Name of the movie in error messages.
    labels
        Label images ``(y, x)`` whose values are those of `tracks`, in order of time.
    tracks
        ``(n, 4)``: label, first frame, last frame, parent (0 = none).
    """

    folder: str
    labels: Sequence[NDArray[Any]]
    tracks: NDArray[np.int64]

    @property
    def masks(self) -> dict[int, str]:
        """Name of the label image of each frame."""
        return {i: f"{self.folder}, frame {i}" for i in range(len(self.labels))}

    def frame(self, index: int) -> NDArray[Any]:
        """Return the label image ``(y, x)`` of a frame."""
        return np.asarray(self.labels[index])


def score_movies(
    result: Movie, truth: Movie, seg_folder: Path | None = None
) -> dict[str, float | None]:
    """Score a tracked movie against the true one.

    Parameters
    ----------
    result, truth
        Movies of the same frames.
    seg_folder
        Folder with ``man_segNNN.tif``, for the score ``seg``.

    Returns
    -------
    dict
        Scores that :func:`.stage.evaluate_tracking` describes.

    Raises
    ------
    InputError
        The movies differ in their frames, or a table names a cell that no mask shows.
    """
    if list(result.masks) != list(truth.masks):
        raise InputError(
            result.folder,
            found=f"{len(result.masks)} frames from {min(result.masks, default=0)}",
            expected=f"{len(truth.masks)} frames from {min(truth.masks, default=0)}, as the truth"
            " has",
            remedy="give the result of the same movie",
        )
    for movie in (result, truth):
        _refuse_twice(movie)
    matches = _match(result, truth)
    _refuse_without_row(result, matches.result)
    _refuse_without_row(truth, matches.truth)
    scores: dict[str, float | None] = dict(_graph_scores(matches, result, truth))
    scores["seg"] = None if seg_folder is None else _seg(result, seg_folder)
    for tolerance, suffix in ((0, ""), (1, "_within_1")):
        tp, fp, fn = _division_counts(matches, result.tracks, truth.tracks, tolerance)
        total = tp + fp + fn
        scores[f"division_f1{suffix}"] = 2 * tp / (2 * tp + fp + fn) if total else None
        scores[f"mbc{suffix}"] = tp / total if total else None
        scores |= {f"division_{k}{suffix}": v for k, v in (("tp", tp), ("fp", fp), ("fn", fn))}
    scores["complete_tracks"] = _complete_tracks(matches, result.tracks, truth.tracks)
    return scores


def _refuse_twice(movie: Movie) -> None:
    """Refuse a table with two rows for one track, of which either may be right."""
    label, count = np.unique(movie.tracks[:, 0], return_counts=True)
    if (count > 1).any():
        raise InputError(
            movie.folder,
            found=f"{count.max()} rows for track {label[count.argmax()]}",
            expected="one row for each track",
            remedy="leave all but one out",
        )


def _refuse_without_row(movie: Movie, nodes: set[Node]) -> None:
    """Refuse cells of the masks that the table of tracks does not have in their frame."""
    span = {label: (first, last) for label, first, last, _ in movie.tracks.tolist()}
    for frame, label in sorted(nodes):
        first, last = span.get(label, (frame + 1, frame))
        if not first <= frame <= last:
            raise InputError(
                movie.folder,
                found=f"cell {label} in the mask of frame {frame}, but not in the table of tracks"
                + (f", where it is in frames {first} to {last}" if label in span else ""),
                expected="a row that has each cell of the masks",
                remedy="correct the table of tracks or the masks",
            )


def _match(result: Movie, truth: Movie) -> _Matches:
    matches = _Matches()
    for frame in truth.masks:
        true_labels, labels = truth.frame(frame), result.frame(frame)
        _check_shape(result.masks[frame], labels, true_labels)
        (true, true_runs), (found, runs) = measure_objects(true_labels), measure_objects(labels)
        overlaps = count_overlaps(true_runs, runs)
        covered = overlaps.n_px > 0.5 * true.area_px[overlaps.i]
        matches.truth.update((frame, label) for label in true.label.tolist())
        matches.result.update((frame, label) for label in found.label.tolist())
        for i, j in zip(overlaps.i[covered], overlaps.j[covered], strict=True):
            node = (frame, int(found.label[j]))
            matches.of_truth[frame, int(true.label[i])] = node
            matches.count[node] = matches.count.get(node, 0) + 1
    if not matches.truth:
        raise InputError(
            truth.folder,
            found="no cell in any frame",
            expected="true cells to compare with",
            remedy="give a truth that has cells",
        )
    return matches


def _check_shape(path: str | Path, labels: NDArray[np.generic], truth: NDArray[np.generic]) -> None:
    if labels.shape != truth.shape:
        raise InputError(
            path,
            found=f"{labels.shape[0]} x {labels.shape[1]} px",
            expected=f"{truth.shape[0]} x {truth.shape[1]} px, as the truth has",
            remedy="give the result of the same movie",
        )


def _edges(movie: Movie, nodes: set[Node]) -> dict[tuple[Node, Node], bool]:
    """List the edges of the lineage graph; the value is True from a parent to a child."""
    edges = {
        ((frame, label), (frame + 1, label)): False
        for frame, label in nodes
        if (frame + 1, label) in nodes
    }
    end = {label: last for label, _, last, _ in movie.tracks.tolist()}
    for label, first, _, parent in movie.tracks.tolist():
        if parent == 0:
            continue
        before, after = (end.get(parent, -1), parent), (first, label)
        if before not in nodes or after not in nodes:
            raise InputError(
                movie.folder,
                found=f"parent {parent} of track {label} without masks where they meet",
                expected="a mask in the parent's last and in the child's first frame",
                remedy="correct the table of tracks or the masks",
            )
        edges[before, after] = True
    return edges


def _graph_scores(matches: _Matches, result: Movie, truth: Movie) -> dict[str, float]:
    """Compute DET, TRA, LNK and the operations that turn the result's graph into the true one."""
    true_edges, found_edges = _edges(truth, matches.truth), _edges(result, matches.result)
    as_true = {node: true for true in matches.of_truth if (node := matches.unique(true))}
    induced = {
        (as_true[a], as_true[b]): is_parent
        for (a, b), is_parent in found_edges.items()
        if a in as_true and b in as_true
    }
    both = induced.keys() & true_edges.keys()
    count = {
        "NS": sum(n - 1 for n in matches.count.values()),
        "FN": len(matches.truth) - len(matches.of_truth),
        "FP": len(matches.result) - len(matches.count),
        "ED": len(induced) - len(both),
        "EA": len(true_edges) - len(both),
        "EC": sum(induced[edge] != true_edges[edge] for edge in both),
    }
    vertex_cost, edge_cost = WEIGHTS["FN"] * len(matches.truth), WEIGHTS["EA"] * len(true_edges)
    cost = {name: WEIGHTS[name] * n for name, n in count.items()}
    vertex = cost["NS"] + cost["FN"] + cost["FP"]
    edge = cost["ED"] + cost["EA"] + cost["EC"]
    return {
        "det": 1 - min(vertex, vertex_cost) / vertex_cost,
        "tra": 1 - min(vertex + edge, vertex_cost + edge_cost) / (vertex_cost + edge_cost),
        "lnk": 1 - min(edge, edge_cost) / edge_cost if edge_cost else 1.0,
        **{f"aogm_{name.lower()}": n for name, n in count.items()},
    }


def _complete_tracks(
    matches: _Matches, result: NDArray[np.int64], truth: NDArray[np.int64]
) -> float:
    """Compute the F score of true tracks that one track follows from first to last frame."""
    span = {label: (first, last) for label, first, last, _ in result.tolist()}
    complete = 0
    for label, first, last, _ in truth.tolist():
        present = [f for f in range(first, last + 1) if (f, label) in matches.truth]
        found = {(matches.unique((frame, label)) or (frame, 0))[1] for frame in present}
        complete += len(found) == 1 and span.get(found.pop()) == (first, last)
    return 2 * complete / (len(result) + len(truth))


def _divisions(tracks: NDArray[np.int64]) -> dict[int, tuple[int, dict[int, int]]]:
    """Map parents of two or more children to their last frame and the children's first frames."""
    end = {label: last for label, _, last, _ in tracks.tolist()}
    children: dict[int, dict[int, int]] = {}
    for label, first, _, parent in tracks.tolist():
        if parent:
            children.setdefault(parent, {})[label] = first
    return {p: (end[p], found) for p, found in children.items() if len(found) > 1}


def _division_counts(
    matches: _Matches,
    result: NDArray[np.int64],
    truth: NDArray[np.int64],
    tolerance: int,
) -> tuple[int, int, int]:
    """Count true positives, false positives and false negatives of divisions, BC(tolerance)."""
    found, true = _divisions(result), _divisions(truth)
    hits = 0
    for parent, (end, children) in true.items():
        hits += any(
            _same_division(matches, (parent, end, children), (other, *found[other]), tolerance)
            for other in found
        )
    return hits, len(found) - hits, len(true) - hits


def _same_division(
    matches: _Matches,
    true: tuple[int, int, dict[int, int]],
    found: tuple[int, int, dict[int, int]],
    tolerance: int,
) -> bool:
    """Tell whether parents and all children match, at most `tolerance` frames apart."""
    (true_parent, true_end, true_children), (parent, end, children) = true, found
    common = min(true_end, end)
    if len(true_children) != len(children) or abs(true_end - end) > tolerance:
        return False
    if matches.unique((common, true_parent)) != (common, parent):
        return False
    matched = set()
    for true_child, true_start in true_children.items():
        for child, start in children.items():
            later = max(true_start, start)
            close = abs(true_start - start) <= tolerance
            if close and matches.unique((later, true_child)) == (later, child):
                matched.add(child)
    return len(matched) == len(children)


def _seg(result: Movie, folder: Path) -> float | None:
    """Compute the mean IoU over the true cells of ``man_segNNN.tif``; 0 if half is not covered."""
    named = folder.iterdir() if folder.is_dir() else ()
    paths = sorted(p for p in named if re.fullmatch(r"(?i)man_seg_?\d+\.tiff?", p.name))
    total, n = 0.0, 0
    for path in paths:
        true_labels = tifffile.imread(path)
        frame = int("".join(c for c in path.stem if c.isdigit()))
        if frame not in result.masks:
            raise InputError(
                path,
                found=f"frame {frame}",
                expected="a frame of the result",
                remedy="give the result of the same movie, and the true masks of its frames",
            )
        labels = result.frame(frame)
        _check_shape(result.masks[frame], labels, true_labels)
        true, true_runs = measure_objects(true_labels)
        overlaps = count_overlaps(true_runs, measure_objects(labels)[1])
        covered = overlaps.n_px > 0.5 * true.area_px[overlaps.i]
        total += float(overlaps.iou[covered].sum())
        n += len(true)
    return total / n if n else None
