"""Manual corrections of single cells, applied again in every run.

`merge` and `delete` correct the label images before tracking; `link`, `unlink`, `set-parent` and
`set-mother` correct the tracks after it, row by row. Objects are identified by frame and label,
which stay the same as long as the masks do.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.tracking.graph import NONE, Event, Link, LinkGraph

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pandas as pd

    from cellsam_core.tracking.overlap import Labels

Operation = Literal["link", "unlink", "merge", "delete", "set-parent", "set-mother"]
WORD: Final = "corrected"
ON_MASKS = ("merge", "delete")


@dataclass(frozen=True)
class Anchor:
    """Place of an object in the masks that a correction was made for.

    Attributes
    ----------
    frame
        Frame, counted from 0.
    y, x
        Point inside of the object, in pixels.
    area_px
        Area of the object in pixels.
    """

    frame: int
    y: float
    x: float
    area_px: int


@dataclass(frozen=True)
class Correction:
    """One correction.

    Attributes
    ----------
    where
        File and row, for error messages.
    operation
        ``link``: the object belongs to the same cell as the other, earlier object. ``unlink``: the
        object is the first of a new cell. ``merge``: the other label of the same frame is a part
        of the object. ``delete``: the object is not a cell. ``set-parent``: the object is the
        first of a daughter, and the other object is the last of the cell that divides.
        ``set-mother``: the object is the first of a bud, and the other object is any object of
        the mother.
    frame, label
        Frame, counted from 0, and label of the object.
    other_frame, other_label
        Frame and label of the other object; None for ``unlink`` and ``delete``.
    id, number
        Id of the row, empty if a person wrote it, and its number; the header is row 1.
    anchors
        Places of the object and of the other object; empty for a row without them.
    masks
        Checksum of the table of cells that was tracked when the row was made; empty if unknown.
    """

    where: str
    operation: Operation
    frame: int
    label: int
    other_frame: int | None = None
    other_label: int | None = None
    id: str = ""
    number: int = 0
    anchors: tuple[Anchor, ...] = ()
    masks: str = ""

    @property
    def other(self) -> tuple[int, int] | None:
        """Frame and label of the other object; None if there is none."""
        if self.other_frame is None or self.other_label is None:
            return None
        return self.other_frame, self.other_label


def correct_frames(frames: Iterable[Labels], corrections: Sequence[Correction]) -> Iterator[Labels]:
    """Apply ``merge`` and ``delete`` to the ``(y, x)`` label images of a movie.

    Yields
    ------
    ndarray, (y, x)
        Label images in the same order.

    Raises
    ------
    InputError
        A correction names a label that is not in its frame.
    """
    edits: dict[int, list[Correction]] = defaultdict(list)
    for correction in corrections:
        if correction.operation in ON_MASKS:
            edits[correction.frame].append(correction)
    for index, labels in enumerate(frames):
        yield _edit(labels, edits.pop(index)) if index in edits else labels
    for frame in sorted(edits):
        raise _missing(edits[frame][0], frame, edits[frame][0].label)


def merged_pieces(objects: pd.DataFrame) -> pd.DataFrame:
    """List the labels of the masks that a user has merged into another object.

    Parameters
    ----------
    objects
        Table of objects with the columns frame, label and, if `track` wrote it, merged_labels.

    Returns
    -------
    DataFrame
        One row per piece: piece (its label in the masks) and all columns of its object.
    """
    if "merged_labels" not in objects:
        return objects.iloc[:0].assign(piece=0)
    merged = objects[objects["merged_labels"] != ""]
    pieces = merged.assign(piece=merged["merged_labels"].str.split(";")).explode("piece")
    return pieces.astype({"piece": "int64"})


def _edit(labels: Labels, corrections: list[Correction]) -> Labels:
    labels = labels.copy()
    for correction in corrections:
        own = labels == correction.label
        if not own.any():
            raise _missing(correction, correction.frame, correction.label)
        if correction.other_label is None:
            labels[own] = 0
            continue
        piece = labels == correction.other_label
        if not piece.any():
            raise _missing(correction, correction.frame, correction.other_label)
        labels[piece] = correction.label
    return labels


def correct_tracks(
    graph: LinkGraph, events: list[Event], corrections: Sequence[Correction]
) -> list[Event]:
    """Apply the corrections of tracks to the finished graph, in their order.

    Corrected objects are flagged ``corrected``; corrected links have no IoU, cost or margin, and
    corrected events have the score 1. A row adds a daughter to a division that was found; two rows
    or more for one parent name all her daughters, and those that no row names leave. If a daughter
    is taken from an automatically found division, her only sister continues the parent's track.

    Returns
    -------
    list of Event
        Events after the corrections; corrected ones are changed in place.

    Raises
    ------
    InputError
        An object does not exist, or rows contradict each other.
    """
    replay = _Replay(graph, list(events))
    found = []
    for correction in corrections:
        if correction.operation == "delete":
            continue
        row = _row_of(graph, correction, (correction.frame, correction.label))
        if correction.operation == "merge":
            assert correction.other_label is not None
            graph.merged.setdefault(row, []).append(correction.other_label)
            graph.flag(row, WORD)
        else:
            other = correction.other and _row_of(graph, correction, correction.other)
            found.append((correction, row, NONE if other is None else other))
    for correction, row, other in found:
        if correction.operation == "set-parent":
            replay.named[other].add(row)
    for correction, row, other in found:
        if correction.operation == "link":
            replay.link(other, row)
        elif correction.operation == "set-parent":
            replay.set_parent(other, row)
        elif correction.operation == "set-mother":
            replay.set_mother(other, row, correction.where)
        else:
            replay.cut(row)
        graph.flag(row, WORD)
    return replay.events


class _Replay:
    """Graph and events that corrections are applied to; objects are rows of the graph."""

    def __init__(self, graph: LinkGraph, events: list[Event]) -> None:
        self.graph = graph
        self.events = events
        self.named: defaultdict[int, set[int]] = defaultdict(set)

    def cut(self, row: int) -> None:
        """Make an object the first of a cell without a parent."""
        event = next((e for e in self.events if row in e.daughters), None)
        if event is None:
            self.graph.unlink(row)
            return
        sisters = tuple(d for d in event.daughters if d != row)
        self._orphan(row)
        if len(sisters) > 1 or (event.status == WORD and sisters):
            event.daughters = sisters
            self._confirm(event)
            return
        self._drop(event)
        for sister in sisters:
            self._orphan(sister)
            self._join(event.parent, sister)

    def link(self, before: int, after: int) -> None:
        """Make `after` the next object of `before`'s cell."""
        if self.graph.successor[before] == after:
            return
        event = self._division_of(before)
        if event is not None:
            self._drop(event)
            for daughter in event.daughters:
                self._orphan(daughter)
        self._end(before)
        self.cut(after)
        self._join(before, after)

    def set_parent(self, parent: int, daughter: int) -> None:
        """Make `daughter` one of those into which `parent`'s cell divides."""
        event = self._division_of(parent)
        if event is None:
            event = Event("mitosis", parent, (), 1.0)
            self.events.append(event)
            onward = self._end(parent)
            if onward != NONE:
                self._adopt(event, onward)
        if daughter not in event.daughters:
            self.cut(daughter)
            self._adopt(event, daughter)
        if len(self.named[parent]) > 1:
            self._keep(event, self.named[parent])
        self._confirm(event)

    def set_mother(self, mother: int, bud: int, where: str) -> None:
        """Make `bud` the first object of a bud of `mother`'s cell."""
        self.cut(bud)
        frame, row = self.graph.frame, mother
        while frame[row] >= frame[bud] and self.graph.predecessor[row] != NONE:
            row = int(self.graph.predecessor[row])
        while self.graph.successor[row] != NONE and frame[self.graph.successor[row]] < frame[bud]:
            row = int(self.graph.successor[row])
        if frame[row] >= frame[bud]:
            raise InputError(
                where,
                found=f"one who appears in frame {frame[row]}",
                expected=f"a mother who is there before frame {frame[bud]}",
                remedy="remove the row, or name another mother",
            )
        event = Event("bud", row, (bud,), 1.0)
        self.events.append(event)
        self.graph.parent[bud], self.graph.kind[bud] = row, "bud"
        self._confirm(event)

    def _division_of(self, parent: int) -> Event | None:
        found = (e for e in self.events if e.parent == parent and e.kind == "mitosis")
        return next(found, None)

    def _keep(self, event: Event, named: set[int]) -> None:
        """Take away the daughters of a division that are not among those that rows name."""
        for daughter in event.daughters:
            if daughter not in named:
                self._orphan(daughter)
        event.daughters = tuple(d for d in event.daughters if d in named)

    def _adopt(self, event: Event, daughter: int) -> None:
        event.daughters = (*event.daughters, daughter)
        self.graph.parent[daughter] = event.parent
        self.graph.kind[daughter] = "division"
        self.graph.flag(daughter, WORD)

    def _orphan(self, row: int) -> None:
        self.graph.parent[row], self.graph.kind[row] = NONE, "start"

    def _drop(self, event: Event) -> None:
        self.events = [e for e in self.events if e is not event]

    def _end(self, row: int) -> int:
        """Cut a cell after an object; return the object that was next."""
        onward = int(self.graph.successor[row])
        if onward != NONE:
            self.graph.unlink(onward)
        return onward

    def _join(self, before: int, after: int) -> None:
        gap = self.graph.frame[after] - self.graph.frame[before] > 1
        unknown = float("nan")
        self.graph.link(before, Link(after, "gap" if gap else "link", unknown, unknown, unknown))
        self.graph.flag(after, WORD)

    def _confirm(self, event: Event) -> None:
        """Mark an event as corrected by the user and update its areas."""
        area = self.graph.area_px[list(event.daughters)]
        event.status, event.score, event.runner_up = WORD, 1.0, NONE
        event.area_ratio = float(area.sum() / self.graph.area_px[event.parent])
        event.symmetry = float(area.min() / area.max()) if len(area) > 1 else float("nan")
        event.overlap = float("nan")


def _row_of(graph: LinkGraph, correction: Correction, key: tuple[int, int]) -> int:
    frame, label = key
    first, last = np.searchsorted(graph.frame, [frame, frame + 1])
    hit = np.flatnonzero(graph.label[first:last] == label)
    if not len(hit):
        raise _missing(correction, frame, label)
    return int(first + hit[0])


def _missing(correction: Correction, frame: int, label: int) -> InputError:
    return InputError(
        correction.where,
        found=f"label {label} in frame {frame}, where there is none",
        expected="frames, counted from 0, and labels of the masks",
        remedy="correct or remove the row",
    )
