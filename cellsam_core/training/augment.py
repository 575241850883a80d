"""Training crops: cut, turned, scaled, bent and lit as microscopes vary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from cellsam_core.segmentation.tiles import REFERENCE_PX
from cellsam_core.simulation.clutter import clutter
from cellsam_core.simulation.optics import smooth_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cellsam_core.training.labelled import LabelledImage

CROP_PX = 256

UNKNOWN = -1
"""Label of a crop's pixels that may be of a cell: nothing is asked for there."""

SCALE_SPREAD = 0.42
"""Standard deviation of the log of the scale: cells differ, and the measured diameter errs."""

CLAHE_SHARE = 0.25
"""Fraction of the crops after CLAHE: the user may have images equalised."""

ELASTIC_SHARE = 0.4
"""Fraction of the crops that are bent and squeezed, as tissue is."""

ELASTIC_CORRELATION_PX = 48
ELASTIC_MAX_PX = 4.0
"""Distance over which the moves of the points change, and their greatest standard deviation."""

CLUTTER_SHARE = 0.4
UNSTAINED = ("yeast", "bacteria", "phase", "rods", "phase contrast", "adherent")
"""Kinds of crops in which objects that are no cells are drawn beside the cells."""

ONE_PLANE_SHARE = 0.4
"""Fraction of the crops of stained sections that show only the grey or the red plane."""

STRETCH_SPREAD = 0.08
SLENDER_SPREAD = 0.25
"""Standard deviation of the log of the stretch of each axis; of the second kind are adherent cells.

The same cells are spread on one dish and spindles on another. A stretched crop shows both."""

ADHERENT = ("phase contrast", "adherent")
STRETCHED = (*ADHERENT, "membranes", "organelles")

SHARPEN_SHARE = 0.4
SHARPEN_RANGE = (-0.4, 1.2)
SHARPEN_PX = (1.0, 5.0)
"""Fraction of the crops of unstained cells whose details are weakened or strengthened, how much,
and the size of the details: rings and optics of phase contrast differ in their halos."""

INVERTED = {
    "fluorescence": 0.03,
    "histology": 0.15,
    "brightfield": 0.15,
    "yeast": 0.08,
    "bacteria": 0.08,
    "phase contrast": 0.12,
    "suspended": 0.15,
}
"""Share of crops whose polarity is turned. Too many, and dark holes are taken for cells."""


def random_crop(
    image: LabelledImage, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Cut, turn, scale and re-light a crop.

    Returns
    -------
    tuple
        Image ``(3, 256, 256)`` float32 in [0, 1] in CellSAM's order (blank, nuclear, whole
        cell) and labels ``(256, 256)``, :data:`UNKNOWN` where there may be a cell without label.
    """
    wanted = REFERENCE_PX * float(np.exp(rng.normal(0, SCALE_SPREAD)))
    scale = float(np.clip(wanted / image.diameter_px, 0.15, 6.0))
    pixels, labels, _ = cut(image, scale, CROP_PX, rng)
    return pixels, labels


def cut(
    image: LabelledImage, scale: float, side_px: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32], float]:
    """Cut a square, turned and stretched, and re-light it.

    Parameters
    ----------
    image
        Image to cut from.
    scale
        Pixels of the crop for each pixel of the image.
    side_px
        Side of the crop.
    rng
        Decides on everything else.

    Returns
    -------
    tuple
        Image ``(3, y, x)`` and labels ``(y, x)`` as of :func:`random_crop`, and by how much the
        stretch changes diameters.
    """
    source = image.equalised if rng.random() < CLAHE_SHARE else image.channels
    if image.modality == "histology" and rng.random() < ONE_PLANE_SHARE:
        source = one_plane(source, rng)
    turn = _turn_and_stretch(image.modality, rng)
    matrix = turn / scale * (side_px / 2)
    height, width = image.labels.shape
    centre = _crop_centre(image.labels, np.abs(matrix).sum(1) * 0.6, rng)
    theta_matrix = np.array(
        [
            [matrix[0, 0] * 2 / width, matrix[0, 1] * 2 / width, 2 * centre[0] / width - 1],
            [matrix[1, 0] * 2 / height, matrix[1, 1] * 2 / height, 2 * centre[1] / height - 1],
        ]
    )
    grid = _sampling_grid(theta_matrix, side_px, rng)
    smooth = source.astype(np.float32) / 255
    if scale < 0.7:
        smooth = ndimage.gaussian_filter(smooth, (0, 0.5 / scale - 0.3, 0.5 / scale - 0.3))
    outside = "zeros" if rng.random() < 0.6 else "reflection"
    pixels = F.grid_sample(
        torch.from_numpy(smooth)[None], grid, align_corners=False, padding_mode=outside
    )[0].numpy()
    known = image.labels
    if image.unknown is not None:
        known = np.where(image.unknown, UNKNOWN, image.labels)
    truth = F.grid_sample(
        torch.from_numpy(known.astype(np.float32))[None, None],
        grid,
        mode="nearest",
        align_corners=False,
        padding_mode=outside,
    )[0, 0].numpy()
    labels = split_reflections(np.maximum(truth, 0).astype(np.int32))
    if image.modality in UNSTAINED and rng.random() < CLUTTER_SHARE:
        added = clutter(rng, labels, scale * image.diameter_px)
        pixels = np.where(pixels.max(axis=(1, 2), keepdims=True) > 0, pixels + added, pixels)
    labels[truth < 0] = UNKNOWN
    growth = float(np.abs(np.linalg.det(turn)) ** -0.5)
    return relight(pixels, image.modality, rng), labels, growth


def _turn_and_stretch(modality: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw the linear map ``(2, 2)`` from the crop to the image, without its scale."""
    theta = rng.integers(4) * np.pi / 2
    if rng.random() < 0.4:
        theta += rng.uniform(-np.pi, np.pi)
    flip = rng.choice([-1.0, 1.0])
    cos, sin = np.cos(theta), np.sin(theta)
    rotation = np.array([[cos, -sin * flip], [sin, cos * flip]])
    is_slender = modality in STRETCHED
    stretch = np.exp(rng.normal(0, SLENDER_SPREAD if is_slender else STRETCH_SPREAD, 2))
    along = np.eye(2)
    if is_slender:  # along any line, not only along the sides of the crop
        phi = rng.uniform(0, np.pi)
        cos, sin = np.cos(phi), np.sin(phi)
        along = np.array([[cos, -sin], [sin, cos]])
    turned: NDArray[np.float64] = rotation @ along @ np.diag(stretch) @ along.T
    return turned


