"""Single image files, segmented without a workflow: TIFF, PNG or JPEG in, labels and tables out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.filenames import same_stem
from cellsam_core.labels.source import write_label_tiff
from cellsam_core.preprocessing.channels import choose_roles
from cellsam_core.preprocessing.images import images_of_manifest
from cellsam_core.preprocessing.stage import preprocess
from cellsam_core.samples.options import InspectOptions
from cellsam_core.samples.stage import inspect
from cellsam_core.segmentation.given_boxes import (
    CORNERS,
    read_boxes,
    refuse_dropping,
    refuse_outside,
)
from cellsam_core.segmentation.stage import load_model, segment_single

if TYPE_CHECKING:
    from pathlib import Path

    from cellsam_core.preprocessing.options import PreprocessOptions
    from cellsam_core.samples.manifest import Manifest
    from cellsam_core.segmentation.options import ModelOptions, SegmentOptions

log = logging.getLogger(__name__)


def segment_files(
    images: list[Path],
    output: Path,
    model_options: ModelOptions,
    options: SegmentOptions,
    preprocess_options: PreprocessOptions,
    *,
    channels: str | None = None,
    boxes: Path | None = None,
) -> None:
    """Segment image files and write ``<name>.tif`` and ``<name>_cells.csv`` for each.

    All files are opened and checked before the first one is segmented.

    Parameters
    ----------
    images
        Files with one image each.
    output
        Folder for the results.
    model_options, options, preprocess_options
        Options of the model, of segmentation, and of the channels and their contrast.
    channels
        Names of the channels in file order, separated by commas.
    boxes
        CSV table with the columns image, x0, y0, x1, y1 in pixels; the cells in these boxes are
        drawn, and no others.

    Raises
    ------
    InputError
        A file can't be read, holds several frames, or would be overwritten; or two files have
        the same name.
    """
    _refuse_same_stems(images)
    _refuse_overwriting(images, output)
    table = None
    if boxes is not None:
        refuse_dropping(options)
        table = read_boxes(boxes, images)
    weights, preset = model_options.weights, model_options.preset
    manifests = [_open(path, channels, preprocess_options, weights) for path in images]
    if boxes is not None and table is not None:
        named = zip(images, manifests, strict=True)
        refuse_outside(boxes, table, {path.name: manifest.shape_yx for path, manifest in named})
    model = load_model(
        weights, preset=preset, device=model_options.device, target=model_options.target
    )
    for path, manifest in zip(images, manifests, strict=True):
        frames = preprocess(manifest, None, preprocess_options, weights=weights, preset=preset)
        corners = None
        if table is not None:
            corners = table.loc[table["image"] == path.name, CORNERS].to_numpy(np.float32)
        labels, cells = segment_single(frames, model, options, corners)
        write_label_tiff(output / f"{path.stem}.tif", labels)
        with atomic_path(output / f"{path.stem}_cells.csv") as temporary:
            cells.to_csv(temporary, index=False)
        log.info("%s: %d cells", path, len(cells))


def _open(path: Path, channels: str | None, options: PreprocessOptions, weights: str) -> Manifest:
    """Inspect a file, and refuse it if its channels can't be chosen."""
    manifest = inspect(
        path, assay="movie", sample=path.stem, options=InspectOptions(channels=channels)
    )
    if manifest.n_frames != 1:
        raise InputError(
            path,
            found=f"{manifest.n_frames} frames",
            expected="a single image",
            remedy="list the movie in a sample sheet and run the workflow",
        )
    raw = images_of_manifest(manifest)
    choose_roles(raw, options.nuclear_channel, options.cell_channel, weights)
    return manifest


def _refuse_overwriting(images: list[Path], output: Path) -> None:
    """Refuse a folder where labels would take the place of an image that is given."""
    given = {path.resolve() for path in images}
    for path in images:
        labels = output / f"{path.stem}.tif"
        if labels.resolve() in given:
            raise InputError(
                output,
                found=f"the image {labels.name}, which the labels of {path.name} would replace",
                expected="a folder without the images",
                remedy="give another folder with -o",
            )


def _refuse_same_stems(images: list[Path]) -> None:
    """Refuse two images of one name, because they would overwrite each other's result."""
    if (twins := same_stem(images)) is not None:
        raise InputError(
            twins[1],
            found=f"the same name as {twins[0]}",
            expected="images that differ in their names",
            remedy="segment them into different folders",
        )
