"""Folders of label images that belong to images of the same name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import image_stem
from cellsam_core.files.npy import SEGMENTATION

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".tif", ".tiff", ".png")
LABEL_TAIL = "_label"
OTHER_TAILS = re.compile(r"(.+?)_(cp_)?(labels|masks?)", re.IGNORECASE)
"""Names of label images of other programs, such as ``a_cp_masks`` of Cellpose."""


def label_files(folder: Path) -> dict[str, Path]:
    """List the label images of a folder by their names, sorted.

    Where some are named ``<name>_label``, ``_mask``, or ``_cp_masks`` or ``_seg.npy`` of Cellpose,
    only they are label images; the others are the images that they belong to.

    Raises
    ------
    InputError
        There is no folder or no image in it, or two files differ only in their suffix.
    """
    if not folder.is_dir():
        raise InputError(
            folder, found="no folder", expected="a folder of images", remedy="correct the path"
        )
    files = sorted(path for path in folder.iterdir() if _is_image(path))
    segmented = sorted(path for path in folder.iterdir() if path.name.endswith(SEGMENTATION))
    if not files and not segmented:
        raise InputError(
            folder,
            found="no label image",
            expected="images that end in .tif or .png, or _seg.npy of Cellpose",
            remedy="name the folder that holds them, or save them as TIFF",
        )
    return _each_once(folder, _labels_of(files, segmented))


def _labels_of(files: list[Path], segmented: list[Path]) -> list[tuple[str, Path]]:
    """Choose the label images among the files of a folder, each with the name of its image."""
    stems = [(image_stem(path), path) for path in files]
    own = [(s.removesuffix(LABEL_TAIL), p) for s, p in stems if s.endswith(LABEL_TAIL)]
    named = own or [(m[1], p) for s, p in stems if (m := OTHER_TAILS.fullmatch(s))]
    rest = {stem for stem, _ in stems} - {image_stem(path) for _, path in named}
    if not own and rest - {name for name, _ in named}:
        named = []  # the others are no images of them: the word is a part of the name
    if not named and segmented:
        named = [(path.name.removesuffix(SEGMENTATION), path) for path in segmented]
    return named or stems


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _each_once(folder: Path, found: list[tuple[str, Path]]) -> dict[str, Path]:
    by_name: dict[str, Path] = {}
    for name, path in found:
        if name in by_name:
            raise InputError(
                folder,
                found=f"{by_name[name].name} and {path.name}",
                expected="one file for each image and each label image",
                remedy="move one of the two to another folder",
            )
        by_name[name] = path
    return by_name
