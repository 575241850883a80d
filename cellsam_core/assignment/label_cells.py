"""Cells of a label image, to which transcripts are given."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cellsam_core.assignment.cells import Owners
from cellsam_core.assignment.fit import LabelFit
from cellsam_core.assignment.polygon_cells import OUTLINES_A_GROUP
from cellsam_core.assignment.uncertainty import owner_probability
from cellsam_core.errors import InputError
from cellsam_core.files.tables import plain_numbers, read_table, refuse_missing, refuse_repeated
from cellsam_core.labels.expand import expand
from cellsam_core.labels.lookup import lookup
from cellsam_core.labels.outline import outlines
from cellsam_core.labels.shapes import measure_shapes
from cellsam_core.labels.tiles import LabelTiles, measure_cells
from cellsam_core.samples.affine import pixel_size_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from cellsam_core.assignment.fit import FitCheck
    from cellsam_core.labels.image import LabelImage
    from cellsam_core.labels.outline import Mask
    from cellsam_core.samples.manifest import Fields


BBOX_COLUMNS = ["bbox_y0", "bbox_x0", "bbox_y1", "bbox_x1"]


class LabelCells:
    """Cells of a label image; see :func:`open_label_cells`."""

    def __init__(
        self,
        tiles: LabelTiles,
        measured: pd.DataFrame,
        um_to_px: npt.NDArray[np.float64],
        nuclei: LabelTiles | None = None,
        area_px: float | None = None,
    ) -> None:
        self.warnings: list[str] = []
        self._area_px = float(np.prod(tiles.shape_yx)) if area_px is None else area_px
        self._tiles = tiles
        self.nuclei = nuclei
        self.has_nuclei = nuclei is not None
        self.um_to_px = um_to_px
        self._boxes = measured[["label", "area_px", *BBOX_COLUMNS]]
        self._px_to_um = np.linalg.inv(um_to_px)
        self.table = self._to_um(measured)

    @property
    def tiles(self) -> LabelTiles:
        """Labels of the cells, after growing."""
        return self._tiles

    def _to_um(self, measured: pd.DataFrame) -> pd.DataFrame:
        xy_um = self._map(measured[["x", "y"]].to_numpy(dtype=np.float64))
        pixel_um2 = abs(np.linalg.det(self._px_to_um[:2, :2]))
        has_score = "score" in measured
        table = {
            "cell_id": measured["label"].astype(np.uint32),
            "x_um": xy_um[:, 0],
            "y_um": xy_um[:, 1],
            "area_um2": measured["area_px"] * pixel_um2,
            "score": measured["score"].astype(np.float32) if has_score else np.float32("nan"),
            "touches_border": measured["touches_border"].astype(bool),
        }
        table |= {"fov": measured["fov"]} if "fov" in measured else {}
        return pd.DataFrame(table, index=measured.index)

    def _map(self, xy_px: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        x, y = xy_px.T
        # Not a product of matrices: its last digit depends on how many points are mapped at once.
        return np.column_stack([a * x + b * y + shift for a, b, shift in self._px_to_um[:2]])

    def fit_check(self) -> FitCheck:
        """Test that transcripts are denser in the cells than between them."""
        return LabelFit(float(self._boxes["area_px"].sum()), self._area_px)

    def owners(self, transcripts: pa.RecordBatch) -> Owners:
        """Look up the label of the pixel under each transcript."""
        x, y = (transcripts[name].to_numpy() for name in ("x_px", "y_px"))
        cell_id, is_inside = lookup(self._tiles, x, y)
        in_nucleus = None if self.nuclei is None else lookup(self.nuclei, x, y)[0] > 0
        n_outside = int(np.count_nonzero(~is_inside))
        return Owners(cell_id, n_outside=n_outside, in_nucleus=in_nucleus)

    def owner_probability(
        self, transcripts: pa.RecordBatch, owners: Owners, localisation_error_um: float
    ) -> npt.NDArray[np.float32]:
        """Look up the labels around each transcript."""
        x, y = (transcripts[name].to_numpy() for name in ("x_px", "y_px"))
        error_px = localisation_error_um / pixel_size_of(np.linalg.inv(self._px_to_um))
        return owner_probability(
            lambda x, y: lookup(self._tiles, x, y)[0], x, y, owners.cell_id, error_px
        )

    def outlines(self) -> Iterator[tuple[int, shapely.Geometry]]:
        """Yield each cell's outline along its pixels' edges, in um."""
        labels = self._boxes["label"].tolist()
        drawn = zip(labels, outlines(self._masks()), strict=True)
        while group := list(islice(drawn, OUTLINES_A_GROUP)):
            in_um = shapely.transform([shape for _, shape in group], self._map)
            yield from zip((label for label, _ in group), in_um, strict=True)

    def _masks(self) -> Iterator[Mask]:
        """Yield the mask of each cell; refuse a table of other cells."""
        for label, area_px, y0, x0, y1, x1 in self._boxes.itertuples(index=False):
            mask = self._tiles.window(y0, y1, x0, x1) == label
            if np.count_nonzero(mask) != area_px:
                raise InputError(
                    f"cell {label}",
                    found=f"{np.count_nonzero(mask)} px of it in its bounding box",
                    expected=f"the {area_px} px of the cell table",
                    remedy="give the cell table that was written with these labels",
                )
            yield mask, y0, x0

    def shapes(self) -> pd.DataFrame:
        """Measure the pixels; the angle is that in the image."""
        found = measure_shapes(self._tiles, self._boxes)
        size_um = pixel_size_of(self.um_to_px)
        columns = {}
        for name in map(str, found.columns):
            is_px = name.endswith("_px")
            values = found[name] * size_um if is_px else found[name]
            columns[f"{name.removesuffix('px')}um" if is_px else name] = values
        return pd.DataFrame(columns)


def read_measured(path: str | Path | pd.DataFrame) -> pd.DataFrame:
    """Read ``cells.parquet`` of a single frame, or take such a table, sorted by label.

    Raises
    ------
    InputError
        It can't be read or lacks a column.
    """
    needed = ["label", "y", "x", "area_px", *BBOX_COLUMNS, "touches_border"]
    table = path if isinstance(path, pd.DataFrame) else read_table(path, needed)
    path = _name_of(path)
    refuse_missing(path, table, needed)
    whole = ["label", "area_px", *BBOX_COLUMNS]
    table = plain_numbers(path, table, whole, [n for n in ("y", "x", "score") if n in table])
    remedy = "give the cells.parquet that was written with the labels"
    if "frame" in table and (table["frame"] != 0).any():
        raise InputError(
            path,
            found="cells of several frames",
            expected="the cells of one label image",
            remedy=remedy,
        )
    refuse_repeated(path, table["label"], "cell", remedy)
    return table.sort_values("label", kind="stable").reset_index(drop=True)


def _name_of(cells: str | Path | pd.DataFrame) -> str | Path:
    return "cells" if isinstance(cells, pd.DataFrame) else cells


def open_label_cells(
    image: LabelImage,
    um_to_px: npt.NDArray[np.float64],
    cells: str | Path | pd.DataFrame | None = None,
    *,
    expand_um: float = 0.0,
    nuclei: LabelImage | None = None,
    fields: Fields | None = None,
) -> LabelCells:
    """Join a label image and its cell table.

    Parameters
    ----------
    image
        The labels.
    um_to_px
        3x3 affine.
    cells
        ``cells.parquet``, or the table; None measures the labels, which leaves scores unknown.
    expand_um
        Cells are grown into the background by so much, and measured anew.
    nuclei
        Labels or mask of the nuclei.
    fields
        That make up the image: the table then has the number of each cell's field, and cells that
        an edge without a neighbour cuts touch the border.

    Raises
    ------
    InputError
        The nuclei have another size, or cells to grow are not those of the table.
    """
    tiles, nuclear = image.tiles, nuclei.tiles if nuclei else None
    if nuclear and nuclear.shape_yx != tiles.shape_yx:
        raise InputError(
            "--nuclei",
            found=f"an image of {nuclear.shape_yx[1]} x {nuclear.shape_yx[0]} px",
            expected=f"the {tiles.shape_yx[1]} x {tiles.shape_yx[0]} px of the labels",
            remedy="give the nuclei of this sample",
        )
    tiles = expand(tiles, expand_um / pixel_size_of(um_to_px))
    measured = measure_cells(tiles) if cells is None else read_measured(cells)
    if cells is not None and expand_um > 0:
        measured = _measured_anew(_name_of(cells), measured, tiles)
    if fields is not None:
        measured = _in_fields(measured, fields)
    area_px = (
        None if fields is None else sum(map(fields.layout.area_px, range(len(fields.numbers))))
    )
    return LabelCells(tiles, measured, um_to_px, nuclear, area_px)


def _in_fields(measured: pd.DataFrame, fields: Fields) -> pd.DataFrame:
    """Add the field of each cell, and whether it is cut by the end of what fields show."""
    field, _ = fields.layout.locate(measured["y"].to_numpy(), measured["x"].to_numpy())
    y0, x0, y1, x1 = (measured[name].to_numpy() for name in BBOX_COLUMNS)
    is_cut = measured["touches_border"].to_numpy(dtype=bool)
    # The pixels around the corners of a box: behind an edge that cuts it, one is in no field.
    for y, x in ((y0 - 1, x0 - 1), (y0 - 1, x1), (y1, x0 - 1), (y1, x1)):
        is_cut = is_cut | ~fields.layout.locate(y, x)[1]
    return measured.assign(fov=np.array(fields.numbers)[field], touches_border=is_cut)


def _measured_anew(path: str | Path, measured: pd.DataFrame, tiles: LabelTiles) -> pd.DataFrame:
    """Keep of a cell table what does not follow from the labels: the score."""
    anew = measure_cells(tiles)
    if not np.array_equal(anew["label"], measured["label"]):
        raise InputError(
            path,
            found=f"{len(measured)} cells that are not the {len(anew)} of the labels",
            expected="every cell of the labels",
            remedy="give the cells.parquet that was written with the labels",
        )
    return anew.assign(score=measured["score"]) if "score" in measured else anew
