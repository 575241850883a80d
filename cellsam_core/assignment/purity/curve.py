"""Curve of capture against purity: the shares of each ring, and how far cells should grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from cellsam_core.assignment.purity.ambient import Ambient, measure_ambient, without_ambient
from cellsam_core.assignment.purity.hashing import hashed
from cellsam_core.assignment.purity.lift import exclusivity_lift
from cellsam_core.assignment.purity.profiles import Types, learn_types
from cellsam_core.assignment.purity.shares import N_GROUPS, Share, calibrated, own_share
from cellsam_core.assignment.purity.windows import CORE, FIRST, INNER
from cellsam_core.labels.rows import rows_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from cellsam_core.assignment.purity.molecules import Molecules
    from cellsam_core.assignment.purity.vertical import MeanHeight
    from cellsam_core.assignment.purity.windows import Zones

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

MIN_GAIN = 0.05
"""Least gain of types over one profile, in nats for each transcript, with which shares are told."""
MIN_HELD_OUT = 0.75
"""Least own share of held-out transcripts in cores; the profiles are wrong below it."""
MAX_AMBIENT_IN_CORE = 0.2  # above it, a low own share in cores is ambient's
MIN_HELD_OUT_TRANSCRIPTS = 10
MIN_INFORMATIVE = 50
"""Informative transcripts with which cells may grow over a ring."""
CERTAIN = 0.025
"""Largest standard error with which an own share is certain to 0.1, third cells included."""
MODEL_ERROR = 0.01
"""Standard deviation of what the model makes wrong; see docs/purity.md."""
SHARES = (
    *("own_share", "own_share_error", "neighbour_share"),
    *("own_share_crowded", "standard_error"),
    *("lift", "lift_spread"),
)
CONTROL_SPREAD = 0.03
"""Standard deviation of the own share beside absent types, between samples."""
ENOUGH_IN_CORE = 40  # transcripts of a cell
MAX_AMBIENT = 0.95


@dataclass(frozen=True)
class Curve:
    """Shares of the transcripts in and around the cells of a sample.

    Attributes
    ----------
    genes
        Names of the genes.
    height
        Mean z of the transcripts from place to place.
    rings
        One row a zone, from the core outwards; see the columns of ``purity.json``.
    types
        Cell types; None if there are too few cells.
    profiles
        ``(types, columns)`` profiles of the types without what is ambient in them.
    ambient
        Ambient transcripts.
    held_out
        Own share of held-out transcripts in cores.
    reason
        Why nothing can be said, as a sentence; empty otherwise.
    counts
        ``n_cells``, ``n_usable_cells``, ``n_transcripts``, ``informative_share``.
    """

    genes: list[str]
    height: MeanHeight
    rings: pd.DataFrame
    types: Types | None
    profiles: Floats
    ambient: Ambient
    held_out: Share | None
    reason: str
    counts: dict[str, Any]


def measure_curve(molecules: Molecules, zones: Zones) -> Curve:
    """Measure the shares of each ring, or find out that they can't be known."""
    cell_id = np.unique(molecules.nearest)
    inside = _inside(molecules, cell_id)
    learn, held_out = molecules.counts(cell_id, inside)
    types = learn_types(learn, held_out)
    rings = _densities(molecules, zones)
    ambient = measure_ambient(molecules, zones, types)
    density = rings["density_per_um2"].to_numpy()
    share = np.minimum(MAX_AMBIENT, ambient.density / np.where(density > 0, density, np.inf))
    rings["ambient_share"] = share
    counts: dict[str, Any] = {"n_cells": len(cell_id), "n_transcripts": len(molecules.gene)}
    if types is None:
        reason = "Purity can't be measured: there are too few cells with transcripts inside."
        unknown = dict.fromkeys(SHARES, np.nan) | {"n_informative": 0, "is_certain": False}
        counts |= {"n_usable_cells": 0, "n_lift_pairs": 0, "n_lift_cells": 0}
        rings = rings.assign(**unknown)
        known = (molecules.genes, molecules.height, rings, None, np.ones((0, 1)), ambient, None)
        return Curve(*known, reason, counts)
    kinds = types.likely(learn), types.likely(learn + held_out)
    sides = _Sides(molecules, cell_id, *kinds, types.column)
    n = rings["n_transcripts"].to_numpy()[: inside + 1]
    in_types = float(np.average(share[: inside + 1], weights=np.maximum(n, 1)))
    profiles = without_ambient(types.profiles, ambient.profile, in_types)
    shares, counts["informative_share"] = _fit(sides, inside, profiles, ambient, share)
    counts["n_usable_cells"] = int(np.count_nonzero(sides.kind >= 0))
    anchor = shares[CORE]
    alone = _alone(molecules, len(rings))
    own = np.array([each.own for each in shares])
    rings["own_share"] = alone * (1 - share) + (1 - alone) * own
    rings["standard_error"] = [each.error for each in shares]
    rings["own_share_error"] = (1 - alone) * rings["standard_error"]
    rings["is_certain"] = rings["own_share_error"] <= CERTAIN
    rings["neighbour_share"] = (1 - alone) * (1 - share - own)
    rings["own_share_crowded"] = own
    rings["n_informative"] = [each.n for each in shares]
    lift = exclusivity_lift(molecules, len(rings))
    rings["lift"], rings["lift_spread"] = lift.lift, lift.spread
    counts |= {"n_lift_pairs": lift.n_pairs, "n_lift_cells": lift.n_cells}
    reason = _reason(types, anchor, float(share[CORE]))
    measured = (molecules.genes, molecules.height, rings, types, profiles, ambient, anchor)
    return Curve(*measured, reason, counts)


