"""Synthetic tissue sections with stains, transcripts and the cell of every transcript."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import ndimage as ndi

from cellsam_core.simulation import shapes
from cellsam_core.simulation.cells import membrane_scene, nuclear_scene, polyt_scene
from cellsam_core.simulation.optics import expose, illumination

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from cellsam_core.simulation.options import TissueOptions

    Image = NDArray[np.float32]
    Labels = NDArray[np.int32]

# Markers by cell type. NANOG and NEGR1 are here because patterns for controls such as
# "nan*" and "neg*" have swallowed them elsewhere.
MARKERS = {
    "excitatory": ("SLC17A7", "NEUROD6", "SATB2", "CUX2", "RORB", "NEGR1", "CAMK2A", "TBR1"),
    "inhibitory": ("GAD1", "GAD2", "SST", "PVALB", "VIP", "LHX6", "ERBB4", "NPY"),
    "astrocyte": ("GFAP", "AQP4", "SLC1A3", "ALDH1L1", "GJA1", "S100B", "SOX9", "NANOG"),
    "oligodendrocyte": ("MBP", "PLP1", "MOG", "MAG", "OLIG2", "SOX10", "CNP", "OPALIN"),
}
HOUSEKEEPING = ("ACTB", "GAPDH", "EEF1A1", "RPLP0", "TUBB", "UBC")
NUCLEAR = ("MALAT1", "NEAT1")
GENES = tuple(sorted({*HOUSEKEEPING, *NUCLEAR, *(g for m in MARKERS.values() for g in m)}))
BLANKS = tuple(f"Blank-{i}" for i in range(1, 11))
FEATURES = GENES + BLANKS

N_TRANSCRIPTS = 6000
"""Transcripts of a section where no number is given."""

DENSITY = 0.7  # share of the sites of the tissue that hold a cell
BLANK_FRACTION = 0.01
# Transcripts per pixel between cells, relative to the mean over the image.
AMBIENT_DENSITY = 0.15
# Molecules are drawn this far from the cell's border, so that the error of their measured
# position almost never carries them into another cell.
MIN_DEPTH_PX = 1.5
LOCALISATION_ERROR_PX = 0.3

OFFSET_COUNTS = 200.0
FULL_COUNTS = 6000.0
PHOTONS_PER_COUNT = 0.1


class Tissue(NamedTuple):
    """Tissue section.

    Attributes
    ----------
    planes
        Stain -> uint16 ``(z, y, x)``.
    labels, nucleus_labels
        int32 ``(y, x)``; a nucleus has the id of its cell.
    cell_types
        Type of cell ``i + 1``.
    x_px, y_px
        float64: measured positions; pixel centres are at integers.
    z
        int64: plane of each transcript.
    feature
        int64: index into `FEATURES`.
    cell_id
        int32: cell in which the molecule is, 0 = none.
    """

    planes: dict[str, NDArray[np.uint16]]
    labels: Labels
    nucleus_labels: Labels
    cell_types: list[str]
    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]
    z: NDArray[np.int64]
    feature: NDArray[np.int64]
    cell_id: NDArray[np.int32]


def draw_tissue(
    rng: np.random.Generator, options: TissueOptions, stains: Sequence[str] = ("DAPI", "PolyT")
) -> Tissue:
    """Draw a tissue section; same `rng` state and arguments, same section.

    Parameters
    ----------
    rng
        Source of all randomness.
    options
        Size and content of the section.
    stains
        Names of the stains: ``DAPI`` first, then ``PolyT``, ``membrane`` or both.
    """
    n_transcripts = N_TRANSCRIPTS if options.transcripts is None else options.transcripts
    shape_yx = (options.size_px, options.size_px)
    diameter_px = _diameter_px(options)
    if options.cells:
        labels = shapes.tissue(rng, shape_yx, diameter_px, DENSITY)
    else:
        labels = np.zeros(shape_yx, dtype=np.int32)
    nucleus_labels = shapes.nuclei(rng, labels, fraction=0.55, missing=0.03)
    n_cells = int(labels.max(initial=0))
    types = list(MARKERS)
    cell_types = [types[i] for i in rng.integers(len(types), size=n_cells)]
    planes = _planes(rng, (labels, nucleus_labels), diameter_px, stains, options.z_planes)
    y, x, feature = _molecules(rng, labels, nucleus_labels, cell_types, n_transcripts)
    error = rng.normal(0, LOCALISATION_ERROR_PX, size=(2, len(y)))
    limit = options.size_px - 0.51
    order = rng.permutation(len(y))
    return Tissue(
        planes,
        labels,
        nucleus_labels,
        cell_types,
        x_px=np.clip(x + error[1], -0.49, limit)[order],
        y_px=np.clip(y + error[0], -0.49, limit)[order],
        z=rng.integers(options.z_planes, size=len(y)),
        feature=feature[order],
        cell_id=labels[np.rint(y).astype(int), np.rint(x).astype(int)][order],
    )


def _diameter_px(options: TissueOptions) -> float:
    """Find the diameter at which `options.cells` cells fill the view, cut ones included.

    Sites of `shapes.tissue` take 0.84 diameters^2 each; the border adds about 0.4 diameters.
    """
    per_edge = np.sqrt(0.84 * max(options.cells, 1) / DENSITY)
    return float(options.size_px / max(per_edge - 0.4, 0.5))


def count_matrix(tissue: Tissue) -> NDArray[np.int64]:
    """Count transcripts, int64 ``(cells, features)``; row ``i`` is cell ``i + 1``."""
    n_cells = len(tissue.cell_types)
    flat = tissue.cell_id.astype(np.int64) * len(FEATURES) + tissue.feature
    counts = np.bincount(flat, minlength=(n_cells + 1) * len(FEATURES))
    matrix: NDArray[np.int64] = counts.reshape(n_cells + 1, len(FEATURES))[1:]
    return matrix


def _planes(
    rng: np.random.Generator,
    truth: tuple[Labels, Labels],
    diameter_px: float,
    stains: Sequence[str],
    n_planes: int,
) -> dict[str, NDArray[np.uint16]]:
    """Draw every stain as photographed in every plane; the middle plane is the sharpest.

    `truth` holds the labels of the cells and of the nuclei.
    """
    labels, nucleus_labels = truth
    shape_yx = (labels.shape[0], labels.shape[1])
    planes = {}
    for stain in stains:
        if stain == "DAPI":
            scene = nuclear_scene(rng, nucleus_labels, diameter_px)
        else:
            draw = polyt_scene if stain == "PolyT" else membrane_scene
            scene = draw(rng, labels, nucleus_labels, diameter_px)
        light = illumination(rng, shape_yx, 0.2)
        stack = np.zeros((n_planes, *shape_yx), dtype=np.uint16)
        for z in range(n_planes):
            defocus = abs(z - (n_planes - 1) / 2)
            blurred = ndi.gaussian_filter(scene, 1.2 + 0.8 * defocus) * (1 - 0.12 * defocus)
            counts = expose(
                rng,
                FULL_COUNTS * (blurred + 0.03) * light,
                photons=PHOTONS_PER_COUNT,
                read_noise=3.0,
            )
            stack[z] = np.clip(np.rint(counts + OFFSET_COUNTS), 0, 65535).astype(np.uint16)
        planes[stain] = stack
    return planes


def _expression(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the share of each gene by cell type, ``(types, genes)``, rows sum to 1."""
    level = rng.lognormal(0, 0.5, size=len(GENES))
    rate = np.full((len(MARKERS), len(GENES)), 0.04) * level
    for row, markers in enumerate(MARKERS.values()):
        for column, gene in enumerate(GENES):
            if gene in HOUSEKEEPING + NUCLEAR:
                rate[row, column] = 1.0 * level[column]
            elif gene in markers:
                rate[row, column] = 2.0 * level[column]
    shares: NDArray[np.float64] = rate / rate.sum(axis=1, keepdims=True)
    return shares


