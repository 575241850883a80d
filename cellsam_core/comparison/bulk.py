"""Table of bulk expression that the user gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from cellsam_core.errors import InputError
from cellsam_core.files.tables import read_table, refuse_repeated

if TYPE_CHECKING:
    from pathlib import Path


def read_bulk(path: Path) -> pd.Series[Any]:
    """Read a table of bulk expression.

    Parameters
    ----------
    path
        A csv or tsv file with the columns ``gene`` and ``value``, for example TPM.

    Returns
    -------
    pandas.Series
        Expression of each gene, float64, 0 or more; the index is the gene.

    Raises
    ------
    InputError
        The table lacks a column, has a gene twice, or has a value that is not a number of 0 or
        more.
    """
    # As text: a gene may be called NA, or look like a number.
    table = read_table(path, ("gene", "value"), dtype=str, keep_default_na=False)
    refuse_repeated(path, table["gene"], "gene", "leave all but one out, or add them up")
    value = pd.to_numeric(table["value"], errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(value) & (value >= 0)))
    if len(wrong):
        gene, text = table.iloc[wrong[0]][["gene", "value"]]
        raise InputError(
            path,
            found=f"the value {text!r} of gene {gene}",
            expected="a number of 0 or more for each gene",
            remedy="correct it, or leave the gene out",
        )
    return pd.Series(value, index=table["gene"].to_numpy())
