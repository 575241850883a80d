"""Label images of cell-like shapes: Voronoi tissue, blobs, budding clusters, spread cells, rods."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage as ndi
from skimage.measure import label as connected_components

from cellsam_core.simulation.optics import smooth_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Labels = NDArray[np.int32]
    Floats = NDArray[np.float32]


class Outline(NamedTuple):
    """Closed curve around a centre: an ellipse whose radius is modulated by harmonics.

    ``harmonics`` holds ``(amplitude relative to the radius, phase)`` of orders 2, 3, ...
    """

    y: float
    x: float
    radius_px: float
    elongation: float
    angle: float
    harmonics: NDArray[np.float64]


def clean(labels: Labels, min_area_px: float) -> Labels:
    """Keep the largest 4-connected part of every label and drop parts below `min_area_px`.

    Ids are kept. Input and output int32 ``(y, x)``, 0 = background.
    """
    parts = connected_components(labels, connectivity=1, background=0)
    area = np.bincount(parts.ravel())
    owner = np.zeros(len(area), dtype=np.int32)
    owner[parts.ravel()] = labels.ravel()
    largest = np.zeros(int(owner.max(initial=0)) + 1, dtype=np.int64)
    np.maximum.at(largest, owner[1:], area[1:])
    keep = (area == largest[owner]) & (area >= min_area_px)
    # Two parts of one label and one size: the later goes.
    first = np.full(len(largest), -1)
    for part in np.flatnonzero(keep)[::-1]:
        first[owner[part]] = part
    keep &= first[owner] == np.arange(len(area))
    keep[0] = False
    cleaned: Labels = np.where(keep, owner, 0).astype(np.int32)[parts]
    return cleaned


def renumber(labels: Labels) -> Labels:
    """Give the labels the ids 1..n in ascending order of the old ids."""
    ids = np.unique(labels)
    ids = ids[ids > 0]
    table = np.zeros(int(labels.max(initial=0)) + 1, dtype=np.int32)
    table[ids] = np.arange(1, len(ids) + 1)
    renumbered: Labels = table[labels]
    return renumbered


def depth_px(labels: Labels) -> Floats:
    """Compute the distance of every labelled pixel to the border of its cell, px, 0 outside."""
    edge = np.zeros(labels.shape, dtype=bool)
    for axis in (0, 1):
        low = [slice(None), slice(None)]
        high = [slice(None), slice(None)]
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        differs = labels[tuple(low)] != labels[tuple(high)]
        edge[tuple(low)] |= differs
        edge[tuple(high)] |= differs
    inner = ndi.distance_transform_edt(~edge & (labels > 0))
    depth: Floats = np.where(labels > 0, inner + 0.5, 0).astype(np.float32)
    return depth


def tissue(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> Labels:
    """Draw Voronoi-like cells with irregular borders.

    Parameters
    ----------
    diameter_px
        Mean equivalent diameter.
    density
        Fraction of sites that hold a cell, 0 to 1; 1 is confluent.
    """
    labels, distance_px, n_sites = _voronoi(rng, shape_yx, diameter_px, density, disorder=0.16)
    n = n_sites + 1
    reach = rng.uniform(0.48 + 0.35 * density, 0.62 + 0.6 * density, size=n) * diameter_px
    labels[distance_px > reach[labels]] = 0
    return part(labels, float(rng.choice([0.0, 0.0, 0.8, 1.6])), diameter_px)


def signed_distance_px(labels: Labels) -> Floats:
    """Compute the distance to the nearest cell border: negative inside cells, positive outside."""
    outside = ndi.distance_transform_edt(labels == 0).astype(np.float32)
    signed: Floats = np.where(labels > 0, -depth_px(labels), outside - 0.5)
    return signed


def sheet(
    rng: np.random.Generator,
    shape_yx: tuple[int, int],
    diameter_px: float,
    density: float,
    disorder: float,
) -> Labels:
    """Draw cells that fill the plane, as an epithelium does.

    Parameters
    ----------
    diameter_px
        Mean equivalent diameter where `density` is 1.
    density
        Fraction of sites that hold a cell, 0 to 1; the fewer there are, the larger are the
        cells beside an empty site.
    disorder
        Standard deviation of the sites' places, in cell diameters; 0 is a honeycomb.
    """
    labels, _, _ = _voronoi(rng, shape_yx, diameter_px, density, disorder=disorder)
    return part(labels, 0.0, diameter_px)


def part(labels: Labels, gap_px: float, diameter_px: float) -> Labels:
    """Leave a gap around all cells, drop those that are slivers, and number the others."""
    if gap_px:
        labels = np.where(depth_px(labels) <= gap_px, 0, labels).astype(np.int32)
    return renumber(clean(labels, 0.12 * diameter_px**2))


def _voronoi(
    rng: np.random.Generator,
    shape_yx: tuple[int, int],
    diameter_px: float,
    density: float,
    *,
    disorder: float,
) -> tuple[Labels, NDArray[np.float64], int]:
    """Divide the plane among the nearest of sites.

    Returns
    -------
    tuple
        Labels, distance of each pixel to the site of its cell in pixels, and number of sites.
    """
    pad = int(0.6 * diameter_px) + 2
    size_y, size_x = (n + 2 * pad for n in shape_yx)
    pitch = 0.98 * diameter_px
    rows, columns = np.mgrid[0 : size_y + pitch : 0.87 * pitch, 0 : size_x + pitch : pitch]
    columns = columns + 0.5 * pitch * (np.arange(rows.shape[0])[:, None] % 2)
    sites = np.stack([rows.ravel(), columns.ravel()], axis=1)
    sites += rng.normal(0, disorder * pitch, size=sites.shape)
    yx = np.rint(sites).astype(int)
    yx = yx[((yx >= 0) & (yx < (size_y, size_x))).all(axis=1) & (rng.random(len(yx)) < density)]
    seeds = np.zeros((size_y, size_x), dtype=np.int32)
    seeds[yx[:, 0], yx[:, 1]] = np.arange(1, len(yx) + 1)
    distance, (near_y, near_x) = ndi.distance_transform_edt(seeds == 0, return_indices=True)

    # Looking the diagram up at displaced positions bends the straight Voronoi borders.
    warp_y, warp_x = (
        0.08 * diameter_px * smooth_noise(rng, shape_yx, 0.45 * diameter_px)
        + 0.02 * diameter_px * smooth_noise(rng, shape_yx, 0.15 * diameter_px + 2)
        for _ in range(2)
    )
    grid_y, grid_x = np.indices(shape_yx)
    at_y = np.clip(np.rint(grid_y + pad + warp_y), 0, size_y - 1).astype(int)
    at_x = np.clip(np.rint(grid_x + pad + warp_x), 0, size_x - 1).astype(int)
    return seeds[near_y[at_y, at_x], near_x[at_y, at_x]], distance[at_y, at_x], len(yx)


def place(
    rng: np.random.Generator,
    shape_yx: tuple[int, int],
    radii_px: NDArray[np.float64],
    *,
    clustering: float,
    overlap: float,
) -> NDArray[np.float64]:
    """Place discs one by one so that they hardly overlap.

    Parameters
    ----------
    clustering
        Probability that a disc is put against one already there.
    overlap
        Tolerated overlap as a fraction of the sum of two radii.

    Returns
    -------
    ``(n, 3)`` float64: y, x, radius of the discs that found a place.
    """
    discs = np.empty((0, 3))
    n_tries = 24
    for radius in radii_px:
        yx = rng.uniform(-0.3 * radius, np.array(shape_yx) + 0.3 * radius, size=(n_tries, 2))
        if len(discs) and rng.random() < clustering:
            partner = discs[rng.integers(len(discs), size=n_tries)]
            angle = rng.uniform(0, 2 * np.pi, size=n_tries)
            reach = (partner[:, 2] + radius) * rng.uniform(1 - overlap, 1.06, size=n_tries)
            yx = partner[:, :2] + reach[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
        inside = ((yx > -0.3 * radius) & (yx < np.array(shape_yx) + 0.3 * radius)).all(axis=1)
        apart = np.hypot(*(yx[:, None, :] - discs[None, :, :2]).transpose(2, 0, 1))
        fits = inside & (apart >= (1 - overlap) * (discs[None, :, 2] + radius)).all(axis=1)
        if fits.any():
            discs = np.vstack([discs, [*yx[int(np.argmax(fits))], radius]])
    return discs


def outline(
    rng: np.random.Generator, disc: NDArray[np.float64], *, elongation: float, roughness: float
) -> Outline:
    """Draw an irregular outline around a disc ``(y, x, radius)``; `roughness` 0 is an ellipse."""
    orders = np.arange(2, 8)
    amplitude = roughness * rng.normal(0, 1, size=len(orders)) / orders**0.9
    phase = rng.uniform(0, 2 * np.pi, size=len(orders))
    angle = float(rng.uniform(0, np.pi))
    y, x, radius = (float(v) for v in disc)
    return Outline(y, x, radius, elongation, angle, np.stack([amplitude, phase], axis=1))


def stamp(labels: Labels, shape: Outline, value: int, *, where: int) -> None:
    """Write `value` inside an outline, only on pixels that hold `where`. Changes `labels`."""
    window, relative = relative_radius(shape, (labels.shape[0], labels.shape[1]))
    pixels = labels[window]
    pixels[(relative <= 1) & (pixels == where)] = value


def relative_radius(
    shape: Outline, shape_yx: tuple[int, int]
) -> tuple[tuple[slice, slice], NDArray[np.float64]]:
    """Compute the distance from the centre over that of the outline in the same direction.

    Returns
    -------
    window
        The part of an image of `shape_yx` that the outline can reach; empty if none.
    relative
        float64, of the window's size: below 1 inside the outline.
    """
    modulation = min(1 + float(np.abs(shape.harmonics[:, 0]).sum()), 2.2)
    reach = shape.radius_px * np.sqrt(shape.elongation) * modulation + 1
    start_y, start_x = (
        min(max(int(c - reach), 0), n) for c, n in zip((shape.y, shape.x), shape_yx, strict=True)
    )
    stop_y, stop_x = (
        min(max(int(c + reach) + 2, 0), n)
        for c, n in zip((shape.y, shape.x), shape_yx, strict=True)
    )
    dy = np.arange(start_y, stop_y)[:, None] - shape.y
    dx = np.arange(start_x, stop_x)[None, :] - shape.x
    along = (dy * np.sin(shape.angle) + dx * np.cos(shape.angle)) / np.sqrt(shape.elongation)
    across = (dy * np.cos(shape.angle) - dx * np.sin(shape.angle)) * np.sqrt(shape.elongation)
    radius = np.hypot(along, across)
    limit = np.ones_like(radius)
    if shape.harmonics[:, 0].any():
        # sum of a_k cos(k t + p_k) as a polynomial in exp(i t): far cheaper than cosines.
        direction = (along + 1j * across) / np.maximum(radius, 1e-6)
        amplitude, phase = shape.harmonics.T
        total = np.zeros_like(direction)
        for coefficient in (amplitude * np.exp(1j * phase))[::-1]:
            total = (total + coefficient) * direction
        limit += (total * direction).real
    relative = radius / (shape.radius_px * np.clip(limit, 0.3, 2.2))
    return (slice(start_y, stop_y), slice(start_x, stop_x)), relative


def compete(outlines: dict[int, Outline], shape_yx: tuple[int, int]) -> Labels:
    """Draw outlines by label; where they overlap, a pixel goes to the relatively nearer centre."""
    labels = np.zeros(shape_yx, dtype=np.int32)
    nearest = np.ones(shape_yx)
    for value, shape in outlines.items():
        window, relative = relative_radius(shape, shape_yx)
        closer = relative < nearest[window]
        nearest[window][closer] = relative[closer]
        labels[window][closer] = value
    return clean(labels, 1)


def blobs(
    rng: np.random.Generator,
    discs: NDArray[np.float64],
    shape_yx: tuple[int, int],
    *,
    elongation: float,
    roughness: float,
) -> Labels:
    """Draw one irregular blob a disc; `elongation` is the largest ratio of axes."""
    labels = np.zeros(shape_yx, dtype=np.int32)
    for value, disc in enumerate(discs, start=1):
        ratio = float(rng.uniform(1, elongation))
        stamp(labels, outline(rng, disc, elongation=ratio, roughness=roughness), value, where=0)
    smallest = float(discs[:, 2].min()) if len(discs) else 1.0
    return renumber(clean(labels, max(0.7 * smallest**2, 6)))


def scatter(
    rng: np.random.Generator,
    shape_yx: tuple[int, int],
    diameter_px: float,
    density: float,
    *,
    elongation: tuple[float, float],
    roughness: tuple[float, float],
) -> Labels:
    """Draw single and touching cells of one kind.

    Parameters
    ----------
    diameter_px
        Mean diameter.
    density
        0 (a few cells) to 1 (crowded).
    elongation, roughness
        Smallest and largest value of the kind, see :func:`blobs`.
    """
    n = int(np.clip(1.1 * density * np.prod(shape_yx) / diameter_px**2, 1, 350)) + 1
    radii = 0.5 * diameter_px * np.clip(rng.normal(1, 0.14, size=n), 0.6, 1.5)
    discs = place(rng, shape_yx, radii, clustering=float(rng.uniform(0, 0.9)), overlap=0.15)
    return blobs(
        *(rng, discs, shape_yx),
        elongation=rng.uniform(*elongation),
        roughness=rng.uniform(*roughness),
    )


def nuclei(rng: np.random.Generator, labels: Labels, *, fraction: float, missing: float) -> Labels:
    """Draw a nucleus in every cell, with the id of its cell.

    Parameters
    ----------
    fraction
        Diameter of the nucleus over that of the cell.
    missing
        Probability that the plane misses the nucleus of a cell.
    """
    out = np.where(labels > 0, -labels, 0).astype(np.int32)
    centre_yx, radius_px = centres(labels)
    for value in range(1, len(radius_px)):
        if radius_px[value] == 0 or rng.random() < missing:
            continue
        radius = radius_px[value] * fraction * rng.uniform(0.85, 1.15)
        yx = centre_yx[value] + rng.normal(0, 0.12 * radius_px[value], size=2)
        disc = np.array([*yx, max(radius, 1.5)])
        shape = outline(rng, disc, elongation=float(rng.uniform(1, 1.5)), roughness=0.05)
        stamp(out, shape, value, where=-value)
    return clean(np.maximum(out, 0), 4)


def centres(labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute centroids ``(n + 1, 2)`` (y, x) and equivalent radii ``(n + 1,)``, px, by label."""
    flat = labels.ravel()
    area = np.bincount(flat)
    grid = np.indices(labels.shape).reshape(2, -1)
    sums = np.stack([np.bincount(flat, weights=g) for g in grid], axis=1)
    radius = np.sqrt(area / np.pi)
    radius[0] = 0
    return sums / np.maximum(area, 1)[:, None], radius


