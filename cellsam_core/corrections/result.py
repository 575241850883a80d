"""Folder of the masks that later stages read."""

from __future__ import annotations

from pathlib import Path


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
