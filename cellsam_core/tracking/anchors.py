"""Corrections of tracks are found again by place after the masks have changed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellsam_core.errors import InputError
from cellsam_core.tracking.corrections_table import refuse_contradictions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.labels.source import LabelSource
    from cellsam_core.tracking.corrections import Anchor, Correction

AREA_FACTOR = 2
"""An object at the same place is another one if its area differs by more than this factor."""
COLUMNS = (
    *("id", "row", "operation", "frame", "found"),
    *("label", "other_frame", "other_label", "reason"),
)


@dataclass(frozen=True)
class Outcome:
    """Result of one row: the correction with its labels now, and why it is lost; empty if not."""

    correction: Correction
    reason: str = ""


def find_again(corrections: Sequence[Correction], labels: LabelSource, masks: str) -> list[Outcome]:
    """Give corrections the labels that their objects have in the masks that are tracked.

    An object is named by its label if the row was made for these masks, or if it has no anchor.
    Otherwise it is the object under the anchor's point, if its area is within a factor of 2.

    Parameters
    ----------
    corrections
        Corrections in the order of their table.
    labels
        Label images that are tracked.
    masks
        Checksum of their table of cells; empty if there is none.

    Returns
    -------
    list of Outcome
        One for each correction. A row that finds no object is lost: it must not be carried out.

    Raises
    ------
    InputError
        Two rows contradict each other.
    """
    wanted = [c for c in corrections if _is_moved(c, masks)]
    refuse_on(masks, corrections)
    found = _labels_at([a for c in wanted for a in c.anchors], labels)
    accepted: list[Correction] = []
    outcomes = []
    for one in corrections:
        outcome = _relabel(one, found) if _is_moved(one, masks) else Outcome(one)
        if not outcome.reason and outcome.correction is not one:
            outcome = _check(accepted, outcome)
        if not outcome.reason:
            accepted.append(outcome.correction)
        outcomes.append(outcome)
    return outcomes


def refuse_on(masks: str, corrections: Sequence[Correction]) -> None:
    """Refuse rows that contradict each other on the masks that are tracked.

    Rows that were made for other masks are lost where they contradict, and are not refused.

    Parameters
    ----------
    masks
        Checksum of their table of cells; empty if there is none.
    corrections
        Corrections in the order of their table.

    Raises
    ------
    InputError
        Two rows contradict each other.
    """
    refuse_contradictions([c for c in corrections if not _is_moved(c, masks)])


def outcome_table(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    """List what became of each correction: yes, or no with a reason, and the labels now."""
    rows = []
    for outcome in outcomes:
        one, is_found = outcome.correction, not outcome.reason
        other = one.other or (None, None)
        label, other_label = (one.label, other[1]) if is_found else (0, None)
        found = "yes" if is_found else "no"
        row = (one.id, one.number, one.operation, one.frame, found, label, other[0], other_label)
        rows.append((*row, outcome.reason))
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({"other_frame": "Int64", "other_label": "Int64"})


def _is_moved(one: Correction, masks: str) -> bool:
    return bool(one.anchors) and bool(one.masks) and one.masks != masks


def _labels_at(anchors: list[Anchor], source: LabelSource) -> dict[Anchor, int]:
    """Find the label under each anchor; 0 for background and for an object of another size."""
    by_frame: dict[int, list[Anchor]] = defaultdict(list)
    for anchor in anchors:
        by_frame[anchor.frame].append(anchor)
    found = dict.fromkeys(anchors, 0)
    for frame in sorted(by_frame):
        if frame < source.n_frames:
            labels = source.frame(frame)
            found |= {anchor: _label_at(anchor, labels) for anchor in by_frame[frame]}
    return found


def _label_at(anchor: Anchor, labels: NDArray[Any]) -> int:
    y, x = round(anchor.y), round(anchor.x)
    if not (0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]):
        return 0
    label = int(labels[y, x])
    area = int(np.count_nonzero(labels == label))
    fits = anchor.area_px / AREA_FACTOR <= area <= anchor.area_px * AREA_FACTOR
    return label if fits else 0


def _relabel(one: Correction, found: dict[Anchor, int]) -> Outcome:
    labels = [found[anchor] for anchor in one.anchors]
    if 0 in labels:
        anchor = one.anchors[labels.index(0)]
        place = f"y {anchor.y:g}, x {anchor.x:g} of frame {anchor.frame}"
        return Outcome(one, f"no cell of about {anchor.area_px} px at {place}")
    if one.other is None:
        return Outcome(replace(one, label=labels[0]))
    if one.operation == "merge" and labels[0] == labels[1]:
        return Outcome(one, "both places are in one cell now")
    return Outcome(replace(one, label=labels[0], other_label=labels[1]))


def _check(accepted: list[Correction], outcome: Outcome) -> Outcome:
    try:
        refuse_contradictions([*accepted, outcome.correction])
    except InputError:
        return Outcome(outcome.correction, "its cell is that of another row now")
    return outcome