def rods(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> Labels:
    """Draw bacteria: capsules of aspect 2 to 6, single and in aligned microcolonies.

    A colony is a brick wall of capsules in a rotated, bent frame: neighbours lie side by
    side and end to end, as after several divisions.
    """
    aspect = float(rng.uniform(2.2, 5.0))
    width = max(diameter_px * np.sqrt(np.pi / (4 * aspect)), 3.0)
    labels = np.zeros(shape_yx, dtype=np.int32)
    extent = float(np.mean(shape_yx))
    colonies = int(rng.integers(1, 4)) if density > 0.35 else int(rng.random() < 0.5)
    for _ in range(colonies):
        radius = float(rng.uniform(0.12, 0.2 + 0.45 * density)) * extent
        wall = _brick_wall(rng, shape_yx, width, aspect, radius)
        labels = np.where((labels == 0) & (wall > 0), wall + labels.max(), labels)
    n_single = int(density * rng.uniform(0.2, 1) * 0.15 * np.prod(shape_yx) / diameter_px**2) + 1
    for _ in range(min(n_single, 150)):
        lone = _capsule(rng, shape_yx, width, float(rng.uniform(2, 6)))
        if lone is None:
            continue
        window, inside = lone
        if labels[window][inside].any():
            continue
        labels[window][inside] = labels.max() + 1
    return renumber(clean(labels.astype(np.int32), 0.25 * diameter_px**2))


def _brick_wall(
    rng: np.random.Generator,
    shape_yx: tuple[int, int],
    width: float,
    aspect: float,
    radius: float,
) -> Labels:
    centre = rng.uniform(0.1, 0.9, size=2) * shape_yx
    angle = rng.uniform(0, np.pi)
    grid_y, grid_x = np.indices(shape_yx, dtype=np.float32)
    dy, dx = grid_y - centre[0], grid_x - centre[1]
    along = dy * np.sin(angle) + dx * np.cos(angle)
    across = dy * np.cos(angle) - dx * np.sin(angle)
    # Two shears bend the wall but, unlike a free warp, leave the width of the rods nearly alone.
    across = across + _wave(rng, along, 2.5 * aspect * width, slope=0.35)
    along = along + _wave(rng, across, 6 * width, slope=0.25)
    pitch = width * float(rng.uniform(1.0, 1.25))
    row = np.floor(across / pitch).astype(int)
    first_row = int(row.min())
    labels = np.zeros(shape_yx, dtype=np.int32)
    value = 0
    for r in range(max(first_row, int(-radius / pitch)), int(radius / pitch) + 1):
        in_row = row == r
        if not in_row.any():
            continue
        end = -radius - rng.uniform(0, aspect) * width
        off = across[in_row] - (r + 0.5) * pitch
        v = along[in_row]
        drawn = np.zeros(len(v), dtype=np.int32)
        while end < radius:
            length = width * aspect * float(rng.uniform(0.7, 1.35))
            middle = end + length / 2
            end += length + float(rng.uniform(0.0, 0.35)) * width
            value += 1
            reach = np.hypot(middle, (r + 0.5) * pitch) / radius
            if reach > rng.uniform(0.75, 1.0) or rng.random() < 0.04:
                continue
            beyond = np.maximum(np.abs(v - middle) - (length - width) / 2, 0)
            drawn[np.hypot(beyond, off) <= 0.48 * width] = value
        labels[in_row] = drawn
    return labels


def _wave(
    rng: np.random.Generator, position: Floats, wavelength_px: float, *, slope: float
) -> Floats:
    """Add three sines of random phase, of wavelengths 1 to 3 times `wavelength_px`."""
    wave = np.zeros_like(position)
    for stretch in rng.uniform(1, 3, size=3):
        k = 2 * np.pi / (stretch * wavelength_px)
        amplitude = slope * rng.normal() / (np.sqrt(3) * k)
        wave += np.float32(amplitude) * np.sin(np.float32(k) * position + rng.uniform(0, 2 * np.pi))
    return wave


def _capsule(
    rng: np.random.Generator, shape_yx: tuple[int, int], width: float, aspect: float
) -> tuple[tuple[slice, slice], NDArray[np.bool_]] | None:
    centre_y, centre_x = rng.uniform((0, 0), shape_yx)
    angle = rng.uniform(0, np.pi)
    half = width * (aspect - 1) / 2
    reach = half + width
    window = (
        slice(max(int(centre_y - reach), 0), min(int(centre_y + reach) + 1, shape_yx[0])),
        slice(max(int(centre_x - reach), 0), min(int(centre_x + reach) + 1, shape_yx[1])),
    )
    dy = np.arange(window[0].start, window[0].stop)[:, None] - centre_y
    dx = np.arange(window[1].start, window[1].stop)[None, :] - centre_x
    along = dy * np.sin(angle) + dx * np.cos(angle)
    # A slight bend: real rods are rarely straight.
    bow = rng.normal(0, 0.06) * width * (along / max(half, 1)) ** 2
    across = dy * np.cos(angle) - dx * np.sin(angle) - bow
    inside = np.hypot(np.maximum(np.abs(along) - half, 0), across) <= width / 2
    return (window, inside) if inside.any() else None
