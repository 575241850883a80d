"""Rows of a transcript table, from fields of view to the image that they are parts of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from cellsam_core.samples.manifest import Fields


def onto_image(
    path: str, fields: Fields, batch: pa.RecordBatch, xy: npt.NDArray[np.float64]
) -> tuple[pa.RecordBatch, npt.NDArray[np.float64]]:
    """Bring rows of a table from their fields' pixels to those of the image.

    What a field shows of a neighbour is left out: the neighbour has a row for it, too.

    Parameters
    ----------
    path
        Path of the table, for errors.
    fields
        Where the fields lie.
    batch
        With the column of the fields' numbers.
    xy
        ``(2, n)`` pixels of the field of each row.

    Returns
    -------
    batch, xy
        The rows that are left, and their ``(2, n)`` pixels of the image.

    Raises
    ------
    InputError
        A row is of a field that has no place.
    """
    number = batch[fields.column].to_numpy()
    unknown = np.setdiff1d(number, fields.numbers)
    if len(unknown):
        raise InputError(
            path,
            found=f"transcripts of field {unknown[0]:g}",
            expected="the fields that were there when the sample was inspected",
            remedy="run `cellsam-core inspect` again, the table has changed since",
        )
    layout = fields.layout
    index = np.searchsorted(fields.numbers, number)
    is_owned = np.ones(len(index), dtype=bool)
    for field in np.unique(index):
        rows = index == field
        is_owned[rows] = layout.owns(int(field), xy[1, rows], xy[0, rows])
    placed = xy + layout.offset_yx[index, ::-1].T
    return batch.filter(pa.array(is_owned)), placed[:, is_owned]
