"""Folders of raw rounds, recognised by their sheets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    pass


FORMATS = ("merlin", "rounds")
SHEET_NAME = "rounds.csv"
ORGANIZATION = re.compile(r"data_?organi[sz]ation", re.IGNORECASE)


def find_format(folder: Path) -> str | None:
    """Tell the layout of raw rounds by its sheet; None if there is neither."""
    if (folder / SHEET_NAME).is_file():
        return "rounds"
    return "merlin" if any(ORGANIZATION.search(f.stem) for f in folder.glob("*.csv")) else None
