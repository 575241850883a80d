"""The headline and the sections of the report of a tissue with transcripts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from cellsam_core.files.tables import table_errors
from cellsam_core.reporting.page import Section, percent
from cellsam_core.reporting.sections.assignment import assignment_section
from cellsam_core.reporting.sections.bulk import bulk_section
from cellsam_core.reporting.sections.cells import cells_section
from cellsam_core.reporting.sections.controls import controls_section
from cellsam_core.reporting.sections.decoding import decoding_section
from cellsam_core.reporting.sections.overlays import overlay_section, zoom_windows
from cellsam_core.reporting.sections.purity import purity_section
from cellsam_core.reporting.sections.transcript_summary import summarise
from cellsam_core.samples.affine import apply_affine
from cellsam_core.verdict.tissue import read_purity

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.reporting.results import Results
    from cellsam_core.verdict.checks import Verdict


# Figures of assign_qc.json that are shown.
QUALITY = (
    *("n_cells", "n_transcripts", "n_assigned", "median_transcripts_per_cell", "n_genes"),
    *("median_genes_per_cell", "n_outside_image", "n_contested", "n_cells_without_transcripts"),
    *("n_control_transcripts", "n_control_transcripts_assigned", "misidentification_rate"),
    *("n_blanks_seen", "max_blank_transcripts"),
)
GENE_COLUMNS = ("n_transcripts", "n_assigned", "expected_false_share")


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
