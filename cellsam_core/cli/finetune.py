"""``cellsam-core finetune``: adapt the weights to a user's few labelled images."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.cli.limits import MAX_SEED, refuse_outside
from cellsam_core.cli.segment_options import refuse_published
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import argparse

    from cellsam_core.segment.finetune import Tuned
    from cellsam_core.segment.labelled import LabelledImage
    from cellsam_core.segment.weights import WeightsInfo

log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder", type=Path, help="1 to 20 images <id>.tif, .png or .zarr, each with <id>_label"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="file to write, WEIGHTS.safetensors"
    )
    parser.add_argument(
        "--validation",
        type=Path,
        help="folder of labelled images to judge by; else a part of FOLDER is held out",
    )
    parser.add_argument(
        "--stain",
        choices=("cell", "nuclear"),
        default="cell",
        help="what the images show, as they will be segmented: the channel they are put in",
    )
    parser.add_argument(
        "--nuclear-channel",
        help="of images of several channels: name or number (from 1) of the nuclear stain; guessed "
        "from the channels' names if neither channel is named",
    )
    parser.add_argument("--cell-channel", help="likewise of the cytoplasm or membrane stain")
    parser.add_argument("--weights", default="tiny", help="to start from: a name or a path")
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto: the GPU if there is one",
    )
    parser.add_argument("--steps", type=int, default=200, help="optimiser steps, of 4 crops each")
    parser.add_argument("--seed", type=int, default=0, help="of the crops")


def run(args: argparse.Namespace) -> None:
    from cellsam_core.io.atomic import atomic_path
    from cellsam_core.segment.finetune import finetune, hold_out, tuning_plan
    from cellsam_core.segment.weights import choose_device, info, load_trainable, save

    _check(args)
    roles = _roles(args)
    images = read_images(args.folder, args.stain, roles)
    if args.validation is None:
        training, validation = hold_out(images)
    else:
        training, validation = images, read_images(args.validation, args.stain, roles)
        _refuse_shared(args.validation, training, validation)
    start, device = info(args.weights), choose_device(args.device)
    log.info("%d images or parts to learn from, %d held out", len(training), len(validation))
    with atomic_path(args.output) as temporary:
        plan = tuning_plan(args.steps, args.seed)
        tuned = finetune(load_trainable(args.weights), training, validation, plan, device=device)
        save(tuned.state, temporary, _metadata(args, start, images, tuned))
    if tuned.step == 0:
        log.info(
            "nothing beat %s on the held-out cells (F1 %.3f): %s holds its weights unchanged",
            start.name,
            tuned.before.f1_50,
            args.output,
        )
    else:
        log.info(
            "F1 on the held-out cells %.3f -> %.3f, PQ %.3f -> %.3f: use --weights %s",
            tuned.before.f1_50,
            tuned.after.f1_50,
            tuned.before.pq,
            tuned.after.pq,
            args.output,
        )


def _check(args: argparse.Namespace) -> None:
    refuse_outside("option `steps`", args.steps, 1)
    refuse_outside("option `seed`", args.seed, 0, MAX_SEED)
    refuse_published(args.weights)
    if args.output.suffix != ".safetensors" or args.output.is_dir():
        raise InputError(
            "option `output`",
            found=str(args.output),
            expected="the name of a .safetensors file",
            remedy="name a file with this ending",
        )


def _roles(args: argparse.Namespace) -> dict[str, str]:
    """Say which channels are named; a stain is named for images of one channel alone."""
    given = {"nuclear": args.nuclear_channel, "cell": args.cell_channel}
    return {role: name for role, name in given.items() if name}


def read_images(
    folder: Path, stain: str, roles: dict[str, str] | None = None
) -> list[LabelledImage]:
    """Read labelled images with cells and put them in the channel they will be segmented in."""
    from cellsam_core.segment.labelled import load_folder, refuse_without_cells

    images = load_folder(folder, roles)
    refuse_without_cells(folder, images)
    if stain == "cell" or any(image.channels[0].any() for image in images):
        return images
    return [
        replace(
            image,
            modality="nuclear",
            channels=image.channels[::-1].copy(),
            equalised=image.equalised[::-1].copy(),
        )
        for image in images
    ]


def _refuse_shared(
    folder: Path, training: list[LabelledImage], validation: list[LabelledImage]
) -> None:
    """Refuse to judge by what was learnt from."""
    seen = {image.channels.tobytes(): image.name for image in training}
    for image in validation:
        if (name := seen.get(image.channels.tobytes())) is not None:
            raise InputError(
                folder,
                found=f"image {image.name}, which has the pixels of image {name} to learn from",
                expected="images that are not learnt from",
                remedy="remove it from one of the folders, or leave out the option `validation`",
            )


def _metadata(
    args: argparse.Namespace, start: WeightsInfo, images: list[LabelledImage], tuned: Tuned
) -> dict[str, Any]:
    """Say where the weights come from; the cell diameter limits where `segment` looks."""
    from cellsam_core import __version__
    from cellsam_core.segment.finetune import typical_diameter_px

    return {
        "command": f"finetune of cellsam-core {__version__}",
        "start": start.name,
        "start_sha256": start.sha256,
        "stain": args.stain,
        "n_images": len(images),
        "own_validation": args.validation is not None,
        "steps": args.steps,
        "seed": args.seed,
        "best_step": tuned.step,
        "validation_before": tuned.before._asdict(),
        "validation_after": tuned.after._asdict(),
        "cell_diameter_px": round(typical_diameter_px(images), 2),
    }
