"""Cells of the sample sheet that would have no effect, refused before anything runs."""

from __future__ import annotations

from typing import Any

from cellsam_core.config.schema import SECTIONS
from cellsam_core.errors import InputError

MOVIES_ONLY = ("track", "traces")
TISSUES_ONLY = ("assign", "report")
RAW_ROUNDS_ONLY = ("decode",)
REASONS = {
    "track": "only movies are tracked",
    "traces": "only movies have traces",
    "assign": "only tissues have transcripts",
    "report": "only transcripts are compared with bulk expression",
}
OF_MOVIES = {
    "corrections": "only movies are tracked",
    "plate_map": "only movies have wells",
}
UNITS = {"masks_unit": "masks", "nuclei_unit": "nuclei"}


def refuse_unused(where: str, row: dict[str, Any]) -> None:
    """Refuse a cell of the sample sheet that would have no effect.

    Parameters
    ----------
    where
        Sheet and sample, for messages.
    row
        Filled cells of the sample, by column.

    Raises
    ------
    InputError
        The message names the column.
    """
    for column, reason in _reasons(is_movie=row["assay"] == "movie").items():
        if column in row:
            raise InputError(
                f"{where}, {column}",
                found=f"{str(row[column])!r} for a {row['assay']} sample",
                expected=f"an empty cell, because {reason}",
                remedy="empty the cell",
            )


def refuse_unit_of_nothing(where: str, row: dict[str, Any], *, has_nuclei: bool) -> None:
    """Refuse the unit of outlines that are not given.

    Parameters
    ----------
    where, row
        As for :func:`refuse_unused`.
    has_nuclei
        True if nuclei are given, in the sheet or in the config.

    Raises
    ------
    InputError
        The message names the column.
    """
    for unit, column in UNITS.items():
        is_given = has_nuclei if column == "nuclei" else column in row
        if unit in row and not is_given:
            raise InputError(
                f"{where}, {unit}",
                found=f"the unit {row[unit]} of outlines that are not given",
                expected=f"outlines in the column `{column}`",
                remedy=f"fill the column `{column}`, or empty the cell",
            )


def _reasons(*, is_movie: bool) -> dict[str, str]:
    """Map each column that is not used for an assay to the reason."""
    sections = TISSUES_ONLY if is_movie else MOVIES_ONLY
    keys = {key: REASONS[name] for name in sections for key in SECTIONS[name].properties}
    if not is_movie:
        return keys | OF_MOVIES
    return {key: text for key, text in keys.items() if key != "nuclei"}  # may be paired
