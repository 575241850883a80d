"""Positions of a sample sheet's row: known before anything runs, one sample each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cellsam_core.errors import InputError
from cellsam_core.files.filenames import natural_key
from cellsam_core.files.names.pattern import WELL
from cellsam_core.files.stack import list_series
from cellsam_core.samples.movie_files import MovieFiles, MovieOptions
from cellsam_core.samples.movie_search import find_movie

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

ROWS = "ABCDEFGHIJKLMNOP"


@dataclass(frozen=True)
class Position:
    """One of several places that were imaged.

    Attributes
    ----------
    name
        As in the files' names, or of the image in its file; empty where there is only one.
    key
        The same with letters, digits, dot, dash and underscore only: it ends a sample's name.
    well
        Well of the plate, such as ``B02``; empty where there is none.
    """

    name: str
    key: str
    well: str = ""


def positions_of(
    path: str | Path,
    *,
    format: str = "auto",
    pattern: str | None = None,
    channels: Sequence[str] | None = None,
) -> list[Position]:
    """Name the positions of a movie's folder, file, or OME-Zarr plate.

    Names are read, and the metadata of one file; so that it takes no time.

    Parameters
    ----------
    path, format, pattern, channels
        As for :func:`cellsam_core.samples.movies.inspect_movie`.

    Returns
    -------
    list of Position
        In natural order; one, with an empty name, where there is only one.

    Raises
    ------
    InputError
        There is no movie, or its names are not understood.
    """
    from cellsam_core.samples.movie_files import movie_root

    options = MovieOptions(format, pattern, tuple(channels or ()))
    return _positions(find_movie(movie_root(path), options))


def _positions(files: MovieFiles) -> list[Position]:
    if files.container is not None:
        wells: dict[str, str] = dict.fromkeys(list_series(files.container), "")
    else:
        wells = {image.position: image.well for image in files.images}
    names = sorted(wells, key=natural_key)
    keys = [re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_.-") for name in names]
    if len(names) > 1:
        keys = [key or "position" for key in keys]
        keys = [k if keys.count(k) == 1 else f"{k}-{i + 1}" for i, k in enumerate(keys)]
    return [
        Position(name, key, wells[name] or _well_in(name))
        for name, key in zip(names, keys, strict=True)
    ]


def _well_in(name: str) -> str:
    match = WELL.search(name)
    return f"{match[1]}{int(match[2]):02d}" if match else ""


def choose_position(files: MovieFiles, wanted: str | None) -> str:
    """Return the name of the position to read.

    Raises
    ------
    InputError
        There are several and none is named, or none has this name.
    """
    found = _positions(files)
    if wanted:
        for position in found:
            if wanted in (position.name, position.key):
                return position.name
    elif len(found) == 1:
        return found[0].name
    keys = [p.key for p in found]
    shown = ", ".join(keys[:5]) + (", ..." if len(keys) > 5 else "")
    raise InputError(
        files.root,
        found=f"several positions ({shown})" if len(found) > 1 else "one position only",
        expected=f"position {wanted}" if wanted else "one position",
        remedy="correct the column `position`"
        if wanted
        else "run the sample sheet, which makes a sample of each position, or name one in the "
        "column `position` (option --position)",
    )


def expand_row(
    row: Mapping[str, Any],
    folder: Path,
    *,
    plate_map: Mapping[str, str] | None = None,
    strict: bool = True,
) -> list[dict[str, Any]]:
    """Make one row of each position of a sample sheet's row.

    Parameters
    ----------
    row
        Row of a movie: ``sample``, ``path`` and, where given, ``format``, ``pattern``,
        ``channels``, ``position`` and ``plate_map``.
    folder
        Where relative paths start.
    plate_map
        Condition by well, of :func:`read_plate_map`; read from the row's own file if None.
    strict
        False returns a row whose files are missing or not understood as it is: ``inspect`` says
        what is wrong with them.

    Returns
    -------
    list of dict
        The row as it is if there is one position, or it names one; else a copy for each position
        with ``sample`` = ``<sample>-<position>``, ``position``, and ``condition`` by the plate map.

    Raises
    ------
    InputError
        The movie is not understood, or the plate map lacks a well.
    """
    options = movie_options(row)
    try:
        found = positions_of(
            folder / row["path"],
            format=options.format,
            pattern=options.pattern,
            channels=options.channels,
        )
    except (InputError, OSError):  # OSError: a folder that may not be read
        if strict:
            raise
        return [dict(row)]
    if "plate_map" in row and plate_map is None:
        plate_map = read_plate_map(folder / row["plate_map"])
    wanted = row.get("position")
    if wanted is not None or len(found) == 1:
        chosen = [p for p in found if wanted is None or wanted in (p.name, p.key)]
        if not chosen:
            names = ", ".join(p.key for p in found)
            raise InputError(
                "position",
                found=f"position {wanted}",
                expected=f"one of {names}",
                remedy="correct the column `position`",
            )
        return [dict(row) | _condition(row, chosen[0], plate_map)]
    return [
        dict(row)
        | {"sample": f"{row['sample']}-{position.key}", "position": position.key}
        | _condition(row, position, plate_map)
        for position in found
    ]


def movie_options(row: Mapping[str, Any]) -> MovieOptions:
    """Take the options of reading a movie from a row of the sample sheet."""
    channels = row.get("channels") or ""
    return MovieOptions(
        row.get("format", "auto"),
        row.get("pattern"),
        tuple(name.strip() for name in channels.split(",") if name.strip()),
        row.get("position", ""),
    )


def _condition(
    row: Mapping[str, Any], position: Position, plate_map: Mapping[str, str] | None
) -> dict[str, str]:
    if plate_map is None:
        return {}
    if position.well not in plate_map:
        what = f"no well {position.well}" if position.well else f"no well in {position.key!r}"
        raise InputError(
            row.get("plate_map", "the plate map"),
            found=f"{what} for sample {row['sample']}",
            expected="a row for each well that was imaged",
            remedy="add the well; an empty condition leaves it out of the averages",
        )
    condition = plate_map[position.well]
    if row.get("condition", condition) != condition:
        raise InputError(
            "condition, plate_map",
            found=f"{row['condition']} in the sheet and {condition or 'nothing'} in the plate map"
            f" for well {position.well}",
            expected="one condition of each sample",
            remedy="empty the cell `condition`, or leave out the plate map",
        )
    return {"condition": condition} if condition else {}


def read_plate_map(path: str | Path) -> dict[str, str]:
    """Read which well got which condition.

    Parameters
    ----------
    path
        csv or tsv with the columns ``well`` and ``condition``, or laid out as the plate: column
        numbers on top, row letters in the first column.

    Returns
    -------
    dict
        Condition by well, ``B02``.

    Raises
    ------
    InputError
        It is neither, or names a well twice.
    """
    from cellsam_core.files.tables import read_table  # pandas takes a second to load

    table = read_table(path, dtype=str, keep_default_na=False)
    names = {str(name).strip().lower(): name for name in table.columns}
    if {"well", "condition"} <= set(names):
        pairs = list(zip(table[names["well"]], table[names["condition"]], strict=True))
    elif (
        all(str(name).strip().isdecimal() for name in table.columns[1:]) and len(table.columns) > 1
    ):
        pairs = [
            (f"{row.iloc[0].strip()}{name}", row[name])
            for _, row in table.iterrows()
            for name in table.columns[1:]
        ]
    else:
        raise InputError(
            path,
            found=f"the columns {', '.join(map(str, table.columns))}",
            expected="well and condition, or the layout of a plate",
            remedy="name the columns so",
        )
    found: dict[str, str] = {}
    for well, condition in pairs:
        match = re.fullmatch(r"([A-Pa-p])0*(\d{1,2})", well.strip())
        key = f"{match[1].upper()}{int(match[2]):02d}" if match else ""
        if not key or key in found:
            raise InputError(
                path,
                found=f"well {well!r}" + (" twice" if key else ""),
                expected="each well once, such as B2 or B02",
                remedy="correct the well",
            )
        found[key] = condition.strip()
    return found
