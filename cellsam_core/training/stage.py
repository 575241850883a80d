"""Training of the tiny model: from a manifest of images, or from a user's few images."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.models import refuse_untrainable
from cellsam_core.training.image_files import read_grey
from cellsam_core.training.labelled import load_folder, load_manifest, refuse_without_cells
from cellsam_core.training.options import FinetuneOptions, SplitOptions, TrainOptions
from cellsam_core.training.rows import read_manifest, refuse_absent
from cellsam_core.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.segmentation.weights import WeightsInfo
    from cellsam_core.training.finetune import Tuned
    from cellsam_core.training.labelled import LabelledImage

log = logging.getLogger(__name__)

TRAIN, FINETUNE, SPLIT = TrainOptions(), FinetuneOptions(), SplitOptions()
"""Options where none are given."""


def train(
    manifest: str | Path, data: str | Path, output: str | Path, options: TrainOptions = TRAIN
) -> Path:
    """Train the tiny model on labelled images, in two stages.

    A run that was killed goes on from its checkpoint in `output`.

    Parameters
    ----------
    manifest
        Tab-separated table with the columns set, image, label, modality, split and, if need be,
        weight; the rows of the split ``train`` are used.
    data
        Folder that the paths of the manifest start from.
    output
        Folder for ``weights.safetensors``, the checkpoint and the loss curve.
    options
        Options of training.

    Returns
    -------
    Path
        The file of the weights.

    Raises
    ------
    InputError
        The manifest or an image can't be used, no image has a cell, the weights to start from are
        not those of a tiny model, or the checkpoint is that of another run.

    Examples
    --------
    >>> from cellsam_core.training.options import TrainOptions
    >>> train("data.tsv", "data", "run", TrainOptions(steps=8000))  # doctest: +SKIP
    PosixPath('run/weights.safetensors')
    """
    from cellsam_core.segmentation.weights import load_trainable, save
    from cellsam_core.training.loop import train as run

    if options.weights is not None:
        refuse_untrainable(options.weights)
    images = load_manifest(Path(manifest), Path(data), "train")
    if options.simulated_share < 1:
        refuse_without_cells(Path(manifest), images)
    start = None if options.weights is None else load_trainable(options.weights)
    path = Path(output) / "weights.safetensors"
    save(run(images, options.plan(), Path(output), start=start), path)
    return path


def finetune(
    folder: str | Path,
    output: str | Path,
    options: FinetuneOptions = FINETUNE,
    *,
    validation: str | Path | None = None,
    scores: str | Path | None = None,
) -> Tuned:
    """Adapt the weights of the tiny model to 1 to 20 labelled images of a user.

    The weights are never worse on the held-out cells than those to start from.

    Parameters
    ----------
    folder
        Folder with ``<id>.tif`` or ``<id>.png`` and, for each, ``<id>_label``,
        or labels as Cellpose names them: ``<id>_cp_masks``, ``<id>_masks`` or ``<id>_seg.npy``.
    output
        File of the weights to write, ``*.safetensors``.
    options
        Options of fine-tuning.
    validation
        Folder of labelled images to validate with; without it, a part of `folder` is held out.
    scores
        File for the scores on the held-out cells, as JSON: ``before`` and ``after`` with ``f1_50``
        and ``pq``, the step of the weights that were kept (0: those to start from), the name of
        those to start from, and the file of the weights.

    Returns
    -------
    Tuned
        The weights, the step that they are from, and the scores before and after.

    Raises
    ------
    InputError
        An image can't be used, there are not two cells, an image is in both folders, the weights
        are not those of a tiny model, or `output` is no such file.

    Examples
    --------
    >>> tuned = finetune("my_images", "mine.safetensors")  # doctest: +SKIP
    >>> tuned.before.f1_50, tuned.after.f1_50  # doctest: +SKIP
    (0.81, 0.9)
    """
    from cellsam_core.segmentation.weights import choose_device, info, load_trainable, save
    from cellsam_core.training.finetune import finetune as run
    from cellsam_core.training.finetune import hold_out, tuning_plan

    path = Path(output)
    refuse_untrainable(options.weights)
    _refuse_other_file(path)
    images = read_images(Path(folder), options)
    if validation is None:
        training, held_out = hold_out(images)
    else:
        training, held_out = images, read_images(Path(validation), options)
        _refuse_shared(Path(validation), training, held_out)
    start, device = info(options.weights), choose_device(options.device)
    log.info("%d images or parts to learn from, %d held out", len(training), len(held_out))
    with atomic_path(path) as temporary:
        plan = tuning_plan(options.steps, options.seed)
        model = load_trainable(options.weights)
        tuned = run(model, training, held_out, plan, device=device)
        metadata = _metadata(options, start, images, tuned, own_validation=validation is not None)
        save(tuned.state, temporary, metadata)
    _log_scores(tuned, start.name, path)
    if scores is not None:
        said: dict[str, Any] = {
            "before": tuned.before._asdict(),
            "after": tuned.after._asdict(),
        }
        said |= {"step": tuned.step, "start": start.name, "weights": str(output)}
        with atomic_path(scores) as temporary:
            temporary.write_text(json.dumps(said, indent=1) + "\n")
    return tuned


def split(manifest: str | Path, data: str | Path, options: SplitOptions = SPLIT) -> pd.DataFrame:
    """Choose which labelled images train and which validate, without a leak.

    Images of one source, such as copies and tiles of one field, stay on one side.

    Parameters
    ----------
    manifest
        Tab-separated table with the columns set, image, label, modality, source and split.
    data
        Folder that the paths of the manifest start from.
    options
        Options of the choice.

    Returns
    -------
    pandas.DataFrame
        The rows of the manifest, with each empty source and split filled in.

    Raises
    ------
    InputError
        The manifest or an image can't be read, or rows of one source are given two splits.

    Examples
    --------
    >>> rows = split("data.tsv", "data")  # doctest: +SKIP
    >>> rows["split"].value_counts()  # doctest: +SKIP
    """
    from cellsam_core.training.split import choose_split, fill_sources

    root = Path(data)
    rows = read_manifest(Path(manifest), "source")
    refuse_absent(root, rows["image"].tolist())
    if rows["source"].isna().any():
        # A new image may be a copy of one whose source is given, in whichever set.
        rows["source"] = fill_sources(rows, [read_grey(root / i) for i in rows["image"]])
    rows["split"] = choose_split(rows, validation_share=options.validation_share, seed=options.seed)
    return rows


def read_images(folder: Path, options: FinetuneOptions) -> list[LabelledImage]:
    """Read labelled images with cells and put them in the channel they will be segmented in."""
    given = {"nuclear": options.nuclear_channel, "cell": options.cell_channel}
    images = load_folder(folder, {role: name for role, name in given.items() if name})
    refuse_without_cells(folder, images)
    if options.stain == "cell" or any(image.channels[0].any() for image in images):
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


def _refuse_other_file(output: Path) -> None:
    if output.suffix != ".safetensors" or output.is_dir():
        raise InputError(
            "option `output`",
            found=str(output),
            expected="the name of a .safetensors file",
            remedy="name a file with this ending",
        )


def _refuse_shared(
    folder: Path, training: list[LabelledImage], validation: list[LabelledImage]
) -> None:
    """Refuse to validate with an image that is learnt from."""
    seen = {image.channels.tobytes(): image.name for image in training}
    for image in validation:
        if (name := seen.get(image.channels.tobytes())) is not None:
            raise InputError(
                folder,
                found=f"image {image.name}, which has the pixels of image {name} to learn from",
                expected="images that are not learnt from",
                remedy="remove it from one of the folders, or leave out the option `validation`",
            )


def _log_scores(tuned: Tuned, start: str, path: Path) -> None:
    if tuned.step == 0:
        log.info(
            "nothing beat %s on the held-out cells (F1 %.3f): %s holds its weights unchanged",
            start,
            tuned.before.f1_50,
            path,
        )
    else:
        log.info(
            "F1 on the held-out cells %.3f -> %.3f, PQ %.3f -> %.3f: use --weights %s",
            tuned.before.f1_50,
            tuned.after.f1_50,
            tuned.before.pq,
            tuned.after.pq,
            path,
        )


def _metadata(
    options: FinetuneOptions,
    start: WeightsInfo,
    images: list[LabelledImage],
    tuned: Tuned,
    *,
    own_validation: bool,
) -> dict[str, Any]:
    """Describe the origin of the weights; `segment` reads the limits of the cell diameter."""
    from cellsam_core.training.finetune import typical_diameter_px

    return {
        "command": f"finetune of cellsam-core {__version__}",
        "start": start.name,
        "start_sha256": start.sha256,
        "stain": options.stain,
        "n_images": len(images),
        "own_validation": own_validation,
        "steps": options.steps,
        "seed": options.seed,
        "best_step": tuned.step,
        "validation_before": tuned.before._asdict(),
        "validation_after": tuned.after._asdict(),
        "cell_diameter_px": round(typical_diameter_px(images), 2),
    }
