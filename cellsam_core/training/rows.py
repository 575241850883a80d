"""Rows of a manifest of labelled images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellsam_core.errors import InputError
from cellsam_core.files.tables import read_table
from cellsam_core.training.image_files import is_image

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


FILLED = ["set", "image", "label", "modality"]
"""Columns that must have a value in every row."""

COLUMNS = [*FILLED, "split"]

NOT_PARTIAL = ("no", "")

PATCH = "patch"

PARTIAL = ("yes", PATCH, *NOT_PARTIAL)
"""Values of the column `partial`. Of a truth that is `patch`, all cells of a patch of packed cells
have a label, and no other cell. Of one that is `yes`, some cells have none, wherever they lie."""


def rows_of(manifest: Path, root: Path, splits: Sequence[str]) -> pd.DataFrame:
    """Read the manifest's rows of some splits: text, and weights, which are 1 where none is given.

    Raises
    ------
    InputError
        The manifest can't be read, lacks a column or a value, names a file that is not below
        `root`, or has no row of one of the splits.
    """
    rows = read_manifest(manifest)
    if missing := sorted(set(splits) - set(rows["split"])):
        raise InputError(
            manifest,
            found=f"no row with split {missing[0]}",
            expected="at least one",
            remedy="mark images with that split, or ask for another",
        )
    rows = rows[rows["split"].isin(splits)]
    refuse_absent(root, [*rows["image"], *rows["label"]])
    return rows.assign(weight=_weights(manifest, rows), partial=_partial(manifest, rows))


def _partial(manifest: Path, rows: pd.DataFrame) -> pd.Series[str]:
    given = rows["partial"] if "partial" in rows else pd.Series("", rows.index)
    given = given.fillna("")
    if not given.isin(PARTIAL).all():
        raise InputError(
            manifest,
            found=f"partial {given[~given.isin(PARTIAL)].iloc[0]}",
            expected="yes where some cells have no label, patch where those of a patch have one and"
            " no others, else no or nothing",
            remedy="correct the column `partial`",
        )
    return given


def refuse_absent(root: Path, names: Sequence[str]) -> None:
    """Refuse a manifest of which a file is not there, before anything is read."""
    absent = next((name for name in names if not is_image(root / name)), None)
    if absent is not None:
        raise InputError(
            root / absent,
            found="no file",
            expected="the file that the manifest lists",
            remedy="correct the option `data` or the manifest",
        )


def _weights(manifest: Path, rows: pd.DataFrame) -> pd.Series[float]:
    given = rows["weight"] if "weight" in rows else pd.Series("1", rows.index)
    weights = pd.to_numeric(given.fillna("1"), errors="coerce")
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any() or not weights.any():
        raise InputError(
            manifest,
            found=f"weight {given[bad].iloc[0]}" if bad.any() else "no weight above 0",
            expected="numbers of 0 or more, one of them above",
            remedy="correct the column `weight`, or leave it out",
        )
    return weights.astype(float)


def read_manifest(manifest: Path, *more: str) -> pd.DataFrame:
    """Read a manifest's rows as text; it must have the columns `more`, too.

    Raises
    ------
    InputError
        It can't be read, lacks a column, or a set, path or modality is empty.
    """
    rows = read_table(manifest, [*COLUMNS, *more], sep="\t", dtype=str)
    empty = rows[FILLED].isna()
    if empty.any(axis=None):
        row = int(np.flatnonzero(empty.any(axis=1))[0])
        raise InputError(
            manifest,
            found=f"no {empty.columns[empty.iloc[row]][0]} in row {row + 1}",
            expected=f"values for {', '.join(FILLED)}",
            remedy="fill it in (row 1 is the first under the header)",
        )
    return rows
