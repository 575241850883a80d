"""Own share of each zone, from transcripts that lie between cells of different types."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.assignment.purity.hashing import hashed
from cellsam_core.assignment.purity.shares import N_GROUPS, Share, calibrated, own_share
from cellsam_core.assignment.purity.windows import CORE
from cellsam_core.labels.rows import rows_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from cellsam_core.assignment.purity.molecules import Molecules

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]

CONTROL_SPREAD = 0.03
"""Standard deviation of the own share beside absent types, between samples."""


@dataclass(frozen=True)
class Sources:
    """Genes of all that transcripts come from.

    Attributes
    ----------
    profiles
        ``(types, columns)`` share of each column of genes in each type of cell.
    ambient
        ``(columns,)`` the same of ambient transcripts.
    ambient_share
        ``(zones,)`` share of ambient transcripts.
    column
        ``(genes,)`` column of each gene.
    """

    profiles: Floats
    ambient: Floats
    ambient_share: Floats
    column: npt.NDArray[np.intp]


def zone_shares(
    molecules: Molecules, sources: Sources, types_of: tuple[tuple[Ints, Ints], ...], inside: int
) -> tuple[list[Share], float]:
    """Estimate the own share of each zone, and the share of transcripts that tell it.

    Parameters
    ----------
    molecules
        Transcripts and their surroundings.
    sources
        Genes of cell types and of ambient transcripts.
    types_of
        ``(n,)`` types of the nearest cell of each transcript and of the next, -1 where they are not
        known, twice: learnt on all molecules, and on one half of them.
    inside
        Last zone that types were learnt on. There, only the other half of the molecules tells.
    """
    fit = _Fit(molecules, sources)
    shares, n_informative = [], 0
    control = Share(1.0, 0.0, 0)
    for zone in range(len(sources.ambient_share)):
        of_half = zone <= inside
        mine, other = types_of[of_half]
        at = (molecules.zone == zone) & (mine >= 0) & (other >= 0) & (mine != other)
        n_informative += int(np.count_nonzero(at))
        at = np.flatnonzero(at & molecules.half if of_half else at)
        found = fit(at, mine[at], other[at], zone)
        if zone == CORE:
            control = _control(fit, at, mine[at], other[at])
        shares.append(calibrated(found, control, fit.rest(zone)))
    return shares, n_informative / max(len(molecules.gene), 1)


class _Fit:
    """Estimates the own share of transcripts, given the types of the cell and of the other."""

    def __init__(self, molecules: Molecules, sources: Sources) -> None:
        self._sources = sources
        self._column = sources.column[molecules.gene]
        # Groups for the standard error: windows if there are enough, else cells.
        windows, cells = molecules.window, molecules.nearest
        units = windows if len(np.unique(windows)) >= 2 * N_GROUPS else cells
        self._group = np.asarray(hashed(units, 5) % np.uint64(N_GROUPS), dtype=np.int64)

    def __call__(self, at: Ints, mine: Ints, other: Ints, zone: int) -> Share:
        sources, column = self._sources, self._column[at]
        return own_share(
            sources.profiles[mine, column],
            sources.profiles[other, column],
            sources.ambient[column],
            float(sources.ambient_share[zone]),
            self._group[at],
        )

    def rest(self, zone: int) -> float:
        """Share of a zone's transcripts that are not ambient."""
        return 1 - float(self._sources.ambient_share[zone])


def _control(fit: _Fit, at: Ints, mine: Ints, other: Ints) -> Share:
    """Estimate the own share beside types that are not there: those of other cells' neighbours."""
    elsewhere = other[np.argsort(hashed(np.arange(len(other)), 6), kind="stable")]
    is_absent = (elsewhere != mine) & (elsewhere != other)
    found = fit(at[is_absent], mine[is_absent], elsewhere[is_absent], CORE)
    if not found.n:
        return Share(1.0, CONTROL_SPREAD, 0)
    part, error = np.array([found.own, found.error]) / fit.rest(CORE)
    # Few transcripts tell less than is known of profiles in general.
    weight = CONTROL_SPREAD**2 / (CONTROL_SPREAD**2 + error**2)
    return Share(
        float(1 + weight * (part - 1)), float(CONTROL_SPREAD * np.sqrt(1 - weight)), found.n
    )


def type_of(cells: npt.NDArray[np.uint32], cell_id: npt.NDArray[np.uint32], kind: Ints) -> Ints:
    """Type of each cell, -1 for those that are not in the table."""
    # Row -1 is the last, which is that of no cell.
    return np.asarray(np.append(kind, -1)[rows_of(cells, cell_id)])
