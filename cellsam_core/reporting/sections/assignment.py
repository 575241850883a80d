"""Section of the assignment: every transcript of the input, and the frequent genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.reporting.figures.common import encode
from cellsam_core.reporting.figures.spatial import figure_density
from cellsam_core.reporting.page import Picture, Section, Table, count, percent
from cellsam_core.reporting.sections.controls import NO_QUALITY, TOP_GENES, genes_table
from cellsam_core.reporting.sections.overlays import NO_TRANSCRIPTS

if TYPE_CHECKING:
    import pandas as pd

    from cellsam_core.reporting.results import Results
    from cellsam_core.reporting.sections.transcript_summary import TranscriptSummary


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
            lambda: figure_density(
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
        caption = (
            f"The {min(len(genes), TOP_GENES)} most frequent of {count(len(genes))} genes of the "
            "panel."
        )
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
    # Rows with a placeholder in the place of a gene are in no cell, and are no transcripts.
    n_undecoded = quality.get("n_undecoded", 0)
    n += n_undecoded
    rows = [
        ("rows of the input", n),
        ("in cells", f"{count(n_assigned)} ({percent(n_assigned, n)})"),
        *([("without a gene, in no cell", n_undecoded)] if n_undecoded else []),
        ("outside the image", n_outside),
        ("in more than one polygon", quality["n_contested"]),
        ("genes of the panel", quality["n_genes"]),
        *([("genes seen", quality["n_genes_seen"])] if "n_genes_seen" in quality else []),
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
