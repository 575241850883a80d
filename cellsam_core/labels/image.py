"""One label image of any size, opened to be read in tiles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellsam_core.errors import InputError
from cellsam_core.files import omezarr
from cellsam_core.labels.source import LabelSource, open_labels
from cellsam_core.labels.tiles import LabelArray, LabelTiles


@dataclass(frozen=True)
class LabelImage:
    """One label image, ready to be read in tiles; `pixel_size_um` None where it does not say."""

    tiles: LabelTiles
    pixel_size_um: float | None


def open_label_image(path: str | Path) -> LabelImage:
    """Open a single label image: Zarr tile by tile, TIFF whole, uncompressed TIFF mapped.

    Raises
    ------
    InputError
        It is no label image, or has several frames, or labels beyond 32 bits.
    """
    path = Path(path)
    source = open_labels(path)
    if source.n_frames != 1:
        raise InputError(
            path,
            found=f"{source.n_frames} label images",
            expected="one, of the plane that transcripts are assigned on",
            remedy="give a single label image",
        )
    if not omezarr.is_omezarr(path):
        labels = source.frame(0)
        _check_range(path, labels)
        return LabelImage(LabelArray(labels), source.pixel_size_um)
    image = omezarr.open_(path)
    lead = (0,) * (len(image.axes) - 2)

    def read_window(rows: slice, columns: slice) -> npt.NDArray[Any]:
        window: npt.NDArray[Any] = image.read((*lead, rows, columns))
        _check_range(path, window)
        return window

    return LabelImage(LabelTiles(read_window, source.shape_yx), source.pixel_size_um)


def as_label_image(labels: Any, where: str, *, allow_mask: bool = False) -> LabelImage:
    """Take labels that are in memory or in a file.

    Parameters
    ----------
    labels
        Integers ``(y, x)`` or ``(1, y, x)``, 0 = background; or the path of a label image; or an
        open one.
    where
        Name of an array, for errors.
    allow_mask
        Accept an array of bool as well.

    Raises
    ------
    InputError
        The array has another shape or type, or labels that 32 bits don't hold; or see
        :func:`open_label_image`.
    """
    if isinstance(labels, str | Path):
        return open_label_image(labels)
    if isinstance(labels, omezarr.OmeZarr | LabelSource):
        return open_label_image(labels.path)
    array = np.asarray(labels)
    if array.ndim == 3 and len(array) == 1:
        array = array[0]
    if array.ndim != 2 or array.dtype.kind not in ("uib" if allow_mask else "ui"):
        raise InputError(
            where,
            found=f"an array of shape {array.shape} and type {array.dtype}",
            expected="a label image: whole numbers (y, x), 0 = background",
            remedy="give one plane of labels, such as those that `segment` returns",
        )
    _check_range(where, array)
    return LabelImage(LabelArray(array), None)


def _check_range(path: str | Path, labels: npt.NDArray[Any]) -> None:
    if np.can_cast(labels.dtype, np.uint32) or not labels.size:
        return
    if labels.min() < 0 or labels.max() > np.iinfo(np.uint32).max:
        raise InputError(
            path,
            found=f"labels from {labels.min()} to {labels.max()}",
            expected="labels from 0 to 4294967295",
            remedy="renumber the labels",
        )
