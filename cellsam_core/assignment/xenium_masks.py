"""Xenium's own masks of cells, ``cells.zarr.zip``, as outlines to the pixel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.labels.outline import outlines
from cellsam_core.labels.tiles import LabelTiles, measure_cells

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIXES = ("cells.zarr.zip", "cells.zarr")
CELL_MASK = "masks/1"  # masks/0 are the nuclei
LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


def read_outlines(path: Path) -> tuple[list[str], NDArray[np.object_]]:
    """Read the outlines of the cells along the edges of their pixels.

    Returns
    -------
    ids, geometry
        The vendor's ids as in its tables, such as ``aaaaficg-1``, and polygons in pixels.

    Raises
    ------
    OSError, ValueError, LookupError
        It is no store of cells.
    """
    import zarr

    store = zarr.storage.ZipStore(path, mode="r") if path.suffix == ".zip" else path
    root = zarr.open_group(store, mode="r")
    mask: Any = root[CELL_MASK]
    names = _cell_names(np.asarray(root["cell_id"]))
    tiles = LabelTiles(lambda y, x: np.asarray(mask[y, x]), mask.shape)
    cells = measure_cells(tiles)
    if len(cells) and int(cells["label"].iloc[-1]) > len(names):
        raise ValueError(f"a mask of {cells['label'].iloc[-1]} cells and {len(names)} ids")
    boxes = cells[["label", "bbox_y0", "bbox_y1", "bbox_x0", "bbox_x1"]]
    masks = (
        (tiles.window(y0, y1, x0, x1) == label, y0, x0)
        for label, y0, y1, x0, x1 in boxes.itertuples(index=False)
    )
    geometry = np.full(len(cells), None, dtype=object)
    geometry[:] = list(outlines(masks))
    # A pixel of cell n has the value n, from 1.
    return [names[label - 1] for label in cells["label"]], geometry


def _cell_names(ids: NDArray[Any]) -> list[str]:
    """Spell ids; from version 2 on they are a number in letters for digits and a suffix."""
    if ids.ndim == 1:
        return [str(number) for number in ids.tolist()]
    return [
        f"{format(number, '08x').translate(LETTERS)}-{suffix}" for number, suffix in ids.tolist()
    ]
