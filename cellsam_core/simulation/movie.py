"""Synthetic live-cell movies: a ratiometric reporter, a nuclear marker and the whole truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage as ndi

from cellsam_core.simulation.optics import expose, illumination, smooth_noise
from cellsam_core.simulation.population import Cell, Division, Population
from cellsam_core.simulation.shapes import Outline, clean, compete, depth_px, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from cellsam_core.simulation.options import MovieOptions

    Image = NDArray[np.float32]
    Labels = NDArray[np.int32]

CHANNELS = ("H2B", "AMPKAR_480", "AMPKAR_405")
OFFSET_COUNTS = 100.0
FULL_COUNTS = 1500.0  # a cell of median expression, per channel
MEDIUM_COUNTS = 120.0
READ_NOISE_COUNTS = 6.0
# Share of brightness lost in each frame.
BLEACHING = {"H2B": 0.004, "AMPKAR_480": 0.010, "AMPKAR_405": 0.008}
PSF_PX = 0.9


class CellTruth(NamedTuple):
    """One cell in one frame: id, true reporter ratio, relative expression, area in px."""

    track_id: int
    ratio: float
    expression: float
    area_px: int


class Frame(NamedTuple):
    """One frame.

    Attributes
    ----------
    images
        Channel -> uint16 ``(y, x)``, in camera counts.
    labels, nucleus_labels
        int32 ``(y, x)``; the value is the track id.
    cells
        Every visible cell, by ascending id.
    divisions
        Births whose first frame is this one.
    """

    images: dict[str, NDArray[np.uint16]]
    labels: Labels
    nucleus_labels: Labels
    cells: list[CellTruth]
    divisions: list[Division]


def true_ratio(traits: NDArray[np.float64], frame: int, drug_frame: int) -> float:
    """Compute the reporter ratio of a cell: at rest, then rising exponentially after a delay.

    ``R(t) = R0 (1 + A (1 - exp(-(t - t_drug - delay + 1) / tau)))``; `traits` are
    expression, R0, A, delay and tau, times in frames.
    """
    _, rest, amplitude, delay, rise = (float(t) for t in traits)
    elapsed = max(frame - drug_frame + 1 - delay, 0.0)
    return rest * (1 + amplitude * (1 - float(np.exp(-elapsed / rise))))


def iter_frames(rng: np.random.Generator, options: MovieOptions) -> Iterator[Frame]:
    """Yield the frames of a movie; same `rng` state and `options`, same frames.

    Cells that leave the view never come back, so every track is gapless.
    """
    shape_yx = (options.size_px, options.size_px)
    population = _population(rng, options)
    gain = illumination(rng, shape_yx, 0.15)
    medium = {c: illumination(rng, shape_yx, 0.4) for c in CHANNELS}
    texture = smooth_noise(
        rng, (2 * options.size_px, 2 * options.size_px), 0.08 * options.diameter_px
    )
    seen = 0
    for number in range(options.frames):
        if number:
            population.advance()
        labels = _draw_labels(population, shape_yx)
        nucleus_labels = _draw_nuclei(population, labels)
        scenes = _scenes(population, labels, nucleus_labels, texture, options.drug_frame)
        images = {
            c: _camera(rng, scenes[c], gain, medium[c], (1 - BLEACHING[c]) ** number)
            for c in CHANNELS
        }
        area = np.bincount(labels.ravel(), minlength=population.next_id)
        cells = [
            CellTruth(
                c.track_id,
                true_ratio(c.traits, number, options.drug_frame),
                float(c.traits[0]),
                int(area[c.track_id]),
            )
            for c in sorted(population.cells, key=lambda c: c.track_id)
        ]
        yield Frame(images, labels, nucleus_labels, cells, population.divisions[seen:])
        seen = len(population.divisions)


def simulate_labels(
    rng: np.random.Generator, options: MovieOptions
) -> Iterator[tuple[Labels, list[Division]]]:
    """Yield only the label images, each with the births whose first frame it is.

    Ten times as fast as :func:`iter_frames`; the two differ in the random numbers drawn.
    """
    population = _population(rng, options)
    seen = 0
    for number in range(options.frames):
        if number:
            population.advance()
        labels = _draw_labels(population, (options.size_px, options.size_px))
        yield labels, population.divisions[seen:]
        seen = len(population.divisions)


def _population(rng: np.random.Generator, options: MovieOptions) -> Population:
    return Population(
        rng,
        (options.size_px, options.size_px),
        n_cells=options.cells,
        diameter_px=options.diameter_px,
        cycle_frames=options.cycle_frames,
        division=options.division,
    )


def _draw_labels(population: Population, shape_yx: tuple[int, int]) -> Labels:
    """Draw the label image; cells of which hardly anything is in view leave the population."""
    labels = compete({c.track_id: population.outline(c) for c in population.cells}, shape_yx)
    area = np.bincount(labels.ravel(), minlength=population.next_id)
    smallest = 0.03 * np.pi * population.final_area
    gone = [c.track_id for c in population.cells if area[c.track_id] < smallest]
    population.cells = [c for c in population.cells if c.track_id not in gone]
    labels[np.isin(labels, gone)] = 0
    return labels


def _draw_nuclei(population: Population, labels: Labels) -> Labels:
    nuclei = (-labels).astype(np.int32)
    for cell in population.cells:
        stamp(nuclei, _nucleus(population, cell), cell.track_id, where=-cell.track_id)
    return clean(np.maximum(nuclei, 0), 1)


def _nucleus(population: Population, cell: Cell) -> Outline:
    """Outline the nucleus: a plate across the axis just before division, small just after."""
    radius = cell.radius_px(population.frame)
    size, elongation, angle = 0.55 * radius, 1.25, cell.axis
    if population.division == "budding":
        size, elongation = 0.45 * radius, 1.1
    elif population.in_mitosis(cell):
        size, elongation, angle = 0.42 * radius, 2.6, cell.axis + np.pi / 2
    elif _telophase(population, cell):
        size, elongation = 0.45 * radius, 1.6
    offset = 0.08 * radius * np.array([np.sin(cell.track_id), np.cos(cell.track_id)])
    y, x = (float(v) for v in cell.yx + offset)
    return Outline(y, x, size, elongation, angle, 0.3 * cell.harmonics)


def _telophase(population: Population, cell: Cell) -> bool:
    return (
        population.division == "mitosis" and cell.parent_id > 0 and cell.age(population.frame) == 0
    )


def _scenes(
    population: Population,
    labels: Labels,
    nucleus_labels: Labels,
    texture: Image,
    drug_frame: int,
) -> dict[str, Image]:
    """Compute the expected brightness by channel; 1 = a cell of median expression."""
    n = population.next_id
    expression, ratio, chromatin = (np.zeros(n, dtype=np.float32) for _ in range(3))
    shift = np.zeros((n, 2), dtype=int)
    limit = np.array(texture.shape) - 1
    for cell in population.cells:
        rounded = 1.35 if population.in_mitosis(cell) or _telophase(population, cell) else 1.0
        expression[cell.track_id] = cell.traits[0] * rounded
        ratio[cell.track_id] = true_ratio(cell.traits, population.frame, drug_frame)
        chromatin[cell.track_id] = (2.2 if rounded > 1 else 1.0) * cell.traits[0] ** 0.5
        # Texture travels with the cell.
        shift[cell.track_id] = np.rint(cell.yx) - 37 * cell.track_id
    grid_y, grid_x = np.indices(labels.shape)
    at = [(g - shift[labels, axis]) % limit[axis] for axis, g in enumerate((grid_y, grid_x))]
    mottle = np.clip(1 + 0.12 * texture[at[0], at[1]], 0.4, 1.6)
    radius = np.sqrt(population.final_area)
    thickness = 0.35 + 0.65 * np.minimum(depth_px(labels) / (0.5 * radius), 1)
    cytosol = expression[labels] * thickness * mottle * np.where(nucleus_labels > 0, 0.75, 1.0)
    dome = 0.5 + 0.5 * np.minimum(depth_px(nucleus_labels) / (0.2 * radius), 1)
    blotch = np.clip(1 + 0.25 * texture[at[1], at[0]], 0.4, 1.8)
    return {
        "H2B": (chromatin[nucleus_labels] * dome * blotch).astype(np.float32),
        "AMPKAR_480": (cytosol * ratio[labels]).astype(np.float32),
        "AMPKAR_405": cytosol.astype(np.float32),
    }


def _camera(
    rng: np.random.Generator, scene: Image, gain: Image, medium: Image, bleaching: float
) -> NDArray[np.uint16]:
    """Photograph a scene with blur, vignetting, medium and noise; a photon is one count."""
    light = FULL_COUNTS * bleaching * ndi.gaussian_filter(scene, PSF_PX) * gain
    light += MEDIUM_COUNTS * medium
    counts = expose(rng, light, photons=1.0, read_noise=READ_NOISE_COUNTS) + OFFSET_COUNTS
    stored: NDArray[np.uint16] = np.clip(np.rint(counts), 0, 65535).astype(np.uint16)
    return stored
