"""Images of a folder, each with what its name says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NUMBER_OF_CHANNEL = re.compile(r"(c|ch|channel|w|wave|wavelength)?[_\- ]?\d+", re.IGNORECASE)
"""Names that say of a channel no more than its number: ``ch1``."""


@dataclass(frozen=True)
class NamedImage:
    """One image file and what its name says.

    Attributes
    ----------
    path
        The file.
    frame
        Number of the frame; None where the name has none.
    channel
        Name of the channel; None where the name has none.
    position
        Name of the position, such as ``B02-s1``; empty where there is one only.
    well
        Well of a plate, such as ``B02``; empty where there is none.
    z
        Number of the z plane; None where the name has none.
    time_s
        Seconds by the clock in the name; None where there is no clock.
    """

    path: Path
    frame: int | None = None
    channel: str | None = None
    position: str = ""
    well: str = ""
    z: int | None = None
    time_s: float | None = None


@dataclass(frozen=True)
class NamedImages:
    """All images of a folder, and sentences for the report."""

    images: list[NamedImage]
    warnings: list[str] = field(default_factory=list)

    @property
    def positions(self) -> list[str]:
        """Names of the positions, in natural order; one empty name where there is one only."""
        from cellsam_core.files.filenames import natural_key

        return sorted({image.position for image in self.images}, key=natural_key)
