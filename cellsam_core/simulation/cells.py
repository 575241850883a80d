"""Synthetic fields of cells with labels: training images that broaden a network's domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage as ndi

from cellsam_core.simulation import shapes
from cellsam_core.simulation.adherent import adherent
from cellsam_core.simulation.membranes import membranes
from cellsam_core.simulation.multiplex import multiplex
from cellsam_core.simulation.optics import debris, expose, illumination, smooth_noise
from cellsam_core.simulation.organelles import organelles
from cellsam_core.simulation.suspended import suspended

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Labels = NDArray[np.int32]

STYLES = (
    *("tissue", "fluo", "phase", "rods", "stained"),
    *("adherent", "multiplex", "membranes", "suspended", "organelles"),
)


class Field(NamedTuple):
    """A rendered field.

    Attributes
    ----------
    image
        float32 ``(2, y, x)``: nuclear and cell channel, bright parts near 1, noise may be
        below 0. The nuclear channel is all 0 where the style has no nuclear stain.
    labels
        int32 ``(y, x)``: cells 1..n, each one 4-connected region.
    nucleus_labels
        int32 ``(y, x)``: a nucleus has the id of its cell; all 0 without nuclear stain.
    """

    image: Image
    labels: Labels
    nucleus_labels: Labels


def render_field(
    rng: np.random.Generator,
    shape_yx: tuple[int, int] = (256, 256),
    *,
    style: str,
    diameter_px: float,
    density: float | None = None,
) -> Field:
    """Draw a field of cells; all randomness comes from `rng`.

    Parameters
    ----------
    style
        ``tissue`` (membrane or polyT stain over nuclei), ``fluo`` (reporter-bearing single
        and touching cells), ``phase`` (budding yeast or spread mammalian cells in
        phase contrast or bright field), ``rods`` (bacteria) or ``stained`` (dark nuclei of a
        section in transmitted light, as haematoxylin shows them), ``adherent`` (animal cells
        in phase contrast or DIC: spread, in sheets, and round ones among them), ``multiplex``
        (tissue with a nuclear stain and a membrane stain of some cells), ``membranes`` (a
        membrane stain alone), ``suspended`` (round bodies in transmitted light) or
        ``organelles`` (cells whose reporter shows organelles or fibres).
    diameter_px
        Mean diameter of the circle of a cell's area.
    density
        0 (a few cells) to 1 (crowded); drawn from `rng` if None.

    Raises
    ------
    ValueError
        `style` is none of `STYLES`.
    """
    if density is None:
        density = float(rng.uniform(0.05, 1.0))
    if style == "tissue":
        return _tissue(rng, shape_yx, diameter_px, density)
    if style == "fluo":
        return _fluo(rng, shape_yx, diameter_px, density)
    if style == "phase":
        draw = _yeast if rng.random() < 0.55 else _spread
        return _one_plane(draw(rng, shape_yx, diameter_px, density))
    if style == "rods":
        return _one_plane(_rods(rng, shape_yx, diameter_px, density))
    if style == "stained":
        return _one_plane(_section(rng, shape_yx, diameter_px, density))
    if style == "adherent":
        drawn = adherent(rng, shape_yx, diameter_px, density)
        return _one_plane(_lit_through(rng, drawn, diameter_px, psf_px=(0.3, 0.9)))
    if style == "multiplex":
        return _multiplex(rng, shape_yx, diameter_px, density)
    if style == "membranes":
        drawn = membranes(rng, shape_yx, diameter_px, density)
        return _one_plane(_shining(rng, drawn, diameter_px))
    if style == "organelles":
        drawn = organelles(rng, shape_yx, diameter_px, density)
        return _one_plane(_shining(rng, drawn, diameter_px))
    if style == "suspended":
        drawn = suspended(rng, shape_yx, diameter_px, density)
        return _one_plane(_lit_through(rng, drawn, diameter_px, psf_px=(0.4, 1.5)))
    raise ValueError(f"style {style!r} is none of {', '.join(STYLES)}")


def _one_plane(drawn: tuple[Image, Labels]) -> Field:
    image, labels = drawn
    return Field(
        np.stack([np.zeros_like(image), image]).astype(np.float32), labels, np.zeros_like(labels)
    )


def _brightness(rng: np.random.Generator, labels: Labels, spread: float) -> Image:
    """Per-cell factors, log-normal with median 1, painted on the cells; 0 outside."""
    factor = rng.lognormal(0, spread, size=int(labels.max(initial=0)) + 1).astype(np.float32)
    factor[0] = 0
    painted: Image = np.minimum(factor, 3)[labels]
    return painted


def photograph(
    rng: np.random.Generator, scene: Image, *, diameter_px: float, psf_px: float
) -> Image:
    """Blur, uneven light, background with out-of-focus specks, noise."""
    shape_yx = scene.shape[0], scene.shape[1]
    scene = ndi.gaussian_filter(scene, psf_px)
    if rng.random() < 0.4:
        haze = (
            0.3
            * rng.random()
            * debris(rng, shape_yx, n=int(rng.integers(1, 6)), sigma_px=0.5 * diameter_px)
        )
        scene = scene + haze.astype(np.float32)
    background = np.float32(rng.choice([0.01, 0.03, 0.08, 0.2]))
    scene = (scene + background) * illumination(rng, shape_yx, float(rng.uniform(0, 0.35)))
    photons = float(np.exp(rng.uniform(np.log(25), np.log(1500))))
    return expose(rng, scene, photons=photons, read_noise=float(rng.uniform(0.5, 3)))


def nuclear_scene(rng: np.random.Generator, nucleus_labels: Labels, diameter_px: float) -> Image:
    """Chromatin: blotchy, each nucleus with its own brightness, rounded towards the rim."""
    shape_yx = nucleus_labels.shape[0], nucleus_labels.shape[1]
    blotch = smooth_noise(rng, shape_yx, max(0.09 * diameter_px, 1.2))
    dome = np.minimum(shapes.depth_px(nucleus_labels) / (0.12 * diameter_px + 1), 1)
    texture = np.clip(1 + rng.uniform(0.05, 0.35) * blotch, 0.2, 2)
    scene: Image = 0.8 * _brightness(rng, nucleus_labels, rng.uniform(0.1, 0.5)) * texture
    domed: Image = scene * (0.5 + 0.5 * dome)
    return domed


def _tissue(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> Field:
    labels = shapes.tissue(rng, shape_yx, diameter_px, density)
    nucleus_labels = shapes.nuclei(
        rng, labels, fraction=float(rng.uniform(0.4, 0.85)), missing=float(rng.uniform(0, 0.15))
    )
    nuclear = nuclear_scene(rng, nucleus_labels, diameter_px)
    stain = membrane_scene if rng.random() < 0.5 else polyt_scene
    cell = stain(rng, labels, nucleus_labels, diameter_px)
    if rng.random() < 0.3:  # bleed-through of one stain into the other's channel
        cell = cell + np.float32(rng.uniform(0.05, 0.4)) * nuclear
    psf_px = float(rng.uniform(0.5, max(0.06 * diameter_px, 0.8)))
    channels = [photograph(rng, s, diameter_px=diameter_px, psf_px=psf_px) for s in (nuclear, cell)]
    return Field(np.stack(channels), labels, nucleus_labels)


def _multiplex(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> Field:
    scenes, labels, nucleus_labels = multiplex(rng, shape_yx, diameter_px, density)
    psf_px = float(rng.uniform(0.5, max(0.06 * diameter_px, 0.8)))
    channels = [photograph(rng, s, diameter_px=diameter_px, psf_px=psf_px) for s in scenes]
    return Field(np.stack(channels), labels, nucleus_labels)


def _shining(
    rng: np.random.Generator, drawn: tuple[Image, Labels], diameter_px: float
) -> tuple[Image, Labels]:
    """Photograph the scene of one stain."""
    scene, labels = drawn
    psf_px = float(rng.uniform(0.4, np.clip(0.05 * diameter_px, 0.8, 2.5)))
    return photograph(rng, scene, diameter_px=diameter_px, psf_px=psf_px), labels


def membrane_scene(
    rng: np.random.Generator, labels: Labels, nucleus_labels: Labels, diameter_px: float
) -> Image:
    """Membrane stain: bright borders of uneven thickness with gaps, a little cytoplasm."""
    shape_yx = labels.shape[0], labels.shape[1]
    thickness = max(0.05 * diameter_px * rng.uniform(0.6, 1.6), 0.9)
    uneven = thickness * np.exp(0.3 * smooth_noise(rng, shape_yx, 0.4 * diameter_px))
    ring = np.exp(-((shapes.depth_px(labels) / uneven) ** 2)) * (labels > 0)
    gaps = 1 / (1 + np.exp(-3 * (smooth_noise(rng, shape_yx, 0.6 * diameter_px) + 1.1)))
    interior = rng.uniform(0, 0.35) * (nucleus_labels == 0)
    scene: Image = _brightness(rng, labels, rng.uniform(0.1, 0.45)) * (ring * gaps + interior)
    return scene.astype(np.float32)


def polyt_scene(
    rng: np.random.Generator, labels: Labels, nucleus_labels: Labels, diameter_px: float
) -> Image:
    """PolyT stain: granular, brightest near the middle, some cells nearly dark."""
    shape_yx = labels.shape[0], labels.shape[1]
    centre_yx, radius_px = shapes.centres(labels)
    grid_y, grid_x = np.indices(shape_yx, dtype=np.float32)
    away = np.hypot(grid_y - centre_yx[labels, 0], grid_x - centre_yx[labels, 1])
    away /= np.maximum(radius_px, 1)[labels]
    falloff = 0.35 + np.exp(-((away / rng.uniform(0.5, 1.1)) ** 2))
    grain = np.clip(1 + rng.uniform(0.1, 0.4) * smooth_noise(rng, shape_yx, 1.5), 0.1, 2.5)
    clumps = np.clip(1 + 0.25 * smooth_noise(rng, shape_yx, 0.15 * diameter_px), 0.2, 2)
    rim = np.minimum(shapes.depth_px(labels) / (0.08 * diameter_px + 0.5), 1)
    nuclear = np.where(nucleus_labels > 0, rng.uniform(0.3, 1.3), 1)
    amount = _brightness(rng, labels, rng.uniform(0.15, 0.6))
    scene: Image = 0.6 * amount * falloff * grain * clumps * nuclear * (0.3 + 0.7 * rim)
    return scene.astype(np.float32)


def _fluo(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> Field:
    labels = shapes.scatter(
        rng, shape_yx, diameter_px, density, elongation=(1.2, 2.4), roughness=(0.02, 0.16)
    )
    nucleus_labels = shapes.nuclei(rng, labels, fraction=float(rng.uniform(0.45, 0.7)), missing=0)
    nuclear = nuclear_scene(rng, nucleus_labels, diameter_px)
    thick = np.minimum(shapes.depth_px(labels) / (rng.uniform(0.05, 0.35) * diameter_px + 0.5), 1)
    mottle = np.clip(1 + 0.15 * smooth_noise(rng, shape_yx, 0.12 * diameter_px), 0.3, 2)
    # A reporter is excluded from, even in, or concentrated in the nucleus.
    inside = np.where(nucleus_labels > 0, rng.choice([0.25, 0.6, 1.0, 1.8]), 1)
    cell = 0.7 * _brightness(rng, labels, rng.uniform(0.1, 0.7)) * mottle * inside
    cell = (cell * (0.25 + 0.75 * thick)).astype(np.float32)
    psf_px = float(rng.uniform(0.5, max(0.07 * diameter_px, 0.8)))
    channels = [photograph(rng, s, diameter_px=diameter_px, psf_px=psf_px) for s in (nuclear, cell)]
    return Field(np.stack(channels), labels, nucleus_labels)


def _transmitted(
    rng: np.random.Generator, contrast: Image, *, diameter_px: float, psf_px: float
) -> Image:
    """Photograph `contrast` (around 0) on the grey field of a transmitted-light image."""
    shape_yx = contrast.shape[0], contrast.shape[1]
    grey = float(rng.uniform(0.25, 0.6))
    grain = 0.02 * rng.random() * smooth_noise(rng, shape_yx, float(rng.uniform(2, 8)))
    specks = debris(rng, shape_yx, n=int(rng.integers(0, 5)), sigma_px=0.06 * diameter_px + 0.7)
    specks = specks - debris(rng, shape_yx, n=int(rng.integers(0, 5)), sigma_px=1.2)
    contrast = ndi.gaussian_filter(contrast + 0.15 * specks, psf_px)
    scene = grey * illumination(rng, shape_yx, float(rng.uniform(0, 0.15))) + contrast + grain
    photons = float(np.exp(rng.uniform(np.log(150), np.log(5000))))
    return expose(rng, scene.astype(np.float32), photons=photons, read_noise=2.0)


def _yeast(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> tuple[Image, Labels]:
    n = int(np.clip(1.2 * density * np.prod(shape_yx) / diameter_px**2, 1, 250)) + 1
    # About a third of the cells are buds, smaller than the rest.
    scale = np.where(rng.random(n) < 0.35, rng.uniform(0.45, 0.8, n), rng.normal(1.1, 0.1, n))
    discs = shapes.place(
        rng, shape_yx, 0.5 * diameter_px * scale, clustering=rng.uniform(0.6, 0.98), overlap=0.07
    )
    labels = shapes.blobs(rng, discs, shape_yx, elongation=1.3, roughness=0.015)
    signed = shapes.signed_distance_px(labels)
    width = 0.055 * diameter_px * rng.uniform(0.8, 1.5) + 0.5
    halo = np.exp(-(((signed - 0.6 * width) / width) ** 2))
    rim = np.exp(-(((signed + 1.2 * width) / width) ** 2))
    inside = (signed < -width).astype(np.float32)
    organelles = smooth_noise(rng, shape_yx, 0.2 * diameter_px)
    body = rng.uniform(-0.25, 0.2) + rng.uniform(0.03, 0.2) * organelles
    contrast = rng.uniform(0.15, 0.8) * halo - rng.uniform(0.1, 0.5) * rim + inside * body
    contrast *= _brightness(rng, labels, 0.15) * (labels > 0) + (labels == 0)
    if rng.random() < 0.3:  # the other side of focus in bright field
        contrast = -0.7 * contrast
    contrast = (contrast * rng.uniform(0.4, 1.0)).astype(np.float32)
    psf_px = float(rng.uniform(0.5, 1.2))
    return _transmitted(rng, contrast, diameter_px=diameter_px, psf_px=psf_px), labels


def _spread(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> tuple[Image, Labels]:
    n = int(np.clip(0.8 * density * np.prod(shape_yx) / diameter_px**2, 1, 120)) + 1
    radii = 0.5 * diameter_px * np.clip(rng.normal(1, 0.2, size=n), 0.5, 1.6)
    discs = shapes.place(rng, shape_yx, radii, clustering=rng.uniform(0, 0.7), overlap=0.1)
    labels = shapes.blobs(rng, discs, shape_yx, elongation=2.4, roughness=rng.uniform(0.15, 0.4))
    body = shapes.nuclei(rng, labels, fraction=0.5, missing=0)
    signed = shapes.signed_distance_px(labels)
    body_signed = shapes.signed_distance_px(body)
    ragged = np.clip(smooth_noise(rng, shape_yx, 0.06 * diameter_px + 1) + 0.4, 0, 2)
    edge_px = 0.025 * diameter_px + 0.8
    edge = np.exp(-(((signed + edge_px) / edge_px) ** 2)) * ragged
    fringe = np.exp(-(((signed - edge_px) / edge_px) ** 2))
    halo_px = 0.06 * diameter_px + 1
    halo = np.exp(-(((body_signed - halo_px) / halo_px) ** 2))
    sided = np.clip(0.5 + smooth_noise(rng, shape_yx, 0.7 * diameter_px), 0, 2)
    granules = smooth_noise(rng, shape_yx, max(0.035 * diameter_px, 1.3))
    inside = np.float32(labels > 0)
    cytoplasm = inside * (rng.uniform(-0.08, 0.06) + 0.03 * granules)
    soma = (body > 0) * (rng.uniform(-0.22, -0.02) + 0.09 * granules)
    contrast = cytoplasm + soma + rng.uniform(0.1, 0.35) * halo * sided * (0.3 + 0.7 * inside)
    contrast += rng.uniform(0.05, 0.2) * fringe - rng.uniform(0.06, 0.3) * edge
    contrast = (contrast * rng.uniform(0.5, 1.1)).astype(np.float32)
    psf_px = float(rng.uniform(0.5, 1.1))
    return _transmitted(rng, contrast, diameter_px=diameter_px, psf_px=psf_px), labels


def _lit_through(
    rng: np.random.Generator,
    drawn: tuple[Image, Labels],
    diameter_px: float,
    *,
    psf_px: tuple[float, float],
) -> tuple[Image, Labels]:
    """Photograph the contrast of cells in transmitted light, with a blur between two limits."""
    contrast, labels = drawn
    blur_px = float(rng.uniform(*psf_px))
    return _transmitted(rng, contrast, diameter_px=diameter_px, psf_px=blur_px), labels


def _rods(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> tuple[Image, Labels]:
    labels = shapes.rods(rng, shape_yx, diameter_px, density)
    amount = _brightness(rng, labels, rng.uniform(0.05, 0.3))
    psf_px = float(rng.uniform(0.5, max(0.07 * diameter_px, 0.8)))
    if rng.random() < 0.35:
        dome = np.minimum(shapes.depth_px(labels) / (0.12 * diameter_px), 1)
        mottle = np.clip(1 + 0.15 * smooth_noise(rng, shape_yx, 0.2 * diameter_px), 0.3, 2)
        scene = (0.7 * amount * mottle * (0.4 + 0.6 * dome)).astype(np.float32)
        return photograph(rng, scene, diameter_px=diameter_px, psf_px=psf_px), labels
    solid = ndi.gaussian_filter(np.float32(labels > 0), 0.8)
    # Phase contrast adds light around dense bodies, most where several are close.
    halo = ndi.gaussian_filter(solid, 0.25 * diameter_px * rng.uniform(0.4, 1.2)) * (1 - solid)
    rim = ndi.gaussian_filter(solid, 1.2) * (1 - solid)
    contrast = rng.uniform(0.1, 0.7) * halo + rng.uniform(0, 0.5) * rim
    contrast -= rng.uniform(0.12, 0.3) * ndi.gaussian_filter(amount, 0.7)
    if rng.random() < 0.15:  # bright-field beyond focus: light rods
        contrast = -contrast
    image = _transmitted(rng, contrast.astype(np.float32), diameter_px=diameter_px, psf_px=psf_px)
    return image, labels


def _section(
    rng: np.random.Generator, shape_yx: tuple[int, int], diameter_px: float, density: float
) -> tuple[Image, Labels]:
    n = int(np.clip(1.1 * density * np.prod(shape_yx) / diameter_px**2, 1, 250)) + 1
    radii = 0.5 * diameter_px * np.clip(rng.normal(1, 0.2, size=n), 0.5, 1.7)
    discs = shapes.place(rng, shape_yx, radii, clustering=float(rng.uniform(0, 0.9)), overlap=0.12)
    labels = shapes.blobs(
        rng, discs, shape_yx, elongation=rng.uniform(1.2, 3.2), roughness=rng.uniform(0.02, 0.12)
    )
    # What a section holds besides nuclei: fibres and plasma, gaps, and nuclei out of focus.
    fibres = ndi.gaussian_filter(
        rng.standard_normal(shape_yx).astype(np.float32),
        sorted(rng.uniform(0.02, 0.5, 2) * diameter_px, reverse=bool(rng.random() < 0.5)),
    )
    fibres /= max(float(fibres.std()), 1e-6)
    plasma = smooth_noise(rng, shape_yx, float(rng.uniform(0.3, 2)) * diameter_px)
    light = rng.uniform(0.5, 0.9) * (1 + rng.uniform(0.03, 0.15) * fibres)
    light += rng.uniform(0.02, 0.15) * plasma
    gaps = smooth_noise(rng, shape_yx, 1.5 * diameter_px) > rng.uniform(1.0, 3.0)
    light = np.where(gaps, rng.uniform(0.85, 1.0), light)
    ghosts = debris(rng, shape_yx, n=int(rng.integers(0, 9)), sigma_px=0.35 * diameter_px)
    rim = np.exp(-((shapes.depth_px(labels) / (0.07 * diameter_px + 0.6)) ** 2))
    chromatin = 1 + rng.uniform(0.1, 0.5) * smooth_noise(
        rng, shape_yx, max(float(rng.uniform(0.06, 0.2)) * diameter_px, 1.2)
    )
    body = rng.uniform(0.4, 1.0) * np.clip(chromatin, 0.2, 2) + rng.uniform(0, 0.6) * rim
    stained = np.minimum(_brightness(rng, labels, rng.uniform(0.1, 0.5)) * body, 1.6)
    density_of_stain = rng.uniform(0.5, 1.4) * stained + rng.uniform(0, 0.5) * ghosts
    scene = ndi.gaussian_filter(
        np.clip(light, 0.15, 1.1) * np.exp(-density_of_stain),
        rng.uniform(0.4, max(0.06 * diameter_px, 0.8)),
    )
    photons = float(np.exp(rng.uniform(np.log(300), np.log(5000))))
    return expose(rng, scene.astype(np.float32), photons=photons, read_noise=1.0), labels
