"""Helpers of the commands on several samples: arguments NAME=FILE, and figures as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure


def named_file(text: str, argument: str, example: str) -> tuple[str, Path]:
    """Split an argument into the name before its first equals sign and the file behind it.

    Raises
    ------
    InputError
        The name or the equals sign is missing; the message shows the `example`.
    """
    name, separator, path = text.partition("=")
    if not separator or not name.strip():
        raise InputError(
            f"argument {argument}",
            found=repr(text),
            expected="a name, an equals sign and a file",
            remedy=f"write e.g. {example}",
        )
    return name.strip(), Path(path)


def write_figure(path: Path, draw: Callable[[], Figure]) -> None:
    """Draw a figure in the style of the report into a PNG; the same figure gives the same bytes."""
    from matplotlib import style

    from cellsam_core.files.atomic import atomic_path
    from cellsam_core.reporting.figures.common import STYLE

    with atomic_path(path) as temporary, style.context(STYLE):
        draw().savefig(temporary, format="png", dpi=150, metadata={"Software": None})
