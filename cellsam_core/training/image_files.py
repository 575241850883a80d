"""Files of labelled images: their names, channels and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.files.filenames import same_stem
from cellsam_core.files.npy import SEGMENTATION
from cellsam_core.files.planes import read_plane
from cellsam_core.files.stack import read_stack
from cellsam_core.labels.by_name import LABEL_TAIL, OTHER_TAILS
from cellsam_core.labels.source import open_labels
from cellsam_core.preprocessing.channels import RGB
from cellsam_core.preprocessing.contrast import to_grey

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray


SUFFIXES = (".tif", ".tiff", ".png")

ZARR = ".zarr"


def is_image(path: Path) -> bool:
    """Tell if there is such a file, or such a folder for an OME-Zarr."""
    return path.is_dir() if path.suffix.lower() == ZARR else path.is_file()


def files_by_stem(folder: Path) -> dict[str, Path]:
    """List the images of a folder by their names without suffix, sorted.

    Raises
    ------
    InputError
        There is no folder, or two files differ in their suffix alone.
    """
    if not folder.is_dir():
        raise InputError(
            folder, found="no folder", expected="a folder of images", remedy="check the path"
        )
    files = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in (*SUFFIXES, ZARR) and is_image(path)
    )
    if (twins := same_stem(files)) is not None:
        raise InputError(
            folder,
            found=f"{twins[0].name} and {twins[1].name}",
            expected="one file for each image and each label image",
            remedy="move one of the two to another folder",
        )
    return {path.stem.removesuffix(".ome"): path for path in files}


def images_and_labels(
    folder: Path, files: Mapping[str, Path]
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Tell images from label images; return both by id.

    Label images are named ``<id>_label``. If none is, they are those that another program named
    after an image, such as ``<id>_cp_masks`` of Cellpose, or else its ``<id>_seg.npy``.

    Parameters
    ----------
    folder
        The folder.
    files
        Its images by their names without suffix.
    """
    own = {stem: stem.removesuffix(LABEL_TAIL) for stem in files if stem.endswith(LABEL_TAIL)}
    others = {
        stem: match[1]
        for stem in files
        if (match := OTHER_TAILS.fullmatch(stem)) and match[1] in files
    }
    ids = own or others
    labels = {name: files[stem] for stem, name in reversed(ids.items())}
    chosen = set(labels.values())
    images = {stem: path for stem, path in files.items() if path not in chosen}
    if not own:
        segmented = {name: folder / f"{name}{SEGMENTATION}" for name in images}
        labels = {name: path for name, path in segmented.items() if path.is_file()} | labels
    return images, labels


def read_channels(
    path: Path, *, pages_are_channels: bool = False
) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Read the channels ``(c, y, x)`` of one image and their names, where the file has them.

    Pages whose axis the file does not name are frames, unless the caller knows better.
    """
    if path.suffix.lower() == ZARR:
        source = omezarr.open_(path)
        n_frames, names = source.n_frames, source.channels
        pixels = source.frame(0)
        pixels = pixels if "c" in source.axes else pixels[None]
    else:
        stack = read_stack(path)
        planes, names = stack.planes, stack.channels
        if pages_are_channels and len(planes[0]) == 1:
            planes = [[page for (page,) in planes]]
        n_frames = len(planes)
        pixels = np.stack([read_plane(plane) for plane in planes[0]])
    if n_frames > 1:
        raise InputError(
            path,
            found=f"{n_frames} frames",
            expected="one image",
            remedy="save each frame as a file of its own; if they are channels, name the nuclear "
            "and the cell channel by number: in the columns `nuclear` and `cell` of the manifest, "
            "or in the options of `finetune`",
        )
    return pixels, names


def read_grey(path: Path) -> NDArray[Any]:
    """Read an image, colours as grey, of other channels the mean: ``(y, x)``."""
    pixels, names = read_channels(path, pages_are_channels=True)
    if len(pixels) == 1:
        return np.asarray(pixels[0])
    if list(names) == RGB:
        return to_grey(pixels)
    return np.asarray(pixels.mean(0, dtype=np.float32))


def read_labels(path: Path) -> NDArray[np.int32]:
    """Read a label image and number its cells from 1 in the order of their numbers.

    Numbers may be as large as the file can hold, which counting up to them can't bear.
    """
    source = open_labels(path)
    if source.n_frames > 1:
        raise InputError(
            path,
            found=f"{source.n_frames} frames",
            expected="the labels of one image",
            remedy="save each frame as a file of its own",
        )
    labels = source.frame(0)
    ids, numbers = np.unique(labels, return_inverse=True)
    numbers = numbers.reshape(labels.shape).astype(np.int32) + np.int32(ids[0] != 0)
    return np.asarray(numbers)
