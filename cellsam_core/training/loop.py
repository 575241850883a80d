"""Two-stage training of the ``tiny`` model, after the CellSAM paper.

Stage 1 trains encoder, CellFinder and mask decoder together. Stage 2 freezes the encoder
and CellFinder and tunes the neck and the mask decoder with true boxes. Weights are averaged
over time (EMA); a killed run resumes from its checkpoint with the same crops.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import asdict
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from cellsam_core.errors import InputError, first_line
from cellsam_core.files.atomic import atomic_path, exclusive
from cellsam_core.segmentation.tiny.model import CellSAM
from cellsam_core.segmentation.weights import digest_of
from cellsam_core.training.crops import Crops, collate
from cellsam_core.training.history import History
from cellsam_core.training.losses import Target, detection_loss, mask_loss

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from cellsam_core.training.labelled import LabelledImage
    from cellsam_core.training.plan import TrainingPlan

log = logging.getLogger(__name__)


def train(
    images: Sequence[LabelledImage],
    plan: TrainingPlan,
    folder: Path,
    *,
    start: CellSAM | None = None,
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
    start
        Model to go on from, changed in place; random weights without it.
    checkpoint_every
        Steps.

    Raises
    ------
    InputError
        The checkpoint can't be read or is of other images, another start or another plan, or
        another process trains in the folder.
    """
    with exclusive(folder / "training"):
        return _train(images, plan, folder, start, checkpoint_every)


def _train(
    images: Sequence[LabelledImage],
    plan: TrainingPlan,
    folder: Path,
    start: CellSAM | None,
    checkpoint_every: int,
) -> dict[str, Tensor]:
    torch.manual_seed(plan.seed)
    origin = {
        "plan": asdict(plan),
        "start": None if start is None else digest_of(start.state_dict()),
        "images": _digest(images),
    }
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = start or CellSAM()
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = {k: v.detach().clone() for k, v in model.state_dict().items()}
    optimizer = torch.optim.AdamW(
        parameter_groups(model), lr=plan.learning_rate, betas=(0.9, 0.98), fused=True
    )
    first = 0
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        state = _read_checkpoint(checkpoint, device, origin)
        model.load_state_dict(state["model"])
        average = state["average"]
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
        log.info("resuming at step %d", first)
    history = History(folder / "loss.csv", first)
    for step, (pixels, targets) in enumerate(batches(images, plan, first), start=first):
        for group in optimizer.param_groups:
            group["lr"] = plan.rate(step)
        _enter_stage(model, stage2=plan.in_stage2(step))
        losses = descend(model, optimizer, pixels.to(device), targets, plan, step)
        update_average(average, model, min(plan.ema_decay, (step + 1) / (step + 20)))
        history.add(step, plan.rate(step), losses)
        if (step + 1) % checkpoint_every == 0 or step + 1 == plan.n_steps:
            history.flush()
            with atomic_path(checkpoint) as temporary:
                torch.save(
                    {
                        "origin": origin,
                        "step": step + 1,
                        "model": model.state_dict(),
                        "average": average,
                        "optimizer": optimizer.state_dict(),
                    },
                    temporary,
                )
    return average


def _digest(images: Sequence[LabelledImage]) -> str:
    """Tell the images of one run from those of another: pixels, labels and weights, in order."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(f"{image.name} {image.weight} {image.labels.shape}".encode())
        digest.update(image.channels.tobytes() + image.labels.tobytes())
        if image.unknown is not None:
            digest.update(image.unknown.tobytes())
    return digest.hexdigest()


def _read_checkpoint(path: Path, device: torch.device, origin: dict[str, Any]) -> dict[str, Any]:
    """Read where a killed run of the same origin has got to."""
    remedy = "repeat the options and data of the run that began there, or name another folder"
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        before = state["origin"]
        plan = before["plan"].items()
    except (OSError, EOFError, RuntimeError, LookupError, AttributeError, UnpicklingError) as error:
        raise InputError(
            path,
            found=f"no checkpoint that can be read ({first_line(error)})",
            expected="that of a killed run",
            remedy="delete it to start anew",
        ) from error
    for name, value in plan:
        if origin["plan"].get(name) != value:
            raise InputError(
                path,
                found=f"a run with {name} {value}",
                expected=f"{name} {origin['plan'].get(name)}, as asked for now",
                remedy=remedy,
            )
    for name, what in (("start", "another start"), ("images", "other images")):
        if before[name] != origin[name]:
            raise InputError(
                path, found=f"a run with {what}", expected="that of now", remedy=remedy
            )
    return state


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


def _enter_stage(model: CellSAM, *, stage2: bool) -> None:
    """Let everything learn, or in stage 2 only what draws masks, with batch norm at rest."""
    model.train(not stage2)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not stage2 or name.startswith(("encoder.neck", "decoder")))


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
        Optimiser of its parameters.
    pixels, targets
        Crops ``(n, 3, h, w)`` and what is asked for.
    plan, step
        Decide on the stage, and seed the choice of boxes.
    """
    stage2 = plan.in_stage2(step)
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
