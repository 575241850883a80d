"""Folders of a run: its samples, the masks that later stages read, the user's corrections."""

from __future__ import annotations

from pathlib import Path

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import natural_key

MANIFEST = "0_manifest.json"


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


def corrections_table(folder: Path, sample: str, kind: str) -> Path:
    """Return the table of the corrections of a sample in a folder of such tables.

    Parameters
    ----------
    folder
        Folder of the tables, see :func:`corrections_folder`.
    sample
        Name of the sample.
    kind
        ``cells`` or ``tracks``.
    """
    return folder / f"{sample}.{kind}.csv"


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
