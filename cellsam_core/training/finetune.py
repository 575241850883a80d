"""Few-shot adaptation: the whole network goes on training on a user's few labelled images.

The encoder is not frozen. Heads on cached features were measured to adapt less: on cells of
another look the early convolutions have to change too. Batch norm keeps its statistics, which
a few crops estimate badly. What counts is the score on cells that are held out; the weights
to start from are the first candidate, so the result is never worse than they are there.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy import ndimage

from cellsam_core.errors import InputError
from cellsam_core.evaluation.segmentation import score_pairs
from cellsam_core.segmentation.image import segment_image
from cellsam_core.segmentation.instances import draw_labels
from cellsam_core.segmentation.tiny.model import CellSAM, fold_batch_norm
from cellsam_core.segmentation.tiny.predict import Segmenter
from cellsam_core.training.loop import batches, descend, parameter_groups, update_average
from cellsam_core.training.plan import TrainingPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from cellsam_core.training.labelled import LabelledImage

log = logging.getLogger(__name__)

N_WHOLE = 5
"""From so many images with cells on, each `N_WHOLE`-th image is held out; else a part of each."""

TRAINING_SHARE = 2 / 3
"""Fraction of an image's cells to learn from, where a part of each image is held out."""


class Score(NamedTuple):
    """Mean F1 over images at an IoU of 0.5; panoptic quality, the finer one, breaks ties."""

    f1_50: float
    pq: float


class Tuned(NamedTuple):
    """The best weights, after which step they were found (0: the start), and the scores."""

    state: dict[str, Tensor]
    step: int
    before: Score
    after: Score


def tuning_plan(n_steps: int, seed: int) -> TrainingPlan:
    """Plan one stage on real crops alone.

    The warm-up of 200 steps is as long as the usual run, whose learning rate so peaks at 2.2e-4.
    """
    return TrainingPlan(
        n_steps=n_steps,
        stage2_share=0.0,
        batch_size=4,
        learning_rate=8e-4,
        ema_decay=0.9,
        simulated_share=0.0,
        seed=seed,
    )


def finetune(
    model: CellSAM,
    training: Sequence[LabelledImage],
    validation: Sequence[LabelledImage],
    plan: TrainingPlan,
    *,
    device: str,
    check_every: int = 25,
) -> Tuned:
    """Train on few images and keep the weights that score best on the held-out ones.

    Parameters
    ----------
    model
        To start from, batch norm not folded; changed in place.
    training, validation
        From :func:`hold_out`, or the user's own choice.
    plan
        From :func:`tuning_plan`.
    device
        ``cpu`` or ``cuda``.
    check_every
        Steps between two scores.

    Returns
    -------
    Tuned
        Weights in the half precision that they are saved and were scored in.
    """
    model = model.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    state = _halved(average)
    before = score(state, validation, device)
    best = Tuned(state, 0, before, before)
    log.info("before: F1 %.3f, PQ %.3f on the held-out cells", *before)
    optimizer = torch.optim.AdamW(parameter_groups(model), betas=(0.9, 0.98), fused=True)
    for step, (pixels, targets) in enumerate(batches(training, plan)):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)
        descend(model, optimizer, pixels.to(device), targets, plan, step)
        update_average(average, model, min(plan.ema_decay, (step + 1) / (step + 20)))
        if (step + 1) % check_every == 0 or step + 1 == plan.n_steps:
            state = _halved(average)
            found = score(state, validation, device)
            log.info("step %d of %d: F1 %.3f, PQ %.3f", step + 1, plan.n_steps, *found)
            if found > best.after:
                best = Tuned(state, step + 1, before, found)
    return best


def score(state: dict[str, Tensor], images: Sequence[LabelledImage], device: str) -> Score:
    """Segment labelled images at their cell scale, as ``segment`` does, and score the result."""
    model = CellSAM().eval()
    model.load_state_dict(state)
    fold_batch_norm(model)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    segmenter = Segmenter(model, device)
    pairs = []
    for image in images:
        cells = segment_image(
            segmenter,
            np.asarray(image.channels / np.float32(255), np.float32),
            diameter_px=image.diameter_px,
            tile_px=512,
            min_area_px=25,
        )
        pairs.append((draw_labels(cells, 0, *image.labels.shape), image.labels))
    scores = score_pairs(pairs)
    return Score(float(scores["f1_50"] or 0), float(scores["pq"] or 0))


def _halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy weights in half precision to the CPU."""
    return {k: (v.half() if v.is_floating_point() else v).cpu().clone() for k, v in state.items()}


def hold_out(
    images: Sequence[LabelledImage],
) -> tuple[list[LabelledImage], list[LabelledImage]]:
    """Split images into training and validation, both with cells.

    Every fifth image with cells is held out; of fewer than five, a third of each one's cells.

    Raises
    ------
    InputError
        There are not two cells, one to learn from and one to judge by.
    """
    peopled = [image for image in images if image.labels.any()]
    if len(peopled) >= N_WHOLE:
        validation = peopled[N_WHOLE // 2 :: N_WHOLE]
        held = {id(image) for image in validation}
        return [image for image in images if id(image) not in held], validation
    training, validation = [], []
    for image in images:
        first, second = cut(image) or (image, None)
        training.append(first)
        if second:
            validation.append(second)
    if not validation:
        raise InputError(
            "the labels",
            found=f"{len(peopled)} images with cells, none with two of them",
            expected="two cells in one image, each with its own number: to learn and to judge by",
            remedy="label more cells, or name a folder of others with the option `validation`",
        )
    return training, validation


def typical_diameter_px(images: Sequence[LabelledImage]) -> float:
    """Median over images with cells of their median cell diameter, px."""
    return float(np.median([image.diameter_px for image in images if image.labels.any()]))


def cut(image: LabelledImage) -> tuple[LabelledImage, LabelledImage] | None:
    """Cut an image across so that two thirds of its cells lie on one side; None without two."""
    present = np.flatnonzero(np.bincount(image.labels.ravel()))
    cells = present[present > 0]
    if len(cells) < 2:
        return None
    centres = np.array(ndimage.center_of_mass(image.labels > 0, image.labels, cells))
    axis = int(np.argmax(np.ptp(centres, axis=0)))
    along = np.sort(centres[:, axis])
    k = min(max(1, round(TRAINING_SHARE * len(along))), len(along) - 1)
    at = int(np.ceil((along[k - 1] + along[k]) / 2))
    return _part(image, axis, slice(None, at)), _part(image, axis, slice(at, None))


def _part(image: LabelledImage, axis: int, piece: slice) -> LabelledImage:
    window = (piece, slice(None)) if axis == 0 else (slice(None), piece)

    def take(planes: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.ascontiguousarray(planes[:, *window])

    labels = np.ascontiguousarray(image.labels[window])
    return replace(
        image,
        channels=take(image.channels),
        equalised=take(image.equalised),
        labels=labels,
        unknown=None if image.unknown is None else image.unknown[window],
    )
