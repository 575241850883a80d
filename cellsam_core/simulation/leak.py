"""Nuclei and transcripts of which some leak into neighbours, with the true cell of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.simulation.options import LeakOptions

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

PIXEL_SIZE_UM = 0.33
MARGIN_UM = 30.0
"""Width of the edge without cells."""
RADIUS_UM, RADIUS_SD_UM = 3.5, 0.4
REACH_UM = (1.0, 5.0)
"""Least and largest distance from nucleus to the end of a cell."""
JITTER = 0.25  # of the pitch
DOMAIN_PITCHES, DOMAIN_SHARE = 4, 0.8
MARKER_SHARE, SILENT_SHARE, SILENT_LEVEL = 0.15, 0.4, 0.15
N_TRIES = 50


class LeakyTissue(NamedTuple):
    """Tissue with a known leak.

    Attributes
    ----------
    labels
        int32 ``(y, x)``: nuclei, 0 = background.
    pixel_size_um
        Side of a pixel.
    transcripts
        One row a transcript: ``gene, x_um, y_um``.
    cell_id
        ``(n,)`` true cell of each transcript; 0 for ambient ones.
    """

    labels: NDArray[np.int32]
    pixel_size_um: float
    transcripts: pd.DataFrame
    cell_id: Ints


def draw_leak(rng: np.random.Generator, options: LeakOptions) -> LeakyTissue:
    """Draw nuclei and transcripts; same `rng` state and options, same tissue.

    A cell reaches beyond its nucleus, but not past the middle to the next one. Of its transcripts,
    a share is displaced, and some of those lie nearer to another cell. Ambient transcripts are
    spread evenly, and are of all types.

    Parameters
    ----------
    rng
        Source of all randomness.
    options
        Number of cells and transcripts, and how many leak.
    """
    centre = _centres(rng, options)
    kind = _kinds(rng, options, centre)
    profiles = _profiles(rng, options)
    radius = rng.normal(RADIUS_UM, RADIUS_SD_UM, len(centre)).clip(2.5, 4.5)
    reach = radius + rng.uniform(*REACH_UM, len(centre))
    mean = options.transcripts_per_cell * rng.lognormal(0, 0.3, len(centre))
    cell = np.repeat(np.arange(len(centre)), rng.poisson(mean))
    place = _places(rng, cell, centre, reach)
    is_displaced = rng.random(len(cell)) < options.displaced_share
    place[is_displaced] += rng.normal(0, options.displacement_um, (is_displaced.sum(), 2))
    gene = np.empty(len(cell), dtype=np.int64)
    for each in range(options.types):
        of_type = kind[cell] == each
        gene[of_type] = rng.choice(options.genes, of_type.sum(), p=profiles[each])
    side_um = float(centre.max(initial=0) + MARGIN_UM)
    n_ambient = round(options.ambient_share / (1 - options.ambient_share) * len(cell))
    place = np.concatenate([place, rng.uniform(0, side_um, (n_ambient, 2))])
    ambient = rng.choice(options.genes, n_ambient, p=profiles.mean(axis=0))
    gene = np.concatenate([gene, ambient])
    owner = np.concatenate([cell + 1, np.zeros(n_ambient, dtype=np.int64)])
    order = rng.permutation(len(gene))
    is_inside = np.asarray((place >= 0) & (place < side_um - PIXEL_SIZE_UM)).all(axis=1)
    order = order[np.asarray(is_inside)[order]]
    names = np.array([f"Gene{number:04d}" for number in range(options.genes)])
    y_um, x_um = place[order].T
    table = pd.DataFrame({"gene": names[gene[order]], "x_um": x_um, "y_um": y_um})
    return LeakyTissue(_nuclei(centre, radius, side_um), PIXEL_SIZE_UM, table, owner[order])


def _centres(rng: np.random.Generator, options: LeakOptions) -> Floats:
    """Place cells on a grid, each a little off."""
    side = int(np.ceil(np.sqrt(options.cells)))
    grid = np.stack(np.divmod(np.arange(options.cells), side), axis=1) + 0.5
    jitter = rng.uniform(-JITTER, JITTER, grid.shape)
    return np.asarray((grid + jitter) * options.pitch_um + MARGIN_UM)


def _kinds(rng: np.random.Generator, options: LeakOptions, centre: Floats) -> Ints:
    """Draw the type of each cell; most cells of a domain are of one type."""
    kind = rng.integers(options.types, size=len(centre))
    if options.pattern == "scattered":
        return kind
    block = ((centre - MARGIN_UM) // (DOMAIN_PITCHES * options.pitch_um)).astype(np.int64)
    of_domain = rng.integers(options.types, size=tuple(block.max(axis=0, initial=0) + 1))
    follows = rng.random(len(centre)) < DOMAIN_SHARE
    return np.where(follows, of_domain[block[:, 0], block[:, 1]], kind)


def _profiles(rng: np.random.Generator, options: LeakOptions) -> Floats:
    """Draw the shares of the genes by type: each has markers, and genes that it hardly has."""
    level = rng.lognormal(0, 1, options.genes)
    rows = []
    for _ in range(options.types):
        marked = rng.random(options.genes) < MARKER_SHARE
        silent = rng.random(options.genes) < SILENT_SHARE
        change = np.where(silent, SILENT_LEVEL, 1.0)
        rows.append(level * np.where(marked, rng.lognormal(2, 0.5, options.genes), change))
    profiles = np.stack(rows)
    return np.asarray(profiles / profiles.sum(axis=1, keepdims=True))


def _places(rng: np.random.Generator, cell: Ints, centre: Floats, reach: Floats) -> Floats:
    """Draw places in cells; those nearer to another cell are drawn again."""
    tree = cKDTree(centre)
    place = np.empty((len(cell), 2))
    left = np.arange(len(cell))
    for _ in range(N_TRIES):
        owner = cell[left]
        distance = reach[owner] * np.sqrt(rng.random(len(left)))
        angle = rng.uniform(0, 2 * np.pi, len(left))
        step = np.stack([distance * np.sin(angle), distance * np.cos(angle)], axis=1)
        place[left] = centre[owner] + step
        left = left[tree.query(place[left])[1] != owner]
        if not len(left):
            break
    return place


def _nuclei(centre: Floats, radius: Floats, side_um: float) -> NDArray[np.int32]:
    """Draw the nuclei as discs."""
    size = int(side_um / PIXEL_SIZE_UM) + 1
    labels = np.zeros((size, size), dtype=np.int32)
    for number, (middle, reach) in enumerate(zip(centre, radius, strict=True), start=1):
        low = np.maximum(((middle - reach) / PIXEL_SIZE_UM).astype(int), 0)
        high = ((middle + reach) / PIXEL_SIZE_UM).astype(int) + 2
        y, x = np.mgrid[low[0] : high[0], low[1] : high[1]] * PIXEL_SIZE_UM
        window = labels[low[0] : high[0], low[1] : high[1]]
        y, x = y[: window.shape[0], : window.shape[1]], x[: window.shape[0], : window.shape[1]]
        window[(y - middle[0]) ** 2 + (x - middle[1]) ** 2 < reach**2] = number
    return labels
