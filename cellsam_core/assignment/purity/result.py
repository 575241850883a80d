"""Purity of the cells of a sample, as it is written to ``purity.json``."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cellsam_core.assignment.purity.windows import FAR_UM, REACH_UM, SECOND_UM

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.assignment.purity.curve import Curve

BOUND = (
    "The purity is rather too high than too low: what leaks into cores, and what comes from a third"
    " cell, is not seen. Its upper bound, which holds in 97.5 %, lies 1.96 standard errors above."
    " The standard errors of the rings are those of chance; the model adds about 0.01."
)
BOUND_ERRORS = 1.96


@dataclass(frozen=True)
class Purity:
    """Purity of the cells of a sample.

    Attributes
    ----------
    purity
        Share of the transcripts in cells that are the cells' own, 0 to 1, after the cells have
        grown by `expand_um`; None if it can't be known.
    error
        Standard error of `purity`, by chance and by the model; None if it can't be known.
    expand_um
        Distance in micrometres by which the cells have grown.
    auto_um
        Distance that ``expand_um: auto`` chooses; 0 if nothing can be said.
    best_um
        Distance at which right less wrong transcripts in cells are most; None if it can't be known.
    reason
        Sentence that says why nothing can be said; empty otherwise.
    profile_gain
        Logarithmic likelihood that cell types add, in nats for each held-out transcript; None if
        there are too few cells for types.
    rings
        One row a ring, from the cores outwards. ``from_um`` and ``to_um`` are distances from the
        border of the mask, negative inside; ``own_share``, ``neighbour_share`` and
        ``ambient_share`` add up to 1; ``purity`` and ``capture`` are those of cells that end there.
    record
        Other entries of ``purity.json``.
    curve
        What the columns of cells are computed from.
    is_auto
        True if ``expand_um: auto`` chose the distance.
    """

    purity: float | None
    error: float | None
    expand_um: float
    auto_um: float
    best_um: float | None
    reason: str
    profile_gain: float | None
    rings: pd.DataFrame
    record: dict[str, Any]
    curve: Curve = field(repr=False)
    is_auto: bool = False

    @property
    def at_most(self) -> float | None:
        """Upper bound of the purity, 0 to 1; None if it can't be known."""
        if self.purity is None or self.error is None:
            return None
        return min(1.0, self.purity + BOUND_ERRORS * self.error)

    def to_dict(self) -> dict[str, Any]:
        """Return the content of ``purity.json``; what is not known is None."""
        names = ("purity", "expand_um", "auto_um", "best_um", "reason", "profile_gain")
        found: dict[str, Any] = {name: _known(getattr(self, name)) for name in names}
        found["is_auto"] = self.is_auto
        found |= {"purity_error": _known(self.error), "purity_at_most": _known(self.at_most)}
        found["is_upper_bound"] = True
        found["bound"] = BOUND
        found |= {name: _known(value) for name, value in self.record.items()}
        found["rings"] = [
            {str(name): _known(value) for name, value in row.items()}
            for row in self.rings.to_dict("records")
        ]
        return found

    def to_json(self, sample: str, schema_version: int | str) -> str:
        """Return the text of ``purity.json``."""
        content = {"schema_version": schema_version, "sample": sample} | self.to_dict()
        return json.dumps(content, indent=1) + "\n"


def record_of(curve: Curve) -> dict[str, Any]:
    """List what is known of how the purity was measured."""
    types, held_out = curve.types, curve.held_out
    return {
        "n_types": None if types is None else len(types.profiles),
        "held_out_own_share": None if held_out is None else held_out.own,
        **curve.counts,
        "ambient_per_um2": curve.ambient.density,
        "ambient_from": curve.ambient.source,
        "reach_um": REACH_UM,
        "neighbour_within_um": SECOND_UM,
        "ambient_within_um": FAR_UM,
    }


def _known(value: Any) -> Any:
    """Round a number to six digits; None for one that is not known."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else None
    return value
