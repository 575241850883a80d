"""Curve of capture against purity: the shares of each ring, and how far cells should grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from cellsam_core.assignment.purity.ambient import Ambient, measure_ambient, without_ambient
from cellsam_core.assignment.purity.lift import exclusivity_lift
from cellsam_core.assignment.purity.profiles import Types, learn_types
from cellsam_core.assignment.purity.windows import CORE, FIRST, INNER
from cellsam_core.assignment.purity.zone_shares import Sources, type_of, zone_shares
from cellsam_core.labels.rows import rows_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from cellsam_core.assignment.purity.molecules import Molecules
    from cellsam_core.assignment.purity.shares import Share
    from cellsam_core.assignment.purity.vertical import MeanHeight
    from cellsam_core.assignment.purity.windows import Zones

    Floats = npt.NDArray[np.float64]

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
    kinds = types.likely(learn + held_out), types.likely(learn)
    types_of = tuple(
        (type_of(molecules.nearest, cell_id, kind), type_of(molecules.second, cell_id, kind))
        for kind in kinds
    )
    n = rings["n_transcripts"].to_numpy()[: inside + 1]
    in_types = float(np.average(share[: inside + 1], weights=np.maximum(n, 1)))
    profiles = without_ambient(types.profiles, ambient.profile, in_types)
    sources = Sources(profiles, ambient.profile, share, types.column)
    shares, counts["informative_share"] = zone_shares(molecules, sources, types_of, inside)
    counts["n_usable_cells"] = int(np.count_nonzero(kinds[0] >= 0))
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


def _inside(molecules: Molecules, cell_id: npt.NDArray[np.uint32]) -> int:
    """Last zone that types are learnt on: the core, or the whole mask if cores hold too little."""
    core = molecules.nearest[molecules.zone == CORE]
    each = np.bincount(rows_of(core, cell_id), minlength=len(cell_id))
    return CORE if len(each) and np.median(each) >= ENOUGH_IN_CORE else INNER


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
