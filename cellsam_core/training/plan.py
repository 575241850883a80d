"""Hyper-parameters of a training run."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingPlan:
    """Hyper-parameters of a training run.

    Attributes
    ----------
    n_steps
        Optimiser steps of both stages together.
    stage2_share
        Fraction of the steps, at the end, that belong to stage 2.
    batch_size, n_queries, n_mask_boxes
        Crops a step, queries a crop, boxes a step that are decoded to masks.
    learning_rate
        Peak, AdamW; one cycle of cosine a stage.
    ema_decay
        Decay of the averaged weights.
    simulated_share
        Fraction of simulated crops.
    n_candidates
        Proposals that a cell may claim in the one-to-many matching; 1 makes it one to one.
    seed
        Seed of weights and crops.
    """

    n_steps: int = 8000
    stage2_share: float = 0.1
    batch_size: int = 6
    n_queries: int = 150
    n_mask_boxes: int = 48
    learning_rate: float = 6e-4
    ema_decay: float = 0.998
    simulated_share: float = 0.3
    n_candidates: int = 7
    seed: int = 0

    @property
    def n_stage1(self) -> int:
        """Steps of stage 1."""
        return round(self.n_steps * (1 - self.stage2_share))

    def in_stage2(self, step: int) -> bool:
        """Tell whether a step belongs to stage 2."""
        return step >= self.n_stage1

    def rate(self, step: int) -> float:
        """Learning rate at a step: 200 steps of warm-up, then cosine, anew in stage 2."""
        if not self.in_stage2(step):
            progress = step / self.n_stage1
            return self.learning_rate * min(1, (step + 1) / 200) * _cosine(progress)
        progress = (step - self.n_stage1) / max(1, self.n_steps - self.n_stage1)
        return 0.3 * self.learning_rate * _cosine(progress)


def _cosine(progress: float) -> float:
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))
