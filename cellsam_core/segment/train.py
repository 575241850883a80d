"""Two-stage training of the ``tiny`` model, after the CellSAM paper.

Stage 1 trains encoder, CellFinder and mask decoder together. Stage 2 freezes the encoder
and CellFinder and tunes the neck and the mask decoder with true boxes. Weights are averaged
over time (EMA); a killed run resumes from its checkpoint with the same crops.
"""

from __future__ import annotations

import logging
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cellsam_core.io.atomic import atomic_path
from cellsam_core.segment.crops import Crops, collate
from cellsam_core.segment.history import History
from cellsam_core.segment.losses import Target, detection_loss, mask_loss
from cellsam_core.segment.model import CellSAM

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cellsam_core.segment.labelled import LabelledImage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides a training run besides its data.

    Attributes
    ----------
    n_steps
        Of both stages together.
    stage2_share
        Fraction of the steps, at the end, that belong to stage 2.
    batch_size, n_queries, n_mask_boxes
        Crops a step, queries a crop, boxes a step that are decoded to masks.
    learning_rate
        Peak, AdamW; one cycle of cosine a stage.
    ema_decay
        Of the averaged weights.
    simulated_share
        Fraction of simulated crops.
    n_candidates
        Proposals that a cell may claim in the one-to-many matching; 1 makes it one to one.
    seed
        Of weights and crops.
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

    def rate(self, step: int) -> float:
        """Learning rate at a step: 200 steps of warm-up, then cosine, anew in stage 2."""
        if step < self.n_stage1:
            progress = step / self.n_stage1
            return self.learning_rate * min(1, (step + 1) / 200) * _cosine(progress)
        progress = (step - self.n_stage1) / max(1, self.n_steps - self.n_stage1)
        return 0.3 * self.learning_rate * _cosine(progress)


def _cosine(progress: float) -> float:
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def train(
    images: Sequence[LabelledImage],
    plan: TrainingPlan,
    folder: Path,
    *,
    checkpoint_every: int = 100,
) -> dict[str, Tensor]:
    """Train, or go on where ``folder/checkpoint.pt`` stops; return the averaged weights.

    Parameters
    ----------
    images
        The training split.
    plan
        Must equal that of the checkpoint, if there is one.
    folder
        For the checkpoint and ``loss.csv``.
    checkpoint_every
        Steps.
    """
    torch.manual_seed(plan.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = CellSAM().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.AdamW(
        parameter_groups(model), lr=plan.learning_rate, betas=(0.9, 0.98), fused=True
    )
    start = 0
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if state["plan"] != asdict(plan):
            msg = f"{checkpoint} belongs to another plan: {state['plan']}"
            raise ValueError(msg)
        model.load_state_dict(state["model"])
        average = state["average"]
        optimizer.load_state_dict(state["optimizer"])
        start = state["step"]
        log.info("resuming at step %d", start)
    history = History(folder / "loss.csv", start)
    for step, (pixels, targets) in enumerate(batches(images, plan, start), start=start):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)
        losses = _step(model, optimizer, pixels.to(device), targets, plan, step)
        update_average(average, model, min(plan.ema_decay, (step + 1) / (step + 20)))
        history.add(step, plan.rate(step), losses)
        if (step + 1) % checkpoint_every == 0 or step + 1 == plan.n_steps:
            history.flush()
            with atomic_path(checkpoint) as temporary:
                torch.save(
                    {
                        "plan": asdict(plan),
                        "step": step + 1,
                        "model": model.state_dict(),
                        "average": average,
                        "optimizer": optimizer.state_dict(),
                    },
                    temporary,
                )
    return average


def parameter_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Decay matrices and kernels, not norms, biases and embeddings."""
    decay = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": decay, "weight_decay": 0.03}, {"params": rest, "weight_decay": 0.0}]


def batches(
    images: Sequence[LabelledImage], plan: TrainingPlan, start: int = 0
) -> Iterator[tuple[Tensor, list[Target]]]:
    """Yield the crops and targets of each step from `start` on."""
    crops = Crops(
        images,
        simulated_share=plan.simulated_share,
        n=plan.n_steps * plan.batch_size,
        seed=plan.seed,
    )
    rest = torch.utils.data.Subset(crops, range(start * plan.batch_size, len(crops)))
    yield from DataLoader(
        rest, plan.batch_size, num_workers=1, collate_fn=collate, prefetch_factor=4
    )


def _step(
    model: CellSAM,
    optimizer: torch.optim.Optimizer,
    pixels: Tensor,
    targets: list[Target],
    plan: TrainingPlan,
    step: int,
) -> dict[str, float]:
    stage2 = step >= plan.n_stage1
    model.train(not stage2)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not stage2 or name.startswith(("encoder.neck", "decoder")))
    return descend(model, optimizer, pixels, targets, plan, step)


def descend(
    model: CellSAM,
    optimizer: torch.optim.Optimizer,
    pixels: Tensor,
    targets: list[Target],
    plan: TrainingPlan,
    step: int,
) -> dict[str, float]:
    """Take one step on what requires a gradient; return the losses and the gradient's norm.

    Parameters
    ----------
    model
        On the device of `pixels`; whether batch norm learns is its mode's business.
    optimizer
        Of its parameters.
    pixels, targets
        Crops ``(n, 3, h, w)`` and what is asked for.
    plan, step
        Decide on the stage, and seed the choice of boxes.
    """
    stage2 = step >= plan.n_stage1
    generator = torch.Generator().manual_seed(plan.seed * 1_000_003 + step)
    device = pixels.device
    on_device = [Target(*(v.to(device) for v in t)) for t in targets]
    with torch.autocast(device.type, dtype=torch.bfloat16):
        if stage2:
            losses = {}
            _, features = model.encoder(pixels.contiguous(memory_format=torch.channels_last))
        else:
            dense, refined, features = model(
                pixels.contiguous(memory_format=torch.channels_last), plan.n_queries
            )
            losses = detection_loss(dense, refined, on_device, plan.n_candidates)
        n_boxes = 2 * plan.n_mask_boxes if stage2 else plan.n_mask_boxes
        losses |= mask_loss(
            model.decoder, features, on_device, max_boxes=n_boxes, generator=generator
        )
    total = torch.stack([v.float() for v in losses.values()]).sum()
    optimizer.zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    if torch.isfinite(norm):
        optimizer.step()
    else:
        log.warning("step %d skipped: the gradient is not finite", step)
    return {k: float(v.detach()) for k, v in losses.items()} | {"gradient_norm": float(norm)}


@torch.no_grad()
def update_average(average: dict[str, Tensor], model: nn.Module, decay: float) -> None:
    """Move the averaged weights towards those of the model, by ``1 - decay``."""
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)
