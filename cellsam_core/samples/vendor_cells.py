"""Cells of a vendor, recognised by the names of files before a folder is inspected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAMES = re.compile(
    r"cell_boundaries.*|.*micron_space.*\.parquet|cellpose.*\.parquet"  # MERSCOPE, Xenium
    r"|celllabels.*|cells_label.*"  # CosMx
    r"|.*_segmentation\.tiff?",  # Spatial Genomics
    re.IGNORECASE,
)


def may_have_cells(folder: Path) -> bool:
    """Tell if a file, or a folder, of the folder of a tissue has the name of a vendor's cells."""
    if not folder.is_dir():
        return False
    return any(NAMES.fullmatch(path.name) for path in folder.iterdir())
