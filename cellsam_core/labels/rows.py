"""Rows of cells in a sorted list of their ids, and whole numbers that are sorted fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Ids = npt.NDArray[np.integer[Any]]

MAX_TABLE = 1 << 22
"""Largest id for which a table of all ids is made: to look one up is faster than to search."""


def rows_of(cells: Ids, cell_id: Ids) -> npt.NDArray[np.integer[Any]]:
    """Return the row of each cell; -1 for cells that are not in the list.

    Parameters
    ----------
    cells
        Ids of any shape, in any order.
    cell_id
        Ids of the list, ascending.
    """
    if not len(cell_id):
        return np.full(cells.shape, -1, dtype=np.int32)
    last = int(cell_id[-1])
    if last > MAX_TABLE or cell_id[0] < 0:  # of 64 bits, stored minus 2^64
        row = np.minimum(np.searchsorted(cell_id, cells), len(cell_id) - 1)
        return np.where(cell_id[row] == cells, row, -1)
    table = np.full(last + 2, -1, dtype=np.int32)  # one more, for all ids beyond the last
    table[cell_id] = np.arange(len(cell_id))
    return np.asarray(table[np.minimum(cells, last + 1)])


def narrow(values: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.integer[Any]]:
    """Return whole numbers from -1 on in 16 bits, where they fit: digits sort them faster."""
    fits = int(values.max(initial=0)) <= np.iinfo(np.int16).max
    return values.astype(np.int16) if fits else values