def _alone(molecules: Molecules, n_zones: int) -> Floats:
    """Share of the transcripts of each zone that have no second cell nearby."""
    n = np.bincount(molecules.zone, minlength=n_zones)
    alone = np.bincount(molecules.zone[molecules.second == 0], minlength=n_zones)
    return np.asarray(alone / np.maximum(n, 1))


def _reason(types: Types, anchor: Share, ambient_in_core: float) -> str:
    """Say why the shares can't be known; nothing if they can."""
    if types.gain < MIN_GAIN:
        return (
            "Purity can't be measured: there are too few cells, or they are too much alike "
            f"(cell types add {types.gain:.3f} nats for each transcript, {MIN_GAIN} are needed)."
        )
    if anchor.n < MIN_HELD_OUT_TRANSCRIPTS:
        return (
            "Purity can't be measured: too few transcripts are in cells with a neighbour of "
            f"another type ({anchor.n}, {MIN_HELD_OUT_TRANSCRIPTS} are needed)."
        )
    at_most = anchor.own + 2 * anchor.error
    if at_most < MIN_HELD_OUT and ambient_in_core <= MAX_AMBIENT_IN_CORE:
        return (
            "Purity can't be measured: the cell types do not fit the cores of the cells (own "
            f"share {anchor.own:.2f} of held-out transcripts, {MIN_HELD_OUT} is needed)."
        )
    return ""


def _densities(molecules: Molecules, zones: Zones) -> pd.DataFrame:
    """Tabulate number, area and density of each zone, and the capture up to it."""
    n_zones = FIRST + zones.n_rings
    n = np.bincount(molecules.zone, minlength=n_zones)[:n_zones]
    area = molecules.areas_um2[:n_zones]
    total = int(n.sum() + molecules.far.sum())
    density = np.where(area > 0, n / molecules.kept / np.where(area > 0, area, 1), 0.0)
    low, high = zip(*zones.spans_um, strict=True)
    return pd.DataFrame(
        {
            "from_um": np.where(np.isfinite(low), low, np.nan),
            "to_um": high,
            "n_transcripts": n,
            "area_um2": area,
            "density_per_um2": density,
            "capture": np.cumsum(n) / max(total, 1),
        }
    )


@dataclass(frozen=True)
class _Sides:
    """Transcripts and the types of cells, learnt on one half of the molecules and on both."""

    molecules: Molecules
    cell_id: npt.NDArray[np.uint32]
    kind_of_half: npt.NDArray[np.int64]
    kind: npt.NDArray[np.int64]
    column: npt.NDArray[np.intp]

    def types_of(self, kind: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], ...]:
        """Type of the two cells that each transcript is between; -1 if it is not known."""
        sides = self.molecules.nearest, self.molecules.second
        return tuple(type_of(side, self.cell_id, kind) for side in sides)


def _inside(molecules: Molecules, cell_id: npt.NDArray[np.uint32]) -> int:
    """Last zone that types are learnt on: the core, or the whole mask if cores hold too little."""
    core = molecules.nearest[molecules.zone == CORE]
    each = np.bincount(rows_of(core, cell_id), minlength=len(cell_id))
    return CORE if len(each) and np.median(each) >= ENOUGH_IN_CORE else INNER


def _fit(
    sides: _Sides, inside: int, profiles: Floats, ambient: Ambient, share: Floats
) -> tuple[list[Share], float]:
    """Estimate the own share of each zone, and the share of informative transcripts."""
    molecules, shares, n_informative = sides.molecules, [], 0
    group, column = _groups(molecules), sides.column[molecules.gene]
    types_of = [sides.types_of(kind) for kind in (sides.kind, sides.kind_of_half)]

    def fit(at: npt.NDArray[Any], mine: Ints, other: Ints, ambient_share: float) -> Share:
        """Estimate the own share of some transcripts, given types of the cell and the other."""
        return own_share(
            profiles[mine, column[at]],
            profiles[other, column[at]],
            ambient.profile[column[at]],
            ambient_share,
            group[at],
        )

    control = Share(1.0, 0.0, 0)
    for zone, ambient_share in enumerate(share.tolist()):
        # Where types were learnt, only molecules that they were not learnt on tell.
        of_half = zone <= inside
        mine, other = types_of[of_half]
        at = (molecules.zone == zone) & (mine >= 0) & (other >= 0) & (mine != other)
        n_informative += int(np.count_nonzero(at))
        at = np.flatnonzero(at & molecules.half if of_half else at)
        found = fit(at, mine[at], other[at], ambient_share)
        if zone == CORE:
            control = _control(fit, at, mine[at], other[at], ambient_share)
        shares.append(calibrated(found, control, 1 - ambient_share))
    return shares, n_informative / max(len(molecules.gene), 1)


