"""Sections of a spatial sample's report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.report import figures_spatial as draw
from cellsam_core.report.figures_common import Units, encode, figure_histograms
from cellsam_core.report.images import Window, overlay, read_window, window_around
from cellsam_core.report.page import Picture, Section, Table
from cellsam_core.report.transcript_summary import TranscriptSummary, summarise

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.report.results import Results

ZOOM_SIDES_PX = (1000, 250)
TOP_GENES = 25
UM = Units(pixel_size_um=1.0, frame_interval_s=None)


def spatial_sections(results: Results) -> tuple[list[tuple[str, Any]], list[Section]]:
    """Build the headline and the sections of a spatial sample, from its ``3_cells`` folder."""
    cells = read_cells(results)
    path = results.folder / "3_cells/transcripts.parquet"
    windows = zoom_windows(results, cells)
    summary = None
    if path.is_file() and results.manifest.transcripts is not None:
        affine = results.manifest.transcripts.um_to_px
        summary = summarise(path, affine, results.manifest.shape_yx, windows)
    headline: list[tuple[str, Any]] = []
    if cells is not None:
        headline.append(("cells", len(cells)))
    if summary is not None:
        headline.append(("transcripts", summary.n_rows))
        assigned = int(summary.features["in_cells"].sum())
        headline.append(("in cells", _percent(assigned, summary.n_rows)))
    if cells is not None and len(cells):
        headline.append(("transcripts per cell (median)", float(cells["n_transcripts"].median())))
        headline.append(("genes per cell (median)", float(cells["n_genes"].median())))
    sections = [
        overlay_section(results, windows, summary),
        cells_section(cells),
        assignment_section(results, summary),
        controls_section(summary),
    ]
    return headline, sections


def read_cells(results: Results) -> pd.DataFrame | None:
    """Read ``obs`` of ``cells.h5ad`` with columns x_um, y_um added; the counts stay on disk."""
    import anndata

    path = results.folder / "3_cells/cells.h5ad"
    if not path.is_file():
        return None
    table = anndata.read_h5ad(path, backed="r")
    xy = np.asarray(table.obsm["spatial"], dtype=np.float64)
    cells: pd.DataFrame = table.obs.assign(x_um=xy[:, 0], y_um=xy[:, 1])
    table.file.close()
    return cells


def zoom_windows(results: Results, cells: pd.DataFrame | None) -> list[Window]:
    """Whole image and two windows about the cell with most transcripts that is off the border."""
    shape = results.manifest.shape_yx
    windows = [window_around(shape)]
    source = results.manifest.transcripts
    if cells is None or cells.empty or source is None:
        return windows
    inner = cells[~cells["touches_border"].astype(bool)]
    pool = inner if len(inner) else cells
    richest = pool.iloc[int(np.argmax(pool["n_transcripts"].to_numpy()))]
    affine = np.asarray(source.um_to_px, dtype=np.float64)
    x, y, _ = affine @ (richest["x_um"], richest["y_um"], 1.0)
    for side in ZOOM_SIDES_PX:
        if side < max(shape):
            windows.append(window_around(shape, (y, x), side))
    return windows


def overlay_section(
    results: Results, windows: list[Window], summary: TranscriptSummary | None
) -> Section:
    """Outlines over the stain, with transcripts."""
    section = Section("Cells and transcripts over the stain")
    image, masks = results.image(), results.masks()
    if image is None or masks is None:
        section.paragraphs.append("The frames or the masks are missing.")
        return section
    channel = len(image.channels) - 1
    no_spots = draw.Spots(np.zeros((0, 2)), np.zeros(0, dtype=object))
    spots = [no_spots] * len(windows) if summary is None else summary.spots
    names = ["whole image", "around the cell with most transcripts", "the same, closer"]
    panels = [
        (
            name,
            overlay(read_window(image, 0, channel, window), read_window(masks, 0, 0, window)),
            window,
            here,
        )
        for name, window, here in zip(names, windows, spots, strict=False)
    ]
    uri = encode(lambda: draw.figure_zooms(panels, results.units), photograph=True)
    caption = (
        f"Cell outlines over channel {image.channels[channel]}, transcripts as dots; the most "
        "frequent genes of each picture in colour, the others white. Pictures with more than "
        "20 000 transcripts show an even part of them."
    )
    section.pictures.append(Picture(uri, caption))
    if summary is None:
        section.paragraphs.append("There is no transcripts.parquet, so no transcript is drawn.")
    return section


def cells_section(cells: pd.DataFrame | None) -> Section:
    """Map of the cells, transcripts and genes per cell, areas."""
    section = Section("Cells")
    if cells is None:
        section.paragraphs.append("There is no cells.h5ad.")
        return section
    if cells.empty:
        section.paragraphs.append("No cell was found.")
        return section
    transcripts = cells["n_transcripts"].to_numpy(np.int64)
    genes = cells["n_genes"].to_numpy(np.int64)
    xy = cells[["x_um", "y_um"]].to_numpy(np.float64)
    uri = encode(lambda: draw.figure_cell_map(xy, transcripts, "transcripts per cell", UM))
    caption = "Cells at their centroids, coloured by transcripts; cells without any are grey."
    section.pictures.append(Picture(uri, caption))
    panels: list[tuple[np.ndarray[Any, Any], str]] = [
        (transcripts, "transcripts per cell"),
        (genes, "genes per cell"),
        (cells["area_um2"].to_numpy(np.float64), "cell area (µm²)"),
    ]
    uri = encode(lambda: figure_histograms(panels))
    caption = "Distribution over cells, the top 0.5 % in the last bin; the line: median."
    section.pictures.append(Picture(uri, caption))
    n = len(cells)
    rows = [
        ("without transcripts", _percent(int((transcripts == 0).sum()), n)),
        ("below 10 transcripts", _percent(int((transcripts < 10).sum()), n)),
        ("touching the image border", _percent(int(cells["touches_border"].sum()), n)),
    ]
    section.tables.append(Table("Share of cells.", ("", ""), rows))
    return section


def assignment_section(results: Results, summary: TranscriptSummary | None) -> Section:
    """Give the assigned fraction, frequent genes, where unassigned transcripts lie."""
    section = Section("Assignment")
    if summary is None or summary.n_rows == 0:
        missing = (
            "There is no transcripts.parquet." if summary is None else "No transcript was read."
        )
        section.paragraphs.append(missing)
        return section
    assigned = int(summary.features["in_cells"].sum())
    rows = [
        ("transcripts", summary.n_rows),
        ("in cells", f"{assigned} ({_percent(assigned, summary.n_rows)})"),
        ("outside the image", summary.n_outside),
    ]
    section.tables.append(Table("Every transcript of the input.", ("", ""), rows))
    shape = results.manifest.shape_yx
    uri = encode(
        lambda: draw.figure_density(
            summary.unassigned, shape, "transcripts in no cell", results.units
        )
    )
    caption = "Density of transcripts in no cell: bright areas hint at cells that were missed."
    section.pictures.append(Picture(uri, caption))
    genes = summary.features.reset_index()
    genes = genes[genes["feature_type"] == "gene"]
    top = genes.sort_values(["total", "feature"], ascending=[False, True]).head(TOP_GENES)
    table = [
        (name, total, in_cells, _percent(in_cells, total))
        for name, total, in_cells in top[["feature", "total", "in_cells"]].itertuples(index=False)
    ]
    caption = f"The {len(top)} most frequent of {len(genes)} genes."
    header = ("gene", "transcripts", "in cells", "share in cells")
    section.tables.append(Table(caption, header, table))
    return section


def controls_section(summary: TranscriptSummary | None) -> Section:
    """Rate of blanks and other controls."""
    section = Section("Controls")
    if summary is None:
        section.paragraphs.append("There is no transcripts.parquet.")
        return section
    by_type = summary.features.groupby("feature_type")
    types = by_type.sum().assign(features=by_type.size())
    if set(types.index) <= {"gene"}:
        section.paragraphs.append("The panel has no controls, so no error rate can be given.")
        return section
    all_in_cells = int(types["in_cells"].sum())
    rows = [
        (
            name,
            n_features,
            total,
            _percent(total, summary.n_rows),
            _percent(in_cells, all_in_cells),
            total / n_features,
        )
        for name, total, in_cells, n_features in types.itertuples(name=None)
    ]
    header = (
        "feature type",
        "features",
        "transcripts",
        "share of all",
        "share of those in cells",
        "transcripts per feature",
    )
    caption = "Controls should be rare: their rate per feature is that of false calls per gene."
    section.tables.append(Table(caption, header, rows))
    return section


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""
