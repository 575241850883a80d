"""Section of the cells of a tissue: map, counts, areas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from cellsam_core.errors import InputError
from cellsam_core.reporting.figures.common import encode, figure_histograms
from cellsam_core.reporting.figures.spatial import figure_cell_map
from cellsam_core.reporting.page import Picture, Section, Table, count, percent
from cellsam_core.reporting.sections.decoding import figure_density_by_field
from cellsam_core.samples.affine import apply_affine

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from cellsam_core.reporting.results import Results
    from cellsam_core.samples.manifest import Fields


MAX_POLYGONS = 20_000  # cells drawn as polygons; more are drawn as dots
NO_CELLS = "There is no 3_cells/cells.h5ad."


def cells_section(results: Results, cells: pd.DataFrame | None) -> Section:
    """Make the section of cells: map, transcripts and genes per cell, areas."""
    section = Section("Cells")
    if cells is None:
        section.paragraphs.append(NO_CELLS)
        return section
    if cells.empty:
        section.paragraphs.append("No cell was found.")
        return section
    shapes, counts, what = cell_shapes(results, cells)
    uri = encode(lambda: figure_cell_map(shapes, counts, "transcripts per cell", results.units))
    caption = f"{what}, coloured by transcripts of genes; grey: none. x and y as in the image."
    section.pictures.append(Picture(uri, caption))
    transcripts = cells["n_transcripts"].to_numpy(np.int64)
    panels: list[tuple[np.ndarray[Any, Any], str]] = [
        (transcripts, "transcripts per cell"),
        (cells["n_genes"].to_numpy(np.int64), "genes per cell"),
        (cells["area_um2"].to_numpy(np.float64), "cell area (µm²)"),
    ]
    uri = encode(lambda: figure_histograms(panels))
    caption = "Distribution over cells, the top 0.5 % in the last bin; the line: median."
    section.pictures.append(Picture(uri, caption))
    if results.manifest.fields is not None and "fov" in cells:
        density = counts_by_field(results.manifest.fields, cells, results.manifest.pixel_size_um)
        uri = encode(lambda: figure_density_by_field(density))
        caption = (
            "Transcripts of genes in cells, by field of view; dashed: median. A field far below "
            "the others may be out of focus."
        )
        section.pictures.append(Picture(uri, caption))
    border = cells["touches_border"].dropna()
    rows = [
        ("without transcripts", percent(int((transcripts == 0).sum()), len(cells))),
        ("below 10 transcripts", percent(int((transcripts < 10).sum()), len(cells))),
        ("touching the image border", percent(int(border.sum()), len(border)) or "not known"),
    ]
    section.tables.append(Table("Share of cells.", (), rows))
    return section


def cell_shapes(results: Results, cells: pd.DataFrame) -> tuple[Any, npt.NDArray[np.int64], str]:
    """Return shapes for the cell map, the transcripts of each, and a description of the shapes."""
    path = results.folder / "3_cells/boundaries.parquet"
    if path.is_file() and len(cells) <= MAX_POLYGONS:
        return *cell_outlines(results, cells), "Cells"
    why = f"more than {count(MAX_POLYGONS)} cells" if path.is_file() else "no boundaries.parquet"
    centroids = cells[["x", "y"]].to_numpy(np.float64) * results.units.per_px
    return centroids, cells["n_transcripts"].to_numpy(np.int64), f"Cells as dots ({why})"


def cell_outlines(results: Results, cells: pd.DataFrame) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Read the outer rings of the cells in ``boundaries.parquet``.

    Returns
    -------
    rings
        ``(n, 2)`` x, y in the unit of length of the sample, from the corner of the image; a cell
        of several parts has as many rings.
    counts
        Transcripts of the cell of each ring.
    """
    table = results.table("3_cells/boundaries.parquet", ["cell_id", "geometry"])
    source = results.manifest.transcripts
    assert table is not None
    assert source is not None
    if not set(table["cell_id"]) <= set(cells["cell_id"]):
        raise InputError(
            results.folder / "3_cells/boundaries.parquet",
            found="outlines of cells that cells.h5ad does not have",
            expected="those of its cells",
            remedy="delete both files and run again",
        )
    parts, owner = shapely.get_parts(shapely.from_wkb(table["geometry"]), return_index=True)
    xy, ring = shapely.get_coordinates(shapely.get_exterior_ring(parts), return_index=True)
    xy = apply_affine(np.asarray(source.um_to_px), xy.T).T * results.units.per_px
    counts = cells.set_index("cell_id")["n_transcripts"].loc[table["cell_id"].to_numpy()[owner]]
    rings = np.split(xy, np.flatnonzero(np.diff(ring)) + 1)
    return rings, counts.to_numpy(np.int64)


def counts_by_field(
    fields: Fields, cells: pd.DataFrame, pixel_size_um: float | None
) -> dict[str, float]:
    """Count transcripts of genes in cells per 1000 um2 of each field of view."""
    assert pixel_size_um is not None  # no transcript is placed without
    counts = cells.groupby("fov")["n_transcripts"].sum().reindex(fields.numbers, fill_value=0)
    return {
        str(number): 1000 * float(counts[number]) / (fields.layout.area_px(i) * pixel_size_um**2)
        for i, number in enumerate(fields.numbers)
    }
