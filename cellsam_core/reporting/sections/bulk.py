"""Section that compares a sample with bulk expression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellsam_core.comparison.bulk import read_bulk
from cellsam_core.comparison.genes import MIN_GENES, correlate_genes
from cellsam_core.errors import InputError
from cellsam_core.reporting.figures.common import encode
from cellsam_core.reporting.figures.correlation import Pair, figure_pairs
from cellsam_core.reporting.page import Picture, Section, Table

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

CAPTION = "A dot is a gene. r: Pearson's, of the logarithms; rho: Spearman's, of the ranks."


def bulk_section(path: Path, genes: pd.DataFrame | None) -> Section:
    """Compare the transcripts of each gene with the user's table.

    Parameters
    ----------
    path
        Table that :func:`cellsam_core.comparison.bulk.read_bulk` reads.
    genes
        Table ``var`` of ``cells.h5ad``; None without that file.

    Raises
    ------
    InputError
        The table can't be used, or has fewer than 3 of the sample's genes.
    """
    section = Section("Bulk")
    bulk = read_bulk(path)
    if genes is None:
        section.paragraphs.append("There is no 3_cells/cells.h5ad to compare with.")
        return section
    if len(genes) < MIN_GENES:
        section.paragraphs.append(
            f"{len(genes)} genes were seen, too few to compare with {path.name}."
        )
        return section
    found = correlate_genes(bulk, genes["n_transcripts"])
    n_genes = len(found.common)
    if n_genes < MIN_GENES:
        raise InputError(
            path,
            found=f"{n_genes} of the {len(genes)} genes of the sample with a value above 0",
            expected=f"{MIN_GENES} or more",
            remedy=f"name the genes as the sample does, e.g. {genes.index[0]}",
        )
    section.paragraphs.append(
        f"All transcripts of each gene, in cells or not, beside its value in {path.name}. Only "
        "genes above 0 in both are compared."
    )
    uri = encode(lambda: figure_pairs([Pair("value in the table", "transcripts", found)]))
    section.pictures.append(Picture(uri, CAPTION))
    rows = [
        ("genes compared", n_genes),
        ("Pearson r of log10 values", found.pearson_r_log10),
        ("Spearman rho", found.spearman_rho),
        ("genes of the table above 0 that the sample lacks", found.n_only_a),
        ("genes of the sample that the table lacks, or has as 0", found.n_only_b),
    ]
    section.tables.append(Table("Agreement with bulk.", (), rows))
    return section
