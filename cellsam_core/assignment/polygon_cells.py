"""Cells that are polygons, to which transcripts are given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cellsam_core.assignment.boundaries import footprints, open_outlines
from cellsam_core.assignment.cells import Owners
from cellsam_core.assignment.fit import OutlineFit
from cellsam_core.assignment.polygons import assign_polygons
from cellsam_core.assignment.uncertainty import owner_probability
from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from cellsam_core.assignment.boundaries import Outlines
    from cellsam_core.assignment.fit import FitCheck
    from cellsam_core.samples.manifest import TranscriptSource


OUTLINES_A_GROUP = 4096


class PolygonCells:
    """Cells of a vendor's polygons; `vendor_cell_id` joins the table to the vendor's own."""

    has_nuclei = False

    def __init__(self, outlines: Outlines, um_to_px: npt.NDArray[np.float64] | None = None) -> None:
        self.warnings = outlines.warnings
        self.um_to_px = um_to_px
        self._polygons, vendor_ids = outlines.polygons, outlines.vendor_ids
        self._vendor_ids = vendor_ids
        self._footprints = footprints(self._polygons)
        centres = shapely.get_coordinates(shapely.centroid(self._footprints)).reshape(-1, 2)
        self.table = pd.DataFrame(
            {
                "cell_id": np.arange(1, len(vendor_ids) + 1, dtype=np.uint32),
                "x_um": centres[:, 0],
                "y_um": centres[:, 1],
                "area_um2": shapely.area(self._footprints),
                "score": np.float32("nan"),
                # Polygons don't say where the image ends.
                "touches_border": pd.array([pd.NA] * len(vendor_ids), dtype="boolean"),
                "vendor_cell_id": pd.array(vendor_ids, dtype=object),
            }
        )

    def fit_check(self) -> FitCheck:
        """Test unit, place and plane."""
        return OutlineFit(self._polygons, self._vendor_ids)

    def owners(self, transcripts: pa.RecordBatch) -> Owners:
        """Find the cell whose polygon in the transcript's plane covers it."""
        x, y = (transcripts[name].to_numpy() for name in ("x_um", "y_um"))
        plane = self._plane(transcripts)
        cell_id, n_contested = assign_polygons(self._polygons, x, y, plane)
        return Owners(cell_id, n_contested=n_contested)

    def _plane(self, transcripts: pa.RecordBatch) -> npt.NDArray[np.float64] | None:
        if self._polygons.plane is None:
            return None
        plane: npt.NDArray[np.float64] = transcripts["z"].to_numpy(zero_copy_only=False)
        if not (np.isfinite(plane).all() and np.array_equal(plane, np.round(plane))):
            raise InputError(
                "transcripts",
                found="no z plane index for some transcripts",
                expected="the index of the z plane in a column z or global_z, since the "
                "polygons belong to z planes (ZIndex)",
                remedy="add the column, or give --outlines-in-all-planes for outlines that hold "
                "for every plane",
            )
        return plane

    def owner_probability(
        self, transcripts: pa.RecordBatch, owners: Owners, localisation_error_um: float
    ) -> npt.NDArray[np.float32]:
        """Find the polygons around each transcript, in its plane."""
        x, y = (transcripts[name].to_numpy() for name in ("x_um", "y_um"))
        plane = self._plane(transcripts)
        return owner_probability(
            lambda x, y: assign_polygons(self._polygons, x, y, plane)[0],
            x,
            y,
            owners.cell_id,
            localisation_error_um,
        )

    def outlines(self) -> Iterator[tuple[int, shapely.Geometry]]:
        """Yield each cell's footprint: the union over its planes."""
        yield from zip(self.table["cell_id"].to_list(), self._footprints, strict=True)

    def shapes(self) -> pd.DataFrame:
        """Measure the footprints; they have no pixels, whose ellipse has axes."""
        diameter_um = 2 * np.sqrt(shapely.area(self._footprints) / np.pi)
        unknown = np.full(len(self._footprints), np.nan)
        return pd.DataFrame(
            {
                "perimeter_um": shapely.length(self._footprints),
                "major_axis_um": unknown,
                "minor_axis_um": unknown,
                "equivalent_diameter_um": diameter_um,
                "eccentricity": unknown,
                "orientation_rad": unknown,
            },
            index=self.table.index,
        )


def open_polygon_cells(
    path: str | Path,
    source: TranscriptSource | None = None,
    *,
    pixel_size_um: float | None = None,
    unit: str = "um",
    all_planes: bool = False,
) -> PolygonCells:
    """Open a vendor's outlines; see :func:`cellsam_core.assignment.boundaries.open_outlines`."""
    return PolygonCells(
        open_outlines(
            path, source=source, pixel_size_um=pixel_size_um, unit=unit, all_planes=all_planes
        ),
        None if source is None else np.array(source.um_to_px),
    )