def _sampling_grid(
    theta: NDArray[np.float64], side_px: int, rng: np.random.Generator
) -> torch.Tensor:
    """Place the crop's pixels in the image ``(1, y, x, 2)``, on a sheet that may be bent.

    Parameters
    ----------
    theta
        Affine map ``(2, 3)`` from the crop to the image, each from -1 to 1.
    side_px
        Side of the crop.
    rng
        Decides whether and how the sheet is bent.
    """
    affine = torch.as_tensor(theta, dtype=torch.float32)
    grid = F.affine_grid(affine[None], [1, 1, side_px, side_px], align_corners=False)
    if rng.random() >= ELASTIC_SHARE:
        return grid
    shape = side_px, side_px
    moves = np.stack([smooth_noise(rng, shape, ELASTIC_CORRELATION_PX) for _ in range(2)], axis=-1)
    bent = torch.from_numpy(moves) * float(rng.uniform(0, ELASTIC_MAX_PX) * 2 / side_px)
    return grid + bent @ affine[:, :2].T


def _crop_centre(
    labels: NDArray[np.int32], reach: NDArray[np.float64], rng: np.random.Generator
) -> list[float]:
    """Choose x and y of the middle: near a cell four times in five, inside where it fits."""
    height, width = labels.shape
    centre = [rng.uniform(0, width), rng.uniform(0, height)]
    if rng.random() < 0.8 and labels.any():
        index = rng.choice(np.flatnonzero(labels))
        centre = [
            index % width + rng.normal(0, reach[0] / 2),
            index // width + rng.normal(0, reach[1] / 2),
        ]
    return [
        float(np.clip(c, r, n - r)) if r < n / 2 else n / 2
        for c, r, n in zip(centre, reach, (width, height), strict=True)
    ]


def split_reflections(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    """Give each connected piece its own id: a crop beyond the border mirrors its cells."""
    pieces = np.zeros_like(labels)
    n = 0
    for index, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        found, k = ndimage.label(labels[window] == index)
        pieces[window][found > 0] = found[found > 0] + n
        n += k
    return pieces


def one_plane(channels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Show the grey of a coloured image as the cell plane, or one time in four its red."""
    shown = channels[0] if rng.random() < 0.25 and channels[0].any() else channels[1]
    return np.stack((np.zeros_like(shown), shown))


def relight(
    pixels: NDArray[np.float32], modality: str, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Vary contrast, polarity, blur, noise, shading and the channel a stain is put in."""
    _, height, width = pixels.shape
    out = np.zeros((3, height, width), np.float32)
    is_inverted = rng.random() < INVERTED.get(modality, 0.0)
    for index, plane in enumerate(pixels):
        if plane.max() <= 0:
            continue
        low, high = plane.min(), plane.max()
        plane = (plane - low) / max(high - low, 1e-3)
        plane = plane ** np.exp(rng.normal(0, 0.35))
        if rng.random() < 0.25:
            y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
            angle = rng.uniform(0, 2 * np.pi)
            plane = plane * (1 + rng.uniform(0, 0.4) * (y * np.sin(angle) + x * np.cos(angle)))
        if modality in UNSTAINED and rng.random() < SHARPEN_SHARE:
            smooth = ndimage.gaussian_filter(plane, rng.uniform(*SHARPEN_PX))
            plane = plane + rng.uniform(*SHARPEN_RANGE) * (plane - smooth)
        if rng.random() < 0.2:
            plane = ndimage.gaussian_filter(plane, rng.uniform(0.3, 1.5))
        if rng.random() < 0.5:
            plane = plane + rng.normal(0, rng.uniform(0.005, 0.08), plane.shape)
        plane = np.clip(plane * rng.uniform(0.6, 1.0) + rng.uniform(0, 0.1), 0, 1)
        out[index + 1] = 1 - plane if is_inverted else plane
    single = (pixels.reshape(2, -1).max(1) > 0).sum() == 1
    if single and modality != "nuclear":
        out[2] = out[1] + out[2]
        out[1] = 0
        where = rng.random()
        if where < 0.25 and modality == "fluorescence":
            out[1], out[2] = out[2], 0
        elif where < 0.35 and modality != "own":
            out[1] = out[2]
    return out
