"""Ambient transcripts: how dense they are, of which genes, and cell types without them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from cellsam_core.assignment.purity.molecules import Molecules
    from cellsam_core.assignment.purity.profiles import Types
    from cellsam_core.assignment.purity.windows import Zones

    Floats = npt.NDArray[np.float64]

MIN_FAR, MIN_FAR_UM2 = 1000, 2000.0
"""Transcripts and area with which a density is known; without the first, five times the area."""
FAR_PSEUDO = 300.0
"""Transcripts of the overall profile that are added to those far from cells."""
LEAST_LEFT = 0.05
"""Part of a gene's share in a type that is left at least when ambient transcripts are taken out."""


@dataclass(frozen=True)
class Ambient:
    """Ambient transcripts: density for each um2, where it was measured, and profile."""

    density: float
    source: str
    profile: Floats


def measure_ambient(molecules: Molecules, zones: Zones, types: Types | None) -> Ambient:
    """Measure the density far from cells; that of blanks where there is no such place.

    Transcripts of cells are found some micrometres beyond the last ring, too. They are not counted
    where there is enough room farther away.
    """
    overall = np.ones(1) if types is None else types.overall
    n_genes = len(molecules.genes)
    column = np.zeros(n_genes, dtype=np.intp) if types is None else types.column
    counts, area = molecules.far[1], float(molecules.areas_um2[zones.clear])
    if not _is_enough(int(counts.sum()), area):
        counts, area = molecules.far.sum(axis=0), area + float(molecules.areas_um2[zones.far])
    profile = np.bincount(column, counts, minlength=len(overall)) + FAR_PSEUDO * overall
    profile = profile / profile.sum()
    if _is_enough(int(counts.sum()), area):
        return Ambient(float(counts.sum() / molecules.kept / area), "far from cells", profile)
    if molecules.n_blanks is not None:
        total = float(molecules.areas_um2.sum())
        wrong = molecules.n_blanks * n_genes / molecules.kept / max(total, 1e-9)
        return Ambient(wrong, "blanks", profile)
    return Ambient(0.0, "unknown", profile)


def _is_enough(n: int, area_um2: float) -> bool:
    """Tell if the density of transcripts in an area is known well enough."""
    return area_um2 >= MIN_FAR_UM2 * (1 if n >= MIN_FAR else 5)


def without_ambient(profiles: Floats, ambient: Floats, share: float) -> Floats:
    """Take ambient transcripts out of the profiles of cell types.

    Parameters
    ----------
    profiles
        ``(types, columns)`` share of each column of genes among the transcripts in cells.
    ambient
        ``(columns,)`` the same among ambient transcripts.
    share
        Ambient share of the transcripts in cells, 0 to 1.

    Returns
    -------
    ndarray
        ``(types, columns)`` share of each column among the cells' own transcripts.

    Examples
    --------
    >>> without_ambient(np.array([[0.7, 0.3]]), np.array([0.5, 0.5]), 0.4).round(3)
    array([[0.833, 0.167]])
    """
    left = np.maximum(profiles - share * ambient, LEAST_LEFT * profiles)
    return np.asarray(left / left.sum(axis=1, keepdims=True))
