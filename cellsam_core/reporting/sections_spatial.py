"""Sections of the report of a tissue with transcripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from cellsam_core.errors import InputError
from cellsam_core.files.tables import table_errors
from cellsam_core.reporting import figures_spatial as draw
from cellsam_core.reporting.figures_common import encode, figure_histograms
from cellsam_core.reporting.images import Window, overlay, read_window, window_around
from cellsam_core.reporting.page import Picture, Section, Table, count, percent
from cellsam_core.reporting.section_bulk import bulk_section
from cellsam_core.reporting.section_controls import (
    NO_QUALITY,
    TOP_GENES,
    controls_section,
    genes_table,
)
from cellsam_core.reporting.section_decoding import decoding_section, figure_density_by_field
from cellsam_core.reporting.section_purity import purity_section
from cellsam_core.reporting.stains import stain_words
from cellsam_core.reporting.transcript_summary import MAX_SPOTS, TranscriptSummary, summarise
from cellsam_core.samples.affine import apply_affine
from cellsam_core.verdict.tissue import read_purity

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from cellsam_core.reporting.results import Results
    from cellsam_core.samples.manifest import Fields
    from cellsam_core.verdict.checks import Verdict

ZOOM_SIDES_PX = (1000, 250)
MAX_POLYGONS = 20_000  # cells drawn as polygons; more are drawn as dots
STAIN_BRIGHTNESS = 0.6  # transcripts are to stand out
# Figures of assign_qc.json that are shown.
QUALITY = (
    *("n_cells", "n_transcripts", "n_assigned", "median_transcripts_per_cell", "n_genes"),
    *("median_genes_per_cell", "n_outside_image", "n_contested", "n_cells_without_transcripts"),
    *("n_control_transcripts", "n_control_transcripts_assigned", "misidentification_rate"),
    *("n_blanks_seen", "max_blank_transcripts"),
)
GENE_COLUMNS = ("n_transcripts", "n_assigned", "expected_false_share")
NO_CELLS = "There is no 3_cells/cells.h5ad."
NO_TRANSCRIPTS = "There is no 3_cells/transcripts.parquet."


def spatial_sections(
    results: Results, verdict: Verdict
) -> tuple[list[tuple[str, Any]], list[Section]]:
    """Build the headline and the sections of a spatial sample, from its ``3_cells`` folder."""
    del verdict
    cells, genes = read_cells(results)
    quality = read_quality(results)
    windows = zoom_windows(results, cells)
    summary = None
    path = results.folder / "3_cells/transcripts.parquet"
    if path.is_file() and results.manifest.transcripts is not None:
        affine = results.manifest.transcripts.um_to_px
        with table_errors(path):
            summary = summarise(path, affine, results.manifest.shape_yx, windows)
    headline: list[tuple[str, Any]] = []
    if quality is not None:
        headline = [
            ("cells", quality["n_cells"]),
            ("transcripts", quality["n_transcripts"]),
            ("in cells", percent(quality["n_assigned"], quality["n_transcripts"])),
            ("transcripts per cell (median)", quality["median_transcripts_per_cell"]),
            ("genes per cell (median)", quality["median_genes_per_cell"]),
        ]
    sections = [
        overlay_section(results, windows, summary),
        cells_section(results, cells),
        assignment_section(results, quality, genes, summary),
        controls_section(quality, genes),
    ]
    if (purity := read_purity(results.folder)) is not None:
        sections.insert(3, purity_section(purity))
    if results.bulk is not None:
        sections.append(bulk_section(results.bulk, genes))
    decoding = decoding_section(results)
    return headline, sections if decoding is None else [*sections, decoding]


def read_cells(results: Results) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Read the cells and the genes of ``cells.h5ad``; the counts stay on disk.

    Returns
    -------
    cells
        ``obs``, with the centroid in image pixels as x, y; touches_border is missing where it
        is not known. None without the file.
    genes
        The columns of ``var`` that are shown, or None.
    """
    import h5py
    from anndata.io import read_elem

    path = results.folder / "3_cells/cells.h5ad"
    source = results.manifest.transcripts
    if not path.is_file() or source is None:
        return None, None
    with table_errors(path), h5py.File(path) as file:
        obs, var, xy_um = (read_elem(file[name]) for name in ("obs", "var", "obsm/spatial"))
        genes: pd.DataFrame = var[[*GENE_COLUMNS]]
        x, y = apply_affine(np.asarray(source.um_to_px), np.asarray(xy_um, dtype=np.float64).T)
        border = obs["touches_border"].astype("boolean")
        cells: pd.DataFrame = obs.assign(x=x, y=y, touches_border=border)
    return cells, genes


def read_quality(results: Results) -> dict[str, Any] | None:
    """Read the figures that ``assign`` left in ``assign_qc.json``."""
    path = results.folder / "3_cells/assign_qc.json"
    if not path.is_file():
        return None
    with table_errors(path):
        quality = dict(json.loads(path.read_text(encoding="utf-8")))
        for name in QUALITY:
            if not isinstance(quality[name], int | float | None):
                raise ValueError(f"{name} is no number")
        if not all(isinstance(n, int) for n in dict(quality["n_transcripts_by_type"]).values()):
            raise ValueError("n_transcripts_by_type has no counts")
    return quality


def zoom_windows(results: Results, cells: pd.DataFrame | None) -> list[Window]:
    """Choose windows: the whole image, and two about the cell with most transcripts."""
    shape = results.manifest.shape_yx
    windows = [window_around(shape)]
    if cells is None or cells.empty:
        return windows
    inner = cells[~cells["touches_border"].fillna(False).to_numpy(bool)]
    pool = inner if len(inner) else cells
    richest = pool.iloc[int(np.argmax(pool["n_transcripts"].to_numpy()))]
    for side in ZOOM_SIDES_PX:
        if side < max(shape):
            windows.append(window_around(shape, (richest["y"], richest["x"]), side))
    return windows