def _control(
    fit: Callable[..., Share], at: Ints, mine: Ints, other: Ints, ambient_share: float
) -> Share:
    """Estimate the own share beside types that are not there: those of other cells' neighbours."""
    elsewhere = other[np.argsort(hashed(np.arange(len(other)), 6), kind="stable")]
    is_absent = (elsewhere != mine) & (elsewhere != other)
    found = fit(at[is_absent], mine[is_absent], elsewhere[is_absent], ambient_share)
    if not found.n:
        return Share(1.0, CONTROL_SPREAD, 0)
    part, error = np.array([found.own, found.error]) / (1 - ambient_share)
    # Few transcripts tell less than is known of profiles in general.
    weight = CONTROL_SPREAD**2 / (CONTROL_SPREAD**2 + error**2)
    return Share(float(1 + weight * (part - 1)), CONTROL_SPREAD * np.sqrt(1 - weight), found.n)


def type_of(
    cells: npt.NDArray[np.uint32], cell_id: npt.NDArray[np.uint32], kind: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Type of each cell, -1 for those that are not in the table."""
    # Row -1 is the last, which is that of no cell.
    return np.asarray(np.append(kind, -1)[rows_of(cells, cell_id)])


def _groups(molecules: Molecules) -> npt.NDArray[np.int64]:
    """Group transcripts for the standard error: by windows if there are enough, else by cells."""
    by = molecules.window
    units = by if len(np.unique(by)) >= 2 * N_GROUPS else molecules.nearest
    return np.asarray(hashed(units, 5) % np.uint64(N_GROUPS), dtype=np.int64)


def auto_um(curve: Curve, min_ring_purity: float) -> float:
    """End of the last ring in which, and in all rings before it, a transcript is rather own.

    A ring counts if its own share less one standard error reaches `min_ring_purity`, and enough
    transcripts tell. It is 0 where nothing can be said.
    """
    if curve.reason:
        return 0.0
    rings = curve.rings
    least = (rings["own_share_crowded"] - rings["standard_error"]).to_numpy()
    is_own = (least >= min_ring_purity) & (rings["n_informative"] >= MIN_INFORMATIVE).to_numpy()
    n_own = int(np.cumprod(is_own[FIRST:]).sum())
    return float(rings["to_um"].to_numpy()[FIRST + n_own - 1])


def best_um(curve: Curve) -> float | None:
    """Distance at which right less wrong transcripts in cells are most; None if unknown."""
    if curve.reason:
        return None
    rings = with_totals(curve).iloc[INNER:]
    return float(rings["to_um"].to_numpy()[int(rings["net_capture"].to_numpy().argmax())])


class WithError(NamedTuple):
    """A number and its standard error."""

    value: float
    error: float


def purity_at(curve: Curve, expand_um: float) -> WithError | None:
    """Share of the transcripts in cells, grown so far, that are the cells' own; None if unknown.

    A ring that ends farther out counts in part. Beyond the last ring nothing is known. The errors
    of the rings go together, since the same profiles are used in all of them.
    """
    rings = curve.rings
    low, high = rings["from_um"].fillna(-np.inf), rings["to_um"]
    width = np.where(np.isfinite(low), high - low, 1.0)
    part = np.where(high <= 0, 1.0, np.clip((expand_um - low) / width, 0, 1))
    # A ring in which no transcript tells has no share.
    known = rings["own_share"].notna().to_numpy()
    n = np.where(known, part * rings["n_transcripts"], 0.0)
    if curve.reason or n.sum() == 0 or expand_um > float(high.max()) + 1e-9:
        return None
    n = n / n.sum()
    found = float(np.nansum(n * rings["own_share"].to_numpy()))
    chance = float(np.nansum(n * rings["own_share_error"].to_numpy()))
    return WithError(found, float(np.hypot(chance, MODEL_ERROR)))


def with_totals(curve: Curve) -> pd.DataFrame:
    """Add purity, and capture x (2 purity - 1), of cells that grow to the end of each ring."""
    rings = curve.rings.copy()
    if curve.reason:
        return rings.assign(purity=np.nan, net_capture=np.nan)
    n = rings["n_transcripts"].where(rings["own_share"].notna(), 0).to_numpy(dtype=np.float64)
    known = np.nan_to_num(rings["own_share"].to_numpy())
    rings["purity"] = np.cumsum(n * known) / np.maximum(np.cumsum(n), 1)
    rings["net_capture"] = rings["capture"] * (2 * rings["purity"] - 1)
    return rings
