"""The graph that frame-to-frame linking fills and division, budding and gap closing revise."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.spatial import KDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.tracking.overlap import Floats, Ints

NONE = -1
LinkKind = Literal["start", "link", "rescue", "gap", "division", "bud"]


@dataclass(frozen=True)
class Link:
    """A link to object `after`, with its kind and figures."""

    after: int
    kind: LinkKind
    iou: float
    cost: float
    margin: float


@dataclass
class Event:
    """A division or a bud's birth; objects are rows of the graph.

    Attributes
    ----------
    kind
        ``mitosis`` or ``bud``.
    parent
        Last object of the dividing cell, or the mother just before the bud; -1 unknown.
    daughters
        First objects of both daughters (one, if a user gives no other), or of the bud.
    score
        0-1.
    status
        ``auto``, ``ambiguous`` where it may well be wrong, or ``corrected`` by the user.
    area_ratio, symmetry, overlap
        Summed area of the daughters over the parent's; smaller over larger daughter; least
        fraction of a daughter on the parent. NaN where it does not apply.
    runner_up
        An object of the next best parent; -1 none.
    replaced
        The link from parent to a daughter that the division took the place of.
    """

    kind: Literal["mitosis", "bud"]
    parent: int
    daughters: tuple[int, ...]
    score: float
    status: Literal["auto", "ambiguous", "corrected"] = "auto"
    area_ratio: float = float("nan")
    symmetry: float = float("nan")
    overlap: float = float("nan")
    runner_up: int = NONE
    replaced: Link | None = None


@dataclass
class LinkGraph:
    """All objects of a movie, ordered by frame, y, x, and how they are linked.

    Attributes
    ----------
    frame, label, area_px, yx, bbox, border
        One row an object, as in :class:`cellsam_core.tracking.overlap.FrameObjects`.
    fixed_yx
        Centroids with the drift of the stage taken out.
    previous, following
        Row of the same cell's object before and after; -1 none.
    parent
        Row of the parent's object, for the first object of a daughter or bud; -1 none.
    iou, cost, margin
        Of the link to `previous`; NaN without one.
    kind
        How the object was linked.
    flags
        Object row -> words for the user.
    seen
        ``(n, 3)`` rows: a newly appeared object, an older object under its mask, shared pixels.
    contacts
        ``(n, 3)`` rows: an object of a young small cell, a neighbour in contact, contact pixels.
    pointing
        ``(n,)`` of each contact: how far the small cell is elongated towards the neighbour.
    thinned
        ``(n, 3)`` rows: interval in frames, an older and a later object that overlap alone would
        link in a movie of this interval.
    drift_yx
        ``(n_frames, 2)`` place of the stage, in pixels.
    n_frames
        Length of the movie.
    merged
        Object row -> labels of the masks that a user has merged into it.
    """

    frame: Ints
    label: Ints
    area_px: Ints
    yx: Floats
    fixed_yx: Floats
    bbox: Ints
    border: NDArray[np.bool_]
    previous: Ints
    following: Ints
    parent: Ints
    iou: Floats
    cost: Floats
    margin: Floats
    kind: NDArray[np.object_]
    seen: Ints
    contacts: Ints
    pointing: Floats
    thinned: Ints
    drift_yx: Floats
    n_frames: int
    flags: dict[int, list[str]] = field(default_factory=dict)
    merged: dict[int, list[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def radius_px(self) -> Floats:
        """Radii of discs of the same areas."""
        return np.sqrt(self.area_px / np.pi)

    @property
    def is_start(self) -> NDArray[np.bool_]:
        """First objects of cells that come from nowhere, after the first frame."""
        start: NDArray[np.bool_] = (self.previous == NONE) & (self.parent == NONE)
        return start & (self.frame > 0)

    def flag(self, row: int, word: str) -> None:
        """Attach a word to an object, once."""
        words = self.flags.setdefault(row, [])
        if word not in words:
            words.append(word)

    def link(self, before: int, link: Link) -> None:
        """Make ``link.after`` the next object of `before`'s cell."""
        after = link.after
        self.following[before], self.previous[after], self.parent[after] = after, before, NONE
        self.kind[after] = link.kind
        self.iou[after], self.cost[after], self.margin[after] = link.iou, link.cost, link.margin

    def unlink(self, after: int) -> Link | None:
        """Make `after` the first object of a cell; return the link that was there."""
        before = self.previous[after]
        if before == NONE:
            return None
        figures = float(self.iou[after]), float(self.cost[after]), float(self.margin[after])
        link = Link(after, self.kind[after], *figures)
        self.following[before] = self.previous[after] = NONE
        self.kind[after] = "start"
        self.iou[after] = self.cost[after] = self.margin[after] = np.nan
        return link

    def first_objects(self) -> Ints:
        """Row of the first object of each object's cell."""
        root = np.where(self.previous == NONE, np.arange(len(self)), self.previous)
        while True:
            further = root[root]
            if np.array_equal(further, root):
                return root
            root = further

    def iou_of(self, before: int, after: int) -> float:
        """Overlap of a newly appeared object with an older one; 0 where none was seen."""
        hit = (self.seen[:, 0] == after) & (self.seen[:, 1] == before)
        n_px = int(self.seen[hit, 2].sum())
        return n_px / float(self.area_px[before] + self.area_px[after] - n_px)

    def trees(self, yx: Floats) -> list[tuple[KDTree | None, int]]:
        """Search tree of the places `yx` of the objects of each frame, and its first row."""
        bounds = np.searchsorted(self.frame, np.arange(self.n_frames + 1))
        return [(KDTree(yx[a:b]) if b > a else None, int(a)) for a, b in pairwise(bounds)]
