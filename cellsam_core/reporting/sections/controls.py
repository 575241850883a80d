"""Section of the controls: error rate of all transcripts, and doubtful genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cellsam_core.reporting.page import Section, Table, count, percent

if TYPE_CHECKING:
    import pandas as pd

TOP_GENES = 25
NO_QUALITY = "There is no 3_cells/assign_qc.json."
NO_BLANKS = "No blank was seen, so nothing can be said of the error rate of single genes."


def controls_section(quality: dict[str, Any] | None, genes: pd.DataFrame | None) -> Section:
    """Make the section: rate of blanks and other controls, and genes that are no more frequent."""
    section = Section("Controls")
    if quality is None:
        section.paragraphs.append(NO_QUALITY)
        return section
    n_controls = quality["n_control_transcripts"]
    if not n_controls:
        section.paragraphs.append("No control was seen, so no error rate can be given.")
        return section
    rate = quality["misidentification_rate"]
    if rate is not None:
        section.paragraphs.append(
            f"Misidentification rate: {rate:.1%}. That is the mean count of the blanks "
            f"({_seen(quality, 'blanks')}) over the mean count of the genes "
            f"({_seen(quality, 'genes')}), over all transcripts: the share of a gene's calls that "
            "chance would explain."
        )
    total = quality["n_transcripts"]
    by_type = quality["n_transcripts_by_type"]
    rows = [(name, n, percent(n, total)) for name, n in sorted(by_type.items())]
    header = ("feature type", "transcripts", "share of all")
    section.tables.append(Table("Transcripts by type of feature.", header, rows))
    in_cells = quality["n_control_transcripts_assigned"]
    rows = [
        ("control features of the panel", len(quality["controls"]), ""),
        ("control transcripts", n_controls, percent(n_controls, total)),
        ("of these in cells", in_cells, percent(in_cells, n_controls)),
    ]
    section.tables.append(Table("Controls.", (), rows))
    if quality["max_blank_transcripts"] is None:
        section.paragraphs.append(NO_BLANKS)
    elif genes is not None and len(genes):
        add_doubtful_genes(section, genes, quality["max_blank_transcripts"])
    return section


def _seen(quality: dict[str, Any], what: str) -> str:
    """Say how many features there are, and how many of them have a transcript."""
    n, n_seen = quality[f"n_{what}"], quality[f"n_{what}_seen"]
    return count(n) if n == n_seen else f"{count(n)}, of which {count(n_seen)} were seen"


def add_doubtful_genes(section: Section, genes: pd.DataFrame, most: int) -> None:
    """Name the genes that have no more transcripts than the most frequent blank."""
    doubtful = genes[genes["n_transcripts"] <= most]
    if doubtful.empty:
        section.paragraphs.append(
            f"Each of the {count(len(genes))} genes has more transcripts than the most frequent "
            f"blank ({count(most)})."
        )
        return
    section.paragraphs.append(
        f"Not above the blanks: {count(len(doubtful))} of {count(len(genes))} genes have no more "
        f"transcripts than the most frequent blank ({count(most)})."
    )
    shown = min(len(doubtful), TOP_GENES)
    caption = f"Genes not above the blanks: the {shown} most frequent of {count(len(doubtful))}."
    section.tables.append(genes_table(doubtful, caption))


def genes_table(genes: pd.DataFrame, caption: str) -> Table:
    """List the most frequent of some genes, from ``var`` of ``cells.h5ad``.

    If there are blanks, the last column is the share of a gene's transcripts that they explain.
    """
    named = genes.rename_axis("gene").reset_index()
    top = named.sort_values(["n_transcripts", "gene"], ascending=[False, True]).head(TOP_GENES)
    header = ["gene", "transcripts", "in cells", "share in cells"]
    rows = [
        [name, total, in_cells, percent(in_cells, total)]
        for name, total, in_cells in top[["gene", "n_transcripts", "n_assigned"]].itertuples(
            index=False
        )
    ]
    if top["expected_false_share"].notna().all():
        header.append("expected to be wrong")
        for row, share in zip(rows, top["expected_false_share"], strict=True):
            row.append(f"{share:.1%}")
    return Table(caption, header, rows)
