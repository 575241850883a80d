"""Folders of a run: its samples, the masks that later stages read, the user's corrections."""

from __future__ import annotations

import json
from pathlib import Path

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import natural_key

MANIFEST = "0_manifest.json"
PROVENANCE = "provenance.json"
SHEET_COLUMNS = {"tracks": "corrections", "cells": "cell_corrections"}
"""Columns of the sample sheet that name tables of corrections."""


def sample_folders(results: str | Path) -> list[Path]:
    """List the folders of the samples in a folder of results, in natural order.

    Parameters
    ----------
    results
        Folder ``results`` of a run, or that of one sample in it.

    Raises
    ------
    InputError
        There is no sample.
    """
    root = Path(results)
    if (root / MANIFEST).is_file():
        return [root]
    found = [p for p in root.iterdir() if (p / MANIFEST).is_file()] if root.is_dir() else []
    if not found:
        raise InputError(
            root,
            found="no results" if root.is_dir() else "no such folder",
            expected=f"the folder `results` of a run, with <sample>/{MANIFEST} in it",
            remedy="run the workflow first, or correct the path",
        )
    return sorted(found, key=lambda path: natural_key(path.name))


def project_folder(results: str | Path) -> Path:
    """Return the folder of a run, which holds ``results``, ``corrections`` and ``config``.

    Parameters
    ----------
    results
        Folder ``results`` of a run, or that of one sample in it.
    """
    root = Path(results).resolve()
    return (root.parent if (root / MANIFEST).is_file() else root).parent


def corrections_folder(results: str | Path) -> Path:
    """Return the folder of the user's tables, which lies beside the folder of results.

    Parameters
    ----------
    results
        Folder ``results`` of a run, or that of one sample in it.
    """
    return project_folder(results) / "corrections"


def corrections_table(sample: Path, kind: str, folder: Path | None = None) -> Path:
    """Return the table of the corrections of a sample, which need not be there.

    Parameters
    ----------
    sample
        Folder of the sample, such as ``results/cortex``.
    kind
        ``cells`` or ``tracks``.
    folder
        Folder of tables ``<sample>.<kind>.csv``. Without it, the table is that which the sample
        sheet named in the last run, else the one in the folder beside the results.
    """
    if folder is None and (named := named_table(sample, kind)) is not None:
        return named
    folder = folder or sample.resolve().parents[1] / "corrections"
    return folder / f"{sample.name}.{kind}.csv"


def named_table(sample: Path, kind: str) -> Path | None:
    """Return the table of corrections that the sample sheet named in the last run; None for none.

    Parameters
    ----------
    sample, kind
        See :func:`corrections_table`.

    Raises
    ------
    InputError
        The record of the run can't be read.
    """
    # The workflow's rules read this file in every job, and pandas takes time to import.
    from cellsam_core.files.tables import table_errors

    path = sample / PROVENANCE
    if not path.is_file():
        return None
    with table_errors(path):
        recorded = json.loads(path.read_text())["config"].get("sample", {})
    text = recorded.get(SHEET_COLUMNS[kind])
    return sample.resolve().parents[1] / text if text else None


def masks_folder(results: str | Path) -> Path:
    """Return the folder of the masks and cell table of a sample: the corrected ones if there are.

    Parameters
    ----------
    results
        Folder of a sample, such as ``results/cortex``.
    """
    folder = Path(results) / "2_masks"
    corrected = folder / "corrected"
    return corrected if (corrected / "masks.zarr").is_dir() else folder
