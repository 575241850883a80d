"""Outputs appear under their final name only when they are complete."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it to `path` on success, delete it on error.

    Works for a file and for a folder (a Zarr store, a CTC folder): an existing folder
    is replaced whole. The temporary keeps the suffix of `path`, since writers look at it.

    Parameters
    ----------
    path
        The final name. Its parent is made if missing.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.stem}.{os.getpid()}.tmp{final.suffix}")
    _remove(temporary)
    try:
        yield temporary
        if final.is_dir():
            _remove(final)
        temporary.replace(final)
    except BaseException:
        _remove(temporary)
        raise


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
