"""Names of the images of a plate, read once for all its positions.

`check` and `init` look at each position of a plate, and each time at the names of all its images:
the time grew with the square of the number of positions.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cellsam_core.samples.movie_files import MovieFiles, MovieOptions

SETTLED_S = 2.0
"""Age from which the time of a folder's last change tells it from any later change."""

_last: list[tuple[tuple[Path, MovieOptions], dict[str, int], MovieFiles]] = []


def remember(
    root: Path, options: MovieOptions, find: Callable[[Path, MovieOptions], MovieFiles]
) -> MovieFiles:
    """Find the files of a movie, or return those that were found last if no folder has changed.

    Parameters
    ----------
    root
        Folder.
    options
        Options without the position, which does not tell which files there are.
    find
        Function that finds them.
    """
    key = (root, options)
    if _last and _last[0][0] == key and _last[0][1] == _changes(root):
        return _last[0][2]
    _last.clear()
    before = _changes(root)
    files = find(root, options)
    is_settled = max(before.values(), default=0) < time.time_ns() - SETTLED_S * 1e9
    if files.container is None and is_settled:
        _last.append((key, before, files))
    return files


def _changes(root: Path) -> dict[str, int]:
    """Last change of each folder, ns; a folder changes if a file in it appears or goes."""
    found = {}
    for folder, below, _ in os.walk(root):
        found[folder] = Path(folder).stat().st_mtime_ns
        below[:] = [name for name in below if not name.startswith(".") and ".zarr" not in name]
        if any((Path(folder) / name).is_symlink() for name in below):
            found[folder] = time.time_ns()  # what is behind a link is not watched
    return found
