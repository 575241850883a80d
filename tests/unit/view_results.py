"""A folder of results with a movie, a tissue and a sample of a hostile name, for the page."""

from __future__ import annotations

import shutil
from pathlib import Path

from fake_results import write_movie, write_spatial

HOSTILE = "<img src=x onerror=alert(1)>"


def write_results(root: Path) -> Path:
    write_movie(root / "movie")
    write_spatial(root / "tissue")
    (root / HOSTILE).mkdir()
    shutil.copy(root / "movie/0_manifest.json", root / HOSTILE / "0_manifest.json")
    return root
