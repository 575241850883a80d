"""One label image of any size, opened to be read in tiles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cellsam_core.errors import InputError
from cellsam_core.files import ngff, omezarr
from cellsam_core.labels.masks import refuse_mask
from cellsam_core.labels.pieces import SplitNotes
from cellsam_core.labels.source import LabelSource, open_labels
from cellsam_core.labels.tiles import LabelArray, LabelTiles


@dataclass(frozen=True)
class LabelImage:
    """One label image, ready to be read in tiles; `pixel_size_um` None where it does not say."""

    tiles: LabelTiles
    pixel_size_um: float | None


def open_label_image(path: str | Path, *, allow_mask: bool = False) -> LabelImage:
    """Open a single label image: Zarr tile by tile, TIFF whole, uncompressed TIFF mapped.

    Parameters
    ----------
    path
        File or folder.
    allow_mask
        Accept a mask too, with one number for all cells.

    Raises
    ------
    InputError
        It is no label image, or a mask, or has several frames, or labels beyond 32 bits.
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
        labels = replace(source, is_own=True).frame(0)
        _check(path, labels, allow_mask or source.is_own)
        return LabelImage(LabelArray(labels), source.pixel_size_um)
    image = ngff.open_image(path)
    if not image.is_own:
        _refuse_mask(path, np.asarray(image.read(0)), allow_mask)

    def read_window(rows: slice, columns: slice) -> npt.NDArray[Any]:
        (y0, y1), (x0, x1) = (
            each.indices(size)[:2]
            for each, size in zip((rows, columns), source.shape_yx, strict=True)
        )
        window = image.read(0, (y0, y1, x0, x1))
        refuse_beyond_32_bits(path, window)
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
        Accept a mask too: an array of bool, or one number for all cells.

    Raises
    ------
    InputError
        The array has another shape or type, or labels that 32 bits don't hold; or see
        :func:`open_label_image`.
    """
    if isinstance(labels, str | Path):
        return open_label_image(labels, allow_mask=allow_mask)
    if isinstance(labels, omezarr.OmeZarr | LabelSource):
        return open_label_image(labels.path, allow_mask=allow_mask)
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
    _check(where, array, allow_mask)
    return LabelImage(LabelArray(array), None)


def as_tiles(path: str | Path, labels: npt.NDArray[Any]) -> LabelTiles:
    """Give tiles of labels that were looked at when they were read.

    Parameters
    ----------
    path
        Path or name of the labels, for errors.
    labels
        Whole numbers ``(y, x)``, 0 = background.

    Returns
    -------
    LabelTiles
        The same labels.

    Raises
    ------
    InputError
        There are labels that 32 bits don't hold.
    """
    refuse_beyond_32_bits(path, labels)
    return LabelArray(labels)


def _check(path: str | Path, labels: npt.NDArray[Any], allow_mask: bool) -> None:
    refuse_beyond_32_bits(path, labels)
    _refuse_mask(path, labels, allow_mask)


def _refuse_mask(path: str | Path, labels: npt.NDArray[Any], allow_mask: bool) -> None:
    """Refuse a mask, and warn of split cells."""
    SplitNotes().add(path, refuse_mask(path, labels, one_number=allow_mask))


def refuse_beyond_32_bits(path: str | Path, labels: npt.NDArray[Any]) -> None:
    """Refuse labels that 32 bits don't hold, negative ones among them.

    Parameters
    ----------
    path
        Path or name of the labels, for the message.
    labels
        Whole numbers of any shape.

    Raises
    ------
    InputError
        It names the smallest and the largest label.
    """
    if np.can_cast(labels.dtype, np.uint32) or not labels.size:
        return
    if labels.min() < 0 or labels.max() > np.iinfo(np.uint32).max:
        raise InputError(
            path,
            found=f"labels from {labels.min()} to {labels.max()}",
            expected="labels from 0 to 4294967295",
            remedy="renumber the labels",
        )
