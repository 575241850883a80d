"""Single image files, segmented without a workflow: TIFF, PNG or JPEG in, labels and tables out."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files.atomic import atomic_path
from cellsam_core.files.filenames import find_images, is_ome_zarr, same_stem
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

OPTIONS = {"channels", "nuclear_channel", "cell_channel"}
"""Columns of the sample sheet that are options of `segment`, too."""
_FILL = re.compile(
    r"(?P<verb>fill )?the columns? (?P<columns>`\w+`(?:(?:, | or | and )`\w+`)*)"
    r"(?: of the sample sheet)?"
)
_SHEET = re.compile(r"the columns? `|`(format|z_policy|z_plane|position|pattern)`")

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
    try:
        manifest = _inspect(path, channels)
        raw = images_of_manifest(manifest)
        choose_roles(raw, options.nuclear_channel, options.cell_channel, weights)
    except InputError as error:
        raise InputError.with_remedy(error, _own_remedy(path, error.remedy)) from error
    return manifest


def _own_remedy(path: Path, remedy: str) -> str:
    """Name options of this command, or the command that makes a sheet, instead of its columns."""
    remedy = _FILL.sub(_as_options, remedy)
    if _SHEET.search(remedy) is None:
        return remedy
    listed = f"list it in a sample sheet with `cellsam-core init {path}`, run the workflow, and"
    return f"{listed} there {remedy}"


def _as_options(found: re.Match[str]) -> str:
    """Write columns as options, unless one of them is no option of this command."""
    names = re.findall(r"`(\w+)`", found["columns"])
    if not OPTIONS.issuperset(names):
        return found[0]
    options = " or ".join(f"--{name.replace('_', '-')}" for name in names)
    verb = {"fill ": "give ", None: ""}.get(found["verb"], found["verb"])
    return f"{verb}the option {options}"


def _inspect(path: Path, channels: str | None) -> Manifest:
    """Inspect a file, or a folder that holds one image; others are refused."""
    try:
        manifest = inspect(
            path, assay="movie", sample=path.stem, options=InspectOptions(channels=channels)
        )
    except InputError as error:
        if not _is_folder_of_images(path):
            raise
        raise _folder_error(path) from error
    if manifest.n_frames != 1 and _is_folder_of_images(path):
        raise _folder_error(path)
    if manifest.n_frames != 1:
        raise InputError(
            path,
            found=f"{manifest.n_frames} frames",
            expected="a single image",
            remedy="list the movie in a sample sheet and run the workflow",
        )
    return manifest


def _is_folder_of_images(path: Path) -> bool:
    return path.is_dir() and not is_ome_zarr(path) and bool(find_images(path, 0))


def _folder_error(path: Path) -> InputError:
    count = len(find_images(path, 0))
    return InputError(
        path,
        found=f"a folder with {count} image(s) that are not one image",
        expected="image files",
        remedy=f"name its files, such as {path}/*, each of which is segmented for itself; or, if"
        f" they are a movie, run `cellsam-core init {path}` and then the workflow",
    )


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
