"""Options of training, fine-tuning and splitting labelled images."""

from __future__ import annotations

from typing import Literal

from cellsam_core.options import MAX_SEED, Options, option, options
from cellsam_core.segmentation.options import Device, ModelOptions
from cellsam_core.training.plan import TrainingPlan


@options
class TrainOptions(Options):
    """Options of training the tiny model."""

    weights: str | None = option(
        None, "Name or path of the weights to start from; without it, random weights."
    )
    steps: int = option(TrainingPlan.n_steps, "Optimiser steps of both stages.", minimum=1)
    stage2_share: float = option(
        TrainingPlan.stage2_share,
        "Fraction of the steps, at the end, that train the masks alone.",
        minimum=0,
        maximum=1,
    )
    simulated_share: float = option(
        TrainingPlan.simulated_share, "Fraction of simulated crops.", minimum=0, maximum=1
    )
    candidates: int = option(
        TrainingPlan.n_candidates,
        "Largest number of proposals that are matched to a cell; 1 is one-to-one matching.",
        minimum=1,
    )
    seed: int = option(
        TrainingPlan.seed, "Seed of the weights and crops.", minimum=0, maximum=MAX_SEED
    )

    def plan(self) -> TrainingPlan:
        """Make the plan of a training run."""
        return TrainingPlan(
            n_steps=self.steps,
            stage2_share=self.stage2_share,
            simulated_share=self.simulated_share,
            n_candidates=self.candidates,
            seed=self.seed,
        )


@options
class FinetuneOptions(Options):
    """Options of adapting weights to a few labelled images."""

    nuclear_channel: str | None = option(
        None,
        "Images of several channels: name or number (from 1) of the nuclear stain. The names of the"
        " channels tell it if neither channel is given.",
    )
    cell_channel: str | None = option(
        None,
        "Images of several channels: name or number (from 1) of the cytoplasm or membrane stain.",
    )
    stain: Literal["cell", "nuclear"] = option(
        "cell",
        "Stain that the images show, which is the channel in which they will be segmented.",
    )
    weights: str = option("tiny", "Name or path of the weights to start from.")
    device: Device = option(
        ModelOptions.device, "auto takes a GPU if there is one; cuda without a GPU is an error."
    )
    steps: int = option(200, "Optimiser steps, of 4 crops each.", minimum=1)
    seed: int = option(0, "Seed of the crops.", minimum=0, maximum=MAX_SEED)


@options
class SplitOptions(Options):
    """Options of choosing images for training and for validation."""

    validation_share: float = option(
        0.15, "Fraction of each modality's images that validate.", minimum=0, maximum=1
    )
    seed: int = option(0, "Seed of the choice.", minimum=0, maximum=MAX_SEED)
