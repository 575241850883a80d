"""Classification of features as genes or controls by their whole names."""

from __future__ import annotations

import re
from functools import lru_cache

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
