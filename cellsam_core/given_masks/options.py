"""Options of masks that the user gives."""

from __future__ import annotations

from typing import Literal

from cellsam_core.options import Options, option, options

Unit = Literal["um", "px"]


@options
class GivenMasksOptions(Options):
    """Options of masks that the user gives, each also a column of the sample sheet."""

    masks_unit: Unit | None = option(
        None,
        "Unit of outlines in the column `masks`, `um` or `px`. If it is not given, it is px for a"
        " movie. For a tissue it is what the file says, or um.",
    )
