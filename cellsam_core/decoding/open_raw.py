"""Raw rounds opened in whichever layout the folder has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from cellsam_core.decoding.sheets import refuse_spreadsheet
from cellsam_core.errors import InputError
from cellsam_core.samples.raw_rounds import ORGANIZATION, find_format

if TYPE_CHECKING:
    from cellsam_core.decoding.experiment import RawExperiment

RAW_ROUNDS = re.compile(f"{ORGANIZATION.pattern}|^rounds$", re.IGNORECASE)


def open_raw(
    path: str | Path, format: str = "auto", pixel_size_um: float | None = None
) -> RawExperiment:
    """Find out what a folder of raw rounds holds.

    Parameters
    ----------
    path
        Folder.
    format
        ``merlin``: a data organization and a codebook as for MERlin. ``rounds``: this project's
        own sheet ``rounds.csv``. ``auto``: whichever of these files is there.
    pixel_size_um
        Wins over what the files say.

    Raises
    ------
    InputError
        Something is missing or contradicts something else; the message names it.
    """
    from cellsam_core.decoding.merlin import open_merlin
    from cellsam_core.decoding.rounds import open_rounds

    folder = Path(path)
    found = find_format(folder) if format == "auto" else format
    if found == "rounds":
        return open_rounds(folder, pixel_size_um)
    if found == "merlin":
        return open_merlin(folder, pixel_size_um)
    refuse_spreadsheet(folder, RAW_ROUNDS)
    raise InputError(
        folder,
        found="no raw rounds",
        expected="a folder with rounds.csv, or with a data organization as for MERlin",
        remedy="correct path or format in the sample sheet",
    )
