"""Adherent cells without stain: spread cells with processes, sheets, and round cells among them.

A phase-contrast microscope shows the optical thickness of cells less its local mean, which is
what draws halos; differential interference contrast (DIC) shows its slope. So each cell gets a
thickness: a thin sheet with a ragged edge, a dome around the nucleus, granules and nucleoli.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage as ndi

from cellsam_core.simulation import shapes
from cellsam_core.simulation.optics import smooth_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Labels = NDArray[np.int32]
    Floats = NDArray[np.float64]

SHEET_SHARE = 0.35
"""Of the fields: cells drawn as tiles of a sheet; else one by one."""

DIC_SHARE = 0.15
SOMA_SHARE = 0.8
"""Radius of the soma over that of a disc with the area of the whole cell."""


class Adherent(NamedTuple):
    """Cells of a field: labels, and of each label the soma's place and form.

    ``soma`` is ``(n + 1, 5)``: y, x, radius (px), square root of the ratio of its axes, angle.
    ``is_round`` is ``(n + 1,)``: in mitosis, or not attached.
    """

    labels: Labels
    soma: Floats
    is_round: NDArray[np.bool_]


def adherent(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> tuple[Image, Labels]:
    """Draw a field of adherent cells.

    Returns
    -------
    tuple
        Contrast around 0, float32 ``(y, x)``, and labels.
    """
    draw = _sheet if rng.random() < SHEET_SHARE else _spread
    cells = _with_round(rng, draw(rng, shape_yx, diameter_px, density), diameter_px)
    thickness = _thickness(rng, cells, diameter_px)
    thickness += _not_cells(rng, cells.labels, diameter_px)
    if rng.random() < DIC_SHARE:
        return _slope(rng, thickness, diameter_px), cells.labels
    return _phase(rng, thickness, diameter_px), cells.labels


def _spread(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> Adherent:
    """Draw cells one by one: a soma, drawn out or not, lobes, and processes that taper."""
    n = int(np.clip(1.1 * density * np.prod(shape_yx) / diameter_px**2, 1, 120)) + 1
    radii = 0.5 * SOMA_SHARE * diameter_px * np.clip(rng.normal(1, 0.2, n), 0.55, 1.6)
    clustering, overlap = float(rng.uniform(0, 0.9)), float(rng.uniform(0, 0.3))
    discs = shapes.place(rng, shape_yx, radii, clustering=clustering, overlap=overlap)
    longest = float(rng.choice([1.3, 2.0, 3.5]))
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


def _sheet(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> Adherent:
    """Draw a confluent sheet, or islands of one: tiles, stretched along one direction."""
    stretch = float(np.sqrt(rng.uniform(1, 2.6)))
    height, width = int(shape_yx[0] / stretch) + 2, int(shape_yx[1] * stretch) + 2
    tiles = shapes.tissue(rng, (height, width), diameter_px, 0.93 + 0.07 * density)
    rows = (np.arange(shape_yx[0]) / stretch).astype(int)
    columns = (np.arange(shape_yx[1]) * stretch).astype(int)
    labels = tiles[np.ix_(rows, columns)]
    if rng.random() < 0.5:
        labels = np.ascontiguousarray(labels.T)[: shape_yx[0], : shape_yx[1]]
        labels = np.pad(labels, [(0, s - n) for s, n in zip(shape_yx, labels.shape, strict=True)])
    land = smooth_noise(rng, shape_yx, float(rng.uniform(2, 5)) * diameter_px)
    centre_yx, radius = shapes.centres(labels)
    at = np.clip(np.rint(centre_yx), 0, np.array(shape_yx) - 1).astype(int)
    sea = float(rng.choice([-9.0, -1.0, -0.3, 0.3])) * (1.3 - density)
    labels = np.where((land[at[:, 0], at[:, 1]] > sea)[labels], labels, 0)
    n = len(radius)
    angle = rng.uniform(0, np.pi, n)
    drift = rng.normal(0, 0.15, (n, 2)) * radius[:, None]
    soma = np.column_stack(
        (centre_yx + drift, 0.8 * radius, np.sqrt(rng.uniform(1, 1.7, n)), angle)
    )
    return _renumbered(labels, soma, 0.12 * diameter_px**2)


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


def _thickness(rng: np.random.Generator, cells: Adherent, diameter_px: float) -> Image:
    """Give each cell its optical thickness, in units of a soma's, float32 ``(y, x)``."""
    labels, soma = cells.labels, cells.soma
    shape_yx = labels.shape[0], labels.shape[1]
    grid_y, grid_x = np.indices(shape_yx, dtype=np.float32)
    y, x, radius, root, angle = soma[labels].transpose(2, 0, 1)
    radius, root = np.maximum(radius, 1), np.maximum(root, 1)
    dy, dx = grid_y - y, grid_x - x
    along = (dy * np.sin(angle) + dx * np.cos(angle)) / root
    across = (dy * np.cos(angle) - dx * np.sin(angle)) * root
    away = np.hypot(along, across) / radius
    depth = shapes.depth_px(labels)
    inside = labels > 0
    flat = (1 - np.exp(-depth / (diameter_px * rng.uniform(0.03, 0.12)))) * inside
    dome = np.exp(-((away / rng.uniform(0.25, 0.9)) ** 2)) * np.minimum(depth / 2, 1)
    nucleus = 1 / (1 + np.exp(np.minimum(away - rng.uniform(0.22, 0.6), 3) * 14)) * inside
    spots = np.clip(smooth_noise(rng, shape_yx, 0.08 * diameter_px) - 1, 0, 2)
    granules = smooth_noise(rng, shape_yx, max(0.03 * diameter_px, 1.2))
    coarse = np.clip(smooth_noise(rng, shape_yx, 0.06 * diameter_px) - 0.8, 0, 2)
    ring = np.exp(-(((away - 0.8) / 0.4) ** 2)) * inside
    sheet = rng.uniform(0.15, 0.6) * flat * (1 + rng.uniform(0, 0.3) * granules)
    body = rng.uniform(0.1, 0.8) * dome + rng.uniform(-0.25, 0.4) * nucleus
    body += rng.uniform(0, 0.7) * spots * nucleus + rng.uniform(-0.3, 0.6) * coarse * ring
    body += rng.uniform(0, 0.12) * granules * dome
    edge = np.exp(-((depth / (0.03 * diameter_px + 0.6)) ** 2)) * inside
    ragged = np.clip(smooth_noise(rng, shape_yx, 0.12 * diameter_px + 1), 0, 2.5)
    body += rng.uniform(-0.4, 0.5) * edge * ragged
    own = rng.lognormal(0, rng.uniform(0.1, 0.5), len(soma))
    spread = np.clip(own, 0.2, 2.5)[labels] * (sheet + body)
    ball = np.sqrt(np.clip(1 - away**2, 0, 1)) * (1 + 0.15 * granules)
    ball = rng.uniform(1.0, 3.0) * ball + rng.uniform(-0.5, 0.8) * edge
    thickness: Image = np.where(cells.is_round[labels], ball, spread).astype(np.float32)
    return thickness


