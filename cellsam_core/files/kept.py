"""Inputs that an output must not replace: a slip in ``-o`` must not delete a user's data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable


def keep_inputs(folder: str | Path, names: Iterable[str], *inputs: Any) -> None:
    """Refuse outputs in whose place an input is.

    Parameters
    ----------
    folder
        Folder of the outputs.
    names
        Names of the outputs in it; each may be a file or a folder, which is replaced whole.
    inputs
        Paths, or objects with a ``path``, of what is read; other objects are in memory.

    Raises
    ------
    InputError
        An input is an output, or is in one.

    Examples
    --------
    >>> keep_inputs("3_cells", ["transcripts.parquet"], "raw/transcripts.parquet", None)
    """
    outputs = [output for name in names if (output := Path(folder, name)).exists()]
    for one in inputs if outputs else ():
        path = getattr(one, "path", one)
        if not isinstance(path, str | Path) or not Path(path).exists():
            continue
        read = Path(path).resolve()
        for output in outputs:
            if read.is_relative_to(output.resolve()):
                raise InputError(
                    output,
                    found="an input of this command in its place",
                    expected="an output that replaces nothing that is read",
                    remedy="choose another output",
                )
