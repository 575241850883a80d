"""Mosaics of overlapping fields of view, in which every point belongs to one field."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

MAX_NEIGHBOURS = 9
"""Largest number of fields that are considered around a point; more never overlap there."""


@dataclass(frozen=True)
class Layout:
    """Positions of fields of view on one image of the whole sample, the mosaic.

    Fields lie at whole pixels. Where several fields show a point, it belongs to the one whose
    centre is nearest, or to the first of those at the same distance. Nothing in an overlap is
    therefore counted twice.

    Attributes
    ----------
    offset_yx
        Pixel of the mosaic at which each field begins, int64 ``(fields, 2)``.
    field_shape_yx
        Height and width of a field in pixels.
    """

    offset_yx: npt.NDArray[np.int64]
    field_shape_yx: tuple[int, int]

    @property
    def shape_yx(self) -> tuple[int, int]:
        """Height and width of the mosaic in pixels."""
        height, width = self.offset_yx.max(axis=0) + self.field_shape_yx
        return int(height), int(width)

    def overlapping(self, field: int) -> npt.NDArray[np.int64]:
        """Find the fields that share pixels with a field."""
        shift = np.abs(self.offset_yx - self.offset_yx[field])
        shares = (shift < self.field_shape_yx).all(axis=1)
        shares[field] = False
        return np.flatnonzero(shares)

    def owns(
        self, field: int, y: npt.NDArray[np.generic], x: npt.NDArray[np.generic]
    ) -> npt.NDArray[np.bool_]:
        """Test which points of a field belong to it.

        Parameters
        ----------
        field
            Index of the field.
        y, x
            Coordinates in the field's own pixels. They are broadcast: a column and a row give the
            whole image of the field.

        Returns
        -------
        ndarray of bool
            True for points that belong to the field.
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
        """Find the field that each point of the mosaic belongs to.

        Parameters
        ----------
        y, x
            Coordinates of the points in pixels of the mosaic, ``(n,)``.

        Returns
        -------
        field, is_inside
            Index of each point's field; True where a field shows the point. A point that no field
            shows has the index of the nearest one.
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
        """Return a mask ``(y, x)`` of the pixels of a field's image that belong to it."""
        height, width = self.field_shape_yx
        return self.owns(field, np.arange(height)[:, None], np.arange(width))

    def area_px(self, field: int) -> int:
        """Count the pixels that belong to a field."""
        return int(np.count_nonzero(self.owned_pixels(field)))


@dataclass(frozen=True)
class Mosaic(Layout):
    """Layout of fields of view with positions on the microscope's stage.

    Attributes
    ----------
    origin_um
        Stage position ``(x, y)`` of the centre of the mosaic's first pixel, in micrometres.
    pixel_size_um
        Side of a pixel in micrometres.
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
        """Place fields by their stage positions.

        Parameters
        ----------
        positions_um
            ``(x, y)`` of the first pixel of each field in micrometres.
        field_shape_yx
            Height and width of a field in pixels.
        pixel_size_um
            Side of a pixel in micrometres.
        """
        xy = np.array(positions_um, dtype=np.float64)
        low = xy.min(axis=0)
        offset = np.rint((xy - low) / pixel_size_um).astype(np.int64)
        return cls(offset[:, ::-1], field_shape_yx, (float(low[0]), float(low[1])), pixel_size_um)

    @property
    def um_to_px(self) -> npt.NDArray[np.float64]:
        """Affine 3x3 matrix from stage micrometres ``(x, y, 1)`` to pixels of the mosaic."""
        matrix = np.diag([1 / self.pixel_size_um, 1 / self.pixel_size_um, 1.0])
        matrix[:2, 2] = -np.array(self.origin_um) / self.pixel_size_um
        return matrix

    def area_um2(self, field: int) -> float:
        """Return the area of the pixels that belong to a field, in square micrometres."""
        return self.area_px(field) * self.pixel_size_um**2