def _not_cells(rng: np.random.Generator, labels: Labels, diameter_px: float) -> Image:
    """Draw what is no cell where none is: dots, dirt, fragments and bubbles, thickness units."""
    shape_yx = labels.shape[0], labels.shape[1]
    grid_y, grid_x = np.indices(shape_yx, dtype=np.float32)
    out = np.zeros(shape_yx, np.float32)
    for _ in range(rng.poisson(rng.choice([1, 4, 15]))):
        at_y, at_x = rng.uniform((0, 0), shape_yx)
        radius = diameter_px * rng.uniform(0.02, 0.12)
        low_y, low_x = max(0, int(at_y - radius)), max(0, int(at_x - radius))
        near = np.s_[low_y : int(at_y + radius) + 2, low_x : int(at_x + radius) + 2]
        within = np.hypot(grid_y[near] - at_y, grid_x[near] - at_x) < radius
        out[near] += np.float32(rng.choice([-1, 1, 1]) * rng.uniform(0.3, 3)) * within
    for _ in range(rng.poisson(0.5)):  # bubbles: a thick rim, the middle bright
        at_y, at_x = rng.uniform((0, 0), shape_yx)
        away = np.hypot(grid_y - at_y, grid_x - at_x) / (diameter_px * rng.uniform(0.1, 0.7))
        out += (-rng.uniform(2, 5) * (away < 1) * (0.3 + away**2)).astype(np.float32)
    if rng.random() < 0.4:  # dirt: rough patches that have neither a soma nor an edge
        patch = smooth_noise(rng, shape_yx, 0.5 * diameter_px) > rng.uniform(1.5, 2.5)
        grain = smooth_noise(rng, shape_yx, 0.05 * diameter_px + 1)
        out += (rng.uniform(0.1, 0.6) * patch * grain).astype(np.float32)
    for _ in range(rng.poisson(0.7)):  # out of focus: rings
        at_y, at_x = rng.uniform((0, 0), shape_yx)
        away = np.hypot(grid_y - at_y, grid_x - at_x) / diameter_px
        waves = np.cos(away * rng.uniform(12, 30)) * np.exp(-((away / rng.uniform(0.2, 0.7)) ** 2))
        out += (rng.uniform(0.02, 0.15) * waves).astype(np.float32)
    clear = np.minimum(ndi.distance_transform_edt(labels == 0) / (0.1 * diameter_px), 1)
    drawn: Image = (out * np.maximum(clear, 0.15 * (rng.random() < 0.3))).astype(np.float32)
    return drawn


def _phase(rng: np.random.Generator, thickness: Image, diameter_px: float) -> Image:
    """Show thickness as phase contrast does: less its local mean, of either sign, saturated."""
    reach_px = diameter_px * float(np.exp(rng.uniform(np.log(0.06), np.log(0.4))))
    local = ndi.gaussian_filter(thickness, reach_px)
    shown = thickness - rng.uniform(0.6, 1.0) * local
    shown = ndi.gaussian_filter(shown, float(rng.uniform(0.4, 1.0)))
    gain = float(rng.choice([-1, 1])) * float(np.exp(rng.uniform(np.log(0.2), np.log(0.8))))
    ceiling = float(rng.uniform(0.3, 0.6))
    return np.asarray(ceiling * np.tanh(gain * shown / ceiling), np.float32)


def _slope(rng: np.random.Generator, thickness: Image, diameter_px: float) -> Image:
    """Show the slope of thickness along one direction, as DIC does."""
    smooth = ndi.gaussian_filter(thickness, float(rng.uniform(0.5, 1.2)))
    angle = rng.uniform(0, 2 * np.pi)
    down, right = np.gradient(smooth)
    slope = np.sin(angle) * down + np.cos(angle) * right
    gain = 0.04 * diameter_px * float(rng.uniform(0.5, 1.5))
    return np.asarray(0.45 * np.tanh(gain * slope / 0.45), np.float32)