def overlay_panels(
    results: Results, windows: list[Window], summary: TranscriptSummary | None
) -> list[draw.Panel]:
    """Draw outlines over the stain, with transcripts, in each window; none without masks."""
    image, masks = results.image(), results.masks()
    if image is None or masks is None:
        return []
    channel = len(image.channels) - 1
    no_spots = draw.Spots(np.zeros((0, 2)), np.zeros(0, dtype=object))
    spots = [no_spots] * len(windows) if summary is None else summary.spots
    names = ["whole image", "around the cell with most transcripts", "the same, closer"]
    return [
        draw.Panel(
            name,
            overlay(
                read_window(image, 0, channel, window),
                read_window(masks, 0, 0, window),
                brightness=STAIN_BRIGHTNESS,
            ),
            window,
            here,
        )
        for name, window, here in zip(names, windows, spots, strict=False)
    ]


def overlay_section(
    results: Results, windows: list[Window], summary: TranscriptSummary | None
) -> Section:
    """Make the section of outlines over the stain, with transcripts."""
    section = Section("Cells and transcripts over the stain")
    panels = overlay_panels(results, windows, summary)
    image = results.image()
    if not panels or image is None:
        section.paragraphs.append(
            "There is no 1_preprocessed/frames.zarr or no 2_masks/masks.zarr, so no outline is "
            "drawn over a stain."
        )
        return section
    uri = encode(lambda: draw.figure_zooms(panels, results.units), photograph=True)
    caption = (
        f"Cell outlines over {stain_words(results)}; transcripts as dots: the most "
        "frequent genes in colour, all others white. Pictures with more than "
        f"{count(MAX_SPOTS)} transcripts show an even part of them."
    )
    section.pictures.append(Picture(uri, caption))
    if summary is None:
        section.paragraphs.append(NO_TRANSCRIPTS)
    return section


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


def cell_shapes(results: Results, cells: pd.DataFrame) -> tuple[Any, npt.NDArray[np.int64], str]:
    """Return shapes for the cell map, the transcripts of each, and a description of the shapes."""
    path = results.folder / "3_cells/boundaries.parquet"
    if path.is_file() and len(cells) <= MAX_POLYGONS:
        return *cell_outlines(results, cells), "Cells"
    why = f"more than {count(MAX_POLYGONS)} cells" if path.is_file() else "no boundaries.parquet"
    centroids = cells[["x", "y"]].to_numpy(np.float64) * results.units.per_px
    return centroids, cells["n_transcripts"].to_numpy(np.int64), f"Cells as dots ({why})"


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
    uri = encode(
        lambda: draw.figure_cell_map(shapes, counts, "transcripts per cell", results.units)
    )
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


def assignment_section(
    results: Results,
    quality: dict[str, Any] | None,
    genes: pd.DataFrame | None,
    summary: TranscriptSummary | None,
) -> Section:
    """Make the section of assignment: fractions, frequent genes, map of unassigned transcripts."""
    section = Section("Assignment")
    if summary is None:
        section.paragraphs.append(NO_TRANSCRIPTS)
    elif summary.unassigned.any():
        uri = encode(
            lambda: draw.figure_density(
                summary.unassigned,
                results.manifest.shape_yx,
                "transcripts in no cell",
                results.units,
            )
        )
        caption = "Density of transcripts in no cell: bright areas hint at cells that were missed."
        section.pictures.append(Picture(uri, caption))
    if quality is None:
        section.paragraphs.append(NO_QUALITY)
    else:
        section.tables.append(rows_table(results, quality, summary))
        if warnings := quality.get("warnings"):
            rows = [(text,) for text in warnings]
            section.tables.append(Table("Warnings of the assignment.", (), rows))
    if genes is not None and len(genes):
        caption = f"The {min(len(genes), TOP_GENES)} most frequent of {count(len(genes))} genes."
        section.tables.append(genes_table(genes, caption))
    return section


def rows_table(
    results: Results, quality: dict[str, Any], summary: TranscriptSummary | None
) -> Table:
    """Make the table that accounts for every row of the input.

    Counts in cells come from the matrix, those in no cell from ``transcripts.parquet`` and the sum
    from the manifest.

    Raises
    ------
    InputError
        They do not add up.
    """
    n, n_assigned, n_outside = (
        quality[name] for name in ("n_transcripts", "n_assigned", "n_outside_image")
    )
    rows = [
        ("rows of the input", n),
        ("in cells", f"{count(n_assigned)} ({percent(n_assigned, n)})"),
        ("outside the image", n_outside),
        ("in more than one polygon", quality["n_contested"]),
        ("genes seen", quality["n_genes"]),
        ("cells without transcripts", quality["n_cells_without_transcripts"]),
    ]
    caption = "Every transcript of the input."
    source = results.manifest.transcripts
    if summary is None or source is None:
        return Table(caption, (), rows)
    n_free = summary.n_in_no_cell
    if not n_assigned + n_free == n == source.n_rows:
        raise InputError(
            results.folder / "3_cells",
            found=f"{n_assigned} transcripts in cells and {n_free} in none",
            expected=f"{source.n_rows} in all, the rows of the input",
            remedy="delete the folder and run again",
        )
    n_inside = n_free - n_outside
    rows.insert(2, ("in no cell", f"{count(n_inside)} ({percent(n_inside, n)})"))
    caption = "Every row of the input; the sum is checked."
    return Table(caption, (), rows)
