"""Test that cells and transcripts belong together: unit, place, plane and density."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import shapely

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa

    from cellsam_core.assignment.polygons import CellPolygons
    from cellsam_core.samples.manifest import TranscriptSource

MIN_FRACTION = 0.5  # of transcripts and of outlines that must lie at the others' place
MIN_EXPECTED = 5.0  # transcripts in cells, were they spread evenly
MIN_ROWS = 20  # with fewer transcripts their place can't be tested
# Tissue has more transcripts in cells than between them; where cells lie beside their
# transcripts, both are alike.
MIN_CONTRAST = 1.1
MAX_COVERED = 0.9  # of the image: with less left there is no between


class FitCheck(Protocol):
    """Takes in transcripts and their owners chunk by chunk."""

    def add(self, transcripts: pa.RecordBatch, cell_id: npt.NDArray[np.uint32]) -> None:
        """Take in a chunk."""

    def finish(self, source: TranscriptSource, *, may_differ: bool) -> list[str]:
        """Refuse what does not belong together; return warnings.

        `may_differ`: cells or transcripts of a part of the other's place are what is wanted.
        """


@dataclass
class LabelFit:
    """Test of a label image; its place was tested when the transcripts were placed.

    Attributes
    ----------
    area_cells, area
        Bounds of the cells and of the image, in one unit.
    """

    area_cells: float
    area: float
    n: int = 0
    n_in_cells: int = 0

    def add(self, transcripts: pa.RecordBatch, cell_id: npt.NDArray[np.uint32]) -> None:
        """Take in a chunk."""
        self.n += transcripts.num_rows
        self.n_in_cells += int(np.count_nonzero(cell_id))

    def finish(self, source: TranscriptSource, *, may_differ: bool) -> list[str]:
        """Warn of a share in cells that no tissue has."""
        del source, may_differ
        return density_warning(self.n_in_cells, self.n, self.area_cells, self.area)


def density_warning(n_in_cells: int, n: int, area_cells: float, area: float) -> list[str]:
    """Warn where transcripts are no denser in cells than between them.

    Parameters
    ----------
    n_in_cells, n
        Transcripts in cells, and all of them.
    area_cells, area
        Bounds of the cells, and of the place that transcripts may lie in.
    """
    covered = area_cells / area if area > 0 else 1.0
    if covered > MAX_COVERED or n * covered < MIN_EXPECTED:
        return []
    between = (n - n_in_cells) * area_cells
    if n_in_cells * (area - area_cells) > MIN_CONTRAST * between:
        return []
    return [
        f"{n_in_cells} of {n} transcripts ({n_in_cells / n:.1%}) are in cells, which cover "
        f"{covered:.1%} of the area: transcripts are no denser in cells than between them. Check "
        "that cells and transcripts are of one place, unit and orientation."
    ]


@dataclass
class OutlineFit:
    """Test of outlines in micrometres.

    Attributes
    ----------
    polygons
        The outlines.
    vendor_ids
        The vendor's id of each cell.
    """

    polygons: CellPolygons
    vendor_ids: list[str]
    n: int = 0
    n_near: int = 0
    n_in_cells: int = 0
    n_same: int = 0
    n_other: int = 0
    low: npt.NDArray[np.float64] = field(default_factory=lambda: np.full(2, np.inf))
    high: npt.NDArray[np.float64] = field(default_factory=lambda: np.full(2, -np.inf))
    planes: dict[float, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        geometry = self.polygons.geometry
        self._bounds = shapely.total_bounds(geometry) if len(geometry) else np.full(4, np.nan)
        self._number = {name: i for i, name in enumerate(self.vendor_ids, start=1)}

    def add(self, transcripts: pa.RecordBatch, cell_id: npt.NDArray[np.uint32]) -> None:
        """Take in a chunk."""
        xy = np.stack([transcripts[name].to_numpy() for name in ("x_um", "y_um")])
        self.n += xy.shape[1]
        self.n_in_cells += int(np.count_nonzero(cell_id))
        if not xy.shape[1] or not len(self.polygons.geometry):
            return
        x0, y0, x1, y1 = self._bounds
        near = (xy[0] >= x0) & (xy[0] <= x1) & (xy[1] >= y0) & (xy[1] <= y1)
        self.n_near += int(np.count_nonzero(near))
        self.low = np.minimum(self.low, xy.min(axis=1))
        self.high = np.maximum(self.high, xy.max(axis=1))
        if self.polygons.plane is not None:
            z, counts = np.unique(transcripts["z"].to_numpy(), return_counts=True)
            for plane, n in zip(z.tolist(), counts.tolist(), strict=True):
                self.planes[plane] = self.planes.get(plane, 0) + n
        if "vendor_cell_id" in transcripts.schema.names:
            self._compare(transcripts["vendor_cell_id"], cell_id)

    def _compare(self, vendor: pa.DictionaryArray, cell_id: npt.NDArray[np.uint32]) -> None:
        names = vendor.dictionary.to_pylist()
        number = np.array([self._number.get(name, 0) for name in names] + [0], dtype=np.uint32)
        said = number[vendor.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)]
        both = (said > 0) & (cell_id > 0)
        n_same = int(np.count_nonzero(both & (said == cell_id)))
        self.n_same += n_same
        self.n_other += int(np.count_nonzero(both)) - n_same

    def finish(self, source: TranscriptSource, *, may_differ: bool) -> list[str]:
        """Refuse outlines of another place, unit or plane; warn of an implausible share."""
        geometry = self.polygons.geometry
        if not self.n or not len(geometry):
            return []
        warnings = self._check_planes(source)
        if self.n < MIN_ROWS:
            few = f"{self.n} transcripts are too few to test that they fit the outlines."
            return [*warnings, few]
        self._check_place(source, may_differ=may_differ)
        area_cells, area = self._areas()
        self._check_owners(source)
        if not self.n_in_cells and self.n_near * area_cells / area >= MIN_EXPECTED:
            raise self._misfit(source, f"none of {self.n} transcripts in {self._count()}")
        return warnings + density_warning(self.n_in_cells, self.n_near, area_cells, area)

    def _check_planes(self, source: TranscriptSource) -> list[str]:
        if self.polygons.plane is None:
            return []
        of_outlines = set(np.unique(self.polygons.plane).tolist())
        of_table = set(self.planes)
        n_without = sum(n for plane, n in self.planes.items() if plane not in of_outlines)
        is_part = of_table <= of_outlines or of_outlines <= of_table
        if is_part and n_without <= MIN_FRACTION * self.n:
            lie = f"{n_without} of {self.n} transcripts lie in z planes without outlines"
            return [f"{lie} and are in no cell."] * bool(n_without)
        both = (sorted(planes)[:8] for planes in (of_table, of_outlines))
        table, outlines = (", ".join(f"{plane:g}" for plane in planes) for planes in both)
        raise InputError(
            source.path,
            found=f"transcripts of the z planes {table} beside outlines of the planes {outlines} "
            f"({n_without} of {self.n} transcripts have no outline in their plane)",
            expected="one numbering of the planes, and outlines in the planes of the transcripts",
            remedy="number both alike, or give --outlines-in-all-planes for outlines that hold for "
            "every plane",
        )

    def _check_place(self, source: TranscriptSource, *, may_differ: bool) -> None:
        boxes = shapely.bounds(self.polygons.geometry)
        meets = (boxes[:, :2] <= self.high).all(axis=1) & (boxes[:, 2:] >= self.low).all(axis=1)
        n, n_near = len(meets), int(np.count_nonzero(meets))
        if may_differ and n_near:
            return
        if n_near < MIN_FRACTION * n:
            raise self._misfit(source, f"{n - n_near} of {n} outlines away from the transcripts")
        if self.n_near < MIN_FRACTION * self.n:
            found = f"{self.n - self.n_near} of {self.n} transcripts away from the outlines"
            raise self._misfit(source, found)

    def _check_owners(self, source: TranscriptSource) -> None:
        n = self.n_same + self.n_other
        if n >= MIN_ROWS and self.n_same < MIN_FRACTION * n:
            found = f"{self.n_other} of {n} transcripts in another cell than the vendor's"
            raise self._misfit(source, found)

    def _areas(self) -> tuple[float, float]:
        planes = self.polygons.plane
        n_planes = 1 if planes is None else len(np.unique(planes))
        area_cells = float(shapely.area(self.polygons.geometry).sum()) / n_planes
        x0, y0, x1, y1 = self._bounds
        return area_cells, float((x1 - x0) * (y1 - y0))

    def _count(self) -> str:
        return f"{len(self.vendor_ids)} cells"

    def _misfit(self, source: TranscriptSource, found: str) -> InputError:
        x0, y0, x1, y1 = self._bounds
        return InputError(
            source.path,
            found=f"{found} (transcripts span x {self.low[0]:.6g} to {self.high[0]:.6g}, y "
            f"{self.low[1]:.6g} to {self.high[1]:.6g} um, outlines x {x0:.6g} to {x1:.6g}, y "
            f"{y0:.6g} to {y1:.6g})",
            expected="transcripts and outlines of one place, both in micrometres",
            remedy=self._remedy(source),
        )

    def _remedy(self, source: TranscriptSource) -> str:
        matrix = np.array(source.um_to_px)
        corners = np.array(self._bounds).reshape(2, 2).T
        in_um = np.linalg.inv(matrix)[:2, :2] @ (corners - matrix[:2, 2:])
        centre = in_um.mean(axis=1)
        is_px = not np.allclose(matrix, np.eye(3))
        if is_px and ((centre > self.low) & (centre < self.high)).all():
            return "they fit as pixels of the image: give --polygons-unit px, or the file in um"
        return (
            "give the outlines of this region in micrometres, or in pixels with --polygons-unit "
            "px; if one is a part of the other, give --outside drop"
        )
