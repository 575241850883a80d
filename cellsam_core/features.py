"""Classification of features as genes or controls by their whole names."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from cellsam_core.errors import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

GENE = "gene"
BLANK = "blank"
UNDECODED = "undecoded"
# What programs write in the place of a gene or a cell where there is none. Flies have genes `nan`
# and `na`: a table's column of feature types, or its panel, wins over this.
PLACEHOLDERS = frozenset(
    (
        *("nan", "NaN", "NAN", "NA", "N/A", "#N/A", "<NA>", "None", "none", "NONE"),
        *("null", "Null", "NULL", "unknown", "Unknown", "UNKNOWN"),
        *("unassigned", "Unassigned", "UNASSIGNED", "undecoded", "Undecoded", "UNDECODED"),
        *("background", "Background", "BACKGROUND", "infeasible", "Infeasible", "INFEASIBLE"),
        *("-1", "-1.0", "4294967295", "4294967295.0", "18446744073709551615"),
    )
)
GENE_TYPES = {
    *("gene", "gene_expression", "predesigned_gene", "custom_gene", "protein_coding"),
    *("rna", "mrna", "transcript", "target", "endogenous"),
}
# Whole names as the vendors write them. Matching a prefix or part of a word would treat NANOG,
# NEGR1 or Blnk as controls and silently drop them from the counts.
CONTROL_PATTERNS = (
    # MERSCOPE, MERlin, Xenium 1.0: the word, whatever stands beside it.
    (BLANK, re.compile(r"(?:.*[^a-z])?blank(?:[^a-z].*)?", re.IGNORECASE)),
    ("negative_control_probe", re.compile(r"NegControlProbe_\d+")),  # Xenium
    ("negative_control_probe", re.compile(r"antisense_\w+")),  # Xenium 1.0
    ("negative_control_codeword", re.compile(r"NegControlCodeword_\d+")),  # Xenium
    ("unassigned_codeword", re.compile(r"UnassignedCodeword_\d+")),  # Xenium
    ("deprecated_codeword", re.compile(r"DeprecatedCodeword_\d+")),  # Xenium
    ("genomic_control_probe", re.compile(r"Intergenic_Region_\d+")),  # Xenium Prime
    ("negative_control_probe", re.compile(r"NegPrb\d+")),  # CosMx
    ("negative_control_probe", re.compile(r"Negative\d+")),  # CosMx
    ("system_control", re.compile(r"SystemControl\d+")),  # CosMx
    ("false_code", re.compile(r"FalseCode\d+")),  # CosMx
)

# Spellings of controls that no vendor of those above has. They count as genes, since a gene may be
# named so, but a reader is told.
LIKE_CONTROL = re.compile(
    r"(?:.*[^a-z])?(?:neg(?:ative)?[ _.-]*(?:control|ctrl|probe|prb)|non?[ _.-]*target|scramble"
    r"|blank(?:barcode|code)).*"
    r"|(?:negative|(?:genomic)?control)[ _.-]*\d+",
    re.IGNORECASE,
)
# What a spreadsheet makes of MARCH1, SEPT2 and DEC1, or writes where it fails.
MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
BY_SPREADSHEET = re.compile(
    rf"\d{{1,2}}-(?:{MONTHS})|(?:{MONTHS})-\d{{2}}"
    r"|\d{4}-\d\d-\d\d(?: 00:00:00)?|\d{1,2}/\d{1,2}/\d{2,4}|#(?:NAME\?|REF!|VALUE!|NUM!|DIV/0!)",
    re.IGNORECASE,
)

MAX_LISTED = 5


@lru_cache(maxsize=1 << 16)
def classify_feature(name: str) -> str:
    """Classify a feature as a gene or one of the vendors' controls by its whole name.

    Returns
    -------
    str
        ``"gene"``, or the class of the control: ``"blank"``, ``"negative_control_probe"``, ...
    """
    return next((kind for kind, pattern in CONTROL_PATTERNS if pattern.fullmatch(name)), GENE)


def classify_found(name: str) -> str:
    """Tell what a name in the column of genes is, where nothing but the name tells.

    Returns
    -------
    str
        As `classify_feature`, or ``"undecoded"`` for a placeholder.
    """
    return UNDECODED if name in PLACEHOLDERS else classify_feature(name)


def doubtful(names: Iterable[str]) -> list[str]:
    """Tell which genes are probably none, by names that controls and spreadsheets have.

    Parameters
    ----------
    names
        Genes that nothing but their name says to be genes.

    Returns
    -------
    list of str
        A sentence for each kind.

    Examples
    --------
    >>> doubtful(["NEGR1", "Blnk", "MARCH1", "TARGET"])
    []
    """
    ordered = sorted(names)
    like_controls = [name for name in ordered if LIKE_CONTROL.fullmatch(name)]
    like_dates = [name for name in ordered if BY_SPREADSHEET.fullmatch(name)]
    told = []
    if like_controls:
        told.append(
            "Counted as genes, though named like controls:"
            f" {shortened(like_controls, MAX_LISTED)}. If they are controls, rename them"
            " to Blank-1, Blank-2 and so on, or add a column feature_type that says gene or blank."
        )
    if like_dates:
        told.append(
            "Named as a spreadsheet changes MARCH1, SEPT2 or a formula:"
            f" {shortened(like_dates, MAX_LISTED)}. If these are no genes, correct the table."
        )
    return told


def normalise_type(feature_type: str) -> str:
    """Convert a feature type of a vendor's table to snake case.

    Returns
    -------
    str
        ``"gene"`` for every word that vendors use for genes; others as in
        ``"negative_control_probe"``.
    """
    name = re.sub(r"[^a-z0-9]+", "_", feature_type.lower()).strip("_")
    return GENE if name in GENE_TYPES else name
