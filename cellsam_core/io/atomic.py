"""Outputs appear under their final name only when they are complete."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`; rename it to `path` on success, delete it on error.

    Works for a file and for a folder (a Zarr store, a CTC folder): an existing folder
    is replaced whole, but only by a folder of its kind: a slip in ``-o`` must not delete data.
    The temporary keeps the suffix of `path`, since writers look at it.

    Parameters
    ----------
    path
        The final name. Its parent is made if missing.

    Raises
    ------
    InputError
        The parent can't be made or written to, or `path` is a folder with other content.
    """
    final = Path(path)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _no_folder(final, error.strerror or "no folder") from error
    if not os.access(final.parent, os.W_OK):
        raise _no_folder(final, "no permission to write there")
    temporary = final.with_name(f".{final.stem}.{os.getpid()}.tmp{final.suffix}")
    _remove(temporary)
    try:
        yield temporary
        if final.is_dir():
            _refuse_other_kind(final, temporary)
            _remove(final)
        temporary.replace(final)
    except BaseException:
        _remove(temporary)
        raise


def _no_folder(path: Path, reason: str) -> InputError:
    return InputError(
        path,
        found=f"that its folder can't be written ({reason})",
        expected="a place for the output",
        remedy="choose another output",
    )


def _refuse_other_kind(old: Path, new: Path) -> None:
    """Require that two folders share a file (``zarr.json``), or that the old one is empty."""
    names = {p.name for p in old.iterdir()}
    if names and not (new.is_dir() and names & {p.name for p in new.iterdir()}):
        raise InputError(
            old,
            found="a folder with other content",
            expected="a new name, or an earlier result of the same kind",
            remedy="choose another output",
        )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
