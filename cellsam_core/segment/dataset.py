"""Training crops: real images with labels and simulated fields, brought to one cell scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import ndimage
from skimage.io import imread
from torch.nn import functional as F

from cellsam_core.errors import InputError, first_line
from cellsam_core.io.planes import READ_ERRORS, unreadable
from cellsam_core.io.tables import read_table
from cellsam_core.preprocess import preprocess_plane, to_grey
from cellsam_core.segment.losses import Target
from cellsam_core.segment.tiles import REFERENCE_PX
from cellsam_core.simulate.cells import STYLES, render_field

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

CROP_PX = 224


@dataclass(frozen=True)
class LabelledImage:
    """One image and its truth.

    Attributes
    ----------
    name
        ``set/id``.
    modality
        Images are drawn evenly over modalities.
    channels
        ``(2, y, x)`` uint8: nuclear, whole cell; an absent channel is 0.
    plain
        The same without CLAHE.
    labels
        ``(y, x)`` int32.
    diameter_px
        Median diameter of the disc with a cell's area.
    """

    name: str
    modality: str
    channels: NDArray[np.uint8]
    plain: NDArray[np.uint8]
    labels: NDArray[np.int32]
    diameter_px: float


def median_diameter_px(labels: NDArray[np.integer]) -> float:
    """Median over cells of ``sqrt(4 area / pi)``, px; the model's reference if there is none."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return float(np.median(np.sqrt(4 * areas / np.pi))) if len(areas) else REFERENCE_PX


def random_crop(
    image: LabelledImage, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Cut, turn, scale and re-light a crop.

    Returns
    -------
    tuple
        Image ``(3, 224, 224)`` float32 in [0, 1] in CellSAM's order (blank, nuclear, whole
        cell) and labels ``(224, 224)``.
    """
    wanted = REFERENCE_PX * float(np.exp(rng.normal(0, 0.3)))
    scale = float(np.clip(wanted / image.diameter_px, 0.15, 6.0))
    source = image.channels if rng.random() < 0.5 else image.plain
    stretch = np.exp(rng.normal(0, 0.08, 2))
    theta = rng.integers(4) * np.pi / 2
    if rng.random() < 0.4:
        theta += rng.uniform(-np.pi, np.pi)
    flip = rng.choice([-1.0, 1.0])
    cos, sin = np.cos(theta), np.sin(theta)
    rotation = np.array([[cos, -sin * flip], [sin, cos * flip]])
    matrix = rotation @ np.diag(stretch / scale) * (CROP_PX / 2)
    height, width = image.labels.shape
    centre = _crop_centre(image.labels, np.abs(matrix).sum(1) * 0.6, rng)
    theta_matrix = np.array(
        [
            [matrix[0, 0] * 2 / width, matrix[0, 1] * 2 / width, 2 * centre[0] / width - 1],
            [matrix[1, 0] * 2 / height, matrix[1, 1] * 2 / height, 2 * centre[1] / height - 1],
        ]
    )
    grid = F.affine_grid(
        torch.as_tensor(theta_matrix[None], dtype=torch.float32),
        [1, 1, CROP_PX, CROP_PX],
        align_corners=False,
    )
    smooth = source.astype(np.float32) / 255
    if scale < 0.7:
        smooth = ndimage.gaussian_filter(smooth, (0, 0.5 / scale - 0.3, 0.5 / scale - 0.3))
    outside = "zeros" if rng.random() < 0.6 else "reflection"
    pixels = F.grid_sample(
        torch.from_numpy(smooth)[None], grid, align_corners=False, padding_mode=outside
    )[0].numpy()
    truth = F.grid_sample(
        torch.from_numpy(image.labels.astype(np.float32))[None, None],
        grid,
        mode="nearest",
        align_corners=False,
        padding_mode=outside,
    )[0, 0].numpy()
    return relight(pixels, image.modality, rng), split_reflections(truth.astype(np.int32))


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


def relight(
    pixels: NDArray[np.float32], modality: str, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Vary contrast, polarity, blur, noise, shading and the channel a stain is put in."""
    _, height, width = pixels.shape
    out = np.zeros((3, height, width), np.float32)
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
        if rng.random() < 0.2:
            plane = ndimage.gaussian_filter(plane, rng.uniform(0.3, 1.5))
        if rng.random() < 0.5:
            plane = plane + rng.normal(0, rng.uniform(0.005, 0.08), plane.shape)
        plane = np.clip(plane * rng.uniform(0.6, 1.0) + rng.uniform(0, 0.1), 0, 1)
        if rng.random() < (0.05 if modality in {"fluorescence", "tissue"} else 0.3):
            plane = 1 - plane
        out[index + 1] = plane
    single = (pixels.reshape(2, -1).max(1) > 0).sum() == 1
    if single and modality != "nuclear":
        out[2] = out[1] + out[2]
        out[1] = 0
        where = rng.random()
        if where < 0.25 and modality == "fluorescence":
            out[1], out[2] = out[2], 0
        elif where < 0.35:
            out[1] = out[2]
    return out


