"""Folders of label images that belong to images of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import same_stem

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".tif", ".tiff", ".png")
LABEL_TAIL = "_label"


def label_files(folder: Path) -> dict[str, Path]:
    """List the label images of a folder by their names, sorted.

    Where some are named ``<name>_label``, only they are label images; the others are the images
    that they belong to.

    Raises
    ------
    InputError
        There is no folder or no image in it, or two files differ only in their suffix.
    """
    if not folder.is_dir():
        raise InputError(
            folder, found="no folder", expected="a folder of images", remedy="correct the path"
        )
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if (twins := same_stem(files)) is not None:
        raise InputError(
            folder,
            found=f"{twins[0].name} and {twins[1].name}",
            expected="one file for each image and each label image",
            remedy="move one of the two to another folder",
        )
    if not files:
        raise InputError(
            folder,
            found="no label image",
            expected="images that end in .tif or .png",
            remedy="name the folder that holds them, or save them as TIFF",
        )
    labels = [path for path in files if path.stem.endswith(LABEL_TAIL)]
    return {path.stem.removesuffix(LABEL_TAIL): path for path in labels or files}
