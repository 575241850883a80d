"""Options of the exports."""

from __future__ import annotations

from cellsam_core.errors import InputError
from cellsam_core.options import Options, option, options

PROGRAMS = ("qupath", "imagej", "vpt", "xenium_ranger", "xenium_explorer")
FOR_MOVIES = ("imagej",)
"""Programs that movies are exported for, too."""


@options
class ExportOptions(Options):
    """Programs that the results are exported for."""

    programs: str | None = option(
        None,
        "Programs that the cells are exported for, separated by commas: `qupath` (GeoJSON),"
        " `imagej` (zip of ROIs), `vpt` (postprocessing tool of Vizgen), `xenium_ranger`, and"
        " `xenium_explorer` (the package sopa must be installed)."
        " Movies are exported for `imagej` only. If it is not given, nothing is exported.",
    )

    def check(self) -> None:
        """Refuse a program that is not known, or that is named twice."""
        names = self.names()
        if len(set(names)) < len(names) or not set(names) <= set(PROGRAMS):
            raise InputError(
                "option `programs`",
                found=repr(self.programs),
                expected=f"some of {', '.join(PROGRAMS)}, each once and separated by commas",
                remedy="correct it",
            )

    def names(self, *, is_movie: bool = False) -> list[str]:
        """List the programs; of a movie, those that movies are exported for."""
        words = [] if self.programs is None else self.programs.split(",")
        names = [word.strip() for word in words]
        return [name for name in names if not is_movie or name in FOR_MOVIES]
