"""Fields of view that overlap: every point of the sample belongs to one field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

MAX_NEIGHBOURS = 9  # fields around a point, more never overlap there


@dataclass(frozen=True)
class Layout:
    """Where the fields lie on one image of the whole sample.

    Fields are placed to whole pixels. A point belongs to the field whose centre is nearest, of
    those that show it; of two at the same distance, to the first. So nothing in an overlap is
    counted twice.

    Attributes
    ----------
    offset_yx
        int64 ``(fields, 2)``: the first pixel of each field in the mosaic.
    field_shape_yx
        Height and width of a field.
    """

    offset_yx: npt.NDArray[np.int64]
    field_shape_yx: tuple[int, int]

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Height and width of the mosaic in pixels."""
        height, width = self.offset_yx.max(axis=0) + self.field_shape_yx
        return int(height), int(width)

    def overlapping(self, field: int) -> npt.NDArray[np.int64]:
        """Fields that share pixels with one."""
        shift = np.abs(self.offset_yx - self.offset_yx[field])
        shares = (shift < self.field_shape_yx).all(axis=1)
        shares[field] = False
        return np.flatnonzero(shares)

    def owns(
        self, field: int, y: npt.NDArray[np.generic], x: npt.NDArray[np.generic]
    ) -> npt.NDArray[np.bool_]:
        """Tell which points of a field, in its own pixels, belong to it.

        `y` and `x` are broadcast: a column and a row give the field's whole image.
        """
        owned = np.ones(np.broadcast_shapes(y.shape, x.shape), dtype=bool)
        size = np.array(self.field_shape_yx)
        centre = (size - 1) / 2
        for other in self.overlapping(field):
            shift = self.offset_yx[other] - self.offset_yx[field]
            here = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
            y_there, x_there = y - centre[0] - shift[0], x - centre[1] - shift[1]
            there = y_there**2 + x_there**2
            is_shared = (np.abs(y_there) <= size[0] / 2) & (np.abs(x_there) <= size[1] / 2)
            owned &= (here <= there if field < other else here < there) | ~is_shared
        return owned

    def locate(
        self, y: npt.NDArray[np.floating], x: npt.NDArray[np.floating]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Find the field of points ``(n,)`` of the mosaic.

        Returns
        -------
        field, is_inside
            Index of the field; False for a point in no field, which gets the nearest one.
        """
        size = np.array(self.field_shape_yx)
        centres = self.offset_yx + (size - 1) / 2
        points = np.stack([y, x], axis=1)
        nearest = np.arange(1, min(MAX_NEIGHBOURS, len(centres)) + 1)
        _, near = cKDTree(centres).query(points, k=nearest)
        away = points[:, None] - centres[near]
        shows = (np.abs(away) <= size / 2).all(axis=2)
        is_inside = shows.any(axis=1)
        # The tree's order of fields at the same distance is arbitrary: as in `owns`, the first.
        squared = np.where(shows | ~is_inside[:, None], (away**2).sum(axis=2), np.inf)
        is_nearest = squared == squared.min(axis=1, keepdims=True)
        return np.where(is_nearest, near, len(centres)).min(axis=1), is_inside

    def owned_pixels(self, field: int) -> npt.NDArray[np.bool_]:
        """Tell which pixels of a field's image ``(y, x)`` belong to it."""
        height, width = self.field_shape_yx
        return self.owns(field, np.arange(height)[:, None], np.arange(width))

    def area_px(self, field: int) -> int:
        """Count the pixels that belong to a field."""
        return int(np.count_nonzero(self.owned_pixels(field)))


@dataclass(frozen=True)
class Mosaic(Layout):
    """A layout on the microscope's stage.

    Attributes
    ----------
    origin_um
        ``(x, y)`` of the centre of the mosaic's first pixel.
    pixel_size_um
        Side of a pixel.
    """

    origin_um: tuple[float, float]
    pixel_size_um: float

    @classmethod
    def from_positions(
        cls,
        positions_um: list[tuple[float, float]],
        field_shape_yx: tuple[int, int],
        pixel_size_um: float,
    ) -> Mosaic:
        """Place fields by the ``(x, y)`` in um of their first pixels."""
        xy = np.array(positions_um, dtype=np.float64)
        low = xy.min(axis=0)
        offset = np.rint((xy - low) / pixel_size_um).astype(np.int64)
        return cls(offset[:, ::-1], field_shape_yx, (float(low[0]), float(low[1])), pixel_size_um)

    @property
    def um_to_px(self) -> npt.NDArray[np.float64]:
        """3x3 affine from stage micrometres ``(x, y, 1)`` to pixels of the mosaic."""
        matrix = np.diag([1 / self.pixel_size_um, 1 / self.pixel_size_um, 1.0])
        matrix[:2, 2] = -np.array(self.origin_um) / self.pixel_size_um
        return matrix

    def area_um2(self, field: int) -> float:
        """Area of the pixels that belong to a field."""
        return self.area_px(field) * self.pixel_size_um**2
