"""Surroundings of cells, window by window: ring of distance, nearest and second nearest cell.

Windows are places of the image that no tile of a file and no chunk of a table moves, so that
nothing that is computed from them depends on how data was cut.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from cellsam_core.labels.borders import inner_borders
from cellsam_core.labels.rows import narrow, rows_of

if TYPE_CHECKING:
    from cellsam_core.labels.tiles import LabelTiles
    from cellsam_core.mosaic import Layout

Labels = npt.NDArray[np.uint32]

WORKING_UM = 0.4
"""Largest side of a working pixel, where the image is that fine."""
WINDOW_PX = 1024  # working pixels
N_CACHED_WINDOWS = 128  # 4 MB each
COARSE = 2  # working pixels to a pixel on which the second nearest cell is sought
REACH_UM = 6.0
"""Distance up to which a transcript can belong to a cell."""
SECOND_UM = 12.0
"""Distance up to which another cell can have lost a transcript."""
CLEAR_UM = 9.0
"""Distance beyond which hardly a transcript is that of a cell."""
FAR_UM = 24.0
"""End of what counts as tissue between cells. Beyond it, there may be glass."""
MIN_RING_PX = 2

CORE, INNER, FIRST = 0, 1, 2
"""Zones: core, the outermost micrometre of a mask, and the first ring outside."""


@dataclass(frozen=True)
class Zones:
    """Division of the surroundings of a cell.

    Attributes
    ----------
    stride
        Pixels of the image to a working pixel, along one axis.
    size_um
        Side of a working pixel.
    ring_um
        Width of a ring.
    core_um
        Depth from which a transcript is in the core.
    """

    stride: int
    size_um: float
    ring_um: float
    core_um: float

    @classmethod
    def of(cls, pixel_size_um: float, radius_um: float) -> Zones:
        """Choose zones for pixels, and cells of a median radius, of a size in micrometres."""
        stride = max(1, int(WORKING_UM / pixel_size_um))
        size_um = stride * pixel_size_um
        return cls(stride, size_um, max(1.0, MIN_RING_PX * size_um), min(1.0, radius_um / 2))

    @property
    def n_rings(self) -> int:
        """Number of rings outside of a mask."""
        return max(1, math.ceil(REACH_UM / self.ring_um - 1e-9))

    @property
    def far(self) -> int:
        """Number of the zone that is beyond the rings of all cells."""
        return FIRST + self.n_rings

    @property
    def clear(self) -> int:
        """Number of the zone that is far enough from all cells to hold ambient transcripts only."""
        return self.far + 1

    @property
    def nowhere(self) -> int:
        """Number of the zone where nothing is counted."""
        return self.clear + 1

    @property
    def spans_um(self) -> list[tuple[float, float]]:
        """Begin and end of each zone, as distance from the border; negative inside a mask."""
        rings = [(i * self.ring_um, (i + 1) * self.ring_um) for i in range(self.n_rings)]
        return [(-math.inf, -self.core_um), (-self.core_um, 0.0), *rings]


class Window(NamedTuple):
    """Surroundings of the cells in a window; cells are places in `ids`, which need less memory.

    Attributes
    ----------
    ids
        ``(cells,)`` uint32: ids of the cells, sorted; the first is 0, for none.
    zone
        ``(y, x)`` uint8, on working pixels.
    nearest
        ``(y, x)``: nearest cell; 0 if no cell is as near as `FAR_UM`.
    second
        ``(y / 2, x / 2)``: nearest cell but one; 0 if it is farther than `SECOND_UM`.
    first
        ``(y / 2, x / 2)``: the nearest cell, on the same pixels.
    """

    ids: Labels
    zone: npt.NDArray[np.uint8]
    nearest: npt.NDArray[Any]
    second: npt.NDArray[Any]
    first: npt.NDArray[Any]

    @classmethod
    def of(
        cls, zone: npt.NDArray[np.intp], nearest: Labels, second: Labels, first: Labels
    ) -> Window:
        """Make a window from ids of cells."""
        ids = np.zeros(1, dtype=np.uint32)
        for each in (nearest, second, first):
            ids = np.union1d(ids, _present(each))
        small = np.uint16 if len(ids) < 2**16 else np.uint32
        places = (rows_of(each, ids).astype(small) for each in (nearest, second, first))
        return cls(ids, zone.astype(np.uint8), *places)


def _present(labels: Labels) -> Labels:
    """List the labels of an image; runs of equal pixels are looked at once."""
    flat = labels.ravel()
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    return np.unique(np.concatenate([flat[:1], flat[starts]]))


class Found(NamedTuple):
    """Surroundings of transcripts: ``(n,)`` zone, nearest cell and nearest cell but one."""

    zone: npt.NDArray[np.uint8]
    nearest: Labels
    second: Labels


class Windows:
    """The windows of a label image, the latest of which stay in memory.

    Parameters
    ----------
    labels
        Masks, not grown.
    zones
        Division of the surroundings.
    layout
        Fields of view that make up the image; what is outside of them is in no zone.
    """

    def __init__(self, labels: LabelTiles, zones: Zones, layout: Layout | None = None) -> None:
        self.zones = zones
        self._labels, self._layout = labels, layout
        self.shape_yx = labels.shape_yx
        self.side_px = WINDOW_PX * zones.stride
        self.n_y, self.n_x = (-(-size // self.side_px) for size in labels.shape_yx)
        self.window = lru_cache(maxsize=N_CACHED_WINDOWS)(self._measure)

    def number(
        self, x_px: npt.NDArray[np.float64], y_px: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.int64]:
        """Return the number of the window at each place; -1 outside of the image."""
        return self._place(x_px, y_px)[0]

    def _place(
        self, x_px: npt.NDArray[np.float64], y_px: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Return number of the window, and row and column of the pixel; 0 where it is outside."""
        height, width = self._labels.shape_yx
        column, row = np.floor(x_px + 0.5), np.floor(y_px + 0.5)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        row, column = (np.where(inside, each, 0).astype(np.int32) for each in (row, column))
        # A pixel size of 0.1 pm, wrong though it is, makes windows of billions of pixels.
        y, x = (np.floor_divide(each, self.side_px, dtype=np.int64) for each in (row, column))
        number = y * self.n_x + x
        return np.where(inside, number, -1), row, column

    def find(self, x_px: npt.NDArray[np.float64], y_px: npt.NDArray[np.float64]) -> Found:
        """Look up the surroundings of transcripts; those outside of the image are nowhere."""
        zone = np.full(len(x_px), self.zones.nowhere, dtype=np.uint8)
        nearest, second = np.zeros((2, len(x_px)), dtype=np.uint32)
        number, y, x = self._place(x_px, y_px)
        order = np.argsort(narrow(number), kind="stable")
        starts = np.flatnonzero(np.diff(number[order], prepend=-2))
        for group in np.split(order, starts[1:]) if len(order) else []:
            if number[group[0]] < 0:
                continue
            window_y, window_x = divmod(int(number[group[0]]), self.n_x)
            window = self.window(window_y, window_x)
            row, column = (
                (each[group] - first * self.side_px) // self.zones.stride
                for each, first in ((y, window_y), (x, window_x))
            )
            zone[group] = window.zone[row, column]
            owner = window.nearest[row, column]
            nearest[group] = window.ids[owner]
            first, other = (
                each[row // COARSE, column // COARSE] for each in (window.first, window.second)
            )
            # Pixels of the two grids differ at borders, where the two cells change places.
            second[group] = window.ids[np.where(first == owner, other, first)]
        return Found(zone, nearest, second)

    def areas_um2(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Sum the area of each zone over windows; the last entry is the zone `clear`."""
        pixels = np.zeros(self.zones.nowhere + 1, dtype=np.int64)
        for number in numbers.tolist():
            zone = self.window(*divmod(number, self.n_x)).zone
            pixels += np.bincount(zone.ravel(), minlength=len(pixels))
        return np.asarray(pixels[:-1] * self.zones.size_um**2, dtype=np.float64)

    def pairs(self) -> npt.NDArray[np.uint64]:
        """List cells and the cells that are nearest to their borders, as two ids of 32 bits."""
        found = []
        for number in range(self.n_y * self.n_x):
            window = self.window(*divmod(number, self.n_x))
            at = (window.zone == INNER)[::COARSE, ::COARSE] & (window.second > 0)
            first, second = (
                window.ids[each[at]].astype(np.uint64) for each in (window.first, window.second)
            )
            found.append(np.unique(first << np.uint64(32) | second))
        return np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)

    def _measure(self, window_y: int, window_x: int) -> Window:
        zones, stride = self.zones, self.zones.stride
        height, width = self._labels.shape_yx
        margin = stride * COARSE * math.ceil(FAR_UM / zones.size_um / COARSE)
        y0, x0 = window_y * self.side_px, window_x * self.side_px
        y1, x1 = min(y0 + self.side_px, height), min(x0 + self.side_px, width)
        top, left = max(0, y0 - margin), max(0, x0 - margin)
        labels = self._labels.window(top, min(height, y1 + margin), left, min(width, x1 + margin))
        labels = labels[::stride, ::stride]
        rows, columns = (
            slice((low - start) // stride, -(-(high - start) // stride))
            for low, high, start in ((y0, y1, top), (x0, x1, left))
        )
        zone, nearest = _zones_of(labels, zones)
        first, second = _first_and_second(labels[::COARSE, ::COARSE], zones.size_um * COARSE)
        coarse = tuple(slice(s.start // COARSE, -(-s.stop // COARSE)) for s in (rows, columns))
        zone = zone[rows, columns]
        if self._layout is not None:
            y, x = np.mgrid[: zone.shape[0], : zone.shape[1]] * stride
            inside = self._layout.locate((y + y0).ravel(), (x + x0).ravel())[1]
            zone = np.where(inside.reshape(zone.shape), zone, zones.nowhere)
        return Window.of(zone, nearest[rows, columns], second[coarse], first[coarse])


def _zones_of(labels: Labels, zones: Zones) -> tuple[npt.NDArray[np.intp], Labels]:
    """Return zone and nearest cell of each pixel."""
    border = inner_borders(labels)
    if not border.any():
        inside = labels > 0  # a cell that fills the window has no border
        return np.where(inside, CORE, zones.nowhere), labels
    distance, index = distance_transform_edt(~border, return_indices=True)
    distance_um = distance * zones.size_um
    inside = labels > 0
    nearest = np.where(inside, labels, labels[tuple(index)])
    ring = FIRST + np.ceil(distance_um / zones.ring_um - 1e-9).astype(np.intp) - 1
    ring = np.where(ring >= zones.far, zones.far, ring)
    ring[distance_um > CLEAR_UM] = zones.clear
    ring[distance_um > FAR_UM] = zones.nowhere
    is_core = distance_um + zones.size_um / 2 > zones.core_um
    zone = np.where(inside, np.where(is_core, CORE, INNER), ring)
    return zone, np.where(zone == zones.nowhere, 0, nearest).astype(np.uint32)


def _first_and_second(labels: Labels, size_um: float) -> tuple[Labels, Labels]:
    """Find the two nearest cells of each pixel; the second is 0 beyond `SECOND_UM`.

    Cells whose regions touch get different colours. The second nearest cell of a pixel has
    another colour than the nearest: it is the nearest among the cells of other colours.
    """
    border = inner_borders(labels)
    second = np.zeros(labels.shape, dtype=np.uint32)
    if not border.any():
        return labels, second
    index = distance_transform_edt(~border, return_distances=False, return_indices=True)
    first = np.where(labels > 0, labels, labels[tuple(index)])
    ids = _present(first)
    compact = rows_of(first, ids).astype(np.intp)
    colours = colour(compact, len(ids))
    here = colours[compact]
    for each in range(int(colours.max()) + 1):
        others = border & (here != each)
        if not others.any():
            continue
        distance, index = distance_transform_edt(~others, return_indices=True)
        found = np.where(distance * size_um <= SECOND_UM, labels[tuple(index)], 0)
        second = np.where(here == each, found, second)
    return first, second.astype(np.uint32)


def colour(regions: npt.NDArray[np.intp], n: int) -> npt.NDArray[np.intp]:
    """Colour `n` regions ``(y, x)``, numbered from 0, so that no two that touch are alike."""
    keys: list[npt.NDArray[Any]] = []
    for a, b in (
        (regions[:-1], regions[1:]),
        (regions[:, :-1], regions[:, 1:]),
        (regions[:-1, :-1], regions[1:, 1:]),
        (regions[:-1, 1:], regions[1:, :-1]),
    ):
        differs = a != b
        low, high = np.minimum(a, b)[differs], np.maximum(a, b)[differs]
        keys.append(np.unique(low.astype(np.int64) * n + high))
    beside: list[list[int]] = [[] for _ in range(n)]
    for key in np.unique(np.concatenate(keys)).tolist():
        low, high = divmod(key, n)
        beside[high].append(low)
    colours = np.zeros(n, dtype=np.intp)
    for region, lower in enumerate(beside):
        taken = {int(colours[other]) for other in lower}
        colours[region] = next(c for c in range(len(taken) + 1) if c not in taken)
    return colours