def _molecules(
    rng: np.random.Generator,
    labels: Labels,
    nucleus_labels: Labels,
    cell_types: list[str],
    n_transcripts: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Draw true positions ``y, x`` in pixels and the feature of every molecule."""
    shares = _expression(rng)
    types = list(MARKERS)
    deep = shapes.depth_px(labels) > MIN_DEPTH_PX
    # A cell as rich as it is large; at the deep pixels only, so cells without any get none.
    richness = np.bincount(labels[deep], minlength=len(cell_types) + 1)[1:].astype(float)
    richness *= rng.lognormal(0, 0.35, size=len(cell_types))
    n_blank = round(BLANK_FRACTION * n_transcripts)
    n_ambient = round(AMBIENT_DENSITY * n_transcripts * float((labels == 0).mean()))
    n_cellular = n_transcripts - n_blank - n_ambient
    if richness.sum() == 0:
        n_ambient, n_cellular = n_ambient + n_cellular, 0
        per_cell = np.zeros(len(cell_types), dtype=np.int64)
    else:
        per_cell = rng.multinomial(n_cellular, richness / richness.sum())
    cell = np.repeat(np.arange(1, len(cell_types) + 1), per_cell)
    cellular = [
        np.repeat(np.arange(len(GENES)), rng.multinomial(n, shares[types.index(t)]))
        for t, n in zip(cell_types, per_cell, strict=True)
    ]
    feature = np.concatenate([np.zeros(0, dtype=np.int64), *cellular])
    everywhere = np.flatnonzero(deep | (labels == 0))
    pixel = np.concatenate(
        [
            _pixels_of(rng, labels, nucleus_labels, deep, cell, feature),
            rng.choice(np.flatnonzero(labels == 0), size=n_ambient),
            rng.choice(everywhere, size=n_blank),
        ]
    )
    ambient = rng.integers(len(GENES), size=n_ambient)
    blank = len(GENES) + rng.integers(len(BLANKS), size=n_blank)
    jitter = rng.uniform(-0.49, 0.49, size=(2, len(pixel)))
    y, x = np.unravel_index(pixel, labels.shape)
    return y + jitter[0], x + jitter[1], np.concatenate([feature, ambient, blank])


def _pixels_of(
    rng: np.random.Generator,
    labels: Labels,
    nucleus_labels: Labels,
    deep: NDArray[np.bool_],
    cell: NDArray[np.int64],
    feature: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Draw a flat pixel index in each molecule's cell; nuclear RNA stays in the nucleus."""
    is_nuclear = np.isin(feature, [GENES.index(g) for g in NUCLEAR])
    pixel = np.full(len(cell), -1, dtype=np.int64)
    # Cells whose nucleus the section misses carry their nuclear RNA anywhere.
    for region, wanted in ((nucleus_labels, is_nuclear), (labels, np.ones_like(is_nuclear))):
        inside = np.where(deep, region, 0).ravel()
        by_label = np.argsort(inside, kind="stable")
        size = np.bincount(inside, minlength=int(labels.max(initial=0)) + 1)
        start = np.cumsum(size) - size
        draw = wanted & (pixel < 0) & (size[cell] > 0)
        owner = cell[draw]
        pixel[draw] = by_label[start[owner] + (rng.random(len(owner)) * size[owner]).astype(int)]
    return pixel
