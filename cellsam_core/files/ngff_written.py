"""Planes of an OME-Zarr that were never written: Zarr reads them as zeros."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.files.lazy import zarr
from cellsam_core.files.ngff import read_page
from cellsam_core.files.ngff_places import ARRAY_ITSELF
from cellsam_core.files.omezarr_arrays import OWN_KEY

if TYPE_CHECKING:
    from numpy.typing import NDArray


def written_planes(path: str, series: str) -> NDArray[np.bool_]:
    """Tell which planes have pixels in any chunk.

    Programs make the array of a planned acquisition as a whole, and write what was acquired.

    Parameters
    ----------
    path
        Folder of the OME-Zarr.
    series
        Path of the array in it.

    Returns
    -------
    ndarray of bool
        One for each plane, in the order of :meth:`cellsam_core.files.ngff.Image.page`.
    """
    root: Any = zarr.open(path, mode="r")
    array = root if series == ARRAY_ITSELF else root[series]
    lead = array.shape[:-2]
    if OWN_KEY in root.attrs:  # this pipeline writes black chunks, too
        return np.ones(math.prod(lead), bool)
    sizes = array.shards or array.chunks
    in_chunks = [-(-n // size) for n, size in zip(array.shape, sizes, strict=True)]
    found = np.zeros(in_chunks[:-2], bool)
    for at in np.ndindex(*found.shape):
        grid = itertools.product(*map(range, in_chunks[-2:]))
        keys = (array.metadata.encode_chunk_key((*at, *yx)) for yx in grid)
        found[at] = any((Path(path) / series / key).is_file() for key in keys)
    for axis, size in enumerate(sizes[:-2]):
        found = found.repeat(size, axis=axis).take(range(lead[axis]), axis=axis)
    pages = found.ravel()
    # A chunk of several planes may end before them, and shards are filled up with zeros.
    if pages.size > 1 and (array.shards or math.prod(sizes[:-2]) > 1):
        for page in reversed(range(pages.size)):
            if pages[page] and _has_pixels(path, series, page, array):
                break
            pages[page] = False
    return pages


def _has_pixels(path: str, series: str, page: int, array: Any) -> bool:
    """Tell whether a plane has any pixel; of a large one no more is read than one of its parts."""
    height, width = array.shape[-2:]
    side_y, side_x = (array.shards or array.chunks)[-2:]
    corners = itertools.product(range(0, height, side_y), range(0, width, side_x))
    return any(
        (
            read_page(path, series, page, (y, min(y + side_y, height), x, min(x + side_x, width)))
            != (array.fill_value or 0)
        ).any()
        for y, x in corners
    )
