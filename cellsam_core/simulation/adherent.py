"""Adherent cells without stain: spread cells with processes, fans, sheets, and round cells.

Their light is that of :mod:`.unstained`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

from cellsam_core.simulation import shapes
from cellsam_core.simulation.optics import smooth_noise
from cellsam_core.simulation.unstained import (
    Adherent,
    interference_contrast,
    not_cells,
    phase_contrast,
    thickness_of,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Labels = NDArray[np.int32]
    Floats = NDArray[np.float64]

LAYOUT_SHARES = {"spread": 0.4, "fans": 0.25, "sheet": 0.35}
"""Shares of the fields by layout: cells with processes, fans with concave borders, and tiles."""

DIC_SHARE = 0.15
SOMA_SHARE = 0.8
"""Radius of the soma over that of a disc with the area of the whole cell."""


def adherent(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> tuple[Image, Labels]:
    """Draw a field of adherent cells.

    Returns
    -------
    tuple
        Contrast around 0, float32 ``(y, x)``, and labels.
    """
    layout = rng.choice(list(LAYOUT_SHARES), p=list(LAYOUT_SHARES.values()))
    draw = {"spread": _spread, "fans": _fans, "sheet": _sheet}[str(layout)]
    cells = _with_round(rng, draw(rng, shape_yx, diameter_px, density), diameter_px)
    thickness = thickness_of(rng, cells, diameter_px)
    thickness += not_cells(rng, cells.labels, diameter_px)
    if rng.random() < DIC_SHARE:
        return interference_contrast(rng, thickness, diameter_px), cells.labels
    return phase_contrast(rng, thickness, diameter_px), cells.labels


def _spread(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> Adherent:
    """Draw cells one by one: a soma, drawn out or not, lobes, and processes that taper."""
    n = int(np.clip(1.1 * density * np.prod(shape_yx) / diameter_px**2, 1, 120)) + 1
    radii = 0.5 * SOMA_SHARE * diameter_px * np.clip(rng.normal(1, 0.2, n), 0.55, 1.6)
    clustering, overlap = float(rng.uniform(0, 0.9)), float(rng.uniform(0, 0.3))
    discs = shapes.place(rng, shape_yx, radii, clustering=clustering, overlap=overlap)
    longest = float(rng.choice([1.3, 2.0, 3.5, 7.0]))
    n_processes = float(rng.choice([0.3, 1.5, 3.0]))
    common, aligned = rng.uniform(0, np.pi), rng.random() < 0.3
    labels = np.zeros(shape_yx, np.int32)
    soma = np.zeros((len(discs) + 1, 5))
    nearest = np.full(shape_yx, np.inf)
    for value, disc in enumerate(discs, start=1):
        ratio = float(rng.uniform(1, longest))
        shape = shapes.outline(
            rng, disc, elongation=ratio, roughness=float(rng.uniform(0.04, 0.22))
        )
        if aligned:
            shape = shape._replace(angle=common + rng.normal(0, 0.25))
        soma[value] = shape.y, shape.x, shape.radius_px, np.sqrt(ratio), shape.angle
        window, relative = shapes.relative_radius(shape, shape_yx)
        closer = (relative <= 1) & (relative < nearest[window])
        nearest[window][closer] = relative[closer]
        labels[window][closer] = value
        for _ in range(rng.poisson(n_processes)):
            window, inside = _process(rng, shape, shape_yx, diameter_px)
            free = inside & (labels[window] == 0)
            labels[window][free] = value
            nearest[window][free] = 1.0
    return _renumbered(labels, soma, 0.15 * diameter_px**2)


def _process(
    rng: np.random.Generator, soma: shapes.Outline, shape_yx: tuple[int, int], diameter_px: float
) -> tuple[tuple[slice, slice], NDArray[np.bool_]]:
    """Draw a bent process from the soma outwards: discs that shrink, the last with a foot."""
    end_first = rng.random() < 0.6
    turn = rng.choice([0, np.pi]) + rng.normal(0, 0.3) if end_first else rng.uniform(0, 2 * np.pi)
    angle = soma.angle + float(turn)
    start = (
        0.6
        * soma.radius_px
        * np.hypot(np.cos(turn) * np.sqrt(soma.elongation), np.sin(turn) / np.sqrt(soma.elongation))
    )
    length = diameter_px * float(np.exp(rng.normal(-0.5, 0.5)))
    root, tip = diameter_px * rng.uniform(0.08, 0.36), diameter_px * rng.uniform(0.02, 0.06)
    along = np.linspace(0, 1, max(4, int(length / 2)))
    bend = angle + rng.normal(0, 0.7) * along
    step = (length + start) / len(along)
    y = soma.y + np.cumsum(np.sin(bend)) * step
    x = soma.x + np.cumsum(np.cos(bend)) * step
    width = root * (1 - along) ** rng.uniform(0.6, 2.0) + tip
    if rng.random() < 0.3:
        width[-max(1, len(width) // 8) :] += diameter_px * rng.uniform(0.02, 0.12)
    reach = float(width.max()) + 2
    window = tuple(
        slice(int(np.clip(p.min() - reach, 0, n)), int(np.clip(p.max() + reach, 0, n)))
        for p, n in ((y, shape_yx[0]), (x, shape_yx[1]))
    )
    grid_y = np.arange(window[0].start, window[0].stop)[:, None]
    grid_x = np.arange(window[1].start, window[1].stop)[None]
    inside = np.zeros((grid_y.size, grid_x.size), bool)
    for at_y, at_x, half in zip(y, x, width, strict=True):
        inside |= (grid_y - at_y) ** 2 + (grid_x - at_x) ** 2 <= max(half, 0.8) ** 2
    return (window[0], window[1]), inside


def _fans(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> Adherent:
    """Draw cells that are stretched between a few tips, their borders concave in between."""
    n = int(np.clip(0.9 * density * np.prod(shape_yx) / diameter_px**2, 1, 100)) + 1
    radii = 0.5 * 0.7 * diameter_px * np.clip(rng.normal(1, 0.2, n), 0.55, 1.6)
    discs = shapes.place(
        rng,
        shape_yx,
        radii,
        clustering=float(rng.uniform(0, 0.9)),
        overlap=float(rng.uniform(0, 0.25)),
    )
    labels = np.zeros(shape_yx, np.int32)
    nearest = np.full(shape_yx, np.inf)
    soma = np.zeros((len(discs) + 1, 5))
    longest = float(rng.uniform(1.2, 3.2))
    for value, (y, x, radius) in enumerate(discs, start=1):
        soma[value] = y, x, radius, 1, 0
        window, relative, angle = _fan(rng, (y, x, radius), shape_yx, longest)
        soma[value, 3:] = np.sqrt(rng.uniform(1, 2)), angle
        closer = (relative <= 1) & (relative < nearest[window])
        nearest[window][closer] = relative[closer]
        labels[window][closer] = value
    return _renumbered(labels, soma, 0.15 * diameter_px**2)


def _fan(
    rng: np.random.Generator,
    disc: tuple[float, float, float],
    shape_yx: tuple[int, int],
    longest: float,
) -> tuple[tuple[slice, slice], Floats, float]:
    """Draw the outline of one fan.

    Returns
    -------
    tuple
        Window, distance from the centre over that of the outline, direction of the longest tip.
    """
    y, x, radius = disc
    n_tips = int(rng.choice([2, 3, 4], p=[0.35, 0.45, 0.2]))
    gaps = rng.uniform(0.4, 1, n_tips)
    tips = rng.uniform(0, 2 * np.pi) + 2 * np.pi * np.cumsum(gaps) / gaps.sum()
    reach = np.exp(rng.uniform(0.05, np.log(longest), n_tips))
    valleys = (tips + np.roll(tips, -1) + 2 * np.pi * (np.arange(n_tips) == n_tips - 1)) / 2
    knots = np.concatenate((tips, valleys)) % (2 * np.pi)
    heights = np.log(np.concatenate((reach, rng.uniform(0.6, 1.0, n_tips))))
    angles = np.linspace(0, 2 * np.pi, 361)
    # Linear in the logarithm of the radius: the border bends inwards between two tips.
    limit = radius * np.exp(
        np.interp(angles, knots[np.argsort(knots)], heights[np.argsort(knots)], period=2 * np.pi)
    )
    limit *= 1 + 0.05 * rng.standard_normal() * np.sin(rng.integers(5, 14) * angles)
    limit = ndi.gaussian_filter1d(limit, float(rng.uniform(2, 7)), mode="wrap")
    far = float(limit.max()) + 2
    window = tuple(
        slice(int(np.clip(c - far, 0, n)), int(np.clip(c + far, 0, n)))
        for c, n in zip((y, x), shape_yx, strict=True)
    )
    dy = np.arange(window[0].start, window[0].stop)[:, None] - y
    dx = np.arange(window[1].start, window[1].stop)[None] - x
    turn = np.rint(np.degrees(np.arctan2(dy, dx)) % 360).astype(int)
    relative: Floats = np.hypot(dy, dx) / np.maximum(limit[turn], 1)
    return (window[0], window[1]), relative, float(tips[np.argmax(reach)])


def _sheet(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> Adherent:
    """Draw a confluent sheet, or islands of one: tiles, turned, stretched and bent."""
    stretch = float(np.sqrt(rng.uniform(1, 2.2)))
    side = int(1.5 * stretch * max(shape_yx) + 2 * diameter_px)
    tiles = shapes.tissue(rng, (side, side), diameter_px, 0.9 + 0.1 * density)
    angle = float(rng.uniform(0, np.pi))
    grid_y, grid_x = np.indices(shape_yx) - np.reshape(shape_yx, (2, 1, 1)) / 2
    along = (np.cos(angle) * grid_y + np.sin(angle) * grid_x) / stretch
    across = (np.cos(angle) * grid_x - np.sin(angle) * grid_y) * stretch
    bend = float(rng.uniform(0.05, 0.45)) * diameter_px
    far = float(rng.uniform(1.0, 2.0)) * diameter_px
    at = [
        np.clip(c + bend * smooth_noise(rng, shape_yx, far) + side / 2, 0, side - 1).astype(int)
        for c in (along, across)
    ]
    labels = shapes.renumber(shapes.clean(tiles[at[0], at[1]], 0.1 * diameter_px**2))
    land = smooth_noise(rng, shape_yx, float(rng.uniform(2, 5)) * diameter_px)
    centre_yx, radius = shapes.centres(labels)
    middle = np.clip(np.rint(centre_yx), 0, np.array(shape_yx) - 1).astype(int)
    sea = float(rng.choice([-9.0, -1.0, -0.3, 0.3])) * (1.3 - density)
    labels = np.where((land[middle[:, 0], middle[:, 1]] > sea)[labels], labels, 0)
    labels = _frayed(rng, labels, diameter_px)
    n = len(radius)
    turn = rng.uniform(0, np.pi, n)
    drift = rng.normal(0, 0.15, (n, 2)) * radius[:, None]
    soma = np.column_stack((centre_yx + drift, 0.8 * radius, np.sqrt(rng.uniform(1, 1.7, n)), turn))
    return _renumbered(labels, soma, 0.12 * diameter_px**2)


def _frayed(rng: np.random.Generator, labels: Labels, diameter_px: float) -> Labels:
    """Move the free border of islands out and in, as cells there creep outwards."""
    if not labels.any() or labels.all():
        return labels
    outside, (near_y, near_x) = ndi.distance_transform_edt(labels == 0, return_indices=True)
    depth = ndi.distance_transform_edt(ndi.binary_closing(labels > 0, iterations=2)) - outside
    amplitude = float(rng.uniform(0, 0.25)) * diameter_px
    shift = smooth_noise(rng, labels.shape[:2], 0.4 * diameter_px) - 0.4
    moved: Labels = np.where(depth > amplitude * shift, labels[near_y, near_x], 0)
    # Gaps between two cells of an island stay.
    return np.where((labels == 0) & (outside < 0.06 * diameter_px) & (shift > 0), 0, moved).astype(
        np.int32
    )


def _renumbered(labels: Labels, soma: Floats, least_area_px: float) -> Adherent:
    cleaned = shapes.clean(labels.astype(np.int32), least_area_px)
    kept = np.unique(cleaned)
    kept = kept[kept > 0]
    table = np.vstack((np.zeros((1, soma.shape[1])), soma[kept]))
    return Adherent(shapes.renumber(cleaned), table, np.zeros(len(table), bool))


def _with_round(rng: np.random.Generator, cells: Adherent, diameter_px: float) -> Adherent:
    """Lay round cells on the field: none to a few, seldom many, alone, in pairs and in clusters."""
    shape_yx = cells.labels.shape[0], cells.labels.shape[1]
    area = np.prod(shape_yx) / diameter_px**2
    n = rng.poisson(area * float(rng.choice([0.0, 0.02, 0.08, 0.4], p=[0.35, 0.3, 0.2, 0.15])))
    radii = 0.5 * diameter_px * np.clip(rng.normal(0.75, 0.12, n), 0.4, 1.1)
    discs = shapes.place(rng, shape_yx, radii, clustering=float(rng.uniform(0, 0.8)), overlap=0.08)
    labels, first = cells.labels.copy(), len(cells.soma)
    soma = [cells.soma]
    for value, disc in enumerate(discs, start=first):
        ratio = float(rng.uniform(1, 1.2))
        shape = shapes.outline(rng, disc, elongation=ratio, roughness=0.03)
        window, relative = shapes.relative_radius(shape, shape_yx)
        labels[window][(relative <= 1) & (labels[window] < first)] = value
        soma.append(np.array([[shape.y, shape.x, shape.radius_px, np.sqrt(ratio), shape.angle]]))
    is_round = np.arange(first + len(discs)) >= first
    together = Adherent(labels, np.concatenate(soma), is_round)
    flags = np.column_stack((together.soma, is_round)).astype(np.float64)
    numbered = _renumbered(together.labels, flags, 0.1 * diameter_px**2)
    return Adherent(numbered.labels, numbered.soma[:, :5], numbered.soma[:, 5] > 0)