def to_target(labels: NDArray[np.int32], min_area_px: int = 12) -> Target:
    """Boxes of all cells of a crop; slivers cut by its border are not asked for."""
    boxes, ids = [], []
    for index, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is None or int((labels[window] == index).sum()) < min_area_px:
            continue
        y, x = window
        boxes.append((x.start, y.start, x.stop, y.stop))
        ids.append(index)
    return Target(
        torch.tensor(boxes, dtype=torch.float32).view(-1, 4),
        torch.tensor(ids, dtype=torch.long),
        torch.from_numpy(labels.astype(np.int64)),
    )


class Crops(torch.utils.data.Dataset[tuple[torch.Tensor, Target]]):
    """Endless crops; item `i` depends on `seed` and `i` alone, so a killed run resumes exactly.

    Parameters
    ----------
    images
        Real images, drawn evenly over modalities.
    simulated_share
        Fraction of crops from the simulator.
    n
        Number of items.
    seed
        Of everything random.
    """

    def __init__(
        self, images: Sequence[LabelledImage], *, simulated_share: float, n: int, seed: int
    ) -> None:
        if not images:
            raise InputError(
                "training data",
                found="no labelled image",
                expected="at least one",
                remedy="check the folder",
            )
        self.by_modality: dict[str, list[LabelledImage]] = {}
        for image in images:
            self.by_modality.setdefault(image.modality, []).append(image)
        self.weights = np.array([len(v) ** 0.35 for v in self.by_modality.values()])
        self.simulated_share = simulated_share
        self.n = n
        self.seed = seed

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Target]:
        rng = np.random.default_rng((self.seed, index))
        if rng.random() < self.simulated_share:
            image = simulated_image(rng)
        else:
            names = list(self.by_modality)
            group = self.by_modality[
                names[rng.choice(len(names), p=self.weights / self.weights.sum())]
            ]
            image = group[rng.integers(len(group))]
        pixels, labels = random_crop(image, rng)
        return torch.from_numpy(pixels), to_target(labels)


def collate(items: list[tuple[torch.Tensor, Target]]) -> tuple[torch.Tensor, list[Target]]:
    """Stack images, list targets."""
    return torch.stack([i for i, _ in items]), [t for _, t in items]


def simulated_image(rng: np.random.Generator) -> LabelledImage:
    """Render one field of a random style; half of the two-channel ones show nuclei alone."""
    style = str(rng.choice(list(STYLES)))
    diameter = float(rng.uniform(16, 34))
    pixels, labels, nuclei = render_field(rng, (288, 288), style=style, diameter_px=diameter)
    modality = "tissue" if style in {"tissue", "fluo"} else style
    if modality == "tissue" and rng.random() < 0.2:
        pixels = np.stack((pixels[0], np.zeros_like(pixels[0])))
        labels, modality = nuclei, "nuclear"
    pixels = pixels / max(float(pixels.max()), 1e-6)
    quantised = np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
    labels = labels.astype(np.int32)
    return LabelledImage(
        f"simulated/{style}", modality, quantised, quantised, labels, median_diameter_px(labels)
    )


def load_manifest(manifest: Path, root: Path, split: str) -> list[LabelledImage]:
    """Read the labelled images that a training manifest lists for one split.

    Parameters
    ----------
    manifest
        Tab-separated: ``image``, ``label`` (paths below `root`), ``modality``, ``split``
        (``train`` or ``validation``), ``licence``.
    root
        Folder of the data.
    split
        Which rows to read.

    Raises
    ------
    InputError
        A column is missing, the split is empty, or an image and its labels differ in shape.
    """
    rows = read_table(manifest, ["image", "label", "modality", "split"], sep="\t", dtype=str)
    images = [
        _load(root, row["image"], row["label"], row["modality"])
        for row in rows[rows["split"] == split].to_dict("records")
    ]
    if not images:
        raise InputError(
            manifest,
            found=f"no row with split {split}",
            expected="at least one",
            remedy="mark images with that split",
        )
    return images


def _read(path: Path) -> NDArray[Any]:
    try:
        return np.asarray(imread(path))
    except READ_ERRORS as error:
        raise unreadable(path, f"an unreadable image ({first_line(error)})") from error


def _load(root: Path, image: str, label: str, modality: str) -> LabelledImage:
    pixels, labels = _read(root / image), _read(root / label).astype(np.int32)
    grey = to_grey(np.moveaxis(pixels[..., :3], -1, 0)) if pixels.ndim == 3 else pixels
    if grey.shape != labels.shape:
        raise InputError(
            root / label,
            found=f"shape {labels.shape}",
            expected=f"{grey.shape}, that of {image}",
            remedy="fix the label image",
        )
    clahe, plain = (
        np.stack((np.zeros_like(plane), plane))
        for plane in (
            np.round(255 * preprocess_plane(grey, clahe_clip_limit=limit)).astype(np.uint8)
            for limit in (0.01, 0.0)
        )
    )
    return LabelledImage(image, modality, clahe, plain, labels, median_diameter_px(labels))
