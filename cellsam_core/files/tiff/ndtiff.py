"""NDTiff of Micro-Manager 2 and Pycro-Manager: channels and positions, as its index names them."""

from __future__ import annotations

import json
import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    import tifffile
    from numpy.typing import NDArray

INDEX = "NDTiff.index"
POSITION_AXIS = "R"
"""Letter of tifffile for the axis of positions."""
_N_NUMBERS = 8  # of an entry, behind its two texts


def lacks_index(tif: tifffile.TiffFile) -> bool:
    """Tell whether a file is NDTiff, whose pages nothing tells apart without `INDEX` beside it."""
    is_told = tif.is_ndtiff or not tif.is_micromanager
    return not is_told and (tif.micromanager_metadata or {}).get("MajorVersion", 0) > 1


def names_on(axis: str, index: Path) -> list[str]:
    """Name the places on an axis of the images, in the order in which tifffile counts them.

    Parameters
    ----------
    axis
        ``channel`` or ``position``.
    index
        The file `INDEX` beside the images.

    Returns
    -------
    list of str
        Texts in the order of their first image; whole numbers without a gap, as text.
    """
    return list(_names_on(axis, index, index.stat().st_mtime_ns))


@lru_cache(maxsize=4)
def _names_on(axis: str, index: Path, changed_ns: int) -> tuple[str, ...]:
    """Read an index once for all positions; `changed_ns` tells a new one from the old."""
    del changed_ns
    values: dict[Any, None] = {}
    content, at = index.read_bytes(), 0
    while at + 4 < len(content):
        texts = []
        for _ in range(2):
            (size,) = struct.unpack_from("<I", content, at)
            texts.append(content[at + 4 : at + 4 + size])
            at += 4 + size
        at += 4 * _N_NUMBERS
        found = json.loads(texts[0]).get(axis)
        values |= {} if found is None else {found: None}
    numbers = [value for value in values if isinstance(value, int)]
    if numbers:
        return tuple(str(number) for number in range(min(numbers), max(numbers) + 1))
    return tuple(str(value) for value in values)


def positions_in(series: Any, index: Path) -> list[str]:
    """Name the positions of an NDTiff; none if it has one, or is another kind of TIFF."""
    count = dict(zip(series.axes, series.shape, strict=True)).get(POSITION_AXIS, 1)
    if series.kind != "ndtiff" or count < 2:
        return []
    return [f"Pos{name}" if name.isdecimal() else name for name in names_on("position", index)]


def at_position(
    path: Path, lead: list[tuple[str, int]], names: list[str], wanted: str
) -> tuple[NDArray[np.int64], list[tuple[str, int]]]:
    """Take one position of the planes of a file.

    Parameters
    ----------
    path
        For messages.
    lead
        Axes before y and x, longer than 1, with their length.
    names
        Names of the positions; empty where there is one.
    wanted
        Name of the position to take.

    Returns
    -------
    indices, lead
        Indices of the planes of the position, and the axes without that of positions.
    """
    sizes = [size for _, size in lead]
    indices = np.arange(int(np.prod(sizes)), dtype=np.int64).reshape(sizes)
    if not names:
        return indices.ravel(), lead
    if wanted not in names:
        raise InputError(
            path,
            found=f"{len(names)} positions ({', '.join(names[:5])})",
            expected="one position",
            remedy="fill the column `position` of the sample sheet with one of these names",
        )
    axis = [name for name, _ in lead].index(POSITION_AXIS)
    taken = indices.take(names.index(wanted), axis=axis)
    return taken.ravel(), lead[:axis] + lead[axis + 1 :]
