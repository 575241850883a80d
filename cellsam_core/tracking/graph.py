"""Graph of objects and links: frame-to-frame linking fills it, the later steps revise it."""

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
    """A link to the object `after`: its kind, overlap, cost and margin."""

    after: int
    kind: LinkKind
    iou: float
    cost: float
    margin: float


@dataclass
class Event:
    """A division or the birth of a bud; objects are given as rows of the graph.

    Attributes
    ----------
    kind
        ``mitosis`` or ``bud``.
    parent
        Last object of the dividing cell, or object of the mother just before the bud; -1 if
        unknown.
    daughters
        First objects of the daughters (two, rarely three; any number of which a user named), or
        first object of the bud.
    score
        Score or probability, 0-1.
    status
        ``auto``, ``ambiguous`` (likely to be wrong) or ``corrected`` (by the user).
    area_ratio
        Summed area of the daughters divided by the area of the parent; NaN where it does not apply.
    symmetry
        Area of the smaller daughter divided by that of the larger; NaN where it does not apply.
    overlap
        Smaller of the two fractions of a daughter that lie on the parent; NaN where it does not
        apply.
    runner_up
        An object of the second-best parent; -1 for none.
    replaced
        Link from the parent to a daughter that the division replaced.
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
    """All objects of a movie, sorted by frame, y and x, and the links between them.

    Attributes
    ----------
    frame, label, area_px, yx, bbox, border
        One row per object, as in :class:`cellsam_core.tracking.overlap.FrameObjects`.
    fixed_yx
        Centroids corrected for the drift of the stage, in pixels.
    predecessor, successor
        Row of the same cell's object in the frame before and after; -1 for none.
    parent
        Row of the parent's object, for the first object of a daughter or bud; -1 for none.
    iou, cost, margin
        Intersection over union, cost and margin of the link to `predecessor`; NaN without a link.
    kind
        Way in which the object was linked, one of :data:`LinkKind`.
    flags
        Words for the user, keyed by object row.
    earlier_overlaps
        ``(n, 3)`` rows: a newly appeared object, an earlier object under its mask, shared pixels.
    contacts
        ``(n, 3)`` rows: an object of a young small cell, a neighbour in contact, contact pixels.
    pointing
        ``(n,)`` elongation of the small cell towards the neighbour, one value per contact.
    subsampled_links
        ``(n, 3)`` rows: interval in frames, and an earlier and a later object that overlap alone
        would link in the movie subsampled to this interval.
    drift_yx
        ``(n_frames, 2)`` position of the stage, in pixels.
    n_frames
        Number of frames of the movie.
    merged
        Labels of the masks that a user has merged into an object, keyed by object row.
    """

    frame: Ints
    label: Ints
    area_px: Ints
    yx: Floats
    fixed_yx: Floats
    bbox: Ints
    border: NDArray[np.bool_]
    predecessor: Ints
    successor: Ints
    parent: Ints
    iou: Floats
    cost: Floats
    margin: Floats
    kind: NDArray[np.object_]
    earlier_overlaps: Ints
    contacts: Ints
    pointing: Floats
    subsampled_links: Ints
    drift_yx: Floats
    n_frames: int
    flags: dict[int, list[str]] = field(default_factory=dict)
    merged: dict[int, list[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def radius_px(self) -> Floats:
        """Radii of discs of the same areas, in pixels."""
        return np.sqrt(self.area_px / np.pi)

    @property
    def is_start(self) -> NDArray[np.bool_]:
        """Mask of the first objects of cells without a parent, the first frame excluded."""
        start: NDArray[np.bool_] = (self.predecessor == NONE) & (self.parent == NONE)
        return start & (self.frame > 0)

    def flag(self, row: int, word: str) -> None:
        """Attach a word to an object unless it has it already."""
        words = self.flags.setdefault(row, [])
        if word not in words:
            words.append(word)

    def link(self, before: int, link: Link) -> None:
        """Make ``link.after`` the next object of `before`'s cell."""
        after = link.after
        self.successor[before], self.predecessor[after], self.parent[after] = after, before, NONE
        self.kind[after] = link.kind
        self.iou[after], self.cost[after], self.margin[after] = link.iou, link.cost, link.margin

    def unlink(self, after: int) -> Link | None:
        """Make `after` the first object of a cell; return the link that was removed."""
        before = self.predecessor[after]
        if before == NONE:
            return None
        figures = float(self.iou[after]), float(self.cost[after]), float(self.margin[after])
        link = Link(after, self.kind[after], *figures)
        self.successor[before] = self.predecessor[after] = NONE
        self.kind[after] = "start"
        self.iou[after] = self.cost[after] = self.margin[after] = np.nan
        return link

    def first_objects(self) -> Ints:
        """Return the row of the first object of each object's cell."""
        root = np.where(self.predecessor == NONE, np.arange(len(self)), self.predecessor)
        while True:
            further = root[root]
            if np.array_equal(further, root):
                return root
            root = further

    def iou_of(self, before: int, after: int) -> float:
        """Return the overlap of a newly appeared object with an earlier one, 0 for none."""
        hit = (self.earlier_overlaps[:, 0] == after) & (self.earlier_overlaps[:, 1] == before)
        n_px = int(self.earlier_overlaps[hit, 2].sum())
        return n_px / float(self.area_px[before] + self.area_px[after] - n_px)

    def trees(self, yx: Floats) -> list[tuple[KDTree | None, int]]:
        """Return for each frame a search tree of the positions `yx` and the frame's first row."""
        bounds = np.searchsorted(self.frame, np.arange(self.n_frames + 1))
        return [(KDTree(yx[a:b]) if b > a else None, int(a)) for a, b in pairwise(bounds)]
