"""Training of the head that tells cell diameters, on a frozen encoder."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import ConcatDataset, DataLoader, Dataset

from cellsam_core.segmentation.diameter import views
from cellsam_core.segmentation.tiny.diameter import REDUCTIONS, VIEW_PX, DiameterHead, Ruler, grid
from cellsam_core.segmentation.weights import load_trainable
from cellsam_core.training.augment import cut
from cellsam_core.training.crops import RandomImages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from cellsam_core.training.labelled import LabelledImage

log = logging.getLogger(__name__)

DIAMETERS_PX = (6.5, 230.0)
"""Smallest and largest diameter of the cells in a training picture."""

SIDES_PX = (96, VIEW_PX * REDUCTIONS[-1])
MAGNIFICATIONS = (0.08, 5.0)
SIMULATED_SHARE = 0.3
STYLE_SHARES = {
    "tissue": 0.082,
    "fluo": 0.082,
    "phase": 0.082,
    "rods": 0.051,
    "stained": 0.133,
    "adherent": 0.227,
    "multiplex": 0.123,
    "membranes": 0.08,
    "suspended": 0.04,
    "organelles": 0.1,
}
"""Share of the simulated pictures. Of cells whose reporter is in organelles, the organelles must
not be measured."""

HISTOLOGY = "histology"
HISTOLOGY_SHARE = 0.25
"""Share of the pictures that are drawn from sections stained with haematoxylin and eosin alone.

Their nuclei are the hardest to measure: pale, of many sizes, beside textures of the same size.
"""
HISTOLOGY_SIMULATED_SHARE = 0.15

BATCH = 64
LEARNING_RATE = 1e-3
TOLERANCE = 0.2
"""Spread, in octaves, of the diameters that count as right."""


class Pictures(RandomImages, Dataset[tuple["Tensor", float]]):
    """Views of pictures of cells at random magnifications, and the diameters in octaves."""

    def __getitem__(self, index: int) -> tuple[Tensor, float]:
        image, rng = self.draw(index)
        pixels, diameter_px = random_picture(image, rng)
        return views(pixels), float(np.log2(diameter_px))


def random_picture(
    image: LabelledImage, rng: np.random.Generator
) -> tuple[NDArray[np.float32], float]:
    """Cut a picture of random size and magnification.

    Returns
    -------
    tuple
        Image ``(2, y, x)`` in [0, 1], nuclear and whole-cell channel, and the typical cell
        diameter in its pixels.
    """
    wanted = float(np.exp(rng.uniform(*np.log(DIAMETERS_PX))))
    scale = float(np.clip(wanted / image.diameter_px, *MAGNIFICATIONS))
    side = round(min(SIDES_PX[1], float(np.exp(rng.uniform(np.log(SIDES_PX[0]), np.log(1024))))))
    pixels, _, growth = cut(image, scale, side, rng)
    return pixels[1:], scale * image.diameter_px * growth


def train_diameter(
    images: Sequence[LabelledImage],
    start: str,
    *,
    n_pictures: int = 6000,
    n_epochs: int = 16,
    seed: int = 5,
) -> dict[str, Tensor]:
    """Train the head on features of pictures, which are computed once by a frozen encoder.

    Parameters
    ----------
    images
        The training split.
    start
        Name or path of weights of the tiny model, whose encoder is taken.
    n_pictures
        Number of pictures.
    n_epochs
        Passes over them.
    seed
        Seed of the pictures, the weights and the order.

    Returns
    -------
    dict
        Weights of :class:`.Ruler`.
    """
    torch.manual_seed(seed)
    ruler = Ruler().eval()
    trained = load_trainable(start).encoder.state_dict()
    ruler.encoder.load_state_dict({name: trained[name] for name in ruler.encoder.state_dict()})
    pictures = [
        Pictures(
            images,
            simulated_share=SIMULATED_SHARE,
            n=n_pictures,
            seed=seed,
            style_shares=STYLE_SHARES,
        )
    ]
    stained = [image for image in images if image.modality == HISTOLOGY]
    if stained:
        n = round(n_pictures * HISTOLOGY_SHARE / (1 - HISTOLOGY_SHARE))
        share = HISTOLOGY_SIMULATED_SHARE
        pictures.append(Pictures(stained, simulated_share=share, n=n, seed=seed + 1))
    features, octaves = _features(ruler, ConcatDataset(pictures))
    fit(ruler.head, features, octaves, n_epochs)
    return ruler.state_dict()


def fit(head: DiameterHead, features: Tensor, octaves: Tensor, n_epochs: int) -> None:
    """Fit the head to the features ``(n, views, positions, width)`` and log diameters ``(n,)``."""
    wanted = torch.exp(-(((grid()[None] - octaves[:, None]) / TOLERANCE) ** 2) / 2)
    wanted /= wanted.sum(1, keepdim=True)
    batch = min(BATCH, len(features))
    n_batches = len(features) // batch
    head.train()
    optimizer = torch.optim.AdamW(head.parameters(), lr=LEARNING_RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=n_epochs * n_batches, pct_start=0.1
    )
    for epoch in range(n_epochs):
        losses = []
        for chosen in torch.randperm(len(features))[: n_batches * batch].view(n_batches, -1):
            loss = -(wanted[chosen] * head(features[chosen].float())).sum(1).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        log.info("epoch %d of %d: loss %.3f", epoch + 1, n_epochs, np.mean(losses))
    head.eval()


def _features(ruler: Ruler, pictures: Dataset[tuple[Tensor, float]]) -> tuple[Tensor, Tensor]:
    """Return features ``(n, views, positions, width)``, half precision, and octaves ``(n,)``."""
    features, octaves = [], []
    for k, (shown, octave) in enumerate(DataLoader(pictures, batch_size=None, num_workers=1)):
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            features.append(ruler.features(shown).half())
        octaves.append(octave)
        if (k + 1) % 500 == 0:
            log.info("%d pictures", k + 1)
    return torch.stack(features), torch.tensor(octaves)
