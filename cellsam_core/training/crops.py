"""The stream of training crops, real and simulated, and what is asked of the model on each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import ndimage

from cellsam_core.errors import InputError
from cellsam_core.simulation.cells import render_field
from cellsam_core.training.augment import random_crop
from cellsam_core.training.labelled import LabelledImage, median_diameter_px
from cellsam_core.training.losses import Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


STYLE_SHARES = {
    "tissue": 0.08,
    "fluo": 0.06,
    "phase": 0.1,
    "rods": 0.06,
    "stained": 0.16,
    "adherent": 0.34,
    "multiplex": 0.2,
}
"""Share of the simulated crops. Adherent cells and tissue are what the real sets hold least of."""

DIAMETERS_PX = (18, 40)
DIAMETERS_OF_STYLE_PX = {"organelles": (20, 110)}
"""Smallest and largest mean diameter of the cells of a field. Organelles that are magnified later
are blurred, unlike those of large cells."""

TISSUE = ("tissue", "fluo", "multiplex")
"""Styles with a nuclear channel."""


class RandomImages:
    """Source of random images; item `i` depends on `seed` and `i` alone.

    Parameters
    ----------
    images
        Real images, drawn by their weights.
    simulated_share
        Fraction of crops from the simulator.
    n
        Number of items.
    seed
        Seed of everything random.
    style_shares
        Share of each style of the simulated crops.
    """

    def __init__(
        self,
        images: Sequence[LabelledImage],
        *,
        simulated_share: float,
        n: int,
        seed: int,
        style_shares: Mapping[str, float] = STYLE_SHARES,
    ) -> None:
        if not images:
            raise InputError(
                "training data",
                found="no labelled image",
                expected="at least one",
                remedy="give at least one image with its labels",
            )
        self.images = images
        weights = np.array([image.weight for image in images])
        self.probability = weights / weights.sum()
        self.simulated_share = simulated_share
        self.n = n
        self.seed = seed
        self.style_shares = style_shares

    def __len__(self) -> int:
        return self.n

    def draw(self, index: int) -> tuple[LabelledImage, np.random.Generator]:
        """Draw the image of an item, and make the generator that decides on all else of it."""
        rng = np.random.default_rng((self.seed, index))
        if rng.random() < self.simulated_share:
            return simulated_image(rng, self.style_shares), rng
        return self.images[rng.choice(len(self.images), p=self.probability)], rng


class Crops(RandomImages, torch.utils.data.Dataset[tuple[torch.Tensor, Target]]):
    """Endless crops of :class:`RandomImages`, so that a killed run resumes exactly."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, Target]:
        image, rng = self.draw(index)
        pixels, labels = random_crop(image, rng)
        return torch.from_numpy(pixels), to_target(labels)


def collate(items: list[tuple[torch.Tensor, Target]]) -> tuple[torch.Tensor, list[Target]]:
    """Stack images, list targets."""
    return torch.stack([i for i, _ in items]), [t for _, t in items]


def to_target(labels: NDArray[np.int32], min_area_px: int = 12) -> Target:
    """Boxes of all cells of a crop; slivers cut by its border are not asked for."""
    boxes, ids = [], []
    for index, window in enumerate(ndimage.find_objects(np.maximum(labels, 0)), start=1):
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


def simulated_image(
    rng: np.random.Generator, style_shares: Mapping[str, float] = STYLE_SHARES
) -> LabelledImage:
    """Render one field of a random style; a fifth of the two-channel ones show nuclei alone."""
    style = str(rng.choice(list(style_shares), p=list(style_shares.values())))
    low, high = DIAMETERS_OF_STYLE_PX.get(style, DIAMETERS_PX)
    diameter = float(rng.uniform(low, high))
    pixels, labels, nuclei = render_field(rng, (320, 320), style=style, diameter_px=diameter)
    modality = "tissue" if style in TISSUE else style
    if modality == "tissue" and rng.random() < 0.2:
        pixels = np.stack((pixels[0], np.zeros_like(pixels[0])))
        labels, modality = nuclei, "nuclear"
    pixels = pixels / max(float(pixels.max()), 1e-6)
    quantised = np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
    labels = labels.astype(np.int32)
    return LabelledImage(
        style, "simulated", modality, quantised, quantised, labels, median_diameter_px(labels)
    )
